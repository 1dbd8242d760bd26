"""What is seen of a fleet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fliswarm.model.desired import Node


@dataclass(frozen=True, slots=True)
class Container:
    """A container of ours, as its engine shows it.

    ``spec`` holds the values of `ContainerSpec.fields` it was made from; ``image_id``
    is the image's content address on that engine.
    """

    id: str
    name: str
    state: str
    image_id: str
    spec: Mapping[str, object] = field(default_factory=dict)
    node: str = ""

    @property
    def running(self) -> bool:
        """Whether its program runs."""
        return self.state == "running"

    @property
    def at_rest(self) -> bool:
        """Whether nothing of it is alive."""
        return self.state in ("created", "exited", "dead")

    @property
    def short_id(self) -> str:
        """The first twelve digits, as Docker prints them."""
        return self.id[:12]


@dataclass(frozen=True, slots=True)
class Image:
    """An image on an engine; ``digest`` is the registry's address of its manifest."""

    id: str
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What one engine has of ours: containers, volumes by their Docker names.

    ``image`` is the wanted image, when the engine has it. ``foreign`` is the id of a
    container that has the name ours should have and was made by someone else; it is
    never touched.
    """

    node: str
    containers: tuple[Container, ...] = ()
    volumes: frozenset[str] = frozenset()
    image: Image | None = None
    foreign: str | None = None
    others: tuple[Container, ...] = ()


@dataclass(frozen=True, slots=True)
class Pulled:
    """An image on a node; ``problem`` is why its registry was not where it is from."""

    image: Image
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How much of an image is on the node, in bytes."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How one node is: its host, its engine, its container, its camera.

    ``found`` is its container, whatever its state, and ``strangers`` are containers of
    ours on its engine that are no node's; both are of the last look when the engine
    does not answer, and ``problem`` is why, in words. ``camera_problem`` is why there
    is no camera; ``volumes`` tells which of the wanted volumes exist; ``digest`` is the
    image's that the container runs, as the registry knows it; ``certificate_ends`` when
    the engine's certificate or ours ends, whichever does first.
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

    @property
    def container(self) -> Container | None:
        """Its container, if that is seen to run."""
        running = self.engine_alive and self.found is not None and self.found.running
        return self.found if running else None
