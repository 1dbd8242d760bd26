"""What a new configuration says of a fleet that the running one does not: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, fields

from fliswarm.model import Fleet, Node
from fliswarm.plan.difference import Difference

ADD, REMOVE, RENAME = "add", "remove", "rename"
SWAP, MOVE, CHANGE, KEEP = "swap", "move", "change", "keep"

OF_ITS_OWN = ("pinned", "nodes", "enabled")
"""Fields of a fleet that are told node by node."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What becomes of one node.

    ``kind`` is ``add``, ``remove``, ``rename``, ``swap`` (it takes the computer of
    another node, which goes elsewhere), ``move`` (to a computer that no node has),
    ``change`` or ``keep``. ``was`` is the name that its computer has in the running
    configuration, where that is another one.
    """

    node: str
    kind: str
    differences: tuple[Difference, ...] = ()
    was: str | None = None


def edits(
    running: Fleet, wanted: Fleet, enabled: Collection[str] | None = None
) -> tuple[Edit, ...]:
    """Return what becomes of each node, those that leave at the end.

    Parameters
    ----------
    running, wanted
        The fleet as it is configured, and as it is to be.
    enabled
        Names of the nodes that are enabled now, by an operator perhaps; ``None`` takes
        those of the running configuration.
    """
    now = running.enabled if enabled is None else enabled
    return tuple(_edits(running, wanted, set(now)))


def _edits(running: Fleet, wanted: Fleet, enabled: set[str]) -> Iterator[Edit]:
    before = _renamed(running, wanted)
    for name, node in wanted.nodes.items():
        former = before.get(name, name)
        old = running.nodes.get(former)
        if old is None:
            yield Edit(name, ADD)
            continue
        differences = tuple(
            node_differences(
                old,
                node,
                was_enabled=former in enabled,
                is_enabled=_stays_enabled(running, wanted, former, name, enabled),
            )
        )
        if former != name:
            yield Edit(name, RENAME, differences, former)
            continue
        whose = _whose(running, node)
        if old.host == node.host:
            yield Edit(name, CHANGE if differences else KEEP, differences)
        elif whose not in (None, name):
            yield Edit(name, SWAP, differences, whose)
        else:
            yield Edit(name, MOVE, differences)
    gone = [n for n in running.nodes if n not in wanted.nodes]
    for name in gone:
        if name not in before.values():
            yield Edit(name, REMOVE)


def _stays_enabled(
    running: Fleet, wanted: Fleet, former: str, name: str, enabled: set[str]
) -> bool:
    """Tell whether a node is enabled afterwards.

    What an operator said holds until the configuration says something else.
    """
    configured = name in wanted.enabled
    same = former == name and configured == (former in running.enabled)
    return former in enabled if same else configured


def _renamed(running: Fleet, wanted: Fleet) -> dict[str, str]:
    """Return the former names of nodes that stay on their computers, by the new ones.

    A node that has the port of a former one as well is that one before any other.
    """
    gone = [node for name, node in running.nodes.items() if name not in wanted.nodes]
    new = [node for name, node in wanted.nodes.items() if name not in running.nodes]
    found: dict[str, str] = {}
    for with_port in (True, False):
        for node in new:
            for old in gone:
                if node.name in found or old.name in found.values():
                    continue
                if old.host == node.host and (old.port == node.port or not with_port):
                    found[node.name] = old.name
    return found


def _whose(running: Fleet, node: Node) -> str | None:
    """Return the name that a computer has in the running configuration."""
    on_it = [n for n in running.nodes.values() if n.host == node.host]
    same = [n.name for n in on_it if n.port == node.port]
    return next(iter([*same, *(n.name for n in on_it)]), None)


def node_differences(
    old: Node, node: Node, *, was_enabled: bool, is_enabled: bool
) -> Iterator[Difference]:
    """Yield what a configuration says of a node that another does not, by field."""
    for field in fields(Node):
        wanted, found = getattr(node, field.name), getattr(old, field.name)
        if field.name != "name" and wanted != found:
            yield Difference(field.name, *_plain(field.name, wanted, found))
    if was_enabled != is_enabled:
        yield Difference("enabled", is_enabled, was_enabled)


def _plain(name: str, wanted: object, found: object) -> tuple[object, object]:
    """Return values as a difference tells them: by name where they may be secret."""
    if name in ("power", "tls"):
        return _parts(wanted), _parts(found)
    return wanted, found


def _parts(value: object) -> Mapping[str, object]:
    # A program that switches power may have a password among its words.
    return {} if value is None else asdict(value)  # type: ignore[call-overload]


def settings(running: Fleet, wanted: Fleet) -> tuple[Difference, ...]:
    """Return what differs for all nodes, and for the controller itself."""
    return tuple(_settings(running, wanted))


def _settings(running: Fleet, wanted: Fleet) -> Iterator[Difference]:
    for field in fields(Fleet):
        new, old = getattr(wanted, field.name), getattr(running, field.name)
        if field.name in OF_ITS_OWN or new == old:
            continue
        if field.name in ("actor", "limits"):
            for part in fields(new):
                one, other = getattr(new, part.name), getattr(old, part.name)
                if one != other:
                    yield Difference(f"{field.name}/{part.name}", one, other)
        elif field.name == "volumes":
            # Its options may hold the password of a share.
            now, then = ({v.name: v for v in volumes} for volumes in (new, old))
            yield Difference(field.name, now, then)
        else:
            yield Difference(field.name, new, old)
