"""A controller, or the way to it, from which nothing comes: nobody waits for ever."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fliswarm.errors import ControlError, UsageError
from fliswarm.faces.control import client, peer
from fliswarm.faces.control.client import LocalControl, SshControl
from fliswarm.faces.control.stream import PING, Message, StreamControl
from tests.robust.program import Program
from tests.unit.control.test_control import beside, fake_ssh
from tests.unit.support.observatory import observatory
from tests.unit.support.site import free_port


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StreamControl, "silence", 0.2)


def answer(number: int, code: str, **data: object) -> bytes:
    """Return a controller's line."""
    header = {"command_id": number, "message_code": code, "sender": "fliswarm"}
    return json.dumps({"header": header, "data": data}).encode() + b"\n"


async def given(path: Path, *words: str) -> list[Message]:
    """Give a command and return all replies."""

    def work() -> list[Message]:
        with LocalControl(path) as control:
            return list(control.command(words))

    return await beside(work)


@asynccontextmanager
async def controller(
    path: Path, serve: Callable[[bytes, asyncio.StreamWriter], None]
) -> AsyncIterator[None]:
    """Run a controller that does something with each line of its one client."""
    gone = asyncio.Event()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            serve(line, writer)
        writer.close()
        await writer.wait_closed()
        gone.set()

    async with await asyncio.start_unix_server(run, path):
        yield
        async with asyncio.timeout(30):
            await gone.wait()


async def test_a_controller_that_takes_a_command_and_is_silent(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def serve(line: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(line)
        if line != PING:
            writer.write(answer(1, ">"))

    async with controller(tmp_path / "c.sock", serve):
        with pytest.raises(ControlError, match="is there, but has not answered"):
            await given(tmp_path / "c.sock", "status")
        assert seen == [b"1 status\n", PING]


async def test_a_long_command_is_waited_for(tmp_path: Path) -> None:
    pings = 0

    def serve(line: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal pings
        if line == PING:
            pings += 1
            writer.write(answer(0, ">") + answer(0, ":", text="Pong."))
        if pings == 5:
            writer.write(answer(1, ":", text="done"))

    async with controller(tmp_path / "c.sock", serve):
        assert await given(tmp_path / "c.sock", "talk", "expose", "900") == [
            Message(":", "fliswarm", {"text": "done"})
        ]
        assert pings == 5


async def test_a_line_that_is_refused_is_the_end(tmp_path: Path) -> None:
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock"):
        (end,) = await given(tmp_path / "c.sock", "talk", "x" * 70_000)
        assert (end.code, end.exit_code) == ("f", 2)
        assert "bytes is ignored" in end.data["error"]


async def test_words_that_no_line_can_hold(tmp_path: Path) -> None:
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock"):
        with pytest.raises(UsageError, match="cannot hold the end of a line"):
            await given(tmp_path / "c.sock", "talk", "status\nstatus")
        # What is no text is no text for the controller either, and is answered.
        assert (await given(tmp_path / "c.sock", "talk", "\udcff"))[-1].final


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path, {"gfa1": free_port()})
    program.start()
    yield program
    os.kill(program.pid, signal.SIGCONT)
    program.stop()


def test_a_process_that_is_stopped(program: Program) -> None:
    with LocalControl(program.socket) as control:
        os.kill(control.pid, signal.SIGSTOP)
        with pytest.raises(ControlError, match=f"^{program.socket}: fliswarm is there"):
            list(control.command(["ping"]))


def test_a_queue_of_connections_that_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "SILENCE_LIMIT", 0.2)
    kept: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "c.sock"))
        server.listen(0)
        with pytest.raises(ControlError, match="has not answered"):
            kept.extend(peer.dial(tmp_path / "c.sock") for _ in range(3))
    for connection in kept:
        connection.close()


# Through ssh


def test_ssh_that_says_a_lot(tmp_path: Path) -> None:
    script = "head -c 200000 /dev/zero | tr '\\0' x >&2; read line\n"
    script += f"cat <<'.'\n{answer(1, ':').decode()}.\n"
    with SshControl([fake_ssh(tmp_path, script), "manager"]) as control:
        assert [reply.code for reply in control.command(["ping"])] == [":"]


def test_a_shell_that_greets(tmp_path: Path) -> None:
    script = "echo 'Welcome to the manager'; echo '[1]'; echo '{\"header\": 1}'\n"
    script += f"read line; cat <<'.'\n{answer(1, ':').decode()}.\n"
    with SshControl([fake_ssh(tmp_path, script), "manager"]) as control:
        assert [reply.code for reply in control.command(["ping"])] == [":"]


def test_a_far_controller_that_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LOGIN_LIMIT", 0.2)
    monkeypatch.setattr(client, "END_LIMIT", 0.2)
    # It does not end with its input either.
    script = "trap '' TERM; exec sleep 600"
    with (
        SshControl([fake_ssh(tmp_path, script), "manager"]) as control,
        pytest.raises(ControlError, match=r"^manager: fliswarm is there"),
    ):
        list(control.command(["ping"]))


def test_ssh_looks_for_signs_of_life(tmp_path: Path) -> None:
    script = f'echo "$@" > {tmp_path}/words; exit 255'
    with (
        SshControl([fake_ssh(tmp_path, script), "manager"]) as control,
        pytest.raises(ControlError),
    ):
        list(control.command(["ping"]))
    words = (tmp_path / "words").read_text("utf-8")
    assert "-o ServerAliveInterval=10 -o ServerAliveCountMax=2" in words
