"""Completion in the shells, with the names of nodes."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fliswarm.cli.app import COMMANDS, HELP
from fliswarm.cli.complete import LIMIT
from fliswarm.cli.examples import EXAMPLES
from tests.unit.cli.test_program import Program
from tests.unit.cli.test_program import fliswarm as fliswarm
from tests.unit.support.observatory import observatory
from tests.unit.support.site import free_port
from tests.unit.support.terminal import environment, piped


@pytest.fixture
async def socket(tmp_path: Path) -> AsyncIterator[Path]:
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port(), "gfa2": free_port()}, path) as _:
        yield path


async def completed(socket: Path, line: str, shell: str = "bash") -> list[str]:
    """Return what a shell is offered for the last word of a line."""
    words = line.split(" ")
    more = {"_FLISWARM_COMPLETE": f"{shell}_complete", "COMP_WORDS": line}
    more["COMP_CWORD"] = words[-1] if shell == "fish" else str(len(words) - 1)
    done = await piped(socket, **more)
    assert (done.code, done.err) == (0, "")
    return [text.rpartition(",")[2] for text in done.out.split()]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("fliswarm rec", ["reconnect"]),
        ("fliswarm talk -n ", ["gfa1", "gfa2"]),
        ("fliswarm status --names gfa1,g", ["gfa2"]),
        ("fliswarm reconnect --exclude gfa2", ["gfa2"]),
        ("fliswarm enable gfa1 ", ["gfa1", "gfa2"]),
        ("fliswarm logs -f g", ["gfa1", "gfa2"]),
        ("fliswarm exec -n x", []),
        ("fliswarm completion z", ["zsh"]),
    ],
)
async def test_what_is_offered(socket: Path, line: str, offered: list[str]) -> None:
    assert await completed(socket, line) == offered


async def test_options_of_what_the_controller_parses(socket: Path) -> None:
    offered = await completed(socket, "fliswarm reconnect --")
    assert {"--force", "--dry-run", "--names", "--json", "--raw"} <= set(offered)


def test_nodes_of_the_configuration(fliswarm: Program) -> None:
    """Nobody runs: the file names them."""
    asked = {"_FLISWARM_COMPLETE": "bash_complete", "COMP_CWORD": "5"}
    words = f"fliswarm -c {fliswarm.config} talk -n "
    done = fliswarm.run(COMP_WORDS=words, **asked)
    assert (done.code, done.err) == (0, "")
    names = [text.partition(",")[2] for text in done.out.splitlines()]
    assert sorted(names) == ["fvc", "gfa1", "gfa2"]
    nothing = fliswarm.run(COMP_WORDS="fliswarm -c /no/file talk -n ", **asked)
    assert (nothing.code, nothing.out.strip(), nothing.err) == (0, "", "")


def test_a_controller_that_says_nothing_is_not_waited_for(fliswarm: Program) -> None:
    ssh = fliswarm.folder / "ssh"
    ssh.write_text("#!/bin/sh\nexec sleep 60 >/dev/null 2>&1\n", "utf-8")
    ssh.chmod(0o755)
    began = time.monotonic()
    done = fliswarm.run(
        COMP_WORDS=f"fliswarm -c {fliswarm.config} talk -n ",
        COMP_CWORD="5",
        _FLISWARM_COMPLETE="bash_complete",
        FLISWARM_HOST="ssh://manager",
        FLISWARM_SSH_COMMAND=str(ssh),
    )
    assert "gfa1" in done.out
    assert time.monotonic() - began < 50
    assert LIMIT <= 0.5


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(fliswarm: Program, shell: str) -> None:
    done = fliswarm.run("completion", shell)
    assert (done.code, done.err) == (0, "")
    assert f"_FLISWARM_COMPLETE={shell}_complete" in done.out
    if found := shutil.which(shell):
        checked = subprocess.run(
            [found, "-n"], input=done.out, capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stderr) == (0, "")


async def test_bash_completes(socket: Path) -> None:
    """A real one, as far as the key."""
    script = (await piped(socket, "completion", "bash")).out
    line = (
        f"{script}\nCOMP_WORDS=(fliswarm talk -n gfa1,); COMP_CWORD=3\n"
        '_fliswarm_completion fliswarm; echo "${COMPREPLY[@]}"\n'
    )
    found = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "--norc", "-c", line],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=environment(socket, **found),
        )

    done = await asyncio.to_thread(run)
    assert (done.stdout, done.stderr) == ("gfa1,gfa2\n", "")


def test_every_command_has_examples(fliswarm: Program) -> None:
    assert set(EXAMPLES) >= set(COMMANDS)
    assert set(COMMANDS) - {"actor", "dial-stdio"} == set(HELP)
    for name in HELP:
        done = fliswarm.run(name, "--help")
        assert done.code == 0
        assert "\n  fliswarm " in done.out.partition("Examples:")[2] or (
            "\n    fliswarm " in done.out.partition("Examples:")[2]
        )
        assert max(map(len, done.out.splitlines())) <= 80, name


def test_exit_codes_are_told(fliswarm: Program) -> None:
    shown = fliswarm.run("--help").out
    assert "Exit codes:\n    0  done\n" in shown
    assert "NO_COLOR" in shown
