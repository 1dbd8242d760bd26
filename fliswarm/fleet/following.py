"""Nodes that were away when a release was given out get it when they are back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from fliswarm.change.carry import problem
from fliswarm.change.journal import Journal
from fliswarm.change.world import Patience
from fliswarm.errors import (
    CameraError,
    EngineError,
    EngineUnreachableError,
    FliswarmError,
    StoreError,
)
from fliswarm.fleet.board import News
from fliswarm.fleet.fan import ApplyResult
from fliswarm.fleet.node import LiveNode
from fliswarm.fleet.releases import Releases
from fliswarm.model import Fleet, NodeStatus, facts
from fliswarm.model.facts import Fact, Tell
from fliswarm.model.release import Release

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Brought:
    """How an attempt ended; ``again`` is whether it says nothing of the release."""

    problem: str | None = None
    again: bool = False


Bring = Callable[[str, str], Awaitable[Brought]]
"""Makes a node as wanted, by its name; the second word is by whom."""


class Follower(Protocol):
    """What is asked of the fleet; see `fliswarm.fleet.live.LiveFleet`."""

    journal: Journal
    news: News
    releases: Releases

    @property
    def desired(self) -> Fleet:
        """What it should be."""

    @property
    def nodes(self) -> list[LiveNode]:
        """All nodes."""

    @property
    def enabled(self) -> list[str]:
        """Names of those that commands reach."""

    async def status(
        self, nodes: Sequence[LiveNode], *, detail: bool = False
    ) -> list[NodeStatus]:
        """Look at nodes."""

    async def apply(
        self, nodes: Sequence[LiveNode], tell: Tell, by: str = ""
    ) -> list[ApplyResult]:
        """Make nodes as wanted."""


class Following:
    """Brings nodes that are behind to the release that they are to have.

    One that was tried and did not come up with it stays as it is: a camera that works
    is not stopped again and again.

    Parameters
    ----------
    fleet
        The fleet.
    patience
        Its ``look`` and ``settle`` bound the pauses between two attempts.

    Attributes
    ----------
    bring
        How a node is made as wanted. Whoever takes commands sets it to what does that
        as a command.
    """

    def __init__(self, fleet: Follower, patience: Patience) -> None:
        self._fleet = fleet
        self._patience = patience
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closed = False
        self.bring: Bring = self._apply
        fleet.news.listen(self._hear)

    def start(self) -> None:
        """Begin with all that are behind and were not tried."""
        for name, why in self._fleet.releases.known.behind.items():
            if not why and name not in self._tasks:
                self._tasks[name] = asyncio.create_task(self._bring(name))

    async def close(self) -> None:
        """Stop trying; who is behind is written down."""
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _hear(self, fact: Fact) -> None:
        """Forget why a node did not come up, once it did by somebody's hand."""
        if self._closed or not isinstance(fact, facts.ChangeEnded) or fact.problem:
            return
        name = fact.node
        if self._fleet.releases.known.behind.get(name) and name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._bring(name))

    async def _bring(self, name: str) -> None:
        pause = self._patience.look / 2
        told = False
        try:
            while (why := await self._attempt(name, told=told)) is not None:
                told = told or why
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._patience.settle)
        except StoreError as error:
            log.error("%s", error)  # noqa: TRY400  its words say all
        finally:
            del self._tasks[name]

    async def _attempt(self, name: str, *, told: bool) -> bool | None:
        """Try once; return ``None`` when there is nothing more to try.

        Else, whether all were told that the node is about to get its release.
        """
        fleet, releases = self._fleet, self._fleet.releases
        before = releases.known.behind.get(name)
        if before is None:
            return None
        live = next((n for n in fleet.nodes if n.node.name == name), None)
        if live is None:
            await releases.behind(name, None)
            return None
        if name not in fleet.enabled or releases.under_way is not None:
            return False
        (seen,) = await fleet.status([live], detail=True)
        if not seen.engine_alive or fleet.journal.of(name) is not None:
            return False
        release = releases.of(fleet.desired, name)
        if seen.found is None or _same(releases.has(seen), release):
            # Who has no container gets none by this, but by a reconnect.
            await releases.behind(name, None)
            return None
        if before:
            return None
        number = None if release is None else release.number
        if not told:
            fleet.news.tell(facts.Follows(node=name, release=number))
        by = "configuration" if number is None else f"release {number}"
        brought = await self.bring(name, by)
        if brought.again:
            return True
        await releases.behind(name, brought.problem)
        fleet.news.tell(
            facts.Followed(node=name, release=number, problem=brought.problem)
        )
        return None

    async def _apply(self, name: str, by: str) -> Brought:
        """Make a node as wanted where nobody takes commands."""
        nodes = [live for live in self._fleet.nodes if live.node.name == name]
        for result in await self._fleet.apply(nodes, lambda _: None, by):
            if result.error is not None:
                return Brought(problem(result.error), again=not _tried(result.error))
        return Brought()


def _same(has: Release | None, wanted: Release | None) -> bool:
    return has is not None and wanted is not None and has.pinned == wanted.pinned


def _tried(error: FliswarmError) -> bool:
    """Return whether an attempt says something of the release, not of the moment."""
    refused = isinstance(error, EngineError | CameraError)
    return refused and not isinstance(error, EngineUnreachableError)
