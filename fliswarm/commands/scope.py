"""What a changing command may change: known before it begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fliswarm.commands.context import Context
from fliswarm.errors import SelectionError


@dataclass(frozen=True, slots=True)
class Scope:
    """The nodes that a command may change.

    ``looks`` is whether it changes what is on their computers, which are looked at then
    before and after, for the record.
    """

    nodes: tuple[str, ...]
    looks: bool = True


Scoping = Callable[[Context, Mapping[str, Any]], Scope | None]
"""Returns the scope of a command with its options; ``None`` when it changes nothing."""


def selected(context: Context, values: Mapping[str, Any]) -> Scope | None:
    """Return the scope of a command that has the options of a selection."""
    if values.get("dry_run"):
        return None
    chosen = context.fleet.select(
        values["names"], values["category"], values["exclude"]
    )
    return Scope(tuple(live.node.name for live in chosen))


def cleared(context: Context, values: Mapping[str, Any]) -> Scope:
    """Return the scope of ``remove``."""
    fleet, everything = context.fleet, values["everything"]
    names, category = values["names"], values["category"]
    found: dict[str, None] = {}
    if everything or names is not None or category is not None:
        chosen = fleet.select(names, category, values["exclude"], disabled=everything)
        found.update(dict.fromkeys(live.node.name for live in chosen))
    if everything or values["left"] or values["forget"]:
        gone = [leaving.node.name for leaving in fleet.leavings]
        found.update(dict.fromkeys(n for n in gone if values["forget"] in (None, n)))
    return Scope(tuple(found))


def named(context: Context, values: Mapping[str, Any]) -> Scope:
    """Return the scope of ``enable`` and ``disable``."""
    fleet, words = context.fleet, values["nodes"]
    chosen = fleet.roster.met if values["everything"] else meant(context, words)
    known = {live.node.name for live in fleet.nodes}
    return Scope(tuple(name for name in chosen if name in known), looks=False)


def meant(context: Context, words: Sequence[str]) -> list[str]:
    """Return the nodes that words mean: names, lists, globs and ranges.

    A word that means nobody is returned as it is, to be told of.
    """
    found: dict[str, None] = {}
    for word in words:
        try:
            chosen = context.fleet.select(word, disabled=True)
            found.update(dict.fromkeys(live.node.name for live in chosen))
        except SelectionError:
            found[word] = None
    return list(found)


def whole(context: Context, values: Mapping[str, Any]) -> Scope | None:
    """Return the scope of ``reload``: any node."""
    if values["check"]:
        return None
    return Scope(tuple(live.node.name for live in context.fleet.nodes), looks=False)
