"""Engines on which containers of ours were run: what a node leaves when it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fliswarm import store
from fliswarm.change.journal import noted_node, read_node
from fliswarm.errors import StoreError
from fliswarm.model import Fleet, Node


@dataclass(frozen=True, slots=True)
class Leaving:
    """An engine that no node of the configuration has, and the node that had it."""

    identity: str
    node: Node


class Ledger:
    """Remembers, by its own identity, each engine that was given a container.

    The address of an engine may change while it stays the same engine; so it is known
    by what it calls itself.

    Parameters
    ----------
    path
        Where it is kept; ``None`` keeps it in memory alone.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._engines: dict[str, Node] = {} if path is None else _read(path)

    def note(self, identity: str, node: Node) -> None:
        """Remember that containers of ours may be on a node's engine.

        Raises
        ------
        StoreError
            When it cannot be written down.
        """
        if self._engines.get(identity) != node:
            self._write({**self._engines, identity: node})

    def forget(self, identity: str) -> None:
        """Forget an engine that has nothing of ours any more."""
        if identity in self._engines:
            rest = {k: v for k, v in self._engines.items() if k != identity}
            self._write(rest)

    def node(self, identity: str) -> Node | None:
        """Return the node that had an engine last."""
        return self._engines.get(identity)

    def leavings(self, desired: Fleet) -> list[Leaving]:
        """Return the engines at addresses that no node has any more."""
        addresses = {node.engine for node in desired.nodes.values()}
        return [
            Leaving(identity, node)
            for identity, node in self._engines.items()
            if node.engine not in addresses
        ]

    def _write(self, engines: dict[str, Node]) -> None:
        if self._path is not None:
            content = {i: noted_node(node) for i, node in engines.items()}
            store.write(self._path, content)
        self._engines = engines


def _read(path: Path) -> dict[str, Node]:
    try:
        noted: Any = store.read(path)
        if noted is None:
            return {}
        if not isinstance(noted, Mapping):
            raise ValueError("no engines")  # noqa: TRY004, TRY301  a file's content
        return {str(key): read_node(value) for key, value in noted.items()}
    except (StoreError, ValueError, TypeError, AttributeError) as error:
        store.keep_aside(path, error)
        return {}
