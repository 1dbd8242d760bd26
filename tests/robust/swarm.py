"""Stand-in cameras in a process of their own: ``python swarm.py NAME:PORT ...``.

Apart from the test, so that what they cost is not taken for what the program costs.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine


class Camera:
    """One camera.

    It understands ``burst N`` (N replies at once), ``garbage N`` (N lines that are no
    replies), ``expose SECONDS``, and ``die SECONDS`` (all connections are reset, and
    nobody listens for that long). Whatever else it is told, it has done at once.
    """

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self.transports: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self.port
        )

    def obey(self, transport: asyncio.Transport, number: int, body: str) -> None:
        """Carry a command out."""
        word, _, argument = body.partition(" ")
        if word == "die":
            self._later(self._die(float(argument)))
        elif word == "expose":
            transport.write(self._line(number, ">"))
            self._later(self._expose(transport, number, float(argument)))
        else:
            replies = b""
            if word == "burst":
                state = {"camera": self.name, "state": "reading", "left": 12.25}
                reply = self._line(number, "i", exposure_state=state)
                replies = reply * int(argument)
            elif word == "garbage":
                replies = b"x\n" * int(argument)
            done = self._line(number, ":", text=f"done {body}")
            transport.write(self._line(number, ">") + replies + done)

    def refuse(self, transport: asyncio.Transport, number: int, body: str) -> None:
        """Say that a command was not understood."""
        transport.write(self._line(number, "f", error=body))

    async def _expose(
        self, transport: asyncio.Transport, number: int, seconds: float
    ) -> None:
        await asyncio.sleep(seconds)
        transport.write(self._line(number, ":", text="done"))

    async def _die(self, seconds: float) -> None:
        assert self._server is not None
        self._server.close()
        for transport in self.transports:
            transport.abort()
        await asyncio.sleep(seconds)
        await self.listen()

    def _line(self, number: int, code: str, **data: object) -> bytes:
        header = {
            "command_id": number,
            "commander_id": None,
            "message_code": code,
            "internal": False,
            "sender": self.name,
        }
        return json.dumps({"header": header, "data": data}).encode() + b"\n"

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Connection(asyncio.Protocol):
    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._camera.transports.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._camera.transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            number, _, body = line.decode().partition(" ")
            try:
                self._camera.obey(self._transport, int(number), body)
            except ValueError:  # words that are no numbers
                self._camera.refuse(self._transport, int(number), body)


async def main() -> None:
    """Run the cameras that the arguments name, until standard input ends."""
    for argument in sys.argv[1:]:
        name, _, port = argument.partition(":")
        await Camera(name, int(port)).listen()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
