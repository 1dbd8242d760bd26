"""A connected client, of either face: fair to the others, and never a burden."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from fliswarm.net.lines import LineReader

log = logging.getLogger(__name__)

LINE_LIMIT = 64 * 1024
"""Bytes of the longest command line."""

GATHER = 0.001
"""Seconds that a reply waits for further ones, to be sent with them at once."""

GATHERED = 100
"""Lines of a long answer that are sent at once."""

TURN = 0.002
"""Seconds that one client's commands may take before the others have their turn."""

WAITING_LIMIT = 256
"""Command lines that may wait for their turn before no more are read."""

UNDER_WAY_LIMIT = 1000
"""Commands of one client that may be under way; further ones wait for an end."""

UNREAD_HIGH = 256 * 1024
"""Bytes that wait for a client before long answers wait for it."""

UNREAD_LIMIT = 8 * 1024 * 1024
"""Bytes that wait for a client that does not keep up; with more, it is let go."""

STALLED_LIMIT = 30.0
"""Seconds in which a client that much waits for takes nothing, until it is let go."""

LOOK = 1.0
"""Seconds between two looks at what a client has taken."""

READ_SIZE = 16 * 1024
"""Bytes taken from one client before the others have their turn."""


class Client(asyncio.BufferedProtocol):
    """One connection, and the commands that came in on it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._lines = LineReader(LINE_LIMIT)
        self._waiting: deque[str] = deque()
        self._under_way = 0
        self._leaving = False
        self._turn_is_set = False
        self._held = False
        self._unsent: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._read = memoryview(bytearray(READ_SIZE))
        self._watch: asyncio.TimerHandle | None = None
        self._written = 0
        self._heard = 0.0
        self._drained = asyncio.Event()
        self._drained.set()

    @property
    def there(self) -> bool:
        """Whether the client has not said good-bye."""
        return self._transport is not None and not self._leaving

    def write(self, line: str, *, last: bool = False) -> None:
        """Send a line, together with others of the next millisecond.

        The ``last`` line of a command goes out at once: somebody waits for it.
        """
        if self._transport is None:
            return
        unsent = self._unsent
        unsent.append(line)
        if last:
            self._flush()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(GATHER, self._flush)

    async def ready(self) -> None:
        """Return when the client has taken most of what it was sent, or is gone.

        An answer of many lines waits here before each of them, so that a client gets
        all of it at its own pace, and we need not hold it.
        """
        if len(self._unsent) >= GATHERED:
            self._flush()
        await self._drained.wait()

    def close(self) -> None:
        """Let the client go when it has what was written."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    # For subclasses

    def hold(self) -> None:
        """Let commands wait."""
        self._held = True

    def resume(self) -> None:
        """Take commands again, those that waited first."""
        self._held = False
        if not self._turn_is_set:
            self._work()

    def _arrived(self) -> None:
        """Take the news that the client is there."""

    def _left(self) -> None:
        """Take the news that the client is gone."""

    def _give(self, line: str) -> asyncio.Task[None] | None:
        """Start what a line asks for; return its task, if it is a command."""
        raise NotImplementedError

    def _refuse(self, problem: str) -> None:
        """Tell the client of a line that is not even looked at."""
        raise NotImplementedError

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol.connection_made`."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=UNREAD_HIGH)
        self._arrived()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol.connection_lost`."""
        self._transport = None
        self._unsent.clear()
        self._waiting.clear()
        self._drained.set()
        self._left()

    def eof_received(self) -> bool:
        """Stay until the commands under way have ended: their replies are wanted."""
        self._leaving = True
        # Where nothing is under way the transport closes, and takes no more then.
        self._flush()
        return not self._idle

    def get_buffer(self, sizehint: int) -> memoryview:
        """See `asyncio.BufferedProtocol.get_buffer`."""
        return self._read

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol.buffer_updated`."""
        self._heard = asyncio.get_running_loop().time()
        lines = self._lines.feed(bytes(self._read[:nbytes]))
        self._waiting.extend(filter(None, map(str.strip, lines)))
        if not self._turn_is_set:
            self._work()
        if self._lines.dropped:
            self._refuse(f"a command line of over {LINE_LIMIT} bytes is ignored")

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol.pause_writing`."""
        self._drained.clear()
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(LOOK, self._look, self._taken, loop.time())

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol.resume_writing`."""
        if self._watch is not None:
            self._watch.cancel()
        self._drained.set()

    @property
    def _taken(self) -> int:
        """Bytes that are out of our hands."""
        if self._transport is None:
            return self._written
        return self._written - self._transport.get_write_buffer_size()

    def _look(self, taken: int, since: float) -> None:
        """Let a client go that has taken nothing for too long."""
        if self._transport is None:
            return
        loop = asyncio.get_running_loop()
        if self._taken > taken:
            taken, since = self._taken, loop.time()
        if loop.time() - since >= STALLED_LIMIT:
            self._let_go()
        else:
            self._watch = loop.call_later(LOOK, self._look, taken, since)

    @property
    def _idle(self) -> bool:
        return not self._waiting and not self._under_way

    def _work(self) -> None:
        """Start commands for one turn; leave the rest for the next."""
        loop = asyncio.get_running_loop()
        end = loop.time() + TURN
        self._turn_is_set = False
        while (
            self._waiting
            and not self._held
            and self._under_way < UNDER_WAY_LIMIT
            and loop.time() < end
            and self._transport is not None
        ):
            task = self._give(self._waiting.popleft())
            if task is not None:
                self._under_way += 1
                task.add_done_callback(self._ended)
        if self._transport is None:
            return
        if self._waiting and not self._held and self._under_way < UNDER_WAY_LIMIT:
            self._turn_is_set = True
            loop.call_soon(self._work)
        if len(self._waiting) > WAITING_LIMIT:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
        self._close_if_done()

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._under_way -= 1
        if self._waiting and not self._turn_is_set:
            self._work()
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._leaving and self._idle:
            self.close()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        transport = self._transport
        if transport is None or not self._unsent:
            return
        # Before the new lines are added: those a client could not have taken yet.
        if transport.get_write_buffer_size() > UNREAD_LIMIT:
            self._let_go()
            return
        data = "".join(self._unsent).encode("utf-8", "replace")
        self._unsent.clear()
        self._written += len(data)
        transport.write(data)

    def _let_go(self) -> None:
        assert self._transport is not None
        log.warning("%s does not read; letting it go", self)
        self._transport.abort()
