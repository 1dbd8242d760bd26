"""A TCP connection that heals by itself: what every link to another program shares."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from contextlib import suppress

from fliswarm.net.dial import dialling, reason
from fliswarm.net.lines import LineReader

log = logging.getLogger(__name__)

READ_SIZE = 16 * 1024
"""Bytes taken from one peer before the others have their turn."""

LINE_LIMIT = 1024 * 1024
"""Bytes of the longest line that is read."""

CONNECT_LIMIT = 3.0
"""Seconds for a peer to accept a connection."""

ASK_AGAIN = 1.0
"""Seconds between two questions to a peer that has been silent for too long."""

GONE_LIMIT = 12_000
"""Milliseconds for a peer's kernel to acknowledge what it was sent."""

FIRST_PAUSE = 0.1
"""Seconds before the first new attempt to connect; each further pause is twice that."""


class Link(asyncio.BufferedProtocol):
    """A connection that is made anew whenever it breaks, with a pause that grows.

    Subclasses say what happens on a line, when the link comes up, when it goes down,
    and what to do about silence.

    Parameters
    ----------
    name
        Of the peer, for messages.
    host, port
        Where the peer listens.
    heartbeat
        Seconds of silence after which the peer is asked for a sign of life.
    silence
        Seconds of silence after which the link counts as broken.
    retry
        Longest pause between two attempts to connect, in seconds.
    wary
        Whether each connection has to prove itself by a line before it counts.
    """

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        *,
        heartbeat: float,
        silence: float,
        retry: float,
        wary: bool = False,
    ) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.problem = "not connected yet"
        self._heartbeat = heartbeat
        self._silence = silence
        self._retry = retry
        self._transport: asyncio.Transport | None = None
        self._read = memoryview(bytearray(READ_SIZE))
        self._lines = LineReader(LINE_LIMIT)
        self._heard = 0.0
        self._suspect = False
        self._wary = wary
        self._proved = False
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """Whether the peer is connected."""
        return self._up.is_set()

    def start(self) -> None:
        """Begin to connect, and to connect again whenever the link breaks."""
        if self._task is None:
            self._task = asyncio.create_task(
                self._supervise(), name=f"link {self.name}"
            )

    async def close(self) -> None:
        """End the link for good; whoever waits for the peer is told."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            # The loop closes the aborted connection in its next turn.
            await asyncio.sleep(0)

    def drop(self, problem: str) -> None:
        """Break the connection; a new one is tried at once."""
        self.problem = problem
        if self._transport is not None:
            self._transport.abort()
        self._hurry.set()

    async def wait_up(self) -> None:
        """Return when the link is up, trying ten times a second until it is."""
        while not self.up:
            self._hurry.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_PAUSE):
                    await self._up.wait()

    # For subclasses

    def _line(self, line: bytes) -> None:
        """Take a line."""
        raise NotImplementedError

    def _dropped(self) -> None:
        """Take the news that a line of over `LINE_LIMIT` bytes was dropped."""

    def _connected(self) -> None:
        """Take the news that the link is up."""

    def _disconnected(self, *, was_up: bool) -> None:
        """Take the news that the connection is lost; ``problem`` says why."""

    def _ask(self) -> None:
        """Ask the peer for a sign of life."""

    def _believes(self, line: bytes) -> bool:
        """Return whether a line proves that the peer is there, and the right one."""
        return True

    # Life

    async def _supervise(self) -> None:
        pause = FIRST_PAUSE
        while True:
            self._hurry.clear()
            self._down.clear()
            try:
                await self._connect()
            except OSError as error:  # TimeoutError is one
                self.problem = reason(error)
            except Exception:
                # A link whose supervisor has died would never be made again.
                log.exception("link %s", self.name)
            # A peer that takes connections only to drop them is not asked often.
            pause = FIRST_PAUSE if self._proved else pause
            self._proved = False
            try:
                # Many links must not knock in step at a peer that comes back.
                async with asyncio.timeout(pause * random.uniform(0.5, 1.0)):  # noqa: S311
                    await self._hurry.wait()
                pause = FIRST_PAUSE
            except TimeoutError:
                pause = min(pause * 2, self._retry)

    async def _connect(self) -> None:
        """Connect, and return when the connection is lost."""
        loop = asyncio.get_running_loop()
        with dialling(self.host):
            async with asyncio.timeout(CONNECT_LIMIT):
                await loop.create_connection(lambda: self, self.host, self.port)
        try:
            await self._watch()
        finally:
            # A cancelled supervisor takes its connection with it.
            if self._transport is not None:
                self._transport.abort()
            self._lost()

    async def _watch(self) -> None:
        """Return when the connection is lost; break it when the peer is silent."""
        loop = asyncio.get_running_loop()
        while True:
            pause = (
                min(self._heartbeat, ASK_AGAIN) if self._suspect else self._heartbeat
            )
            try:
                async with asyncio.timeout(pause):
                    await self._down.wait()
            except TimeoutError:
                silent = loop.time() - self._heard
                if silent >= self._silence:
                    self._suspect = True
                    self.drop(f"silent for {silent:.0f} s")
                elif silent >= pause / 2:
                    # Not the whole of it: its last answer came just after a question.
                    self._ask()
            else:
                return

    def _is_up(self) -> None:
        self._suspect = False
        self.problem = "connection lost"
        self._up.set()
        self._connected()

    def _lost(self) -> None:
        if self._transport is None:
            return
        self._transport = None
        self._down.set()
        was_up = self.up
        self._up.clear()
        self._disconnected(was_up=was_up)

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol.connection_made`."""
        assert isinstance(transport, asyncio.Transport)
        _keep_alive(transport.get_extra_info("socket"))
        self._transport = transport
        self._heard = asyncio.get_running_loop().time()
        self._lines = LineReader(LINE_LIMIT)
        self._proved = False
        self._suspect = self._suspect or self._wary
        if self._suspect:
            # The kernel of a frozen computer takes connections that nobody serves.
            self._ask()
        else:
            self._is_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol.connection_lost`."""
        if exc is not None and self.up:
            self.problem = f"connection lost: {exc}"
        self._lost()

    def get_buffer(self, sizehint: int) -> memoryview:
        """See `asyncio.BufferedProtocol.get_buffer`."""
        return self._read

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol.buffer_updated`."""
        self._heard = asyncio.get_running_loop().time()
        self._proved = True
        for line in self._lines.cut(bytes(self._read[:nbytes])):
            if self._suspect and self._believes(line):
                self._is_up()
            self._line(line)
        if self._lines.dropped:
            self._dropped()


def _keep_alive(connection: socket.socket) -> None:
    """Let the kernel find out about a peer that is gone without a word, in 12 s.

    Keep-alive asks while nothing is under way; what was sent and is not acknowledged
    has a limit of its own, which is a quarter of an hour where none is set.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 6)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_LIMIT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
