"""What nodes left on engines that no node has any more, taken away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fliswarm.fleet.left import Leaving, Ledger
from fliswarm.fleet.node import LiveNode
from fliswarm.fleet.settling import Settling
from fliswarm.model import Fleet, facts
from fliswarm.model.facts import Tell


class Clearing:
    """Clears engines that no node has any more.

    Parameters
    ----------
    desired
        The fleet as it should be.
    lives
        What was left, by the nodes that visit those engines.
    settling
        Knows what was cut off there.
    ledger
        Forgets what is cleared.
    told
        Is told of it.
    """

    def __init__(
        self,
        desired: Fleet,
        lives: Mapping[LiveNode, Leaving],
        settling: Settling,
        ledger: Ledger,
        told: Tell,
    ) -> None:
        self._desired = desired
        self._lives = lives
        self._settling = settling
        self._ledger = ledger
        self._told = told
        # A node that moved twice has left two, and one hand.
        self._turns = {left.node.name: asyncio.Lock() for left in lives.values()}

    async def clear(self, live: LiveNode, by: str) -> bool:
        """Leave nothing of ours on one of them; return whether there was anything."""
        leaving, changed = self._lives[live], False
        node = leaving.node
        # Another engine may have its address now: what is on that is not ours.
        if await live.identity() == leaving.identity:
            wanted = self._desired.container(node)
            async with self._turns[node.name]:
                self._settling.mind(node)
                changed = await live.remove(wanted, self._told, (), by)
        self._ledger.forget(leaving.identity)
        self._told(facts.Cleared(node=node.name, engine=node.engine))
        return changed
