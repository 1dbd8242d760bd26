"""What a changing command may change: known before it begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fliswarm.commands.context import Context
from fliswarm.errors import SelectionError


@dataclass(frozen=True, slots=True)
class Scope:
    """The nodes that a command may change.

    ``computers`` is whether it changes what is on their computers: they are looked at
    before and after, for the record, and two such commands do not go beside each other.
    ``locks`` is whether it has its nodes locked for its time.
    """

    nodes: tuple[str, ...]
    computers: bool = True
    locks: bool = True


Scoping = Callable[[Context, Mapping[str, Any]], Scope | None]
"""Returns the scope of a command with its options; ``None`` when it changes nothing."""


def selected(context: Context, values: Mapping[str, Any]) -> Scope | None:
    """Return the scope of a command that has the options of a selection.

    With ``--dry-run``, or without the ``--yes`` that it may need, it changes nothing.
    """
    if values.get("dry_run") or values.get("yes") is False:
        return None
    chosen = context.fleet.select(
        values["names"], values["category"], values["exclude"]
    )
    return Scope(tuple(live.node.name for live in chosen))


def touched(context: Context, values: Mapping[str, Any]) -> Scope | None:
    """Return the scope of a command that goes beside any other, on selected nodes."""
    found = selected(context, values)
    return found and replace(found, computers=False)


def rebooted(context: Context, values: Mapping[str, Any]) -> Scope:
    """Return the scope of ``reboot``: all nodes of the computers that are meant."""
    chosen = context.fleet.select(
        values["names"], values["category"], values["exclude"]
    )
    found: dict[str, None] = {}
    for live in chosen:
        beside = sorted(context.fleet.desired.neighbours(live.node))
        found.update(dict.fromkeys([live.node.name, *beside]))
    return Scope(tuple(found))


def locked(context: Context, values: Mapping[str, Any]) -> Scope:
    """Return the scope of ``lock``, which changes nothing by itself."""
    chosen = context.fleet.select(
        values["names"], values["category"], values["exclude"], disabled=True
    )
    names = tuple(live.node.name for live in chosen)
    return Scope(names, computers=False, locks=False)


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
    return Scope(tuple(name for name in chosen if name in known), computers=False)


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
    return Scope(tuple(live.node.name for live in context.fleet.nodes), computers=False)
