"""What a fleet should be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LABEL_NODE = "org.sdss.fliswarm.node"
"""Label that marks a container as ours; its value is the node's name."""

LABEL_SPEC = "org.sdss.fliswarm.spec"
"""Label that holds the specification a container was made from, as JSON."""

AT_START = ("actor", "control_socket", "ping_timeout")
"""What a controller takes from its file once, when it starts: fields of `Fleet`."""

USB_BUS = "/dev/bus/usb"
"""Folder of the device files of cameras, which every container has from its host."""

CERTIFICATE_DAYS = 60
"""Days before the end of a certificate from which on `status` tells it."""


@dataclass(frozen=True, slots=True)
class Power:
    """How the power of one node is switched.

    ``poweron`` and ``poweroff``, with ``device`` as their last word, are commands of
    ``actor``; without an actor they are programs on the controller's computer.
    """

    actor: str | None
    poweron: str
    poweroff: str
    device: str


@dataclass(frozen=True, slots=True)
class Volume:
    """A Docker volume that every camera container mounts.

    ``options`` are the driver's own (``type``, ``o``, ``device``). The mount point
    in the container is the exported path: ``device`` without NFS's leading colon.
    """

    name: str
    driver: str
    options: Mapping[str, str]

    @property
    def docker_name(self) -> str:
        """Name on the engine, which tells volumes with other options apart.

        Docker cannot change a volume's options. With a name of its own, the new volume
        stands beside the old one until the container that uses the old one is gone.
        """
        content = json.dumps([self.driver, dict(self.options)], sort_keys=True)
        return f"{self.name}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"

    @property
    def target(self) -> str:
        """Mount point in the container."""
        return self.options["device"].lstrip(":")


@dataclass(frozen=True, slots=True)
class Limits:
    """Resources of a camera container; ``None`` is no limit.

    ``memory`` in Docker's notation (``6g``), ``cpus`` in processors (3.5).
    """

    memory: str | None = "6g"
    cpus: float | None = 3.5


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Who we are to Docker Engines, and whom we take for one: files in PEM.

    ``ca`` is the authority that signed the engines' certificates; ``cert`` and ``key``
    are our own.
    """

    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Node:
    """One camera computer, as the configuration wants it.

    ``engine`` is the address of its Docker Engine (``tcp://sdss-gfa1:2375``), and
    ``tls`` what an address with ``https://`` needs; ``port`` is where its camera
    listens; ``user`` and ``ssh_port`` are for ssh.
    """

    name: str
    host: str
    engine: str
    port: int = 19995
    user: str = "sdss"
    ssh_port: int = 22
    uid: int | None = None
    gid: int | None = None
    category: str | None = None
    power: Power | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    tls: TlsFiles | None = None


@dataclass(frozen=True, slots=True)
class ActorSettings:
    """Where and under which name the actor protocol is served, and what it may do.

    ``commands`` is ``original`` for the commands of sdss-fliswarm, or ``all``.
    """

    name: str = "fliswarm"
    host: str = "0.0.0.0"
    port: int = 19996
    tron_host: str | None = None
    tron_port: int = 6093
    log_dir: str | None = None
    commands: str = "original"


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """Everything that decides how a camera container is made."""

    name: str
    node: str
    image: str
    environment: Mapping[str, str]
    volumes: tuple[Volume, ...]
    privileged: bool = True
    network: str = "host"
    limits: Limits = field(default_factory=Limits)
    user: str | None = None
    restart_policy: str = "unless-stopped"

    def fields(self) -> dict[str, object]:
        """Return the specification as plain JSON values, one entry a difference.

        The name is not among them: it is how the container is found.
        """
        return {
            "image": self.image,
            "environment": dict(self.environment),
            "volumes": {
                volume.name: {
                    "driver": volume.driver,
                    "options": dict(volume.options),
                    "target": volume.target,
                }
                for volume in self.volumes
            },
            "privileged": self.privileged,
            "network": self.network,
            "memory": self.limits.memory,
            "cpus": self.limits.cpus,
            "user": self.user,
            "restart_policy": self.restart_policy,
        }


@dataclass(frozen=True, slots=True)
class Fleet:
    """The desired fleet of one observatory: the whole of ``fliswarm.yaml``.

    ``pinned`` is no part of that: the images of nodes that were given a release.
    """

    observatory: str
    nodes: Mapping[str, Node]
    enabled: tuple[str, ...]
    image: str
    registry: str | None = None
    container_name: str = "flicamera"
    volumes: tuple[Volume, ...] = ()
    privileged: bool = True
    restart_policy: str = "unless-stopped"
    limits: Limits = field(default_factory=Limits)
    ping_timeout: float = 0.6
    actor: ActorSettings = field(default_factory=ActorSettings)
    control_socket: Path | None = None
    pinned: Mapping[str, str] = field(default_factory=dict)

    @property
    def image_reference(self) -> str:
        """The image's full name, with the registry it comes from."""
        return f"{self.registry}/{self.image}" if self.registry else self.image

    def neighbours(self, node: Node) -> frozenset[str]:
        """Return the names of the other nodes that have the same engine."""
        every = self.nodes.values()
        return frozenset(
            n.name for n in every if n.engine == node.engine and n.name != node.name
        )

    def container(self, node: Node) -> ContainerSpec:
        """Return the container that should run on ``node``."""
        user = None
        if node.uid is not None:
            user = str(node.uid) if node.gid is None else f"{node.uid}:{node.gid}"
        return ContainerSpec(
            name=f"{self.container_name}-{node.name}",
            node=node.name,
            image=self.pinned.get(node.name, self.image_reference),
            environment={
                "ACTOR_NAME": node.name,
                "OBSERVATORY": self.observatory,
                "FLICAMERA_ACTOR_PORT": str(node.port),
                **node.environment,
            },
            volumes=self.volumes,
            privileged=self.privileged,
            limits=self.limits,
            user=user,
            restart_policy=self.restart_policy,
        )
