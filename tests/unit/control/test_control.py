from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import stat
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from fliswarm.errors import (
    ConfigError,
    ControlError,
    FliswarmError,
    NotInstalledError,
    NotRunningError,
)
from fliswarm.faces.connection import LINE_LIMIT
from fliswarm.faces.control.address import default_socket
from fliswarm.faces.control.client import LocalControl, SshControl, connect
from fliswarm.faces.control.join import dial_stdio
from fliswarm.faces.control.peer import Peer
from fliswarm.faces.control.server import ControlServer
from fliswarm.faces.control.stream import Message
from tests.unit.support.camera import GoodCamera
from tests.unit.support.client import Client
from tests.unit.support.observatory import observatory
from tests.unit.support.site import free_port
from tests.unit.support.wait import LIMIT, until

T = TypeVar("T")


async def beside(work: Callable[[], T]) -> T:
    """Run a blocking client while the controller of the same process serves it."""
    async with asyncio.timeout(LIMIT):
        return await asyncio.to_thread(work)


def replies(path: Path, *commands: Sequence[str]) -> list[list[Message]]:
    with LocalControl(path) as control:
        return [list(control.command(words)) for words in commands]


async def test_a_command_and_its_replies(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "c.sock"
    async with observatory({"gfa1": free_port()}, path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        ping, wrong = await beside(lambda: replies(path, ["ping"], ["nope"]))
        assert ping == [
            Message(">", "fliswarm", {}),
            Message(":", "fliswarm", {"text": "Pong."}),
        ]
        assert [message.code for message in wrong] == [">", "w", "f"]
        assert wrong[-1].final
        assert not wrong[0].final
    assert not path.exists()


async def test_a_camera_speaks_in_its_own_name(tmp_path: Path) -> None:
    camera = await GoodCamera("gfa1").start()
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": camera.port}, path):
        words = ["talk", "--", "echo", "two words", "it's"]
        found: list[Message] = []
        while not [message for message in found if message.sender == "gfa1"]:
            (found,) = await beside(lambda: replies(path, words))
        assert found[-2:] == [
            Message("i", "gfa1", {"echo": ["two words", "it's"]}),
            Message(":", "fliswarm", {}),
        ]
    await camera.close()


async def test_requests_that_are_wrong_leave_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"ping\n5\n" + b"x" * (LINE_LIMIT + 1) + b"\n\n7 ping\n")
        found = [json.loads(await reader.readline()) for _ in range(5)]
        refused = [line for line in found if line["header"]["command_id"] == 0]
        assert [line["header"]["message_code"] for line in refused] == ["f"] * 3
        assert sorted(line["data"]["error"] for line in refused) == [
            f"a command line of over {LINE_LIMIT} bytes is ignored",
            "not of the form '<number> <command>': '5'",
            "not of the form '<number> <command>': 'ping'",
        ]
        served = [line for line in found if line["header"]["command_id"] == 7]
        assert [line["header"]["message_code"] for line in served] == [">", ":"]
        writer.close()
        await writer.wait_closed()


async def test_replies_to_other_commands_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path):

        def work() -> list[Message]:
            with LocalControl(path) as control:
                # The replies to the first one are left unread, but for one.
                next(control.command(["ping"]))
                return list(control.command(["version"]))

        assert [message.code for message in await beside(work)] == [">", ":"]


async def test_the_pid_is_the_controller_s(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path):
        with LocalControl(path) as control:
            assert control.pid == os.getpid()
            assert control.wait_end(0.01) is False


async def test_two_controllers_do_not_share_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path):
        with pytest.raises(FliswarmError, match="is running already"):
            async with observatory({"gfa1": free_port()}, path):
                pytest.fail("a second controller serves the same socket")
        assert path.exists()
        (ping,) = await beside(lambda: replies(path, ["ping"]))
        assert ping[-1].data == {"text": "Pong."}


async def test_the_socket_of_a_dead_controller_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()
    async with observatory({"gfa1": free_port()}, path):
        (ping,) = await beside(lambda: replies(path, ["ping"]))
        assert ping[-1].data == {"text": "Pong."}


async def test_a_file_in_the_place_of_the_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data", "utf-8")
    with pytest.raises(FliswarmError):
        async with observatory({"gfa1": free_port()}, path):
            pytest.fail("the controller runs")
    assert path.exists()
    assert path.read_text("utf-8") == "data"


@pytest.mark.parametrize("name", ["missing.sock", "file/c.sock"])
def test_nothing_listens(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        NotRunningError, match=r"^fliswarm -- not running\nnobody listens on "
    ):
        connect(None, lambda: tmp_path / name)
    with pytest.raises(NotRunningError):
        connect(f"unix://{tmp_path}/{name}", Path)


def test_a_path_that_no_socket_can_have(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="too long"):
        connect(None, lambda: tmp_path / ("x" * 200))


@pytest.mark.parametrize("host", ["manager", "tcp://manager", "ssh://", "http://x"])
def test_a_host_that_is_not_understood(host: str) -> None:
    with pytest.raises(ConfigError, match=r"^FLISWARM_HOST: must be ssh://"):
        connect(host, Path)


async def test_a_controller_that_ends_before_the_command(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    path = tmp_path / "c.sock"
    async with await asyncio.start_unix_server(serve, path):
        with pytest.raises(ControlError, match="ended before the command did"):
            await beside(lambda: replies(path, ["ping"]))


# From another computer


def fake_ssh(folder: Path, script: str) -> str:
    """Write a program that stands for ssh; return its path."""
    program = folder / "ssh"
    program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    program.chmod(0o755)
    return str(program)


def test_no_controller_on_the_other_computer(tmp_path: Path) -> None:
    ssh = fake_ssh(tmp_path, "exit 1")
    with (
        SshControl([ssh, "me@manager"]) as control,
        pytest.raises(NotRunningError, match=r"^fliswarm -- not running on me@manager"),
    ):
        list(control.command(["ping"]))


def test_the_other_computer_is_not_reached(tmp_path: Path) -> None:
    ssh = fake_ssh(tmp_path, "echo 'No route to host' >&2; exit 255")
    with (
        SshControl([ssh, "manager"]) as control,
        pytest.raises(ControlError, match=r"^manager: No route to host$"),
    ):
        list(control.command(["ping"]))


def test_no_program_on_the_other_computer(tmp_path: Path) -> None:
    ssh = fake_ssh(tmp_path, "echo 'sh: 1: fliswarm: not found' >&2; exit 127")
    with (
        SshControl([ssh, "manager"]) as control,
        pytest.raises(NotInstalledError, match=r"^manager: sh: 1: fliswarm: not found"),
    ):
        list(control.command(["ping"]))


def test_no_ssh_at_all(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="No such file"):
        SshControl([str(tmp_path / "nothing"), "manager"])


def test_the_words_that_ssh_gets(tmp_path: Path) -> None:
    answer = {
        "header": {"command_id": 1, "message_code": ":", "sender": "x"},
        "data": {},
    }
    seen = tmp_path / "seen"
    script = f'echo "$@" > {seen}; read line; echo "$line" >> {seen}; '
    script += f"echo '{json.dumps(answer)}'"
    ssh = fake_ssh(tmp_path, script)
    with SshControl([ssh, "-p", "22", "me@manager"]) as control:
        assert [message.code for message in control.command(["talk", "a b"])] == [":"]
    options, line = seen.read_text("utf-8").splitlines()
    assert options.startswith("-T -o ConnectTimeout=")
    # A shared session has the groups of the time when it began.
    assert "-o ControlMaster=no -o ControlPath=none -p 22" in options
    assert options.endswith(" -p 22 me@manager fliswarm dial-stdio")
    assert line == "1 talk 'a b'"


async def test_standard_input_and_output_are_joined_with_the_socket(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path):
        source, into = os.pipe()
        outof, target = os.pipe()
        joined = asyncio.create_task(
            asyncio.to_thread(dial_stdio, path, source, target)
        )
        os.write(into, b"3 ping\n")

        def read() -> list[str]:
            with os.fdopen(outof) as stream:
                return [stream.readline(), stream.readline()]

        lines = [json.loads(line) for line in await beside(read)]
        assert [line["header"]["message_code"] for line in lines] == [">", ":"]
        os.close(into)
        async with asyncio.timeout(LIMIT):
            await joined
        os.close(source)
        os.close(target)


def test_standard_input_without_a_controller(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError):
        dial_stdio(tmp_path / "c.sock")


def test_where_the_socket_is_by_itself() -> None:
    system = Path("/run/fliswarm/control.sock")
    assert default_socket({}) == system
    if os.geteuid() == 0 or system.parent.exists():
        assert default_socket({"XDG_RUNTIME_DIR": "/run/user/1"}) == system
    else:
        own = Path("/run/user/1/fliswarm/control.sock")
        assert default_socket({"XDG_RUNTIME_DIR": "/run/user/1"}) == own


async def test_each_command_is_answered_whatever_its_number(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    numbers = [0, 1, 10**17, 10**18 - 1]
    async with observatory({"gfa1": free_port()}, path):
        reader, writer = await asyncio.open_unix_connection(path)
        for number in numbers:
            writer.write(f"{number} version\n".encode())
        async with asyncio.timeout(LIMIT):
            found = [json.loads(await reader.readline()) for _ in range(8)]
        ended = [line["header"] for line in found if line["data"]]
        assert [header["command_id"] for header in ended] == numbers
        writer.close()
        await writer.wait_closed()


async def test_a_name_service_that_hangs_costs_nobody_else_anything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "fliswarm")
    path, hangs, asked = tmp_path / "c.sock", threading.Event(), threading.Event()
    names = ["ada", "countess"]

    def user(_: Peer) -> str:
        if not asked.is_set():
            asked.set()
            hangs.wait(LIMIT)
        return names.pop(0)

    async with observatory({"gfa1": free_port()}, tmp_path / "own.sock") as running:
        server = ControlServer(running.service._dispatcher, "fliswarm", user)
        await server.start(path)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"5 version\n")
        await until(asked.is_set, "the first name is looked up")
        # Telescope software and others by the same socket are served meanwhile, and
        # each who comes is asked for anew: a name may have changed.
        client = await Client.connect(running.port)
        assert (await client.command("6 ping"))[-1].startswith(":")
        await client.close()
        for _ in range(2):
            await beside(lambda: replies(path, ["version"]))
        names.append("late")
        hangs.set()
        async with asyncio.timeout(LIMIT):
            assert json.loads(await reader.readline())["header"]["command_id"] == 5
        writer.close()
        await writer.wait_closed()
        await server.close()
    said = [
        m.rpartition(" from ")[2].partition(",")[0]
        for m in caplog.messages
        if "'version'" in m
    ]
    assert said[:2] == ["ada", "countess"]
    assert said[2] in ("late", f"uid {os.getuid()}")
