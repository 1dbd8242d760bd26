"""The live fleet: keeps every node's links up and fans commands out to them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from fliswarm.camera import CameraLink, Exchange, Outcome, Reply
from fliswarm.engine import Connect
from fliswarm.errors import CameraError, FliswarmError, SelectionError
from fliswarm.fleet.node import LiveNode, Patience, Report
from fliswarm.host import Reach
from fliswarm.hub.power import PowerSwitch
from fliswarm.model import Fleet, Node, NodeStatus
from fliswarm.plan.difference import Plan
from fliswarm.plan.selection import select


@dataclass(frozen=True, slots=True)
class TalkResult:
    """How one camera's part of a `LiveFleet.talk` ended."""

    node: str
    outcome: Outcome
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """How one node's part of a change ended; ``error`` is ``None`` when it worked."""

    node: str
    changed: bool
    error: FliswarmError | None = None


class Listener:
    """Gets what happens in the fleet by itself. The base class ignores it all."""

    def camera_said(self, reply: Reply) -> None:
        """Take a reply that answers no command of ours."""

    def camera_changed(self, node: str, *, up: bool, problem: str) -> None:
        """Take the news that a camera's link went up or down, and why."""

    def engine_changed(self, node: str, *, up: bool, problem: str) -> None:
        """Take the news that an engine does not answer, and why, or does again."""

    def camera_confused(self, node: str, problem: str) -> None:
        """Take a sentence about a line that could not be understood."""


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
    listener
        Gets what happens without a command.
    patience
        How long cameras are waited for.
    """

    def __init__(
        self,
        desired: Fleet,
        connect: Connect,
        reach: Reach,
        power: PowerSwitch,
        listener: Listener,
        patience: Patience = Patience(),
    ) -> None:
        self._connect = connect
        self._reach = reach
        self._power = power
        self._patience = patience
        self._listener = listener
        self.desired = desired
        self._enabled = set(desired.enabled)
        self._known = set(desired.enabled)
        self._nodes = {name: self._live(node) for name, node in desired.nodes.items()}

    def start(self) -> None:
        """Begin to connect to the cameras of all enabled nodes."""
        for name in self.enabled:
            self._nodes[name].link.start()

    async def close(self) -> None:
        """Give back all connections; the cameras keep running."""
        await asyncio.gather(*(node.close() for node in self._nodes.values()))

    async def reload(self, desired: Fleet) -> list[str]:
        """Follow a new configuration; only nodes that differ lose their connections.

        The link to a camera, with the commands under way on it, stays where the camera
        is: a node whose engine is reached in another way goes on with its exposure.

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
            if _same_camera(live.node, desired.nodes.get(live.node.name))
        }
        # In one step, so that no other reload finds a fleet half changed.
        self._nodes = {
            name: self._live(node, links.get(name))
            if name in changed
            else self._nodes[name]
            for name, node in desired.nodes.items()
        }
        self._enabled = set(desired.enabled)
        self._known = set(desired.enabled)
        await asyncio.gather(
            *(live.close(link=live.node.name not in links) for live in gone)
        )
        self.start()
        return changed

    # Who

    @property
    def enabled(self) -> list[str]:
        """Names of the enabled nodes, in the order of the configuration."""
        return [name for name in self._nodes if name in self._enabled]

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
        enabled = [node.name for node in chosen if node.name in self._enabled]
        if not enabled and not none_will_do:
            off = ", ".join(node.name for node in chosen)
            raise SelectionError(f"all of these nodes are disabled: {off}")
        return [self._nodes[name] for name in enabled]

    def enable(self, name: str) -> bool:
        """Enable a node and connect to its camera; return whether there is one."""
        if name not in self._nodes:
            return False
        self._enabled.add(name)
        self._known.add(name)
        self._nodes[name].link.start()
        return True

    def disable(self, name: str) -> bool:
        """Leave a node out of all commands; return whether it was ever enabled."""
        if name not in self._known:
            return False
        self._enabled.discard(name)
        return True

    @property
    def names(self) -> list[str]:
        """Names of the nodes that are enabled or were so, in order."""
        return [name for name in self._nodes if name in self._known]

    # What

    async def status(
        self, nodes: Sequence[LiveNode], *, detail: bool = False
    ) -> list[NodeStatus]:
        """Look at nodes, all at once; the answer is in their order."""
        wanted = self.desired.container
        return await asyncio.gather(
            *(node.status(wanted(node.node), detail=detail) for node in nodes)
        )

    async def plan(
        self, nodes: Sequence[LiveNode], *, force: bool = False
    ) -> list[Plan | FliswarmError]:
        """Return what `apply` would do on each node, or why that cannot be told."""

        async def one(node: LiveNode) -> Plan | FliswarmError:
            try:
                return await node.plan(self.desired.container(node.node), force=force)
            except FliswarmError as error:
                return error

        return await asyncio.gather(*map(one, nodes))

    async def apply(
        self, nodes: Sequence[LiveNode], report: Report, *, force: bool = False
    ) -> list[ApplyResult]:
        """Make nodes as wanted, all at once; each ends by itself."""
        return await self._change(
            nodes,
            lambda node: node.apply(
                self.desired.container(node.node), report, force=force
            ),
        )

    async def remove(
        self, nodes: Sequence[LiveNode], report: Report
    ) -> list[ApplyResult]:
        """Leave nothing of ours on nodes, all at once."""
        return await self._change(
            nodes, lambda node: node.remove(self.desired.container(node.node), report)
        )

    async def reboot(
        self, nodes: Sequence[LiveNode], report: Report, *, hard: bool, limit: float
    ) -> list[ApplyResult]:
        """Start hosts anew, all at once, each within ``limit`` seconds.

        ``hard`` switches their power instead of asking them.
        """
        power = self._power if hard else None
        return await self._change(
            nodes,
            lambda node: node.reboot(
                self.desired.container(node.node), report, power, limit
            ),
        )

    async def logs(self, node: LiveNode, lines: int) -> str:
        """Return the last lines that a camera's program printed."""
        return await node.logs(self.desired.container(node.node), lines)

    async def talk(
        self,
        nodes: Sequence[LiveNode],
        message: str,
        on_reply: Callable[[Reply], None],
        limit: float | None = None,
    ) -> list[TalkResult]:
        """Send a command to cameras and wait until each has ended or is lost.

        Parameters
        ----------
        nodes
            Whose cameras.
        message
            The command, as the cameras understand it.
        on_reply
            Gets each camera's replies as they come.
        limit
            Seconds after which a camera is not waited for any longer.
        """
        results: dict[str, TalkResult] = {}
        under_way: list[tuple[LiveNode, Exchange]] = []
        all_ended = asyncio.get_running_loop().create_future()

        left = 0

        def on_end() -> None:
            nonlocal left
            left -= 1
            if left == 0 and not all_ended.done():
                all_ended.set_result(None)

        for node in nodes:
            try:
                exchange = node.link.send(message, on_reply, on_end)
                under_way.append((node, exchange))
                left += 1
            except CameraError as error:
                results[node.node.name] = TalkResult(
                    node.node.name, Outcome.LOST, error.problem
                )
        try:
            if under_way:
                with suppress(TimeoutError):
                    async with asyncio.timeout(limit):
                        await all_ended
        finally:
            for node, exchange in under_way:
                results[node.node.name] = _settle(node, exchange, limit)
        return [results[node.node.name] for node in nodes]

    async def _change(
        self, nodes: Sequence[LiveNode], act: Callable[[LiveNode], Awaitable[bool]]
    ) -> list[ApplyResult]:
        async def one(node: LiveNode) -> ApplyResult:
            try:
                return ApplyResult(node.node.name, await act(node))
            except FliswarmError as error:
                return ApplyResult(node.node.name, changed=False, error=error)

        return await asyncio.gather(*map(one, nodes))

    def _live(self, node: Node, link: CameraLink | None = None) -> LiveNode:
        name, listener = node.name, self._listener
        return LiveNode(
            node,
            self._connect(node),
            link or self._link(node),
            self._reach(node),
            self._patience,
            lambda up, problem: listener.engine_changed(name, up=up, problem=problem),
        )

    def _link(self, node: Node) -> CameraLink:
        name, listener = node.name, self._listener
        link = CameraLink(
            name,
            node.host,
            node.port,
            on_broadcast=listener.camera_said,
            on_change=lambda up: listener.camera_changed(
                name, up=up, problem=link.problem
            ),
            on_problem=lambda problem: listener.camera_confused(name, problem),
            heartbeat=self._patience.heartbeat,
            silence=self._patience.silence,
        )
        return link


def _same_camera(before: Node, after: Node | None) -> bool:
    """Return whether the camera of a node is where it was."""
    return after is not None and (before.host, before.port) == (after.host, after.port)


def _settle(node: LiveNode, exchange: Exchange, limit: float | None) -> TalkResult:
    """Return how an exchange ended; one that has not is not waited for any more."""
    if not exchange.ended.done():
        node.link.forget(exchange)
        exchange.problem = (
            "abandoned" if limit is None else f"no answer within {limit:g} s"
        )
    return TalkResult(node.node.name, exchange.ended.result(), exchange.problem)
