"""Lets nodes go that have left the fleet, once no hand is on them."""

from __future__ import annotations

import asyncio

from fliswarm.change.journal import Journal
from fliswarm.change.world import Patience
from fliswarm.fleet.node import LiveNode


class Parting:
    """Closes nodes whose change, if one is under way, goes on to its end.

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

    async def let_go(self, live: LiveNode, *, link: bool) -> None:
        """Close a node, with or without its link, or see to it that it is closed."""
        name = live.node.name
        if self._journal.busy(name) is None:
            await live.close(link=link)
        else:
            task = asyncio.create_task(live.close(link=link, after=self._idle(name)))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def close(self) -> None:
        """Wait for no hand any more."""
        for task in self._closing:
            task.cancel()

    async def _idle(self, name: str) -> None:
        """Return when no hand is on a node."""
        while self._journal.busy(name) is not None:
            await asyncio.sleep(self._patience.look / 10)
