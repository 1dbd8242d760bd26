"""Containers of sdss-fliswarm that were made a node's own, and run on untouched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fliswarm import store
from fliswarm.engine import Connect, Engine
from fliswarm.errors import StoreError
from fliswarm.model import Node, facts


@dataclass(frozen=True, slots=True)
class Adoption:
    """That a container is ``node``'s own.

    ``engine`` is what its engine calls itself, ``at`` when it was adopted, in ISO form.
    """

    node: str
    engine: str
    by: str
    at: str


class Adopted(Mapping[str, str]):
    """Remembers whose each adopted container is, by its id.

    No label can be added to a container that is there. An id is given to no other one,
    so what is noted of one that is gone means nothing any more.

    Parameters
    ----------
    path
        Where it is kept; ``None`` keeps it in memory alone.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[str, Adoption] = {} if path is None else _read(path)

    def __getitem__(self, container: str) -> str:
        return self._known[container].node

    def __iter__(self) -> Iterator[str]:
        """Yield the ids of the adopted containers."""
        return iter(self._known)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._known)

    def of(self, connect: Connect) -> Connect:
        """Return what makes engines that know of the adopted containers."""

        def knowing(node: Node) -> Engine:
            engine = connect(node)
            engine.adopted = self
            return engine

        return knowing

    def note(self, container: str, node: str, engine: str, by: str) -> None:
        """Remember that a container is a node's own.

        Raises
        ------
        StoreError
            When it cannot be written down; it is not adopted then.
        """
        adoption = Adoption(node, engine, by, facts.now().isoformat(timespec="seconds"))
        # What the node had on the same engine before is gone: the name was free.
        there = (node, engine)
        others = {i: a for i, a in self._known.items() if (a.node, a.engine) != there}
        known = {**others, container: adoption}
        if self._path is not None:
            store.write(self._path, {i: asdict(a) for i, a in known.items()})
        self._known = known


def _read(path: Path) -> dict[str, Adoption]:
    try:
        noted: Any = store.read(path)
        if noted is None:
            return {}
        return {str(key): Adoption(**value) for key, value in noted.items()}
    except (StoreError, TypeError, AttributeError) as error:
        store.keep_aside(path, error)
        return {}
