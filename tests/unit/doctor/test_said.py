"""What people and programs are told of what a doctor finds."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fliswarm.errors import EXIT_DONE, EXIT_FAILED, EXIT_UNREACHABLE, EXIT_USAGE
from tests.unit.cli.test_program import Done, Program
from tests.unit.support.client import Client
from tests.unit.support.clinic import clinic

KEYS = ["node", "check", "outcome", "seen", "meaning", "remedy"]


async def fliswarm(host: str, *words: str, columns: int = 40) -> Done:
    """Run the program beside a controller of this process, into a pipe."""

    def run() -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "fliswarm", "-H", host, "doctor", *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "COLUMNS": str(columns)},
        )
        assert "Traceback" not in done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    return await asyncio.to_thread(run)


def rows(said: Done) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in said.out.splitlines()]
    assert all(list(row) == KEYS for row in found)
    return found


async def test_what_is_said_of_a_healthy_fleet(tmp_path: Path) -> None:
    async with clinic(tmp_path) as site, site.serving() as host:
        nothing = "Nothing found wrong with 3 nodes.\n"
        assert await fliswarm(host) == Done(EXIT_DONE, nothing, "")
        one = await fliswarm(host, "-n", "gfa2")
        assert one == Done(EXIT_DONE, "Nothing found wrong with 1 node.\n", "")
        said = await fliswarm(host, "--json")
        assert said.code == EXIT_DONE
        assert {row["outcome"] for row in rows(said)} == {"good"}
        assert {row["node"] for row in rows(said)} == {
            "manager",
            "gfa1",
            "gfa2",
            "gfa3",
        }


async def test_what_is_said_of_faults(tmp_path: Path) -> None:
    async with clinic(tmp_path) as site, site.serving() as host:
        site["gfa2"].state = "paused"
        site["gfa3"].engine.about["Driver"] = "vfs"
        site.hub_problem = "nobody"
        said = await fliswarm(host)
        assert said.code == EXIT_FAILED
        lines = said.out.splitlines()
        # By node, and whole, however narrow the terminal was.
        assert lines[:2] == ["gfa2", "  container: flicamera-gfa2 is paused"]
        assert lines[3] == "    remedy: fliswarm reconnect -n gfa2"
        assert lines[4:6] == ["gfa3", "  storage: its storage driver is vfs"]
        assert lines[-1] == "2 faults on 2 of 3 nodes."
        assert len(lines) == 9
        wrong = rows(await fliswarm(host, "--json"))
        assert [(r["node"], r["check"]) for r in wrong if r["outcome"] == "bad"] == [
            ("gfa2", "container"),
            ("gfa3", "storage"),
        ]
        # What a fault explains is not known, and says so.
        (link,) = (r for r in wrong if (r["node"], r["check"]) == ("gfa2", "usb"))
        assert link["outcome"] == "unknown"
        assert link["meaning"] == "Not known: it stands on container."
        await site["gfa1"].stop_engine()
        assert (await fliswarm(host)).code == EXIT_UNREACHABLE
        assert (await fliswarm(host, "-x", "gfa1")).code == EXIT_FAILED


async def test_a_disabled_node_is_told_and_not_judged(tmp_path: Path) -> None:
    async with clinic(tmp_path) as site, site.serving() as host:
        site.fleet.disable("gfa2", "observer", "its shutter sticks")
        site["gfa2"].state = "paused"
        said = await fliswarm(host)
        assert said.code == EXIT_DONE
        assert "enabled: disabled by observer since " in said.out
        assert ": its shutter sticks\n" in said.out
        assert "remedy: fliswarm enable gfa2\n" in said.out
        assert said.out.endswith("Nothing found wrong with 3 nodes.\n")
        assert len(said.out.splitlines()) == 5


async def test_a_change_that_is_under_way_is_not_judged(tmp_path: Path) -> None:
    async with clinic(tmp_path) as site, site.serving() as host:
        site["gfa2"].state = "paused"
        with site.fleet.journal.hand("gfa2", "reconnect"):
            said = await fliswarm(host)
        assert said.code == EXIT_DONE
        assert "change: reconnect is under way" in said.out
        assert "paused" not in said.out


async def test_a_node_that_is_none(tmp_path: Path) -> None:
    async with clinic(tmp_path) as site, site.serving() as host:
        said = await fliswarm(host, "-n", "gfa9")
        assert said.code == EXIT_USAGE
        assert "gfa9" in said.err


async def test_what_telescope_software_is_told(tmp_path: Path) -> None:
    async with clinic(tmp_path) as site, site.serving():
        await site.service.actor.start("127.0.0.1", 0)
        site["gfa2"].state = "paused"
        client = await Client.connect(site.service.actor.port)
        said = await client.command("5 doctor -n gfa2")
        assert said[1].startswith('w finding=gfa2,container,bad,"flicamera-gfa2 is')
        assert said[2] == ': text="1 fault on 1 of 1 node."'
        await client.close()
        await site.service.actor.close()


# No controller


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def test_a_controller_that_does_not_run(program: Program) -> None:
    done = program("doctor")
    assert done.code == EXIT_FAILED
    head, seen, meaning, remedy = done.out.splitlines()
    assert head == "manager"
    assert seen.startswith("  controller: fliswarm -- not running: nobody listens on ")
    assert meaning.endswith("cameras run on.")
    assert remedy == "    remedy: fliswarm start"
    (row,) = rows(program("doctor", "--json"))
    assert (row["node"], row["check"], row["outcome"]) == (
        "manager",
        "controller",
        "bad",
    )


def test_a_service_that_has_failed(program: Program) -> None:
    fake = program.folder / "bin" / "systemctl"
    fake.parent.mkdir()
    fake.write_text(
        "#!/bin/sh\n"
        'case "$2" in\n'
        "*LoadState) echo loaded ;;\n"
        "*ActiveState) echo failed ;;\n"
        "*SubState) echo failed ;;\n"
        "*Result) echo exit-code ;;\n"
        "esac\n"
    )
    fake.chmod(0o755)
    done = program("doctor", PATH=f"{fake.parent}:{os.environ['PATH']}")
    assert done.code == EXIT_FAILED
    assert "; systemd says: failed, failed, exit-code\n" in done.out
    assert "remedy: sudo systemctl restart fliswarm; journalctl -u fliswarm" in done.out


def test_a_manager_that_is_not_reached(program: Program) -> None:
    fake = program.folder / "ssh"
    fake.write_text("#!/bin/sh\necho 'ssh: connect to host m port 22: No route' >&2\n")
    fake.chmod(0o755)
    done = program("doctor", FLISWARM_HOST="ssh://op@m", FLISWARM_SSH_COMMAND=str(fake))
    assert done.code == EXIT_UNREACHABLE
    assert "No route" in done.out
    assert "remedy: ssh op@m 'systemctl status fliswarm; journalctl" in done.out
