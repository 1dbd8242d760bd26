"""Which release each node is to have, and how far an update is: on disk first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fliswarm import store
from fliswarm.errors import BusyError, StoreError
from fliswarm.model import Fleet, NodeStatus, imagename
from fliswarm.model.release import Known, Release, Rollout
from fliswarm.plan.rollout import holds, remembered, usual


class Releases:
    """What is known of releases, and which image each node is to have by that.

    Parameters
    ----------
    path
        Where it is kept; ``None`` keeps it in memory alone.

    Attributes
    ----------
    known
        What is written down.
    under_way
        The verb of a rollout that this controller is carrying out now; one that is
        known and not under way was cut off.
    unreadable
        Whether what was written down could not be read.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        found = Known() if path is None else _read(path)
        self.known = found or Known()
        self.unreadable = found is None
        self.under_way: str | None = None
        self._writing = asyncio.Lock()
        self._trial: dict[str, Release] = {}
        self._pinned: tuple[Fleet, Fleet] | None = None

    def pin(self, desired: Fleet) -> Fleet:
        """Return a fleet with the images of the releases that its nodes are to have."""
        if self._pinned is None or self._pinned[0] is not desired:
            found = {name: self.of(desired, name) for name in desired.nodes}
            images = {n: release.pinned for n, release in found.items() if release}
            self._pinned = desired, replace(desired, pinned=images)
        return self._pinned[1]

    def of(self, desired: Fleet, name: str) -> Release | None:
        """Return the release that a node is to have.

        ``None`` is the configuration's image: there was no update, or the
        configuration has named another image since.
        """
        if name in self._trial:
            return self._trial[name]
        wanted = self.known.wanted
        number = wanted[name] if name in wanted else usual(self.known)
        release = self.known.release(number)
        return release if holds(release, desired.image_reference) else None

    def has(self, status: NodeStatus | None) -> Release | None:
        """Return the release that a node was seen to have."""
        if status is None or status.found is None:
            return None
        digest = imagename.digest_of(status.found.spec.get("image")) or status.digest
        wanted = self.known.release(self.known.wanted.get(status.node.name))
        trial = self._trial.get(status.node.name)
        for release in (trial, wanted):
            if release is not None and release.digest == digest:
                return release
        return self.known.by_digest(digest)

    @contextmanager
    def carrying(self, verb: str) -> Iterator[None]:
        """Have the only rollout for the time of a ``with`` block.

        Raises
        ------
        BusyError
            When another one is under way.
        """
        if self.under_way is not None:
            raise BusyError("fleet", self.under_way)
        self.under_way = verb
        try:
            yield
        finally:
            self.under_way = None

    @contextmanager
    def trying(self, releases: Mapping[str, Release]) -> Iterator[None]:
        """Let nodes be wanted with other releases, which are not given out yet."""
        self._trial, self._pinned = dict(releases), None
        try:
            yield
        finally:
            self._trial, self._pinned = {}, None

    async def note(self, how: Callable[[Known], Known]) -> None:
        """Write down what is known from now on, by what is known then.

        Raises
        ------
        StoreError
            When it cannot be written down; what was known before is known still.
        """
        async with self._writing:
            known = how(self.known)
            known = replace(known, releases=remembered(known))
            if self._path is not None:
                await asyncio.to_thread(store.write, self._path, asdict(known))
            self.known, self._pinned, self.unreadable = known, None, False

    async def behind(self, name: str, reason: str | None) -> None:
        """Note why a node could not follow; nothing, that it is behind no more."""

        def noted(known: Known) -> Known:
            rest = {n: why for n, why in known.behind.items() if n != name}
            if reason is not None:
                rest[name] = reason
            return replace(known, behind=rest)

        await self.note(noted)


def _read(path: Path) -> Known | None:
    try:
        noted: Any = store.read(path)
        return Known() if noted is None else _known(noted)
    except (StoreError, ValueError, TypeError, AttributeError, KeyError) as error:
        store.keep_aside(path, error)
        return None


def _known(noted: dict[str, Any]) -> Known:
    rollout = noted["rollout"]
    if rollout is not None:
        rollout["turns"] = tuple(tuple(map(str, turn)) for turn in rollout["turns"])
        rollout = Rollout(
            **{**rollout, "off": tuple(rollout["off"]), "done": tuple(rollout["done"])}
        )
    releases = tuple(Release(**release) for release in noted["releases"])
    return Known(**{**noted, "releases": releases, "rollout": rollout})
