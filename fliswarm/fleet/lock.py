"""One hand at a time: who may change which nodes, and why nobody else may now.

A lock is held by something that lives: a command under way, or a client that stays
connected. It is in no file, so none is there when its holder is gone.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

from fliswarm.errors import LockedError
from fliswarm.model.facts import Locked, Tell, Unlocked, now

LOOK = 0.2
"""Seconds between two looks at whether anybody still waits."""


@dataclass(frozen=True, slots=True, eq=False)
class Hold:
    """A lock that somebody has on ``nodes``.

    ``who`` has it by which ``door``, ``why``: a reason, or the command. One that is
    ``kept`` is held until its holder lets go of it, and keeps all changes of others
    away. Any other is a command's; of these, such as change the ``computers`` keep each
    other away. ``key`` lets the holder's own commands pass.
    """

    who: str
    door: str
    why: str
    nodes: tuple[str, ...]
    kept: bool = False
    computers: bool = True
    since: datetime = field(default_factory=now)
    key: str = field(default_factory=lambda: secrets.token_hex(8), repr=False)

    def __str__(self) -> str:
        clock = self.since.strftime("%Y-%m-%d %H:%M:%S UTC")
        return f"{self.who or 'somebody'} ({self.door}) since {clock}: {self.why}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """How somebody waits for a lock: for ``limit`` seconds, ``None`` for who cannot.

    ``told`` is told for whom, once; it is waited until there is ``nobody`` who does.
    """

    limit: float | None = None
    told: Callable[[str], None] = lambda _: None
    nobody: Callable[[], bool] = lambda: False


class Locks:
    """All locks of a fleet.

    Parameters
    ----------
    tell
        Is told of those that are kept.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._holds: dict[Hold, asyncio.Future[str]] = {}
        self._changed = asyncio.Event()

    @property
    def holds(self) -> Sequence[Hold]:
        """Those that are held, the oldest first."""
        return list(self._holds)

    @asynccontextmanager
    async def holding(
        self, hold: Hold, key: str = "", waiting: Waiting = Waiting()
    ) -> AsyncIterator[asyncio.Future[str]]:
        """Have a lock for the time of a block, as soon as nobody else has it.

        Parameters
        ----------
        hold
            The lock.
        key
            Of the lock under which this is done.
        waiting
            How it is waited for.

        Yields
        ------
        gone
            Done when somebody has broken it: with who and why, in words.

        Raises
        ------
        LockedError
            When others still have it, or the lock of the key is gone.
        """
        await self._free(hold, key, waiting)
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._holds[hold] = gone
        if hold.kept:
            by, why, nodes = hold.who, hold.why, hold.nodes
            self._tell(Locked(node="", by=by, reason=why, nodes=nodes))
        try:
            yield gone
        finally:
            if hold in self._holds:
                self._let_go(hold, hold.who, "")

    def break_(self, nodes: Collection[str], by: str, reason: str) -> list[Hold]:
        """Take away the locks of nodes that are kept; return them."""
        names = set(nodes)
        found = [h for h in self._holds if h.kept and not names.isdisjoint(h.nodes)]
        for hold in found:
            gone = self._holds[hold]
            self._let_go(hold, by, reason)
            if not gone.done():
                gone.set_result(f"this lock was broken by {by}: {reason}")
        return found

    def _let_go(self, hold: Hold, by: str, reason: str) -> None:
        del self._holds[hold]
        # Whoever waits looks again, in the order in which they came.
        self._changed.set()
        self._changed = asyncio.Event()
        if hold.kept:
            self._tell(Unlocked(node="", by=by, reason=reason, nodes=hold.nodes))

    async def _free(self, hold: Hold, key: str, waiting: Waiting) -> None:
        """Return when nobody else has the nodes of a lock."""
        loop = asyncio.get_running_loop()
        limit = waiting.limit or 0.0
        deadline, told = loop.time() + limit, False
        while (other := self._in_the_way(hold, key)) is not None:
            left = deadline - loop.time()
            if left <= 0 or waiting.nobody():
                raise LockedError(_refusal(hold, other, waiting.limit))
            if not told:
                told = True
                waiting.told(_shared(hold, other) + str(other))
            changed = self._changed
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK)):
                    await changed.wait()

    def _in_the_way(self, hold: Hold, key: str) -> Hold | None:
        """Return who keeps a lock away, if anybody does."""
        if key and not any(other.kept and other.key == key for other in self._holds):
            raise LockedError(
                "the lock under which this was to be done is held no more. Remedy: "
                "look who has the fleet now (fliswarm status), then take it again, or "
                "unset FLISWARM_LOCK"
            )
        names = set(hold.nodes)
        for other in self._holds:
            if names.isdisjoint(other.nodes):
                continue
            if other.kept:
                if other.key != key:
                    return other
            elif other.computers and (hold.computers or hold.kept):
                return other
        return None


def _shared(hold: Hold, other: Hold) -> str:
    return f"{', '.join(n for n in hold.nodes if n in other.nodes)}: held by "


def _refusal(hold: Hold, other: Hold, limit: float | None) -> str:
    after = f", still after {limit:g} s" if limit else ""
    ways = [] if limit is None else ["wait (--wait SECONDS)"]
    if other.kept:
        ways = ["ask them", *ways, "fliswarm lock break --reason WHY"]
    remedy = ", or ".join(ways)
    return f"{_shared(hold, other)}{other}{after}. Remedy: {remedy}"
