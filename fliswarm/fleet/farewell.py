"""Nodes that left the fleet: their connections, given back when nobody needs them."""

from __future__ import annotations

import asyncio

from fliswarm.change.journal import Journal
from fliswarm.change.world import Patience
from fliswarm.fleet.node import LiveNode


class Farewell:
    """Closes nodes; those on which a change is under way, after that.

    Parameters
    ----------
    journal
        Knows whose hand is on which node.
    patience
        Its ``look`` bounds the pauses between two looks at that.
    """

    def __init__(self, journal: Journal, patience: Patience) -> None:
        self._journal = journal
        self._patience = patience
        self._closing: set[asyncio.Task[None]] = set()

    async def say(self, live: LiveNode, *, link: bool) -> None:
        """Close a node, and with ``link`` the one to its camera."""
        name = live.node.name
        if self._journal.busy(name) is None:
            await live.close(link=link)
        else:
            task = asyncio.create_task(live.close(link=link, after=self._idle(name)))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def close(self) -> None:
        """Wait for no change any more."""
        for task in self._closing:
            task.cancel()

    async def _idle(self, name: str) -> None:
        """Return when no hand is on a node."""
        while self._journal.busy(name) is not None:
            await asyncio.sleep(self._patience.look / 10)
