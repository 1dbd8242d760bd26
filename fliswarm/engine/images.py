"""What the real engine does with images, beside pulling them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from fliswarm.engine import answers
from fliswarm.engine.calls import Call
from fliswarm.engine.protocol import OnMoved, ignore_moved
from fliswarm.engine.sdk import Client
from fliswarm.errors import EngineError, EngineUnreachableError
from fliswarm.model import Node, StoredImage

T = TypeVar("T")

LOOK_LIMIT = 3.0
"""Seconds for an engine to answer a question."""

ACT_LIMIT = 120.0
"""Seconds for an engine to act: a start waits for its NFS mounts."""

SILENCE_LIMIT = 120.0
"""Seconds in which an image does not go on: a registry that is away, a slow disk."""


PIECE = 1 << 20
"""Bytes of an archive that are in memory at a time."""


class ImageStore:
    """The part of `fliswarm.engine.docker.DockerEngine` that is about images."""

    _node: Node

    async def _call(self, limit: float, act: Callable[[Client], T]) -> T:
        raise NotImplementedError

    async def _ask(self, limit: float, act: Callable[[Client, Call], T]) -> T:
        raise NotImplementedError

    async def images(self) -> list[StoredImage]:
        """See `Engine.images`."""
        return await self._call(
            LOOK_LIMIT, lambda api: [answers.stored(found) for found in api.images()]
        )

    async def load(self, archive: Path, on_progress: OnMoved = ignore_moved) -> None:
        """See `Engine.load`."""
        problem = await self._moving(
            lambda api, call: _load(api, archive, call, on_progress)
        )
        if problem is not None:
            raise EngineError(self._node.name, f"the archive is refused: {problem}")

    async def save(
        self, image: str, archive: Path, on_progress: OnMoved = ignore_moved
    ) -> None:
        """See `Engine.save`."""
        await self._moving(
            lambda api, call: _save(api, image, archive, call, on_progress)
        )

    async def _moving(self, act: Callable[[Client, Call], T]) -> T:
        try:
            return await self._ask(SILENCE_LIMIT, act)
        except TimeoutError:
            raise EngineUnreachableError(
                self._node.name,
                f"an image did not go on for {SILENCE_LIMIT:g} s",
                host_alive=True,
            ) from None


def _load(api: Client, archive: Path, call: Call, on_progress: OnMoved) -> str | None:
    """Give an engine an archive; return why it is refused, if so."""
    total = archive.stat().st_size

    def gone(done: int) -> None:
        if call.hear():
            call.tell(partial(on_progress, done, total))

    problem = None
    with archive.open("rb") as file:
        for event in api.loading(_Source(file, total, gone)):
            call.hear()
            problem = problem or answers.failure(event)
    return problem


class _Source:
    """A file as requests sends it: of a known length, piece by piece."""

    def __init__(
        self, file: BinaryIO, length: int, on_read: Callable[[int], None]
    ) -> None:
        self._file = file
        self._length = length
        self._on_read = on_read
        self._done = 0

    def __len__(self) -> int:
        """Return how many bytes there are."""
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces."""
        return iter(self.read, b"")

    def read(self, size: int = PIECE) -> bytes:
        """Return the next bytes, none at the end."""
        data = self._file.read(size)
        self._done += len(data)
        self._on_read(self._done)
        return data


def _save(
    api: Client, image: str, archive: Path, call: Call, on_progress: OnMoved
) -> None:
    done = 0
    with archive.open("wb") as file:
        for piece in api.get_image(answers.exact(image), chunk_size=PIECE):
            file.write(piece)
            done += len(piece)
            if call.hear():
                call.tell(partial(on_progress, done, 0))
