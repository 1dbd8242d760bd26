"""A client of the actor protocol that knows nothing but lines."""

from __future__ import annotations

import asyncio
from typing import Self

from tests.unit.support.wait import LIMIT


class Client:
    """One user."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.seen: list[str] = []

    @classmethod
    async def connect(cls, port: int, *, greeted: bool = True) -> Self:
        """Connect, and read what a new user is told."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
        client = cls(reader, writer)
        while greeted and " i version=" not in await client.readline():
            pass
        return client

    async def readline(self) -> str:
        """Return the next line, its end included; empty at the end."""
        async with asyncio.timeout(LIMIT):
            text = (await self.reader.readline()).decode()
        self.seen.append(text)
        return text

    def send(self, data: str | bytes) -> None:
        """Write a line."""
        self.writer.write(data.encode() if isinstance(data, str) else data)
        self.writer.write(b"\n")

    async def command(self, text: str) -> list[str]:
        """Give a numbered command; return the replies to it, without their header."""
        number = text.split()[0]
        self.send(text)
        replies: list[str] = []
        while not replies or replies[-1][0] not in ":f":
            line = await self.readline()
            assert line, f"the connection ended after {replies}"
            user, answered, rest = line.split(" ", 2)
            if user != "0" and answered == number:
                replies.append(rest.removesuffix("\n"))
        return replies

    async def close(self) -> None:
        """Leave."""
        self.writer.close()
        await self.writer.wait_closed()
