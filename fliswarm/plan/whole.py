"""The whole plan of a site, hosts and nodes: what would change, and what was seen.

Pure. No value of a secret is in it: what may be one is told by its name.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from fliswarm.model import Fleet
from fliswarm.plan.edits import ADD, CHANGE, KEEP, MOVE, REMOVE, RENAME, SWAP

HOST, CONTROLLER, NODE, LEFT = "host", "controller", "node", "left"

LEAVE = "leave"
"""What becomes of a host that the inventory has no more."""

SHORT = 12
"""Digits of a fingerprint that people are shown."""

ASPECTS = {
    "containers": "its containers",
    "image": "its image",
    "published": "the image in the registry",
    "volumes": "its volumes",
    "foreign": "what another has there",
    "camera": "its camera",
    "engine": "whether its engine answers",
    "configuration": "what the controller has of it",
    "tasks": "what Ansible would change",
}
"""What is looked at, in the words of whoever reads that it moved."""

FORMAT = 1
"""Of saved plans; another one is refused."""


def digest(value: object) -> str:
    """Return the fingerprint of a JSON value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Item:
    """What becomes of one host, one node, the controller, or what a node left.

    Parameters
    ----------
    what, name
        Whom it is about: ``host``, ``controller``, ``node`` or ``left``.
    kind
        As in `fliswarm.plan.edits.Edit`; a host may ``leave``.
    lines
        What would change, a line each, in words.
    seen
        Fingerprints of what was looked at, by aspect.
    was
        The name that a node's computer has now, or where a thing is.
    enabled
        Whether the node is to be used.
    reconnect
        Whether the node's container is to be looked after.
    needs, unready
        Whose provisioning (``host`` or ``manager``) has to come first, and why.
    problem
        Why this cannot be told, or cannot be done.
    """

    what: str
    name: str
    kind: str = KEEP
    lines: tuple[str, ...] = ()
    seen: Mapping[str, str] = field(default_factory=dict)
    was: str | None = None
    enabled: bool = True
    reconnect: bool = False
    needs: str | None = None
    unready: str | None = None
    problem: str | None = None

    @property
    def pending(self) -> bool:
        """Whether something would change."""
        return self.kind != KEEP

    @property
    def key(self) -> tuple[str, str]:
        """Whom it is about."""
        return self.what, self.name

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Item:
        """Return an item from JSON; `ValueError` when it is none."""
        try:
            item = cls(**{**value, "lines": tuple(value.get("lines", ()))})
        except TypeError as error:
            raise ValueError(str(error)) from error
        words = (item.what, item.name, item.kind, *item.lines, *item.seen.values())
        if not all(isinstance(word, str) for word in words):
            raise ValueError("its parts are no texts")
        return item


@dataclass(frozen=True, slots=True)
class Whole:
    """The plan of a site. ``rendering`` is the fingerprint of what its inventory says.

    The controller's configuration is rendered from the inventory.
    """

    rendering: str
    items: tuple[Item, ...] = ()

    @property
    def pending(self) -> tuple[Item, ...]:
        """What would change."""
        return tuple(item for item in self.items if item.pending)

    @property
    def problems(self) -> tuple[Item, ...]:
        """What cannot be told or done."""
        return tuple(item for item in self.items if item.problem is not None)

    @property
    def fingerprint(self) -> str:
        """What this plan is known by."""
        return digest([self.rendering, *map(asdict, self.items)])

    @property
    def short(self) -> str:
        """The fingerprint as people are shown it."""
        return self.fingerprint[:SHORT]

    def of(self, what: str) -> tuple[Item, ...]:
        """Return the items about hosts, nodes or what is left."""
        return tuple(item for item in self.items if item.what == what)

    def noted(self) -> dict[str, object]:
        """Return the plan as JSON, to be saved."""
        return {
            "format": FORMAT,
            "fingerprint": self.fingerprint,
            "rendering": self.rendering,
            "items": [asdict(item) for item in self.items],
        }

    @classmethod
    def read(cls, value: object) -> Whole:
        """Return a saved plan; `ValueError` when it is none, or was changed since."""
        if not isinstance(value, Mapping) or value.get("format") != FORMAT:
            raise ValueError(f"is no plan of format {FORMAT}")
        try:
            items = tuple(Item.read(item) for item in value["items"])
            whole = cls(str(value["rendering"]), items)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"is no plan: {error}") from error
        if whole.fingerprint != value.get("fingerprint"):
            raise ValueError("was changed since it was saved")
        return whole


def settled(items: Sequence[Item], manager: str) -> tuple[Item, ...]:
    """Return a plan's items with what a node waits for found, or told as a problem.

    A node may have an engine that does not answer yet, or an image that is to be made,
    where this plan provisions its host or the manager.
    """
    pending = {item.name for item in items if item.what == HOST and item.pending}

    def one(item: Item) -> Item:
        if item.unready is None:
            return item
        host = manager if item.needs == "manager" else item.name
        if host not in pending:
            return replace(item, problem=item.unready)
        return replace(item, kind=CHANGE) if item.kind == KEEP else item

    return tuple(map(one, items))


def of_nobody(wanted: Fleet) -> list[Item]:
    """Return the plan of a fleet whose controller does not run: all is made new."""
    start = Item(CONTROLLER, "fliswarm", ADD, ("it does not run: it is started",))
    made = "container: what is there is unknown; it is made, or taken over"
    return [
        start,
        *(
            Item(NODE, name, ADD, (made,), reconnect=True)
            if name in wanted.enabled
            else Item(NODE, name, ADD, ("disabled: no container",), enabled=False)
            for name in wanted.nodes
        ),
    ]


def with_new_image(items: Sequence[Item]) -> tuple[Item, ...]:
    """Return items of a site whose run makes the image: each node gets it then."""
    line = "image: the run makes it anew"
    return tuple(
        replace(
            item,
            kind=CHANGE if item.kind == KEEP else item.kind,
            lines=(*item.lines, line),
            reconnect=True,
        )
        if item.what == NODE and item.enabled and item.kind not in (ADD, REMOVE)
        else item
        for item in items
    )


def moved(before: Whole, now: Whole) -> list[str]:
    """Return what is not as a plan saw it, in words that name whom and what."""
    then, here = ({item.key: item for item in w.items} for w in (before, now))
    found = []
    if before.rendering != now.rendering:
        found.append("the inventory says something else than it did")
    for key in dict.fromkeys((*then, *here)):
        name = key[1]
        if key not in here:
            found.append(f"{name}: it is not there any more ({key[0]})")
        elif key not in then:
            found.append(f"{name}: it was not there ({key[0]})")
        elif then[key] != here[key]:
            what = ", ".join(_aspects(then[key], here[key]))
            found.append(f"{name}: {what} changed since")
    return found


def _aspects(before: Item, now: Item) -> list[str]:
    names = dict.fromkeys((*before.seen, *now.seen))
    moved = [n for n in names if before.seen.get(n) != now.seen.get(n)]
    words = [ASPECTS.get(name, name) for name in moved]
    if not words:
        words = ["what is known of it" if before.problem or now.problem else "its plan"]
    return words


VERBS = {
    ADD: "added",
    REMOVE: "removed",
    RENAME: "renamed",
    MOVE: "moved",
}


def summary(whole: Whole) -> str:
    """Return what a plan comes to, in one line."""
    return ", ".join(_parts(whole)) + "."


def _parts(whole: Whole) -> Iterator[str]:
    known = [item for item in whole.items if item.problem is None]
    hosts = Counter(item.kind for item in known if item.what == HOST)
    nodes = Counter(item.kind for item in known if item.what == NODE)
    if not whole.pending and not whole.problems:
        yield (
            f"Nothing to do: {_many(hosts.total(), 'host')} and "
            f"{_many(nodes.total(), 'node')} are as wanted"
        )
        return
    if changing := hosts[CHANGE]:
        yield f"{_many(changing, 'host')} {'changes' if changing == 1 else 'change'}"
    if leaving := hosts[LEAVE]:
        yield f"{_many(leaving, 'host')} {'leaves' if leaving == 1 else 'leave'}"
    if any(item.pending for item in whole.of(CONTROLLER)):
        yield "the settings of the controller change"
    for kind, verb in VERBS.items():
        if count := nodes[kind]:
            yield f"{_many(count, 'node')} {'is' if count == 1 else 'are'} {verb}"
    if swapped := nodes[SWAP]:
        verb = "changes" if swapped == 1 else "change"
        yield f"{_many(swapped, 'node')} {verb} place"
    if changing := nodes[CHANGE]:
        yield f"{_many(changing, 'node')} {'changes' if changing == 1 else 'change'}"
    if left := len([item for item in known if item.what == LEFT]):
        yield f"what is left on {_many(left, 'engine')} is removed"
    if kept := nodes[KEEP]:
        yield f"{kept} {'stays as it is' if kept == 1 else 'stay as they are'}"
    if unknown := len(whole.problems):
        yield f"{unknown} cannot be told"


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
