"""Users for tests: one that many commands can be given through, and one that blocks."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.unit.support.wait import LIMIT

LINE = re.compile(r"(\d+) (\d+) ([>:iwdef!]) (.*)", re.DOTALL)
"""A line of the actor protocol: user, command, code, keywords."""

ENDS = frozenset(":fF!")
"""Codes that end a command for a client."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its replies with their codes, and the seconds it took."""

    replies: list[str]
    seconds: float

    @property
    def code(self) -> str:
        """The code of the end."""
        return self.replies[-1][0]


class User:
    """A user of the actor protocol, with any number of commands under way."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.number = 0
        self.broadcasts: list[str] = []
        self.ends: Counter[int] = Counter()
        self._writer = writer
        self._replies: dict[int, list[str]] = {}
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._next = 0
        self._greeted = asyncio.Event()
        self._task = asyncio.create_task(self._read(reader))

    @classmethod
    async def connect(cls, port: int) -> Self:
        """Connect, and read what a new user is told."""
        user = cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**24))
        async with asyncio.timeout(LIMIT):
            await user._greeted.wait()
        return user

    @property
    def connected(self) -> bool:
        """Whether the connection is still there."""
        return not self._task.done()

    async def command(self, text: str, limit: float = LIMIT) -> Ended:
        """Give a command and wait for its end."""
        self._next += 1
        number = self._next
        self._replies[number] = []
        ended = asyncio.get_running_loop().create_future()
        self._waiting[number] = ended
        began = time.perf_counter()
        self._writer.write(f"{number} {text}\n".encode())
        try:
            async with asyncio.timeout(limit):
                await ended
        finally:
            replies = self._replies.pop(number)
            del self._waiting[number]
        return Ended(replies, time.perf_counter() - began)

    async def close(self) -> None:
        """Leave."""
        self._task.cancel()
        self._writer.close()
        with suppress(asyncio.CancelledError, ConnectionError):
            await self._task
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := (await reader.readline()).decode().removesuffix("\n"):
            match = LINE.fullmatch(line)
            assert match, f"not a line of the protocol: {line[:200]!r}"
            user, number, code, keywords = match.groups()
            if number == "0":
                if not self.number and keywords.startswith("yourUserID="):
                    self.number = int(user)
                elif keywords.startswith("version="):
                    self._greeted.set()
                elif not keywords.startswith("UserInfo="):
                    self.broadcasts.append(f"{code} {keywords}")
            elif int(user) == self.number:
                self._take(int(number), code, keywords)

    def _take(self, number: int, code: str, keywords: str) -> None:
        if number in self._replies:
            self._replies[number].append(f"{code} {keywords}")
        if code in ENDS:
            self.ends[number] += 1
            if number in self._waiting and not self._waiting[number].done():
                self._waiting[number].set_result(None)


class Wire:
    """A connection that sends bytes and reads lines, both as they are."""

    def __init__(self, address: int | Path, limit: float = LIMIT) -> None:
        if isinstance(address, int):
            self.socket = socket.create_connection(("127.0.0.1", address), limit)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            # With a time limit, a full queue of connections would be an error at once.
            self.socket.connect(str(address))
            self.socket.settimeout(limit)
        self._file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        """Write bytes."""
        self.socket.sendall(data)

    def line(self) -> str:
        """Return the next line, without its end; empty when the connection ends."""
        return self._file.readline().decode().removesuffix("\n")

    def greeting(self) -> int:
        """Read what a new user is told; return the number it is given."""
        number = int(self.line().split()[0])
        while " i version=" not in self.line():
            pass
        return number

    def close(self) -> None:
        """Leave."""
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
