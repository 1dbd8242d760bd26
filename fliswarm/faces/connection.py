"""A connected client, of either face: fair to the others, and never a burden."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from fliswarm.net.lines import LineReader

log = logging.getLogger(__name__)

LINE_LIMIT = 64 * 1024
"""Bytes of the longest command line."""

TURN = 0.002
"""Seconds that one client's commands may take before the others have their turn."""

WAITING_LIMIT = 256
"""Command lines that may wait for their turn before no more are read."""

UNDER_WAY_LIMIT = 1000
"""Commands of one client that may be under way; further ones wait for an end."""

UNREAD_LIMIT = 8 * 1024 * 1024
"""Bytes that wait for a client; one that reads nothing for longer is let go."""


class Client(asyncio.Protocol):
    """One connection, and the commands that came in on it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._lines = LineReader(LINE_LIMIT)
        self._waiting: deque[str] = deque()
        self._under_way = 0
        self._leaving = False
        self._turn_is_set = False
        self._unsent: list[str] = []

    @property
    def there(self) -> bool:
        """Whether the client has not said good-bye."""
        return self._transport is not None and not self._leaving

    def write(self, line: str, *, last: bool = False) -> None:
        """Send a line, together with all others of this turn of the loop.

        The ``last`` line of a command goes out at once: somebody waits for it.
        """
        if self._transport is None:
            return
        unsent = self._unsent
        unsent.append(line)
        if last:
            self._flush()
        elif len(unsent) == 1:
            asyncio.get_running_loop().call_soon(self._flush)

    def close(self) -> None:
        """Let the client go when it has what was written."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    # For subclasses

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

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol.connection_made`."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._arrived()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol.connection_lost`."""
        self._transport = None
        self._unsent.clear()
        self._waiting.clear()
        self._left()

    def eof_received(self) -> bool:
        """Stay until the commands under way have ended: their replies are wanted."""
        self._leaving = True
        return not self._idle

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol.data_received`."""
        self._waiting.extend(filter(None, map(str.strip, self._lines.feed(data))))
        if not self._turn_is_set:
            self._work()
        if self._lines.dropped:
            self._refuse(f"a command line of over {LINE_LIMIT} bytes is ignored")

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
        if self._waiting and self._under_way < UNDER_WAY_LIMIT:
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
        if self._transport is None or not self._unsent:
            return
        self._transport.write("".join(self._unsent).encode("utf-8", "replace"))
        self._unsent.clear()
        if self._transport.get_write_buffer_size() > UNREAD_LIMIT:
            log.warning("%s does not read; letting it go", self)
            self._transport.abort()
