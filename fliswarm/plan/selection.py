"""Who is meant by ``-n`` and ``-c``: pure, ordered, never silently empty."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

from fliswarm.errors import SelectionError
from fliswarm.model import Node

_RANGE = re.compile(
    r"(?P<head>(?:.*[^0-9])?)(?P<low>[0-9]{1,9})\.\.(?P<high>[0-9]{1,9})"
)
"""All that stands before the last number counts as it is."""

_NUMBER = re.compile(r"[0-9]{1,9}")


def select(
    nodes: Mapping[str, Node],
    names: str | None = None,
    category: str | None = None,
    exclude: str | None = None,
) -> list[Node]:
    """Return the nodes that a selection means, in the fleet's own order.

    Parameters
    ----------
    nodes
        The nodes to choose from, in order.
    names, category, exclude
        Comma-separated lists. A name may be a glob (``gfa*``, ``gfa[1-3]``) or a
        range (``gfa1..3``, ``1..3``); a category is exact. Names and categories add
        up; without either, all nodes are meant; ``exclude`` takes names away at the
        end.

    Raises
    ------
    SelectionError
        When a name or a category is nobody's, or nobody is left.
    """
    for option, value in (("-n", names), ("-c", category)):
        if value is not None and not _split(value):
            raise SelectionError(f"{option} names nobody")
    wanted = _named(nodes, names) | _categorised(nodes, category)
    if not names and not category:
        wanted = set(nodes)
    wanted -= _named(nodes, exclude)
    if not wanted:
        raise SelectionError("the selection leaves no node")
    return [node for name, node in nodes.items() if name in wanted]


def within(chosen: Sequence[Node], enabled: Collection[str], least: int) -> list[str]:
    """Return the names of those chosen nodes that are enabled.

    Raises
    ------
    SelectionError
        When these are fewer than ``least``.
    """
    found = [node.name for node in chosen if node.name in enabled]
    if len(found) < least:
        off = ", ".join(node.name for node in chosen)
        raise SelectionError(f"all of these nodes are disabled: {off}")
    return found


def _named(nodes: Mapping[str, Node], patterns: str | None) -> set[str]:
    found: set[str] = set()
    for pattern in _split(patterns):
        matches = [name for name in nodes if _matches(name, pattern)]
        if not matches:
            raise SelectionError(_unknown("node", pattern, list(nodes)))
        found.update(matches)
    return found


def _matches(name: str, pattern: str) -> bool:
    if match := _RANGE.fullmatch(pattern):
        low, high = int(match["low"]), int(match["high"])
        number = name.removeprefix(match["head"])
        return (
            name.startswith(match["head"])
            and _NUMBER.fullmatch(number) is not None
            and low <= int(number) <= high
        )
    return fnmatchcase(name, pattern)


def _categorised(nodes: Mapping[str, Node], categories: str | None) -> set[str]:
    known = dict.fromkeys(node.category for node in nodes.values() if node.category)
    wanted = _split(categories)
    for category in wanted:
        if category not in known:
            raise SelectionError(_unknown("category", category, list(known)))
    return {name for name, node in nodes.items() if node.category in wanted}


def _split(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _unknown(what: str, word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there is {', '.join(known)}"
    return f"no {what} '{word}'; {hint}" if known else f"no {what} '{word}'"
