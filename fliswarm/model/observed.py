"""What is seen of a fleet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fliswarm.model.desired import Node


@dataclass(frozen=True, slots=True)
class Container:
    """A container, as its engine shows it.

    ``state`` is one of Docker's: created, running, paused, restarting, removing,
    exited, dead. ``spec`` holds the values of `ContainerSpec.fields` it was made from;
    ``image_id`` is the image's content address on that engine; ``node`` names whose
    it is, and is empty for one of somebody else; ``volumes`` are those it mounts, by
    their Docker names. ``made`` is what one that sdss-fliswarm made can be made of
    again, and nothing for ours: its ``volumes`` are then those of ours that hold the
    same as what it mounts.
    """

    id: str
    name: str
    state: str
    image_id: str
    spec: Mapping[str, object] = field(default_factory=dict)
    node: str = ""
    volumes: frozenset[str] = frozenset()
    made: Mapping[str, Any] | None = None

    @property
    def stand_ins(self) -> frozenset[str]:
        """Volumes of ours, by Docker name, in whose place it has others."""
        return frozenset() if self.made is None else self.volumes

    @property
    def short_id(self) -> str:
        """The first twelve digits, as Docker prints them."""
        return self.id[:12]

    @property
    def running(self) -> bool:
        """Whether its program runs: a paused one does not, a restarting one may."""
        return self.state == "running"

    @property
    def at_rest(self) -> bool:
        """Whether nothing of it is alive, so that it need not be stopped."""
        return self.state in ("created", "exited", "dead")


@dataclass(frozen=True, slots=True)
class ForeignVolume:
    """A volume that somebody else made, and its driver's options."""

    driver: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Foreign:
    """A container without our labels, with all that its engine tells of it.

    ``image`` is the name it was made by; ``volumes`` and ``binds`` (folders of the
    computer) are by their place in the container; ``memory`` in bytes, ``cpus`` in
    processors, ``None`` without a limit; ``made`` is what it can be made of again.
    """

    id: str
    name: str
    state: str
    image: str
    image_id: str
    environment: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, ForeignVolume] = field(default_factory=dict)
    binds: Mapping[str, str] = field(default_factory=dict)
    privileged: bool = False
    network: str = "host"
    memory: int | None = None
    cpus: float | None = None
    user: str | None = None
    made: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Image:
    """An image on an engine; ``digest`` is the registry's address of its manifest."""

    id: str
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One of the images that an engine has: all its names, with tags.

    ``digests`` are names as well, with the digest that a registry has for it; ``size``
    in bytes, ``created`` in ISO form.
    """

    id: str
    names: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size: int = 0
    created: str = ""


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a pull is: bytes, and layers that are whole, of those known so far."""

    done_bytes: int
    total_bytes: int
    done_layers: int
    layers: int


@dataclass(frozen=True, slots=True)
class Pulled:
    """An image that is on its node now.

    ``problem`` says why it did not come from its registry: the node's own copy serves.
    """

    image: Image
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What one engine has of ours: containers, volumes by their Docker names.

    ``containers`` are the node's own, ``others`` those of ours that belong to other
    nodes; volumes belong to whoever mounts them. ``image`` is the wanted image, when
    the engine has it; ``running`` is the one that the node's container was made from,
    when the engine knows none by the wanted name any more. ``foreign`` is the id of a
    container that has the name ours should have and is not the node's; it is never
    touched. ``original`` is that one as it would be the node's own, when sdss-fliswarm
    made it for the node.
    """

    node: str
    containers: tuple[Container, ...] = ()
    volumes: frozenset[str] = frozenset()
    image: Image | None = None
    foreign: str | None = None
    others: tuple[Container, ...] = ()
    running: Image | None = None
    original: Container | None = None


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says of itself.

    ``version`` is the program's, ``api`` the newest of its API; ``storage`` the driver
    of its images; ``live_restore`` whether containers outlive it. ``offset`` is how
    many seconds its computer's clock is at least ahead of ours, 0 when that cannot be
    told from the time that the answer took.
    """

    version: str
    api: str
    storage: str
    live_restore: bool
    warnings: tuple[str, ...] = ()
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class ContainerDetail:
    """What an engine tells of one container when it is asked of that alone.

    ``restarts`` counts how often its engine has started it again, ``started`` is when
    it did so last, by that engine's own clock. ``out_of_memory`` is whether it, or a
    part of it, was killed for want of memory. ``problem`` is why it could not start.
    ``program`` are the words that it runs, ``variables`` the names of its environment,
    without the values.
    """

    restarts: int = 0
    started: datetime | None = None
    out_of_memory: bool = False
    exit_code: int = 0
    problem: str = ""
    program: str = ""
    variables: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How one node is: its host, its engine, its container, its camera.

    ``found`` is its container, whatever its state, and ``strangers`` are containers of
    ours on its engine that are no node's; both are of the last look when the engine
    does not answer, and ``problem`` is why, in words. ``camera_problem`` is why there
    is no camera; ``volumes`` tells which of the wanted volumes exist; ``digest`` is the
    image's that the container runs, as the registry knows it; ``certificate_ends`` when
    the engine's certificate or ours ends, whichever does first; ``original`` is one of
    sdss-fliswarm's that has the place of its container.
    """

    node: Node
    host_alive: bool
    engine_alive: bool
    camera_up: bool
    found: Container | None = None
    strangers: tuple[Container, ...] = ()
    volumes: Mapping[str, bool] = field(default_factory=dict)
    digest: str | None = None
    problem: str | None = None
    camera_problem: str | None = None
    certificate_ends: datetime | None = None
    original: Container | None = None

    @property
    def container(self) -> Container | None:
        """Its container, if that is seen to run."""
        running = self.engine_alive and self.found is not None and self.found.running
        return self.found if running else None
