"""The way through ssh, with programs that behave as ssh does."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from fliswarm.engine.tunnel import OPTIONS, Tunnel
from fliswarm.errors import ConfigError, EngineUnreachableError
from fliswarm.model import Node
from tests.unit.support.wait import LIMIT, until, wait_until

ECHO = 'echo $$ >>"$0.pids"; exec cat'
"""What a connected ssh comes down to; it leaves its process id."""

Make = Callable[..., Tunnel]


@pytest.fixture
async def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """Yield what makes a tunnel whose ssh is a shell script."""
    made: list[Tunnel] = []
    runtime = tmp_path / "run"
    runtime.mkdir()

    def one(script: str = ECHO, engine: str = "ssh://me@gfa1:2222") -> Tunnel:
        program = tmp_path / "ssh"
        program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("FLISWARM_SSH_COMMAND", f"{program} -F config")
        monkeypatch.setenv("RUNTIME_DIRECTORY", f"{runtime}:/elsewhere")
        made.append(Tunnel(Node("gfa1", "h", engine, user="sdss")))
        return made[-1]

    yield one
    for tunnel in made:
        tunnel.close()
    await until(lambda: not list(runtime.iterdir()), "the sockets are gone")


def pids(folder: Path) -> list[int]:
    """Return the process ids of all ssh that were started."""
    return [int(word) for word in (folder / "ssh.pids").read_text().split()]


def there(pid: int) -> bool:
    """Return whether a process exists, be it only to be asked how it ended."""
    return Path(f"/proc/{pid}").exists()


async def refused(tunnel: Tunnel, limit: float = LIMIT) -> EngineUnreachableError:
    with pytest.raises(EngineUnreachableError) as error:
        await tunnel.knock(limit)
    assert error.value.node == "gfa1"
    return error.value


async def test_one_ssh_serves_all_calls(make: Make, tmp_path: Path) -> None:
    tunnel = make()
    await asyncio.gather(*(tunnel.knock(LIMIT) for _ in range(5)))
    await asyncio.gather(*(tunnel.knock(LIMIT) for _ in range(5)))
    (pid,) = pids(tmp_path)
    assert there(pid)
    tunnel.close()
    assert not there(pid)


async def test_the_command(make: Make, tmp_path: Path) -> None:
    tunnel = make(f'printf "%s\\n" "$@" >"$0.words"; {ECHO}')
    await tunnel.knock(LIMIT)
    words = (tmp_path / "ssh.words").read_text().splitlines()
    assert {f"{key}={value}" for key, value in OPTIONS.items()} < set(words)
    forward = f"{tunnel.socket}:/var/run/docker.sock"
    tail = ["-F", "config", "-L", forward, "-p", "2222", "me@gfa1", "exec cat"]
    assert words[-8:] == tail


async def test_the_user_is_the_node_s_where_none_is_named(
    make: Make, tmp_path: Path
) -> None:
    tunnel = make(f'printf "%s\\n" "$@" >"$0.words"; {ECHO}', "ssh://gfa1")
    await tunnel.knock(LIMIT)
    words = (tmp_path / "ssh.words").read_text().splitlines()
    assert words[-2:] == ["sdss@gfa1", "exec cat"]


async def test_the_socket_is_in_a_folder_of_its_own(make: Make, tmp_path: Path) -> None:
    tunnel = make()
    folder = tunnel.socket.parent
    assert folder.parent == tmp_path / "run"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    tunnel.close()
    assert not folder.exists()


async def test_an_ssh_that_ends_is_started_again(make: Make, tmp_path: Path) -> None:
    tunnel = make()
    await tunnel.knock(LIMIT)
    where = tunnel.socket
    os.kill(pids(tmp_path)[0], signal.SIGKILL)
    await tunnel.knock(LIMIT)
    first, second = pids(tmp_path)
    assert first != second
    assert not there(first)
    assert tunnel.socket == where


@pytest.mark.parametrize(
    ("said", "reason", "alive", "at_once"),
    [
        ("me@gfa1: Permission denied (publickey).", None, True, False),
        ("ssh: connect to host gfa1 port 22: Connection refused", None, True, True),
        ("ssh: connect to host gfa1 port 22: No route to host", None, False, False),
        ("ssh: connect to host gfa1 port 22: Connection timed out", None, False, False),
        (
            "ssh: Could not resolve hostname gfa1: Name or service not known",
            None,
            False,
            False,
        ),
        (
            "@@@@@\nSomeone could be eavesdropping\nHost key verification failed.",
            "its host key is not the one that is known here; "
            "remedy: run the site's playbook for this node",
            True,
            False,
        ),
        ("", "does not answer", False, False),
    ],
)
async def test_the_last_line_of_ssh_is_the_reason(
    make: Make, said: str, reason: str | None, alive: bool, at_once: bool
) -> None:
    tunnel = make(f"cat >&2 <<'END'\n{said}\nEND\nexit 255")
    errors = await asyncio.gather(refused(tunnel), refused(tunnel))
    for error in errors:
        assert error.problem == f"ssh://me@gfa1:2222: {reason or said}"
        assert (error.host_alive, error.refused) == (alive, at_once)


async def test_one_attempt_at_a_time(make: Make, tmp_path: Path) -> None:
    tunnel = make("echo $$ >>$0.pids; sleep 0.2; echo no >&2; exit 255")
    await asyncio.gather(*(refused(tunnel) for _ in range(5)))
    assert len(pids(tmp_path)) == 1
    await refused(tunnel)
    assert len(pids(tmp_path)) == 2
    assert not any(map(there, pids(tmp_path)))


async def test_a_node_that_falls_silent(make: Make, tmp_path: Path) -> None:
    tunnel = make()
    await tunnel.knock(LIMIT)
    (pid,) = pids(tmp_path)
    os.kill(pid, signal.SIGSTOP)
    error = await refused(tunnel, 0.1)
    assert (error.problem, error.host_alive) == (
        "ssh://me@gfa1:2222: does not answer",
        False,
    )
    os.kill(pid, signal.SIGCONT)
    await tunnel.knock(LIMIT)
    assert pids(tmp_path) == [pid]


async def test_a_login_that_talks(make: Make) -> None:
    tunnel = make("echo Welcome; head -c 100000 /dev/zero; echo; echo 1 more; exec cat")
    await tunnel.knock(LIMIT)
    assert tunnel.said == "1 more"


async def test_closed_while_it_connects(make: Make, tmp_path: Path) -> None:
    tunnel = make("echo $$ >>$0.pids; exec sleep 600")
    knocks = [asyncio.create_task(refused(tunnel)) for _ in range(2)]
    await until((tmp_path / "ssh.pids").exists)
    await until(lambda: pids(tmp_path))
    tunnel.close()
    await asyncio.gather(*knocks)
    assert not there(pids(tmp_path)[0])
    await refused(tunnel)
    assert len(pids(tmp_path)) == 1


async def test_a_caller_that_gives_up_leaves_the_attempt_to_others(make: Make) -> None:
    tunnel = make(f"sleep 0.2; {ECHO}")
    hasty = asyncio.create_task(tunnel.knock(LIMIT))
    patient = asyncio.create_task(tunnel.knock(LIMIT))
    await asyncio.sleep(0)
    hasty.cancel()
    await patient
    assert hasty.cancelled()


async def test_no_ssh_here(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make()
    monkeypatch.setenv("FLISWARM_SSH_COMMAND", "/nonexistent/ssh")
    tunnel = Tunnel(Node("gfa1", "h", "ssh://gfa1"))
    error = await refused(tunnel)
    assert error.problem == "ssh://gfa1: /nonexistent/ssh: No such file or directory"
    assert error.host_alive is False
    tunnel.close()


async def test_no_folder_here(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make()
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/nonexistent")
    error = await refused(Tunnel(Node("gfa1", "h", "ssh://gfa1")))
    assert "No such file or directory" in error.problem


def test_a_command_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLISWARM_SSH_COMMAND", "ssh '")
    with pytest.raises(ConfigError, match="FLISWARM_SSH_COMMAND"):
        Tunnel(Node("gfa1", "h", "ssh://gfa1"))


OWNER = """
import asyncio, sys
from fliswarm.engine.tunnel import Tunnel
from fliswarm.model import Node

async def main():
    await Tunnel(Node("gfa1", "h", "ssh://gfa1")).knock(60)
    print("ready", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def test_ssh_ends_with_a_controller_that_is_killed(make: Make, tmp_path: Path) -> None:
    make()
    environment = {**os.environ, "RUNTIME_DIRECTORY": ""}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdout=subprocess.PIPE, env=environment
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        (pid,) = pids(tmp_path)
        owner.kill()
    wait_until(lambda: not _runs(pid), "ssh ends with its controller")


def _runs(pid: int) -> bool:
    """Return whether a process runs; ended, it is left to whoever adopted it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
