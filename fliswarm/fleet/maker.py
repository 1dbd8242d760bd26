"""Makes live nodes, with links whose news become facts."""

from __future__ import annotations

from dataclasses import dataclass

from fliswarm.camera import CameraLink, Reply
from fliswarm.change.journal import Journal
from fliswarm.change.world import Patience
from fliswarm.engine import Connect
from fliswarm.fleet.node import LiveNode
from fliswarm.host import Reach
from fliswarm.hub.power import PowerSwitch
from fliswarm.model import Node, facts
from fliswarm.model.facts import Fact, Tell


def actor_name(node: Node) -> str:
    """Return the name that a node's camera has for itself."""
    return node.environment.get("ACTOR_NAME", node.name)


def same_camera(before: Node, after: Node | None) -> bool:
    """Return whether the camera of a node is where it was, under the same name."""
    if after is None or actor_name(before) != actor_name(after):
        return False
    return (before.host, before.port) == (after.host, after.port)


@dataclass(frozen=True, slots=True)
class Maker:
    """What all live nodes of a fleet have in common; see `LiveNode`."""

    connect: Connect
    reach: Reach
    power: PowerSwitch
    journal: Journal
    tell: Tell
    patience: Patience

    def node(self, node: Node, link: CameraLink | None = None) -> LiveNode:
        """Return a node of the fleet, with the link of another one if that fits."""
        return self._make(node, link or self._link(node), self.tell)

    def visitor(self, node: Node) -> LiveNode:
        """Return a node that is not of the fleet: its engine and camera are no news."""

        def tell(fact: Fact) -> None:
            if isinstance(fact, facts.Settled):
                self.tell(fact)

        link = CameraLink(node.name, node.host, node.port, actor=actor_name(node))
        return self._make(node, link, tell)

    def _make(self, node: Node, link: CameraLink, tell: Tell) -> LiveNode:
        return LiveNode(
            node,
            self.connect(node),
            link,
            self.reach(node),
            self.power,
            self.journal,
            tell,
            self.patience,
        )

    def _link(self, node: Node) -> CameraLink:
        name, tell = node.name, self.tell

        def changed(up: bool) -> None:
            if up:
                tell(facts.CameraUp(node=name))
            else:
                tell(facts.CameraDown(node=name, reason=link.problem))

        def said(reply: Reply) -> None:
            code, sender, data = reply.code, reply.sender, reply.data
            tell(facts.Told(node=name, code=code, sender=sender, keywords=data))

        link = CameraLink(
            name,
            node.host,
            node.port,
            actor=actor_name(node),
            on_broadcast=said,
            on_change=changed,
            on_problem=lambda why: tell(facts.CameraConfused(node=name, reason=why)),
            heartbeat=self.patience.heartbeat,
            silence=self.patience.silence,
        )
        return link
