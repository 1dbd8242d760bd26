"""Calls that block, each in a thread of its own: their limits, and their end.

No call waits for a thread, so what one engine does to its calls is nothing to the
others. The threads of one engine are bounded by its turns. A call that is given up
lets go of its connection, and its thread ends by that.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from contextvars import ContextVar
from typing import Generic, TypeVar

T = TypeVar("T")

AT_ONCE = 4
"""Calls to one engine that may be under way."""

TELLING_PERIOD = 1.0
"""Seconds between two tellings of how far a call is."""


class GivenUpError(Exception):
    """Nobody waits for this call any more."""


class Call:
    """One call, as its thread sees it.

    Parameters
    ----------
    limit
        Seconds that may pass without anything heard of it.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._told = self._heard - TELLING_PERIOD
        self._given_up = False
        self._socket: socket.socket | None = None
        self._handed: Future[None] | None = None
        self._lock = threading.Lock()

    @property
    def left(self) -> float:
        """Seconds until too long a time has passed."""
        if self._handed is not None:
            # Whoever takes what it brought may be slow; that is no silence.
            return self._limit
        return self._heard + self._limit - self._loop.time()

    def hear(self) -> bool:
        """Note that the call goes on; return whether that should be told, too."""
        self._heard = self._loop.time()
        if self._heard - self._told < TELLING_PERIOD:
            return False
        self._told = self._heard
        return True

    def tell(self, how_far: Callable[[], None]) -> None:
        """Let the event loop's thread call something, if anybody waits still."""

        def call() -> None:
            if not self._given_up:
                how_far()

        self._loop.call_soon_threadsafe(call)

    def hand(self, take: Callable[[], Coroutine[None, None, None]]) -> None:
        """Let the event loop take something, and go on when it has.

        Raises
        ------
        GivenUpError
            When nobody takes it any more.
        """
        with self._lock:
            if self._given_up:
                raise GivenUpError
            self._handed = asyncio.run_coroutine_threadsafe(take(), self._loop)
        try:
            self._handed.result()
        except CancelledError:
            raise GivenUpError from None
        finally:
            self.hear()
            self._handed = None

    def takes(self, connection: socket.socket) -> None:
        """Say through which connection the next request goes.

        Raises
        ------
        GivenUpError
            When there should be no request any more.
        """
        with self._lock:
            if self._given_up:
                raise GivenUpError
            self._socket = connection

    def lets_go(self) -> None:
        """Say that the connection is somebody else's, or nobody's."""
        with self._lock:
            self._socket = None

    def give_up(self) -> None:
        """Let no request begin, and end the one that is under way."""
        with self._lock:
            self._given_up = True
            if self._handed is not None:
                self._handed.cancel()
            if self._socket is not None:
                # The method of the plain socket: that of one with TLS takes away what
                # the thread reads with.
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


UNDER_WAY: ContextVar[Call] = ContextVar("call")
"""The call of a thread, for what cannot be told by an argument."""


class _Thread(Generic[T]):
    """Carries out one call; ``outcome`` is what came of it."""

    def __init__(self, call: Call, act: Callable[[Call], T]) -> None:
        self.outcome: Future[T] = Future()
        self._call = call
        self._act = act
        # The program does not wait for it at its end.
        threading.Thread(target=self._run, name="engine", daemon=True).start()

    def _run(self) -> None:
        UNDER_WAY.set(self._call)
        try:
            result = self._act(self._call)
        except BaseException as error:  # noqa: BLE001  whoever waits is told of any
            self._call.lets_go()
            self.outcome.set_exception(error)
        else:
            self._call.lets_go()
            self.outcome.set_result(result)


class Calls:
    """The calls to one engine.

    Parameters
    ----------
    at_once
        How many may be under way; others wait for their turn.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._turns = asyncio.Semaphore(at_once)

    @property
    def full(self) -> bool:
        """Whether a further call would have to wait for its turn."""
        return self._turns.locked()

    async def make(self, act: Callable[[Call], T], limit: float) -> T:
        """Carry something out in a thread and return what it does.

        Parameters
        ----------
        act
            What blocks. It may say with `Call.hear` that it goes on.
        limit
            Seconds for all of it, from the last time that it was heard of.

        Raises
        ------
        TimeoutError
            When the limit is over. What has not begun by then, never will.
        """
        call = Call(limit)
        async with asyncio.timeout(limit):
            await self._turns.acquire()
        try:
            ended = asyncio.wrap_future(_Thread(call, act).outcome)
        except BaseException:
            self._turns.release()
            raise
        ended.add_done_callback(self._end)
        try:
            while not ended.done():
                if call.left <= 0:
                    raise TimeoutError
                await asyncio.wait({ended}, timeout=call.left)
            return ended.result()
        finally:
            call.give_up()

    def _end(self, call: asyncio.Future[T]) -> None:
        """Let the next call have its turn; how this one ended may interest nobody."""
        self._turns.release()
        if not call.cancelled():
            call.exception()
