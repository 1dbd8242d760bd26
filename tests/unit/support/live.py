"""A live fleet on twins: engines, hosts and power in memory, real links to cameras.

A camera here answers only while the twin engine of its computer has a container that
runs, and says that it is that one's node: as on a real one, whoever holds the port.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fliswarm.change.world import Patience
from fliswarm.engine.memory import MemoryDaemon, MemoryEngine
from fliswarm.errors import HostError
from fliswarm.fleet.live import LiveFleet
from fliswarm.host.memory import MemoryHost
from fliswarm.model import (
    USB_BUS,
    Container,
    ContainerSpec,
    Fleet,
    Foreign,
    ForeignVolume,
    Node,
)
from fliswarm.model.facts import Fact
from fliswarm.model.terms import Terms
from tests.unit.support.camera import RawCamera, line
from tests.unit.support.site import IMAGE, PULLED, fleet

PATIENCE = Patience(answer=20, settle=0.3, look=0.05, power=0.01, readout=0.01, undo=5)


class Computer:
    """One computer of a site: an engine, an operating system, a port for a camera.

    Cameras of ``silent`` images answer nothing, those of ``strangers`` as another one.
    """

    def __init__(self, camera: RawCamera, host: str) -> None:
        self.camera = camera
        self.host = host
        self._up = True
        self.daemon = MemoryDaemon()
        self.registry = {IMAGE: PULLED}
        self.system = MemoryHost(host)
        self.power = True
        self.engines: list[MemoryEngine] = []
        self.on_call: Callable[[str], None] | None = None
        self.calls: list[str] = []
        self.silent: set[str] = set()
        self.strangers: dict[str, str] = {}
        self.temperature: float | None = -10.0
        camera.answer = self._answer

    @property
    def running(self) -> list[Container]:
        """The containers that run here; the first one has the port."""
        return [c for c in self.daemon.containers.values() if c.running]

    @property
    def names(self) -> dict[str, str]:
        """All containers of ours, by name, with their states."""
        return {c.name: c.state for c in self.daemon.containers.values() if c.node}

    def boot(self) -> None:
        """Begin anew, where all is to run always, whoever stopped it."""
        for container in list(self.daemon.containers.values()):
            if container.state == "exited":
                began = replace(container, state="running")
                self.daemon.containers[container.id] = began

    def _answer(self, camera: RawCamera, number: int, body: str) -> None:
        if not (self.power and self.running):
            return
        first = self.running[0]
        if first.image_id in self.silent:
            return
        foreign = self.daemon.foreign.get(first.id)
        its: Any = foreign.environment if foreign else first.spec["environment"]
        name = str(its["ACTOR_NAME"])
        name = self.strangers.get(first.image_id, name)
        data = {}
        if body == "status" and self.temperature is not None:
            data = {"status": {"camera": name, "temperature_ccd": self.temperature}}
        camera.send(line(number, ":", name, **data))

    def engine(self, node: Node) -> MemoryEngine:
        """Return this computer's engine, for a node."""
        engine = MemoryEngine(node.name, self.registry, daemon=self.daemon)
        engine.up = self.up
        engine.on_call = self._called
        self.engines.append(engine)
        return engine

    @property
    def up(self) -> bool:
        """Whether its engine answers."""
        return self._up

    @up.setter
    def up(self, up: bool) -> None:
        self._up = up
        for engine in self.engines:
            engine.up = up

    def _called(self, call: str) -> None:
        self.calls.append(call)
        if self.on_call is not None:
            self.on_call(call)


class Power:
    """Switches the computers of a site."""

    def __init__(self, computers: Mapping[str, Computer]) -> None:
        self._computers = computers
        self.switched: list[tuple[str, bool]] = []
        self.broken = False

    async def switch(self, node: Node, *, on: bool) -> None:
        """See `PowerSwitch.switch`."""
        if self.broken:
            raise HostError(node.name, "the switch does not answer")
        computer = self._computers[node.engine]
        if on and not computer.power:
            computer.system.starts += 1
        computer.power = computer.up = on
        self.switched.append((node.name, on))


class Site:
    """Computers by the addresses of their engines, and the controller's fleet of them.

    `start` makes a new controller, as after a kill: what it knows is in ``state``.
    """

    def __init__(
        self,
        state: Path,
        cameras: Mapping[str, RawCamera],
        patience: Patience = PATIENCE,
    ) -> None:
        self.state = state
        self.patience = patience
        self.desired = fleet({name: cam.port for name, cam in cameras.items()})
        self.computers = {
            node.engine: Computer(cameras[name], node.name)
            for name, node in self.desired.nodes.items()
        }
        self.power = Power(self.computers)
        self.facts: list[Fact] = []
        self.fleet = self._made()

    def _made(self) -> LiveFleet:
        made = LiveFleet(
            self.desired,
            lambda node: self.computers[node.engine].engine(node),
            lambda node: self.computers[node.engine].system,
            self.power,
            self.state,
            self.patience,
        )
        made.news.listen(self.facts.append)
        return made

    def start(self) -> LiveFleet:
        """Begin anew."""
        self.fleet = self._made()
        self.fleet.start()
        return self.fleet

    def computer(self, name: str) -> Computer:
        """Return the computer that a node has in the configuration now."""
        return self.computers[self.desired.nodes[name].engine]

    def configure(self, change: Callable[[dict[str, Node]], object]) -> Fleet:
        """Change the nodes of the configuration."""
        nodes = dict(self.desired.nodes)
        change(nodes)
        named = {name: replace(node, name=name) for name, node in nodes.items()}
        enabled = tuple(named)
        self.desired = replace(self.desired, nodes=named, enabled=enabled)
        return self.desired

    async def reconnect(
        self, *, force: bool = False, terms: Terms = Terms()
    ) -> dict[str, str | None]:
        """Make all as wanted; return what went wrong, by node."""
        results = await self.fleet.apply(
            self.fleet.select(), lambda _: None, "a test", force=force, terms=terms
        )
        return {r.node: None if r.error is None else str(r.error) for r in results}


def original_of(wanted: ContainerSpec) -> Foreign:
    """Return the container that sdss-fliswarm makes where ``wanted`` should run."""
    volumes = {
        volume.target: ForeignVolume(volume.driver, dict(volume.options))
        for volume in wanted.volumes
    }
    return Foreign(
        id="",
        name=wanted.name,
        state="running",
        image=wanted.image,
        image_id=PULLED.id,
        environment={
            name: wanted.environment[name] for name in ("ACTOR_NAME", "OBSERVATORY")
        },
        volumes=volumes,
        binds={USB_BUS: USB_BUS},
        privileged=True,
        memory=6 << 30,
        cpus=3.5,
        user=wanted.user,
    )
