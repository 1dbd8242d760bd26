"""The hub: takes commands for other actors, and connects back to ours when asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress


class Hub:
    """Tron, as far as one actor sees it.

    Parameters
    ----------
    fails
        Commands that fail, as ``actor words``; all others are done.
    """

    def __init__(self, fails: Iterable[str] = ()) -> None:
        self.port = 0
        self.received: list[str] = []
        self.fails = set(fails)
        self.connections = 0
        self.on_switch: Callable[[str, bool], None] = lambda _, __: None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> Hub:
        """Begin to listen, on the port it had before if there was one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        """End, and let all actors go."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        self._writers.add(writer)
        with suppress(ConnectionError):
            while line := (await reader.readline()).decode():
                self.received.append(line)
                commander, number, target, text = line.rstrip("\n").split(" ", 3)
                head = f"{commander} {number} {target}"
                # What concerns others comes by as well.
                writer.write(b".hub 0 hub i users=APO.guider,fliswarm.fliswarm\n")
                writer.write(f"{head} > \n{head} i text=working\n".encode())
                failed = f"{target} {text}" in self.fails
                if text.startswith("ieb switch ") and not failed:
                    _, _, how, device = text.split(" ")
                    self.on_switch(device, how == "--on")
                end = 'f error="it does not"' if failed else ": "
                writer.write(f"{head} {end}\n".encode())
        self._writers.discard(writer)
        writer.close()


class Nub:
    """The hub's own connection to an actor: a ``SocketActorNub`` with ``grabCID``."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cid: str
    ) -> None:
        self.cid = cid
        self.lines: list[str] = []
        self._reader = reader
        self._writer = writer
        self._number = 0

    @classmethod
    async def connect(cls, port: int) -> Nub:
        """Connect, and take the own number from the first line there is."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        first = (await asyncio.wait_for(reader.readline(), 10)).decode()
        nub = cls(reader, writer, first.split(" ", 1)[0])
        nub.lines.append(first)
        return nub

    async def command(self, text: str, commander: str = "APO.user") -> list[str]:
        """Give a command; return its replies, found by the hub's and its number."""
        self._number += 1
        self._writer.write(f"{commander} {self._number} {text}\n".encode())
        head = f"{self.cid} {self._number} "
        replies: list[str] = []
        async with asyncio.timeout(20):
            while not replies or replies[-1][0] not in ":f":
                line = (await self._reader.readline()).decode()
                assert line, f"the connection ended after {replies}"
                self.lines.append(line)
                if line.startswith(head):
                    replies.append(line.removeprefix(head).removesuffix("\n"))
        return replies

    async def close(self) -> None:
        """Leave."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
