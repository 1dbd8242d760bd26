"""Cameras for tests: one that behaves, on CLU's own server, and one that need not."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import click
from clu.actor import JSONActor
from clu.parsers.click import CluCommand, command_parser


class GoodCamera:
    """A camera on the server that flicamera itself is made of."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = 0
        hook = sys.excepthook
        self._actor: Any = JSONActor(name, host="127.0.0.1", port=0, validate=False)
        # Its logger takes the place of Python's own.
        sys.excepthook = hook

    async def start(self, port: int = 0) -> GoodCamera:
        """Begin to listen, on a free port if none is given."""
        self._actor.server.port = port
        await self._actor.start()
        # Its own handler raises at each client that leaves.
        asyncio.get_running_loop().set_exception_handler(None)
        listening = self._actor.server._server.sockets[0]
        self.port = listening.getsockname()[1]
        return self

    async def close(self) -> None:
        """End, and let all clients go."""
        await self._actor.stop()
        for transport in list(self._actor.transports.values()):
            transport.close()


async def _expose(command: Any, seconds: float) -> None:  # noqa: ANN401  CLU's own
    name = command.actor.name
    command.info(exposure_state={"camera": name, "state": "integrating"})
    await asyncio.sleep(seconds)
    written = {"camera": name, "filename": f"/data/{name}/x.fits"}
    command.info(filename=written)
    command.finish(text="done expose")


async def _echo(command: Any, words: tuple[str, ...]) -> None:  # noqa: ANN401  CLU's own
    command.finish(echo=list(words))


async def _fail(command: Any) -> None:  # noqa: ANN401  CLU's own
    command.fail(error="boom")


for _command in (
    CluCommand(
        "expose",
        callback=_expose,
        params=[click.Argument(["seconds"], type=float, default=0.0)],
    ),
    CluCommand(
        "echo",
        callback=_echo,
        params=[click.Argument(["words"], nargs=-1)],
    ),
    CluCommand("boom", callback=_fail, params=[]),
):
    command_parser.add_command(_command)


def line(command: int | None, code: str, sender: str = "gfa1", **data: object) -> bytes:
    """Return a reply as flicamera writes it."""
    header = {
        "command_id": command,
        "commander_id": None,
        "message_code": code,
        "internal": False,
        "sender": sender,
    }
    return json.dumps({"header": header, "data": data}).encode() + b"\n"


Answer = Callable[["RawCamera", int, str], None]


def obedient(camera: RawCamera, number: int, body: str) -> None:
    """Answer each command as done."""
    camera.send(line(number, ">", camera.name))
    camera.send(line(number, ":", camera.name, text=f"done {body}"))


def busy(camera: RawCamera, number: int, body: str) -> None:
    """Answer that it is there, and nothing else."""
    if body == "ping":
        obedient(camera, number, body)


def silent(camera: RawCamera, number: int, body: str) -> None:
    """Answer nothing."""


class RawCamera:
    """A server that says what a test wants it to say."""

    host = "127.0.0.1"

    def __init__(self, answer: Answer = obedient, name: str = "gfa1") -> None:
        self.answer = answer
        self.name = name
        self.port = 0
        self.connections = 0
        self.received: list[tuple[int, str]] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0) -> RawCamera:
        """Begin to listen, on a free port if none is given."""
        self._server = await asyncio.start_server(self._serve, self.host, port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        """End, and let all clients go."""
        assert self._server is not None
        self._server.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Break all connections."""
        for writer in self._writers:
            writer.close()

    def send(self, data: bytes) -> None:
        """Write to all clients."""
        for writer in self._writers:
            writer.write(data)

    def asked(self, body: str) -> list[int]:
        """Return the numbers under which a command came."""
        return [number for number, text in self.received if text == body]

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while data := await reader.readline():
                number, _, body = data.decode().strip().partition(" ")
                self.received.append((int(number), body))
                self.answer(self, int(number), body)
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
