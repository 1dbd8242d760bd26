"""Nodes on one engine are changed one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, nullcontext

from fliswarm.change.journal import Journal
from fliswarm.errors import BusyError
from fliswarm.model import Node


class Turns:
    """Whose turn it is on each engine that several nodes have.

    What one of them has set aside, to be put back, is nobody's to the others; and the
    last one on an engine takes the volumes that all of them mount.

    Parameters
    ----------
    journal
        Knows whose change is under way.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._engines: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def of(self, node: Node, neighbours: Collection[str]) -> AsyncIterator[None]:
        """Wait for the turn of a node that has neighbours on its engine, and have it.

        Raises
        ------
        BusyError
            When a change of the node itself is under way.
        """
        if (change := self._journal.busy(node.name)) is not None:
            raise BusyError(node.name, change)
        turn = self._engines.setdefault(node.engine, asyncio.Lock())
        async with turn if neighbours else nullcontext():
            yield
