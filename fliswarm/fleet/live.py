"""The live fleet: keeps every node's links up and fans commands out to them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from fliswarm import store
from fliswarm.change.journal import Entry, Journal
from fliswarm.change.world import Patience
from fliswarm.engine import Connect
from fliswarm.errors import FliswarmError
from fliswarm.fleet.adopted import Adopted
from fliswarm.fleet.board import Board, News
from fliswarm.fleet.clearing import Clearing
from fliswarm.fleet.fan import ApplyResult, change, fan, unknown
from fliswarm.fleet.following import Following
from fliswarm.fleet.left import Leaving, Ledger
from fliswarm.fleet.lock import Locks
from fliswarm.fleet.maker import Maker
from fliswarm.fleet.node import LiveNode
from fliswarm.fleet.outlook import Outlook
from fliswarm.fleet.parting import Parting
from fliswarm.fleet.releases import Releases
from fliswarm.fleet.roster import Roster
from fliswarm.fleet.settling import Settling
from fliswarm.fleet.succession import succession
from fliswarm.fleet.turns import Turns
from fliswarm.host import Reach
from fliswarm.hub.power import PowerSwitch
from fliswarm.model import Fleet, NodeStatus, facts
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
        self._configured = desired
        self.releases = Releases(state and state / "releases.json")
        self.news = News()
        self.board = Board()
        self.news.listen(self.board.hear)
        self.journal = Journal(state and state / "journal")
        self._ledger = Ledger(state and state / "engines.json")
        self._state = state
        self.roster = Roster(desired, state and state / "roster.json", self.news.tell)
        self.adopted = Adopted(state and state / "adopted.json")
        knowing = self.adopted.of(connect)
        self._maker = Maker(
            knowing, reach, power, self.journal, self.news.tell, patience
        )
        self.outlook = Outlook(self._maker, self._ledger, self.roster)
        self._nodes = {
            name: self._maker.node(node) for name, node in desired.nodes.items()
        }
        self._settling = Settling(self.journal, self._entered, self.news.tell, patience)
        self._turns = Turns(self.journal)
        self._parting = Parting(self.journal, patience)
        self.following = Following(self, patience)
        self.locks = Locks(self.news.tell)

    def start(self) -> None:
        """Begin to connect to cameras, and settle what was cut off before."""
        for name in self.enabled:
            self._nodes[name].link.start()
        self._settling.start()
        self.following.start()
        for leaving in self.leavings:
            node = leaving.node
            self.news.tell(facts.LeftBehind(node=node.name, engine=node.engine))

    async def close(self) -> None:
        """Give back all connections; the cameras keep running."""
        await self._settling.close()
        self._parting.close()
        await self.following.close()
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
        before, self._configured = self._configured, desired
        new = succession(self._maker, self._nodes, before, desired)
        # In one step, so that no other reload finds a fleet half changed.
        self.roster.follow(desired)
        self._nodes = new.nodes
        for name in new.changed:
            self.board.forget(name, camera=name not in new.links)
        let_go, stay = self._parting.let_go, new.links.keys()
        gone = (let_go(n, link=n.node.name not in stay) for n in new.gone)
        await asyncio.gather(*gone)
        self.start()
        return new.changed

    @property
    def unreadable(self) -> list[Path]:
        """Files of the state that were not understood, kept for who can tell."""
        return [] if self._state is None else store.kept_aside(self._state)

    @property
    def desired(self) -> Fleet:
        """What the fleet should be: as configured, with the images of releases."""
        return self.releases.pin(self._configured)

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

    def follow(self) -> None:
        """Begin to bring nodes that are behind to their releases; see `Following`."""
        self.following.start()

    # What

    async def status(
        self, nodes: Sequence[LiveNode], *, detail: bool = False
    ) -> list[NodeStatus]:
        """Look at nodes, all at once; the answer is in their order."""

        def one(live: LiveNode) -> Awaitable[NodeStatus]:
            wanted = self.desired.container(live.node)
            return live.status(
                wanted, self.desired.neighbours(live.node), detail=detail
            )

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
        adopt: bool = False,
    ) -> list[Plan | FliswarmError]:
        """Return what `apply` would do on each node, or why that cannot be told."""

        def one(live: LiveNode) -> Awaitable[Plan]:
            wanted = self.desired.container(live.node)
            others = self.desired.neighbours(live.node)
            return live.plan(
                wanted, others, tell, force=force, terms=terms, adopt=adopt
            )

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
            node, others = live.node, self.desired.neighbours(live.node)
            async with self._turns.of(node, others):
                self._ledger.note(await live.identity(), node)
                await self._settling.former(node, self.desired.nodes)
                wanted = self.desired.container(node)
                return await live.apply(
                    wanted, told, others, by, force=force, terms=terms
                )

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

        async def one(live: LiveNode) -> bool:
            node, others = live.node, self.desired.neighbours(live.node)
            async with self._turns.of(node, others):
                wanted = self.desired.container(node)
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
            others = self.desired.neighbours(live.node)
            beside = {name: self._nodes[name].link for name in others}
            return live.reboot(
                wanted, told, limit, by, hard=hard, terms=terms, beside=beside
            )

        return await self._change(nodes, one)

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
