"""What the twin of an engine has, and does with images beside pulling them."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping
from pathlib import Path

from fliswarm.engine import archive as archives
from fliswarm.engine.protocol import OnMoved, ignore_moved
from fliswarm.errors import EngineError
from fliswarm.model import (
    Container,
    ContainerDetail,
    EngineInfo,
    Executed,
    Foreign,
    Image,
    Printed,
    StoredImage,
)
from fliswarm.model.imagename import digest_of, split


def find_image(images: Mapping[str, Image], name: str) -> Image | None:
    """Return an image by its name, or by the digest of any name in its repository."""
    if name in images or (digest := digest_of(name)) is None:
        return images.get(name)
    repository, _ = split(name)
    return next(
        (
            image
            for other, image in images.items()
            if image.digest == digest and split(other)[0] == repository
        ),
        None,
    )


class MemoryDaemon:
    """What one Docker Engine has, whoever asks: containers, images, volumes of ours.

    Attributes
    ----------
    archives
        Those that images came in, by their ids.
    kept
        Images by their ids; ``images`` are by names, and a name may be taken away.
    logs
        What containers print, by id.
    programs
        What comes of programs, by their names; ``None`` of one that does not end.
    """

    def __init__(self) -> None:
        self.containers: dict[str, Container] = {}
        self.images: dict[str, Image] = {}
        self.foreign: dict[str, Foreign] = {}
        self.archives: dict[str, bytes] = {}
        self.volumes: set[str] = set()
        self.kept: dict[str, Image] = {}
        self.logs: dict[str, list[Printed]] = {}
        self.programs: dict[str, Executed | None] = {}
        self.info = EngineInfo("24.0", "1.43", "overlay2", live_restore=True)
        self.details: dict[str, ContainerDetail] = {}
        self.identity = str(uuid.uuid4())
        self._ids = itertools.count(1)

    def new_id(self) -> str:
        """Return an id that no container has had."""
        return f"{next(self._ids):064x}"


class MemoryImages:
    """The part of `fliswarm.engine.memory.MemoryEngine` that is about images."""

    node: str
    daemon: MemoryDaemon

    def _begin(self, call: str) -> str:
        raise NotImplementedError

    def _end(self, call: str) -> None:
        raise NotImplementedError

    def _image(self, name: str) -> Image:
        raise NotImplementedError

    async def images(self) -> list[StoredImage]:
        """See `Engine.images`."""
        self._begin("images")
        every = self.daemon.images
        return [
            StoredImage(
                image.id,
                tuple(n for n in every if every[n].id == image.id and "@" not in n),
                tuple(
                    f"{split(n)[0]}@{every[n].digest}"
                    for n in every
                    if every[n].id == image.id and every[n].digest
                ),
                len(self.daemon.archives.get(image.id, b"")),
            )
            for image in {image.id: image for image in every.values()}.values()
        ]

    async def load(self, archive: Path, on_progress: OnMoved = ignore_moved) -> None:
        """See `Engine.load`."""
        call = self._begin("load")
        found, data = archives.read(archive), archive.read_bytes()
        on_progress(len(data), len(data))
        for image in found.images:
            self.daemon.archives[image.id] = data
            for name in image.names or (image.id,):
                self.daemon.images[name] = Image(image.id)
        self._end(call)

    async def save(
        self, image: str, archive: Path, on_progress: OnMoved = ignore_moved
    ) -> None:
        """See `Engine.save`."""
        call = self._begin(f"save {image}")
        found = self._image(image)
        data = archives.made(found.id, (image,))
        archive.write_bytes(data)
        on_progress(len(data), 0)
        self._end(call)

    async def tag_image(self, image: str, name: str) -> None:
        """See `Engine.tag_image`."""
        call = self._begin(f"tag {name}")
        self.daemon.images[name] = self._image(image)
        self._end(call)

    async def remove_image(self, image: str) -> None:
        """See `Engine.remove_image`."""
        call = self._begin(f"remove image {image}")
        found = find_image(self.daemon.images, image)
        if found is None:
            return
        for container in self.daemon.containers.values():
            if container.image_id == found.id:
                text = f"image {image} is used by {container.name}"
                raise EngineError(self.node, text)
        self.daemon.images.pop(image, None)
        self._end(call)
