"""What is being done to nodes: on disk before it is done, one hand at a time.

A controller that is killed in the middle of a change finds here, when it starts, what
to finish or to undo. Hands and entries are by the name of the node, so that a node
whose address changes meanwhile keeps them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fliswarm import store
from fliswarm.change.kinds import read, written
from fliswarm.change.steps import Step
from fliswarm.errors import BusyError, StoreError
from fliswarm.model import ContainerSpec, Node, Power, TlsFiles

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A change of one node, and how far it is: ``begun`` steps, the last one in part.

    ``container`` is the name of the container that is changed, ``actor`` the name that
    its camera has, ``identity`` what its engine calls itself, empty where that was not
    asked: by its address, another engine may answer meanwhile. Nothing else of the
    wanted container is needed for a way back, and its environment may be secret.
    """

    change: str
    by: str
    node: Node
    container: str
    actor: str
    steps: tuple[Step, ...]
    begun: int = 0
    identity: str = ""

    @property
    def key(self) -> str:
        """What it is noted under: the name of its node, which no ``..`` is in.

        A computer may have to be started anew before what was cut off on it can be
        undone, so a reboot is noted beside that.
        """
        return (
            f"{self.node.name}..reboot" if self.change == "reboot" else self.node.name
        )

    @property
    def final(self) -> bool:
        """Whether it can only be finished."""
        return any(step.final for step in self.steps[: self.begun])

    @property
    def step(self) -> str:
        """The step that was begun last."""
        return type(self.steps[self.begun - 1]).__name__ if self.begun else ""

    @property
    def wanted(self) -> ContainerSpec:
        """As much of the wanted container as a way back needs."""
        name = {"ACTOR_NAME": self.actor}
        return ContainerSpec(self.container, self.node.name, "", name, ())


class Journal:
    """The entries of all nodes, and whose hand is on which node.

    Parameters
    ----------
    folder
        Where they are kept; ``None`` keeps them in memory alone.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._entries: dict[str, Entry] = {}
        self._hands: dict[str, str] = {}
        if folder is not None:
            self._read(folder)

    @property
    def folder(self) -> Path | None:
        """Where they are kept."""
        return self._folder

    @contextmanager
    def hand(self, node: str, change: str) -> Iterator[None]:
        """Keep other hands off a node for the time of a ``with`` block.

        Raises
        ------
        BusyError
            When another hand is on it.
        """
        if node in self._hands:
            raise BusyError(node, self._hands[node])
        self._hands[node] = change
        try:
            yield
        finally:
            del self._hands[node]

    def busy(self, node: str) -> str | None:
        """Return the change that is under way on a node."""
        return self._hands.get(node)

    @property
    def entries(self) -> Sequence[Entry]:
        """The changes that are not over, cut off or under way."""
        return list(self._entries.values())

    def of(self, key: str) -> Entry | None:
        """Return a change that is not over, by its `Entry.key`."""
        return self._entries.get(key)

    async def begin(self, entry: Entry, number: int) -> Entry:
        """Note that a step is about to be done.

        Raises
        ------
        StoreError
            When it cannot be written down; the step must not be done then.
        """
        entry = replace(entry, begun=number + 1)
        await _whole(self._begin(entry))
        return entry

    async def _begin(self, entry: Entry) -> None:
        if self._folder is not None:
            path = self._path(entry.key)
            await asyncio.to_thread(store.write, path, _written(entry))
        self._entries[entry.key] = entry

    async def end(self, key: str) -> None:
        """Note that a change is over.

        Raises
        ------
        StoreError
            When its file stays; it is over all the same, until the next start.
        """
        await _whole(self._end(key))

    async def _end(self, key: str) -> None:
        try:
            if self._folder is not None and self._path(key).exists():
                await asyncio.to_thread(store.remove, self._path(key))
        finally:
            self._entries.pop(key, None)

    def _path(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{key}.json"

    def _read(self, folder: Path) -> None:
        for path in sorted(folder.glob("*.json")):
            try:
                entry = _entry(store.read(path))
            except (StoreError, ValueError) as error:
                store.keep_aside(path, error)
                continue
            self._entries[entry.key] = entry


async def _whole(act: Coroutine[Any, Any, None]) -> None:
    """Do something to its end, for who is cancelled too: a thread cannot be ended."""
    task = asyncio.ensure_future(act)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s", error)  # noqa: TRY400  its words say all
        raise


def _written(entry: Entry) -> dict[str, Any]:
    return {
        "change": entry.change,
        "by": entry.by,
        "node": noted_node(entry.node),
        "container": entry.container,
        "actor": entry.actor,
        "steps": [written(step) for step in entry.steps],
        "begun": entry.begun,
        "identity": entry.identity,
    }


def _entry(noted: object) -> Entry:
    """Return what `_written` made of an entry; `ValueError` when it made it not."""
    if not isinstance(noted, Mapping):
        raise ValueError("no entry")  # noqa: TRY004  a file's content, not a caller's
    try:
        steps = tuple(map(read, noted["steps"]))
        begun = int(noted["begun"])
        words = [str(noted[name]) for name in ("change", "by", "container", "actor")]
        change, by, container, actor = words
        node = read_node(noted["node"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no entry: {error!r}") from error
    if not 0 < begun <= len(steps):
        raise ValueError(f"{begun} of {len(steps)} steps")
    # Older ones have none.
    identity = str(noted.get("identity", ""))
    return Entry(change, by, node, container, actor, steps, begun, identity)


def noted_node(node: Node) -> dict[str, Any]:
    """Return a node as JSON values, without its environment, which may be secret."""
    noted = asdict(node)
    del noted["environment"]
    if node.tls is not None:
        noted["tls"] = {name: str(path) for name, path in noted["tls"].items()}
    return noted


def read_node(noted: Mapping[str, Any]) -> Node:
    """Return the node that `noted_node` made these values of."""
    values = dict(noted)
    if values.get("tls") is not None:
        values["tls"] = TlsFiles(**{n: Path(p) for n, p in values["tls"].items()})
    if values.get("power") is not None:
        values["power"] = Power(**values["power"])
    return Node(**values)
