"""What blocks is done apart: in threads of its own, named, bounded, and not waited for.

A name service or a network file system that hangs holds whoever asks it. asyncio's own
threads are six on two processors, so that a few such questions hold everybody's, and
the program's end too.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Apart:
    """Does one kind of thing that may block.

    Parameters
    ----------
    name
        What the threads are called.
    limit
        Seconds that anybody waits.
    turns
        Threads that one key has at once, those that hang and nobody waits for any more
        included. Others with the same key wait for their turn, within the limit.
    """

    def __init__(self, name: str, limit: float, turns: int = 4) -> None:
        self.limit = limit
        self._name = name
        self._turns = turns
        self._keys: dict[str, _Key] = {}

    async def ask(self, key: str, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, or raise what it raises.

        Parameters
        ----------
        key
            Whom or what it is about: what hangs takes the turns of its own key alone.
        work
            What may block.

        Raises
        ------
        TimeoutError
            When the limit is over. ``work`` goes on, and nobody hears of it.
        """
        kept = self._keys.setdefault(key, _Key(self._turns))
        kept.users += 1
        try:
            async with asyncio.timeout(self.limit):
                await kept.turn.acquire()
                ended = self._begin(key, kept, work)
                # Who is cancelled lets the thread go on, which cannot be ended.
                return await asyncio.shield(ended)
        finally:
            self._leave(key, kept)

    def _begin(self, key: str, kept: _Key, work: Callable[[], T]) -> asyncio.Future[T]:
        thread = _Thread(f"{self._name} {key}", work)
        ended = asyncio.wrap_future(thread.outcome)
        kept.users += 1

        def end(ended: asyncio.Future[T]) -> None:
            kept.turn.release()
            self._leave(key, kept)
            if not ended.cancelled():
                # It may interest nobody any more how it ended.
                ended.exception()

        ended.add_done_callback(end)
        try:
            thread.start()
        except RuntimeError as error:
            # The system has no more threads.
            thread.outcome.set_exception(OSError(str(error)))
        return ended

    def _leave(self, key: str, kept: _Key) -> None:
        kept.users -= 1
        if not kept.users:
            self._keys.pop(key, None)


class _Key:
    """The turns of one key, and how many wait or work by them."""

    def __init__(self, turns: int) -> None:
        self.turn = asyncio.Semaphore(turns)
        self.users = 0


class _Thread(threading.Thread, Generic[T]):
    """Carries out one thing; ``outcome`` is what came of it."""

    def __init__(self, name: str, work: Callable[[], T]) -> None:
        # The program does not wait for it at its end.
        super().__init__(name=name, daemon=True)
        self.outcome: Future[T] = Future()
        self._work = work

    def run(self) -> None:
        """See `threading.Thread.run`."""
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001  whoever waits is told of any
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(result)
