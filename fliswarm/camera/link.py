"""The link to one camera: connects by itself, notices silence, ends every command."""

from __future__ import annotations

import asyncio
import enum
import heapq
import logging
import os
import random
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from fliswarm.camera.message import FINAL, Reply, parse
from fliswarm.errors import CameraError
from fliswarm.lines import LineReader

log = logging.getLogger(__name__)

READ_SIZE = 64 * 1024
"""Bytes taken from one camera before the others have their turn."""

LINE_LIMIT = 1024 * 1024
"""Bytes of the longest line that is relayed."""

UNSENT_LIMIT = 256 * 1024
"""Bytes of commands that wait for a camera which does not read."""

CONNECT_LIMIT = 3.0
"""Seconds for a camera to accept a connection."""


class Outcome(enum.Enum):
    """How a camera command ended."""

    DONE = "done"
    FAILED = "failed"
    LOST = "lost"


@dataclass(slots=True, eq=False)
class Exchange:
    """One command on its way: ``on_reply`` gets each line, ``ended`` the outcome."""

    number: int
    on_reply: Callable[[Reply], None]
    ended: asyncio.Future[Outcome]
    problem: str | None = None


class CameraLink(asyncio.BufferedProtocol):
    """A link that stays up as long as there is a camera at the other end.

    Liveness, not a limit on commands, tells a camera that works on a long exposure
    from one that is gone: end of file, TCP keep-alive, and a ``ping`` whenever the
    camera has been silent for a while, which flicamera answers during an exposure.

    Parameters
    ----------
    node
        Name of the camera's node, for messages.
    host, port
        Where the camera listens.
    on_broadcast
        Gets each reply that belongs to no command of ours.
    on_change
        Called with ``True`` when the link is up, ``False`` when it is down.
    on_problem
        Gets a sentence about each line that cannot be understood.
    heartbeat
        Seconds of silence after which the camera is asked for a sign of life.
    silence
        Seconds of silence after which the link counts as broken.
    retry
        Longest pause between two attempts to connect, in seconds.
    """

    def __init__(
        self,
        node: str,
        host: str,
        port: int,
        *,
        on_broadcast: Callable[[Reply], None] = lambda _: None,
        on_change: Callable[[bool], None] = lambda _: None,
        on_problem: Callable[[str], None] = lambda _: None,
        heartbeat: float = 5.0,
        silence: float = 15.0,
        retry: float = 5.0,
    ) -> None:
        self.node = node
        self.host = host
        self.port = port
        self._on_broadcast = on_broadcast
        self._on_change = on_change
        self._on_problem = on_problem
        self._heartbeat = heartbeat
        self._silence = silence
        self._retry = retry
        self._transport: asyncio.Transport | None = None
        self._exchanges: dict[int, Exchange] = {}
        self._free: list[int] = []
        self._highest = 0
        self._read = memoryview(bytearray(READ_SIZE))
        self._lines = LineReader(LINE_LIMIT)
        self._heard = 0.0
        self._problem = "not connected yet"
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """Whether the camera is connected."""
        return self._up.is_set()

    @property
    def problem(self) -> str:
        """Why the link is down."""
        return self._problem

    def start(self) -> None:
        """Begin to connect, and to connect again whenever the link breaks."""
        if self._task is None:
            self._task = asyncio.create_task(
                self._supervise(), name=f"link {self.node}"
            )

    async def close(self) -> None:
        """End the link for good; commands under way are lost."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def drop(self, problem: str) -> None:
        """Break the connection; a new one is tried at once."""
        self._problem = problem
        if self._transport is not None:
            self._transport.abort()
        self._hurry.set()

    async def wait_up(self) -> None:
        """Return when the link is up, trying ten times a second until it is."""
        while not self.up:
            self._hurry.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self._up.wait()

    def send(self, message: str, on_reply: Callable[[Reply], None]) -> Exchange:
        """Send a command to the camera.

        Parameters
        ----------
        message
            The command, one line.
        on_reply
            Gets each reply to it, the final one included.

        Raises
        ------
        CameraError
            When the link is down, or the camera does not read what it is sent.
        """
        transport = self._transport
        if transport is None:
            raise CameraError(self.node, f"camera not connected: {self._problem}")
        if transport.get_write_buffer_size() > UNSENT_LIMIT:
            raise CameraError(self.node, "the camera does not read its commands")
        number = self._take_number()
        ended = asyncio.get_running_loop().create_future()
        exchange = Exchange(number, on_reply, ended)
        self._exchanges[number] = exchange
        text = " ".join(message.splitlines())
        transport.write(f"{number} {text}\n".encode())
        return exchange

    def forget(self, exchange: Exchange) -> None:
        """Stop waiting for a command; its number stays taken until the camera ends it.

        A late reply to it must not be taken for the reply to another command.
        """
        exchange.on_reply = _ignore
        if not exchange.ended.done():
            exchange.ended.set_result(Outcome.LOST)

    # Numbers

    def _take_number(self) -> int:
        if self._free:
            return heapq.heappop(self._free)
        self._highest += 1
        return self._highest

    # Life

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        pause = 0.1
        while True:
            self._hurry.clear()
            self._down.clear()
            try:
                async with asyncio.timeout(CONNECT_LIMIT):
                    await loop.create_connection(lambda: self, self.host, self.port)
            except OSError as error:  # TimeoutError is one
                self._problem = (
                    os.strerror(error.errno) if error.errno else "does not answer"
                )
            else:
                pause = 0.1
                try:
                    await self._watch()
                finally:
                    # A cancelled supervisor takes its connection with it.
                    if self._transport is not None:
                        self._transport.abort()
                    self._lost()
            try:
                # Many links must not knock in step at a node that comes back.
                async with asyncio.timeout(pause * random.uniform(0.5, 1.0)):  # noqa: S311
                    await self._hurry.wait()
                pause = 0.1
            except TimeoutError:
                pause = min(pause * 2, self._retry)

    async def _watch(self) -> None:
        """Return when the connection is lost; break it when the camera is silent."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(self._heartbeat):
                    await self._down.wait()
            except TimeoutError:
                silent = loop.time() - self._heard
                if silent >= self._silence:
                    self.drop(f"silent for {silent:.0f} s")
                elif silent >= self._heartbeat and self._transport is not None:
                    self._ask()
            else:
                return

    def _ask(self) -> None:
        try:
            self.send("ping", _ignore)
        except CameraError as error:
            log.debug("%s", error)

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol.connection_made`."""
        assert isinstance(transport, asyncio.Transport)
        _keep_alive(transport.get_extra_info("socket"))
        self._transport = transport
        self._heard = asyncio.get_running_loop().time()
        self._lines = LineReader(LINE_LIMIT)
        self._problem = "connection lost"
        self._up.set()
        self._on_change(True)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol.connection_lost`."""
        if exc is not None:
            self._problem = f"connection lost: {exc}"
        self._lost()

    def get_buffer(self, sizehint: int) -> memoryview:
        """See `asyncio.BufferedProtocol.get_buffer`."""
        return self._read

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol.buffer_updated`."""
        self._heard = asyncio.get_running_loop().time()
        for line in self._lines.feed(bytes(self._read[:nbytes])):
            self._line(line)
        if self._lines.dropped:
            self._on_problem(f"line of over {LINE_LIMIT} bytes from the camera dropped")

    # Lines

    def _line(self, line: str) -> None:
        try:
            reply = parse(line)
        except ValueError:
            self._on_problem(f"not understood from the camera: {line[:80]!r}")
            return
        if reply is None:
            return
        exchange = self._exchanges.get(reply.command) if reply.command else None
        if exchange is None:
            self._on_broadcast(reply)
            return
        exchange.on_reply(reply)
        if reply.code in FINAL:
            del self._exchanges[exchange.number]
            heapq.heappush(self._free, exchange.number)
            if not exchange.ended.done():
                done = reply.code == ":"
                exchange.ended.set_result(Outcome.DONE if done else Outcome.FAILED)

    def _lost(self) -> None:
        """Tell everyone that waits that nothing more will come."""
        if self._transport is None:
            return
        self._transport = None
        self._up.clear()
        self._down.set()
        exchanges = list(self._exchanges.values())
        self._exchanges.clear()
        self._free.clear()
        self._highest = 0
        for exchange in exchanges:
            exchange.problem = self._problem
            if not exchange.ended.done():
                exchange.ended.set_result(Outcome.LOST)
        self._on_change(False)


def _ignore(_: Reply) -> None:
    """Do nothing with a reply that nobody waits for."""


def _keep_alive(connection: socket.socket) -> None:
    """Let the kernel find out about a peer that is gone without a word, in 12 s."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 6)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
