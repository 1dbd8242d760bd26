"""What becomes of the live nodes of a fleet under another configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fliswarm.camera import CameraLink
from fliswarm.fleet.maker import Maker, same_camera
from fliswarm.fleet.node import LiveNode
from fliswarm.model import Fleet


@dataclass(frozen=True, slots=True)
class Succession:
    """The nodes after it, by name, and what there was before.

    ``changed`` are the names of nodes that came, went or changed, ``gone`` the live
    nodes that others take the place of, or nobody; ``links`` are those to cameras that
    stay where they are, by the names of their nodes.
    """

    nodes: dict[str, LiveNode]
    changed: list[str]
    gone: list[LiveNode]
    links: dict[str, CameraLink]


def succession(
    maker: Maker, nodes: Mapping[str, LiveNode], before: Fleet, after: Fleet
) -> Succession:
    """Return what follows on the live nodes of a fleet."""
    changed = [
        name
        for name in {**before.nodes, **after.nodes}
        if before.nodes.get(name) != after.nodes.get(name)
    ]
    gone = [nodes[name] for name in changed if name in nodes]
    links = {
        live.node.name: live.link
        for live in gone
        if same_camera(live.node, after.nodes.get(live.node.name))
    }
    following = {
        name: maker.node(node, links.get(name)) if name in changed else nodes[name]
        for name, node in after.nodes.items()
    }
    return Succession(following, changed, gone, links)
