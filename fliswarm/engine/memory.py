"""An engine in memory: the twin of the real one, for dry trials and tests.

It keeps the rules that callers can trip over: a name is unique, a volume in use
cannot be removed, an image must be known, an engine that is down refuses all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from fliswarm.engine.memoryimages import MemoryDaemon as MemoryDaemon
from fliswarm.engine.memoryimages import MemoryImages, find_image
from fliswarm.engine.memoryoutput import MemoryOutput
from fliswarm.engine.protocol import OnProgress, ignore
from fliswarm.errors import EngineError, EngineUnreachableError, ImageUnavailableError
from fliswarm.model import (
    Container,
    ContainerDetail,
    ContainerSpec,
    EngineInfo,
    Foreign,
    Image,
    Observation,
    Pulled,
    PullProgress,
    Volume,
)
from fliswarm.model.imagename import digest_of
from fliswarm.plan.adoption import with_originals

STATES = (
    "created",
    "running",
    "paused",
    "restarting",
    "removing",
    "exited",
    "dead",
)
"""Docker's words for how a container is."""

ALIVE = ("running", "paused", "restarting")
"""States that a stop ends; of the others it changes nothing."""


@dataclass
class MemoryEngine(MemoryImages, MemoryOutput):
    """A Docker Engine that exists only in this process.

    Parameters
    ----------
    node
        Name of the node, for errors.
    registry
        Images that can be pulled, by their full name.
    up, registry_up
        Whether the engine and the registry answer; may be changed at any time.
    daemon
        What it has. Two nodes on one engine share it.
    on_call
        Is told each call before it changes anything, in the words of ``calls``, and
        again with ``done: `` before them when it has. What it raises is raised by the
        call: a power cut, a kill, an engine that ends.
    """

    node: str
    registry: dict[str, Image] = field(default_factory=dict)
    up: bool = True
    registry_up: bool = True
    daemon: MemoryDaemon = field(default_factory=MemoryDaemon)
    on_call: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        self.calls: list[str] = []
        self.certificate_ends: datetime | None = None
        self.adopted: Mapping[str, str] = {}

    def add_foreign(self, name: str) -> str:
        """Put a container of someone else on the engine; return its id."""
        made = Container(self.daemon.new_id(), name, "running", "sha256:foreign")
        self.daemon.containers[made.id] = made
        return made.id

    def add_original(self, foreign: Foreign) -> str:
        """Put a container as sdss-fliswarm makes it on the engine; return its id.

        It is gone when it is stopped.
        """
        name, image = foreign.name, foreign.image_id
        made = Container(self.daemon.new_id(), name, foreign.state, image)
        self.daemon.containers[made.id] = made
        its = {"foreign": made.id, "HostConfig": {"AutoRemove": True}}
        self.daemon.foreign[made.id] = replace(foreign, id=made.id, made=its)
        return made.id

    def has(self, container: str) -> bool:
        """Whether a container, by id, exists."""
        return container in self.daemon.containers

    def set_state(self, container: str, state: str) -> None:
        """Let a container, by id, be in a state, as if something had happened to it."""
        if state not in STATES:
            raise ValueError(f"Docker knows no state {state}")
        self._change(container, state=state)

    async def ping(self) -> None:
        """See `Engine.ping`."""
        self._begin("ping")

    async def observe(
        self, wanted: ContainerSpec, *, image: bool = True
    ) -> Observation:
        """See `Engine.observe`."""
        self._begin("observe")
        found = self.daemon.containers.values()
        named = find_image(self.daemon.images, wanted.image) if image else None
        running = None
        if image and named is None:
            own = (c for c in found if (c.node, c.name) == (wanted.node, wanted.name))
            running = next((self.daemon.kept.get(c.image_id) for c in own), None)
        foreign = (
            container.id
            for container in found
            if container.node != wanted.node and container.name == wanted.name
        )
        seen = Observation(
            wanted.node,
            tuple(c for c in found if c.node == wanted.node),
            frozenset(self.daemon.volumes),
            named,
            next(foreign, None),
            tuple(c for c in found if c.node and c.node != wanted.node),
            running,
        )
        known = [
            replace(its, name=c.name, state=c.state)
            for c in found
            if (its := self.daemon.foreign.get(c.id)) is not None
            and c.id in {*self.adopted, seen.foreign}
        ]
        return with_originals(wanted, seen, known, self.adopted)

    async def identity(self) -> str:
        """See `Engine.identity`."""
        self._begin("identity")
        return self.daemon.identity

    async def info(self) -> EngineInfo:
        """See `Engine.info`."""
        self._begin("info")
        return self.daemon.info

    async def digest(self, image: str) -> str | None:
        """See `Engine.digest`."""
        if digest := digest_of(image):
            return digest
        self._begin(f"digest {image}")
        found, problem = self._published(image)
        if found is None:
            raise ImageUnavailableError(self.node, f"image {image}: {problem}")
        return found.digest

    async def pull(self, image: str, on_progress: OnProgress = ignore) -> Pulled:
        """See `Engine.pull`."""
        call = self._begin(f"pull {image}")
        published, problem = self._published(image)
        if published is not None:
            on_progress(PullProgress(1, 1, 1, 1))
            self.daemon.images[image] = published
            self.daemon.kept[published.id] = published
        found = find_image(self.daemon.images, image)
        if found is None:
            raise ImageUnavailableError(
                self.node, f"image {image} is not to be had: {problem}"
            )
        self._end(call)
        return Pulled(found, problem)

    async def create_volume(self, volume: Volume) -> None:
        """See `Engine.create_volume`."""
        call = self._begin(f"create volume {volume.docker_name}")
        self.daemon.volumes.add(volume.docker_name)
        self._end(call)

    async def remove_volume(self, docker_name: str) -> None:
        """See `Engine.remove_volume`."""
        call = self._begin(f"remove volume {docker_name}")
        if any(docker_name in c.volumes for c in self.daemon.containers.values()):
            raise EngineError(self.node, f"volume {docker_name} is in use")
        if docker_name not in self.daemon.volumes:
            raise EngineError(self.node, f"no such volume: {docker_name}")
        self.daemon.volumes.remove(docker_name)
        self._end(call)

    async def run(self, wanted: ContainerSpec) -> str:
        """See `Engine.run`."""
        call = self._begin(f"run {wanted.name}")
        self._free(wanted.name)
        image = self._image(wanted.image)
        made = Container(
            self.daemon.new_id(),
            wanted.name,
            "running",
            image.id,
            wanted.fields(),
            wanted.node,
            frozenset(volume.docker_name for volume in wanted.volumes),
        )
        self.daemon.containers[made.id] = made
        self._end(call)
        return made.id

    async def again(self, name: str, made: Mapping[str, Any]) -> str:
        """See `Engine.again`."""
        call = self._begin(f"again {name}")
        self._free(name)
        container = self.add_original(
            replace(self.daemon.foreign[made["foreign"]], name=name, state="created")
        )
        self._change(container, state="running")
        self._end(call)
        return container

    async def start(self, container: str) -> None:
        """See `Engine.start`."""
        call = self._begin("start")
        found = self._get(container)
        if found.state in ("removing", "dead"):
            raise EngineError(
                self.node, "container is marked for removal and cannot be started"
            )
        if found.state != "restarting":
            self._change(container, state="running")
        self._end(call)

    async def stop(self, container: str, grace: float) -> None:
        """See `Engine.stop`."""
        call = self._begin(f"stop {grace:g}")
        if self._get(container).state in ALIVE:
            self._change(container, state="exited")
        if container in self.daemon.foreign:
            del self.daemon.containers[container]
        self._end(call)

    async def rename(self, container: str, name: str) -> None:
        """See `Engine.rename`."""
        call = self._begin(f"rename {name}")
        self._free(name)
        self._change(container, name=name)
        self._end(call)

    async def remove(self, container: str) -> None:
        """See `Engine.remove`."""
        call = self._begin("remove")
        self._get(container)
        del self.daemon.containers[container]
        self._end(call)

    async def detail(self, container: str) -> ContainerDetail:
        """See `Engine.detail`."""
        self._begin("detail")
        self._get(container)
        return self.daemon.details.get(container, ContainerDetail())

    def close(self) -> None:
        """See `Engine.close`."""

    def _begin(self, call: str) -> str:
        if not self.up:
            raise EngineUnreachableError(self.node, "the engine does not answer")
        self.calls.append(call)
        if self.on_call is not None:
            self.on_call(call)
        return call

    def _end(self, call: str) -> None:
        if self.on_call is not None:
            self.on_call(f"done: {call}")

    def _published(self, image: str) -> tuple[Image | None, str | None]:
        """Return what the registry has for a name, or why it does not give it."""
        if not self.registry_up:
            return None, "its registry does not answer"
        found = find_image(self.registry, image)
        return found, None if found else "its registry does not have it"

    def _image(self, name: str) -> Image:
        found = find_image(self.daemon.images, name)
        if found is None:
            raise ImageUnavailableError(self.node, f"no such image: {name}")
        return found

    def _free(self, name: str) -> None:
        if any(c.name == name for c in self.daemon.containers.values()):
            raise EngineError(self.node, f"the name {name} is in use")

    def _get(self, container: str) -> Container:
        if container not in self.daemon.containers:
            raise EngineError(self.node, f"no such container: {container[:12]}")
        return self.daemon.containers[container]

    def _change(self, container: str, **changes: object) -> None:
        changed = replace(self._get(container), **changes)  # type: ignore[arg-type]
        self.daemon.containers[container] = changed
