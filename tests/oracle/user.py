"""A user of the actor protocol that reads all the time and keeps what it reads."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

from tests.unit.support.wait import LIMIT

HEADER = re.compile(r"(\d+) (\d+) (.)(?: (.*))?")

FENCE = 900_000
"""Numbers above it are of commands that only mark a place in the stream."""


class User:
    """One connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.lines: list[str] = []
        self.number = 0
        self.ended = False
        self._writer = writer
        self._fence = FENCE
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._read(reader))

    @classmethod
    async def connect(cls, port: int) -> User:
        """Connect, and read what a new user is told."""
        user = cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**24))
        assert await user.seen(r"\d+ 0 i version="), user.lines
        user.number = int(user.lines[0].split()[0])
        return user

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                self.lines.append(line.decode().removesuffix("\n"))
                self._news.set()
        self.ended = True
        self._news.set()

    def send(self, text: str) -> None:
        """Write a line."""
        self._writer.write(f"{text}\n".encode())

    async def seen(self, pattern: str, limit: float = LIMIT) -> str | None:
        """Return the first line that a pattern fits, when there is one in time."""
        looked = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while True:
                    while looked < len(self.lines):
                        if re.match(pattern, self.lines[looked]):
                            return self.lines[looked]
                        looked += 1
                    if self.ended:
                        return None
                    self._news.clear()
                    await self._news.wait()
        return None

    async def fence(self) -> bool:
        """Wait until all that was given before has had its turn; hide the waiting."""
        self._fence += 1
        self.send(f"{self._fence} ping")
        reached = await self.seen(rf"{self.number} {self._fence} :")
        self.lines = [line for line in self.lines if f" {self._fence} " not in line]
        return reached is not None

    def take(self) -> list[str]:
        """Return what was read since the last time."""
        lines, self.lines = self.lines, []
        return lines

    async def command(self, text: str, limit: float = LIMIT) -> list[str]:
        """Give a numbered command; return the replies to it, without their header."""
        head = f"{self.number} {text.split()[0]} "
        self.send(text)
        assert await self.seen(rf"{head}[:f]", limit), (text, self.lines)
        found = [line for line in self.lines if line.startswith(head)]
        self.lines = [line for line in self.lines if not line.startswith(head)]
        return [line.removeprefix(head) for line in found]

    async def close(self) -> None:
        """Leave."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
        await self._task
