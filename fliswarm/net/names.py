"""Names of computers: no look-up waits for another, nor anybody for the resolver."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any

LOOK_UPS = 256
"""Names that may be looked up at once; each takes a thread and a socket meanwhile."""

FRESH_LIMIT = 0.2
"""Seconds to wait for a fresh answer where an older one is known."""

Key = tuple[Any, ...]
Answers = list[tuple[Any, ...]]


class Loop(asyncio.SelectorEventLoop):
    """An event loop that looks names up in threads of its own.

    asyncio's own way is six threads on two processors, and a name server that is away
    holds each of them for ten seconds, so that 14 lost names cost the name of a healthy
    camera half a minute. Here each name has one look-up under way at most, and the
    last good answer is used while the name server does not answer. Nothing waits for
    these threads at the end.

    Whatever connects or listens in this loop has its names looked up so.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[Key, Answers] = {}
        self._asked: dict[Key, asyncio.Task[Answers]] = {}
        self._turns = asyncio.Semaphore(LOOK_UPS)

    async def getaddrinfo(  # type: ignore[override]
        self,
        host: str | bytes | None,
        port: int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002  asyncio's name
        proto: int = 0,
        flags: int = 0,
    ) -> Answers:
        """See `asyncio.loop.getaddrinfo`.

        Raises
        ------
        OSError
            `socket.gaierror` when there is no such name, or nobody to ask.
        UnicodeError
            When that is no name at all.
        """
        key = (host, family, type, proto, flags)
        if key not in self._asked:
            task = self._asked[key] = self.create_task(self._ask(key))
            task.add_done_callback(lambda ended: self._ended(key, ended))
        asked = asyncio.shield(self._asked[key])
        known = self._known.get(key)
        if known is None:
            return _with_port(await asked, port)
        try:
            async with asyncio.timeout(FRESH_LIMIT):
                return _with_port(await asked, port)
        except TimeoutError:
            return _with_port(known, port)
        except socket.gaierror as error:
            if error.errno not in (socket.EAI_AGAIN, socket.EAI_FAIL):
                raise
            return _with_port(known, port)

    async def _ask(self, key: Key) -> Answers:
        host, *options = key
        async with self._turns:
            answer: asyncio.Future[Answers] = self.create_future()

            def tell(found: Answers | Exception) -> None:
                if answer.done():
                    return
                if isinstance(found, Exception):
                    answer.set_exception(found)
                else:
                    answer.set_result(found)

            def work() -> None:
                found: Answers | Exception
                try:
                    found = socket.getaddrinfo(host, 0, *options)
                except (OSError, ValueError) as error:
                    found = error
                # The loop may be closed by now, and nobody asks any more.
                with suppress(RuntimeError):
                    self.call_soon_threadsafe(tell, found)

            name = f"name {host!r}"
            threading.Thread(target=work, name=name, daemon=True).start()
            return await answer

    def _ended(self, key: Key, task: asyncio.Task[Answers]) -> None:
        del self._asked[key]
        if not task.cancelled() and task.exception() is None:
            self._known[key] = task.result()


def _with_port(answers: Answers, port: int | None) -> Answers:
    return [(*rest, (at[0], port or 0, *at[2:])) for *rest, at in answers]
