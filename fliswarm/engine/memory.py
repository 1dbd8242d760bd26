"""An engine in memory: the twin of the real one, for dry trials and tests.

It keeps the rules that callers can trip over: a name is unique, a volume in use
cannot be removed, an image must be known, an engine that is down refuses all.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from fliswarm.errors import EngineError, EngineUnreachableError, ImageUnavailableError
from fliswarm.model import (
    Container,
    ContainerSpec,
    Image,
    Observation,
    Pulled,
    PullProgress,
    Volume,
)


@dataclass
class _Stored:
    """A container in the twin; ``node`` is empty for a foreign one."""

    container: Container
    node: str | None
    volumes: tuple[str, ...] = ()
    log: str = ""


@dataclass
class MemoryEngine:
    """A Docker Engine that exists only in this process.

    Parameters
    ----------
    node
        Name of the node, for errors.
    registry
        Images that can be pulled, by their full name.
    up, registry_up
        Whether the engine and the registry answer; may be changed at any time.
    """

    node: str
    registry: dict[str, Image] = field(default_factory=dict)
    up: bool = True
    registry_up: bool = True

    def __post_init__(self) -> None:
        self.calls: list[str] = []
        self.certificate_ends: datetime | None = None
        self._images: dict[str, Image] = {}
        self._volumes: set[str] = set()
        self._stored: dict[str, _Stored] = {}
        self._ids = itertools.count(1)

    def add_foreign(self, name: str) -> str:
        """Put a container of someone else on the engine; return its id."""
        return self._store(
            Container(self._id(), name, "running", "sha256:foreign"), None
        )

    def has(self, container: str) -> bool:
        """Whether a container, by id, exists."""
        return container in self._stored

    async def ping(self) -> None:
        """See `Engine.ping`."""
        self._call("ping")

    async def observe(
        self, wanted: ContainerSpec, *, image: bool = True
    ) -> Observation:
        """See `Engine.observe`."""
        self._call("observe")
        stored = self._stored.values()
        ours = tuple(s.container for s in stored if s.node == wanted.node)
        foreign = (
            s.container.id
            for s in stored
            if s.node is None and s.container.name == wanted.name
        )
        return Observation(
            wanted.node,
            ours,
            frozenset(self._volumes),
            self._images.get(wanted.image) if image else None,
            next(foreign, None),
            tuple(s.container for s in stored if s.node not in (None, wanted.node)),
        )

    async def identity(self) -> str:
        """See `Engine.identity`."""
        self._call("identity")
        return f"memory {id(self)}"

    async def digest(self, image: str) -> str | None:
        """See `Engine.digest`."""
        self._call(f"digest {image}")
        if self.registry_up and image in self.registry:
            return self.registry[image].digest
        raise ImageUnavailableError(self.node, f"image {image} is not to be had")

    async def pull(
        self, image: str, on_progress: Callable[[PullProgress], None] = lambda _: None
    ) -> Pulled:
        """See `Engine.pull`."""
        self._call(f"pull {image}")
        problem = None
        if self.registry_up and image in self.registry:
            self._images[image] = self.registry[image]
        else:
            problem = "the registry does not have it"
        if image not in self._images:
            raise ImageUnavailableError(self.node, f"image {image} is not to be had")
        return Pulled(self._images[image], problem)

    async def create_volume(self, volume: Volume) -> None:
        """See `Engine.create_volume`."""
        self._call(f"create volume {volume.docker_name}")
        self._volumes.add(volume.docker_name)

    async def remove_volume(self, docker_name: str) -> None:
        """See `Engine.remove_volume`."""
        self._call(f"remove volume {docker_name}")
        if any(docker_name in stored.volumes for stored in self._stored.values()):
            raise EngineError(self.node, f"volume {docker_name} is in use")
        if docker_name not in self._volumes:
            raise EngineError(self.node, f"no such volume: {docker_name}")
        self._volumes.remove(docker_name)

    async def run(self, wanted: ContainerSpec) -> str:
        """See `Engine.run`."""
        self._call(f"run {wanted.name}")
        if any(s.container.name == wanted.name for s in self._stored.values()):
            raise EngineError(self.node, f"the name {wanted.name} is in use")
        if wanted.image not in self._images:
            raise ImageUnavailableError(self.node, f"no such image: {wanted.image}")
        container = Container(
            self._id(),
            wanted.name,
            state="running",
            node=wanted.node,
            image_id=self._images[wanted.image].id,
            spec=wanted.fields(),
        )
        volumes = tuple(volume.docker_name for volume in wanted.volumes)
        return self._store(container, wanted.node, volumes)

    async def start(self, container: str) -> None:
        """See `Engine.start`."""
        self._call("start")
        self._change(container, state="running")

    async def stop(self, container: str, grace: float) -> None:
        """See `Engine.stop`."""
        self._call(f"stop {grace:g}")
        self._change(container, state="exited")

    async def rename(self, container: str, name: str) -> None:
        """See `Engine.rename`."""
        self._call(f"rename {name}")
        if any(s.container.name == name for s in self._stored.values()):
            raise EngineError(self.node, f"the name {name} is in use")
        self._change(container, name=name)

    async def remove(self, container: str) -> None:
        """See `Engine.remove`."""
        self._call("remove")
        self._get(container)
        del self._stored[container]

    async def logs(self, container: str, lines: int) -> str:
        """See `Engine.logs`."""
        self._call("logs")
        log = self._get(container).log.splitlines(keepends=True)
        return "".join(log[-lines:])

    def close(self) -> None:
        """See `Engine.close`."""

    def _call(self, call: str) -> None:
        if not self.up:
            raise EngineUnreachableError(self.node, "the engine does not answer")
        self.calls.append(call)

    def _id(self) -> str:
        return f"{next(self._ids):064x}"

    def _store(
        self, container: Container, node: str | None, volumes: tuple[str, ...] = ()
    ) -> str:
        self._stored[container.id] = _Stored(container, node, volumes)
        return container.id

    def _get(self, container: str) -> _Stored:
        if container not in self._stored:
            raise EngineError(self.node, f"no such container: {container[:12]}")
        return self._stored[container]

    def _change(self, container: str, **changes: object) -> None:
        stored = self._get(container)
        stored.container = replace(stored.container, **changes)  # type: ignore[arg-type]
