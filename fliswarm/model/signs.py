"""What a doctor sees of a site, and what it finds: nothing here judges or asks.

Of all that is ``None``, nothing is known: it was not asked, or did not answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fliswarm.model.desired import ContainerSpec, Node
from fliswarm.model.observed import ContainerDetail, EngineInfo, Observation


class Outcome(StrEnum):
    """What a check comes to."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of one computer, and what it came to.

    ``node`` is empty for the manager. ``seen`` is what was seen, ``meaning`` what that
    is to the fleet, ``remedy`` what to type. ``away`` is whether something could not be
    reached.
    """

    node: str
    check: str
    outcome: Outcome
    seen: str = ""
    meaning: str = ""
    remedy: str = ""
    away: bool = False


@dataclass(frozen=True, slots=True)
class Space:
    """What is free on a file system: bytes, and files of which there can be ``files``.

    ``files_left`` is ``None`` where their number has no bound.
    """

    free: int
    files_left: int | None = None


@dataclass(frozen=True, slots=True)
class Away:
    """Why something does not answer; ``host_alive`` whether its computer does."""

    problem: str
    host_alive: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A folder as a container sees it: what it has free, or why it does not tell.

    ``silent`` is whether it did not answer in time, as a dead NFS server's.
    """

    path: str
    space: Space | None = None
    problem: str | None = None
    silent: bool = False


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """A device of FLI's on a node's bus, as its container sees it.

    ``access`` is ``open`` when its file can be opened to read and write, ``closed``
    when not, ``missing`` when there is no such file in the container.
    """

    product: str
    file: str
    access: str


@dataclass(frozen=True, slots=True)
class Inside:
    """What a program in a camera's container sees.

    ``root`` is where the container keeps what it writes: the disk of its engine.
    ``bus`` is whether the kernel's list of USB devices can be read there.
    """

    root: Place
    volumes: Sequence[Place] = ()
    bus: bool = False
    devices: Sequence[UsbDevice] = ()


@dataclass(frozen=True, slots=True)
class CameraSigns:
    """How a camera is: the link to it, and its answer to ``status``.

    ``stranger`` is who else answers there; ``busy`` whether it works on another
    command. ``ended`` is ``done``, ``failed`` or ``lost``, ``silent`` when it answered
    in no time. ``told`` are the values of ``status``.
    """

    up: bool
    problem: str = ""
    stranger: str | None = None
    busy: bool = False
    ended: str | None = None
    told: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class NodeSigns:
    """What is seen of one node.

    ``change`` is under way on it. ``name_problem`` says why its name does not resolve;
    ``nobody_to_ask`` is whether that is for want of a name server. ``ssh_problem`` is
    empty when ssh answers. ``registry_problem`` says why its engine does not get
    ``digest``, that of the wanted image. ``unfinished`` is a change that was cut off.
    """

    node: Node
    wanted: ContainerSpec
    enabled: bool = True
    disabled_by: str = ""
    disabled_since: str | None = None
    disabled_reason: str = ""
    neighbours: frozenset[str] = frozenset()
    change: str | None = None
    unfinished: str | None = None
    name_problem: str | None = None
    nobody_to_ask: bool = False
    ssh_problem: str | None = None
    ssh_alive: bool | None = None
    engine: EngineInfo | None = None
    engine_away: Away | None = None
    engine_problem: str | None = None
    certificate_ends: datetime | None = None
    observed: Observation | None = None
    digest: str | None = None
    registry_asked: bool = False
    registry_problem: str | None = None
    detail: ContainerDetail | None = None
    inside: Inside | None = None
    camera: CameraSigns | None = None


@dataclass(frozen=True, slots=True)
class RegistrySigns:
    """What the manager sees of the registry.

    ``private`` is whether it wants to know who asks, so that it does not tell more.
    ``has_image`` and ``digest`` are of the wanted image.
    """

    problem: str | None = None
    private: bool = False
    has_image: bool | None = None
    digest: str | None = None
    certificate_ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class ManagerSigns:
    """What is seen of the manager.

    ``state_problem`` says why the controller's folder cannot be written to; ``stale``
    are the nodes and settings that are not as the file has them, ``file_problem`` why
    it cannot be read. ``left`` are engines that no node has any more, ``lost`` names of
    changes whose notes cannot be read, ``cut_off`` nodes that are no more and on which
    a change was. ``ends`` is when the file of its own certificate ends.
    """

    observatory: str
    now: datetime
    state_folder: str = ""
    state_problem: str | None = None
    space: Space | None = None
    stale: Sequence[str] = ()
    file_problem: str | None = None
    left: Sequence[tuple[str, str]] = ()
    lost: Sequence[str] = ()
    cut_off: Sequence[str] = ()
    certificate: str = ""
    certificate_problem: str | None = None
    certificate_ends: datetime | None = None
    authority_ends: datetime | None = None
    registry_name: str | None = None
    image: str = ""
    registry: RegistrySigns | None = None
    hub_problem: str | None = None
