"""The live fleet: keeps every node's links up and fans commands out to them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from fliswarm.change.journal import Entry, Journal
from fliswarm.change.world import Patience
from fliswarm.engine import Connect
from fliswarm.errors import FliswarmError
from fliswarm.fleet.board import Board, News
from fliswarm.fleet.clearing import Clearing
from fliswarm.fleet.fan import ApplyResult, change, fan, unknown
from fliswarm.fleet.farewell import Farewell
from fliswarm.fleet.left import Leaving, Ledger
from fliswarm.fleet.lock import Locks
from fliswarm.fleet.maker import Maker, same_camera
from fliswarm.fleet.node import LiveNode
from fliswarm.fleet.roster import Roster
from fliswarm.fleet.settling import Settling
from fliswarm.host import Reach
from fliswarm.hub.power import PowerSwitch
from fliswarm.model import Fleet, Node, NodeStatus, facts
from fliswarm.model.facts import Tell
from fliswarm.model.terms import Terms
from fliswarm.plan.difference import Plan
from fliswarm.plan.selection import select, within


class LiveFleet:
    """All nodes of a site, being run.

    Parameters
    ----------
    desired
        What the fleet should be.
    connect
        Makes the engine of a node.
    reach
        Makes the host of a node.
    power
        Switches the power of nodes.
    state
        The folder of what has to be known after a start; ``None`` keeps it in memory.
    patience
        How long cameras are waited for.
    """

    def __init__(
        self,
        desired: Fleet,
        connect: Connect,
        reach: Reach,
        power: PowerSwitch,
        state: Path | None = None,
        patience: Patience = Patience(),
    ) -> None:
        self.desired = desired
        self.news = News()
        self.board = Board()
        self.news.listen(self.board.hear)
        self.journal = Journal(state and state / "journal")
        self._ledger = Ledger(state and state / "engines.json")
        self.roster = Roster(desired, state and state / "roster.json", self.news.tell)
        self._maker = Maker(
            connect, reach, power, self.journal, self.news.tell, patience
        )
        self._nodes = {
            name: self._maker.node(node) for name, node in desired.nodes.items()
        }
        self._settling = Settling(self.journal, self._entered, self.news.tell, patience)
        self._farewell = Farewell(self.journal, patience)
        self.locks = Locks(self.news.tell)

    def start(self) -> None:
        """Begin to connect to cameras, and settle what was cut off before."""
        for name in self.enabled:
            self._nodes[name].link.start()
        self._settling.start()
        for leaving in self.leavings:
            node = leaving.node
            self.news.tell(facts.LeftBehind(node=node.name, engine=node.engine))

    async def close(self) -> None:
        """Give back all connections; the cameras keep running."""
        await self._settling.close()
        self._farewell.close()
        await asyncio.gather(*(node.close() for node in self._nodes.values()))

    async def reload(self, desired: Fleet) -> list[str]:
        """Follow a new configuration; only nodes that differ lose their connections.

        The link to a camera, with the commands under way on it, stays where the camera
        is: a node whose engine is reached in another way goes on with its exposure. A
        change that is under way goes on as it began.

        Returns
        -------
        names
            The nodes that came, went or changed.
        """
        before, self.desired = self.desired, desired
        changed = [
            name
            for name in {**before.nodes, **desired.nodes}
            if before.nodes.get(name) != desired.nodes.get(name)
        ]
        gone = [self._nodes[name] for name in changed if name in self._nodes]
        links = {
            live.node.name: live.link
            for live in gone
            if same_camera(live.node, desired.nodes.get(live.node.name))
        }
        # In one step, so that no other reload finds a fleet half changed.
        self.roster.follow(desired)
        self._nodes = {
            name: self._maker.node(node, links.get(name))
            if name in changed
            else self._nodes[name]
            for name, node in desired.nodes.items()
        }
        for name in changed:
            self.board.forget(name, camera=name not in links)
        await asyncio.gather(
            *(self._farewell.say(n, link=n.node.name not in links) for n in gone)
        )
        self.start()
        return changed

    # Who

    @property
    def enabled(self) -> list[str]:
        """Names of the enabled nodes, in the order of the configuration."""
        return self.roster.enabled

    @property
    def nodes(self) -> list[LiveNode]:
        """All nodes, in the order of the configuration."""
        return list(self._nodes.values())

    def select(
        self,
        names: str | None = None,
        category: str | None = None,
        exclude: str | None = None,
        *,
        none_will_do: bool = False,
        disabled: bool = False,
    ) -> list[LiveNode]:
        """Return the enabled nodes that a selection means; see `selection.select`.

        With ``none_will_do`` it may mean disabled nodes alone; with ``disabled`` those
        are returned as well.

        Raises
        ------
        SelectionError
            When the selection is wrong, or all that it means are disabled.
        """
        nodes = {name: live.node for name, live in self._nodes.items()}
        chosen = select(nodes, names, category, exclude)
        if disabled:
            return [self._nodes[node.name] for node in chosen]
        found = within(chosen, set(self.enabled), least=0 if none_will_do else 1)
        return [self._nodes[name] for name in found]

    def enable(self, name: str, by: str = "") -> bool:
        """Enable a node and connect to its camera; return whether there is one."""
        if name not in self._nodes:
            return False
        self.roster.enable(name, by)
        self._nodes[name].link.start()
        return True

    def disable(self, name: str, by: str = "", reason: str = "") -> bool:
        """Leave a node out of all commands; return whether it was ever enabled."""
        if name not in self.roster.met:
            return False
        self.roster.disable(name, by, reason)
        return True

    @property
    def leavings(self) -> list[Leaving]:
        """Engines that no node has any more and that may have containers of ours."""
        return self._ledger.leavings(self.desired)

    def neighbours(self, node: Node) -> set[str]:
        """Return the other nodes that are on the same computer."""
        every = self.desired.nodes.values()
        return {n.name for n in every if n.engine == node.engine and n is not node}

    # What

    async def status(
        self, nodes: Sequence[LiveNode], *, detail: bool = False
    ) -> list[NodeStatus]:
        """Look at nodes, all at once; the answer is in their order."""

        def one(live: LiveNode) -> Awaitable[NodeStatus]:
            wanted = self.desired.container(live.node)
            return live.status(wanted, self.neighbours(live.node), detail=detail)

        return [
            unknown(live, found) if isinstance(found, FliswarmError) else found
            for live, found in zip(nodes, await fan(nodes, one), strict=True)
        ]

    async def plan(
        self,
        nodes: Sequence[LiveNode],
        tell: Tell = lambda _: None,
        *,
        force: bool = False,
        terms: Terms = Terms(),
    ) -> list[Plan | FliswarmError]:
        """Return what `apply` would do on each node, or why that cannot be told."""

        def one(live: LiveNode) -> Awaitable[Plan]:
            wanted = self.desired.container(live.node)
            others = self.neighbours(live.node)
            return live.plan(wanted, others, tell, force=force, terms=terms)

        return await fan(nodes, one)

    async def apply(
        self,
        nodes: Sequence[LiveNode],
        tell: Tell,
        by: str = "",
        *,
        force: bool = False,
        terms: Terms = Terms(),
    ) -> list[ApplyResult]:
        """Make nodes as wanted, all at once; each ends by itself."""
        told = self.news.and_to(tell)

        async def one(live: LiveNode) -> bool:
            node = live.node
            self._ledger.note(await live.identity(), node)
            await self._settling.former(node, self.desired.nodes)
            wanted, others = self.desired.container(node), self.neighbours(node)
            return await live.apply(wanted, told, others, by, force=force, terms=terms)

        return await self._change(nodes, one)

    async def remove(
        self,
        nodes: Sequence[LiveNode],
        tell: Tell,
        by: str = "",
        *,
        terms: Terms = Terms(),
    ) -> list[ApplyResult]:
        """Leave nothing of ours on nodes, all at once."""
        told = self.news.and_to(tell)
        # The last one on an engine takes the volumes that all of them mount.
        turns = {live.node.engine: asyncio.Lock() for live in nodes}

        async def one(live: LiveNode) -> bool:
            wanted, others = (
                self.desired.container(live.node),
                self.neighbours(live.node),
            )
            async with turns[live.node.engine]:
                return await live.remove(wanted, told, others, by, terms=terms)

        return await self._change(nodes, one)

    async def clear(
        self, leavings: Sequence[Leaving], tell: Tell, by: str = ""
    ) -> list[ApplyResult]:
        """Leave nothing of ours on engines that no node has any more, all at once."""
        told = self.news.and_to(tell)
        lives = {self._maker.visitor(leaving.node): leaving for leaving in leavings}
        clearing = Clearing(self.desired, lives, self._settling, self._ledger, told)
        try:
            return await self._change(
                list(lives), lambda live: clearing.clear(live, by)
            )
        finally:
            await asyncio.gather(*(live.close() for live in lives))

    async def forget(self, leaving: Leaving) -> None:
        """Forget an engine that will never answer again, and what was cut off there."""
        await self._settling.forget(leaving.node)
        self._ledger.forget(leaving.identity)

    async def reboot(
        self,
        nodes: Sequence[LiveNode],
        tell: Tell,
        by: str = "",
        *,
        hard: bool,
        limit: float,
        terms: Terms = Terms(),
    ) -> list[ApplyResult]:
        """Start hosts anew, all at once, each within ``limit`` seconds.

        ``hard`` switches their power instead of asking them.
        """
        told = self.news.and_to(tell)

        def one(live: LiveNode) -> Awaitable[bool]:
            wanted = self.desired.container(live.node)
            others = self.neighbours(live.node)
            beside = {name: self._nodes[name].link for name in others}
            return live.reboot(
                wanted, told, limit, by, hard=hard, terms=terms, beside=beside
            )

        return await self._change(nodes, one)

    async def logs(self, node: LiveNode, lines: int) -> str:
        """Return the last lines that a camera's program printed."""
        return await node.logs(self.desired.container(node.node), lines)

    async def _change(
        self, nodes: Sequence[LiveNode], act: Callable[[LiveNode], Awaitable[bool]]
    ) -> list[ApplyResult]:
        try:
            return await change(nodes, act)
        finally:
            # What could be neither done nor undone is tried again by itself.
            self._settling.start()

    def _entered(self, entry: Entry) -> tuple[LiveNode, bool]:
        """Return a node as an entry of the journal has it, and whether it visits."""
        live = self._nodes.get(entry.node.name)
        if live is None or live.node.engine != entry.node.engine:
            return self._maker.visitor(entry.node), True
        return live, False
