"""A healthy site on this computer, for what a doctor is to find when it is broken.

The controller's fleet is real, and reads a real file; so are its links, its door to
engines, the registry, and the program that looks round in a container, which runs here.
Engines and cameras are those of the other tests. Only ssh is the twin.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fliswarm import config
from fliswarm.engine.docker import DockerEngines
from fliswarm.fleet.doctor import examine
from fliswarm.fleet.inside import USB_DEVICES, USB_FILES
from fliswarm.fleet.live import LiveFleet
from fliswarm.fleet.visit import Times
from fliswarm.host.memory import MemoryHost
from fliswarm.model import Fleet, Image, Node, TlsFiles
from fliswarm.model.signs import Finding
from fliswarm.plan.checks import faults
from fliswarm.service import Service
from tests.unit.support.camera import RawCamera, line
from tests.unit.support.certificates import Authority, client
from tests.unit.support.engine import FakeEngine
from tests.unit.support.registry import Registry, Store, serving
from tests.unit.support.wait import until

NAMES = ("gfa1", "gfa2", "gfa3")

TIMES = Times(whole=40, engine=30, answer=8, dial=4, link=3)
"""A machine that is busy takes its time to be healthy."""

AT_ONCE = 4
"""Nodes that are launched at once: each real one has a computer of its own."""

YEAR = timedelta(days=365)

REAL = "umask 0002 && exec python3 -m flicamera actor start --debug"
"""What the container of a camera with a device runs."""

SIMULATED = "umask 0002 && exec python3 -m simulated_flicamera"

STAT = """\
#!/bin/sh
for place; do :; done
case "$place" in
{cases}
esac
exec {stat} "$@"
"""
"""A file system that is as a test wants it, by its mount point."""


def camera(told: RawCamera, number: int, body: str) -> None:
    """Answer as flicamera does."""
    if body == "status":
        status = {"camera": told.name, "temperature_ccd": -25.0}
        told.send(line(number, "i", told.name, status=status))
    told.send(line(number, ":", told.name))


class Computer:
    """One node's computer."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.engine = FakeEngine()
        self.camera = RawCamera(camera, name)
        self.host = MemoryHost(name)
        self.ssh_port = 0
        self.tls: tuple[Path, Path] | None = None
        self.stack = AsyncExitStack()
        self.stats: dict[str, str] = {}
        (folder / "bin").mkdir(parents=True)
        self.device = folder / "files" / "001" / "005"
        self.device.parent.mkdir(parents=True)
        self.device.touch()
        self.plug()

    @property
    def devices(self) -> Path:
        """The kernel's list of what is on the bus."""
        return self.folder / "devices"

    def plug(self, vendor: str = "0f18") -> None:
        """Put a device on the bus, beside a hub of somebody else."""
        for place, maker, number in (("usb1", "1d6b", "1"), ("1-1", vendor, "5")):
            found = self.devices / place
            found.mkdir(parents=True, exist_ok=True)
            values = {"idVendor": maker, "idProduct": "000a", "busnum": "1"}
            for key, value in {**values, "devnum": number}.items():
                (found / key).write_text(f"{value}\n")

    def mount(self, place: str, script: str) -> None:
        """Let the file system at a mount point answer as a shell script does."""
        self.stats[place] = script
        cases = "\n".join(f"  '{p}') {s} ;;" for p, s in self.stats.items())
        file = self.folder / "bin" / "stat"
        file.write_text(STAT.format(cases=cases, stat="/usr/bin/stat"))
        file.chmod(0o755)

    def program(self, words: list[str]) -> list[str]:
        """Return how a program for the container is run here."""
        here = {USB_DEVICES: str(self.devices), USB_FILES: str(self.folder / "files")}
        path = f"PATH={self.folder / 'bin'}:{os.environ['PATH']}"
        return ["env", path, *(here.get(word, word) for word in words)]

    async def start(self) -> None:
        """Let all of it answer."""
        self.engine.here = self.program
        await self.start_engine()
        await self.camera.start(self.camera.port)
        server = await asyncio.start_server(_greet, "127.0.0.1", self.ssh_port)
        self.ssh_port = server.sockets[0].getsockname()[1]
        self.ssh = server

    async def start_engine(self) -> None:
        """Let its engine answer."""
        context = None
        if self.tls is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*self.tls)
        await self.stack.enter_async_context(self.engine.listening(context=context))

    async def stop_engine(self) -> None:
        """End its engine, which lets its clients go."""
        self.engine.hang_up()
        await self.stack.aclose()

    async def stop(self) -> None:
        """End all of it."""
        self.ssh.close()
        await self.camera.close()
        await self.stack.aclose()

    @property
    def container(self) -> str:
        """The id of the camera's container."""
        (found,) = (
            number
            for number, container in self.engine.containers.items()
            if f"/flicamera-{self.name}" in container["Names"]
        )
        return found

    @property
    def state(self) -> str:
        """Docker's word for how that container is."""
        return str(self.engine.containers[self.container]["State"])

    @state.setter
    def state(self, state: str) -> None:
        self.engine.containers[self.container]["State"] = state

    def inspected(self, program: str = REAL, **changes: object) -> None:
        """Let the container be inspected as one that runs for two hours, changed."""
        began = datetime.now(UTC) - timedelta(hours=2)
        usual: dict[str, object] = {
            "OOMKilled": False,
            "ExitCode": 0,
            "Error": "",
            "StartedAt": f"{began:%Y-%m-%dT%H:%M:%S}.123456789Z",
        }
        restarts = changes.pop("RestartCount", 0)
        self.engine.details[self.container] = {
            "State": {**usual, "Status": self.state, **changes},
            "RestartCount": restarts,
            "Path": "/bin/sh",
            "Args": ["-c", program],
            "Config": {"Env": ["PATH=/usr/bin", "TOKEN=secret"]},
        }


async def _greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    writer.close()


class Void:
    """A port that answers nothing, as that of a computer which is off.

    Its system takes no connection beyond those that wait for somebody to accept them.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        listener = self._stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        self.port = listener.getsockname()[1]
        for _ in range(4):
            one = self._stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", self.port))

    def close(self) -> None:
        """Give back the port."""
        self._stack.close()


class Clinic:
    """The site; ``fleet`` runs once it is launched.

    ``change`` may alter what is read of the file, before `launch` and later.
    """

    def __init__(self, folder: Path, names: Sequence[str] = NAMES) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.data = folder / "data"
        self.data.mkdir()
        self.computers = {name: Computer(name, folder / name) for name in names}
        self.store = Store()
        self.registry = Registry(self.store)
        self.image = f"{self.registry.name}/sdss/flicamera:latest"
        content = b"{}"
        self.store.manifests["sha256:one"] = (content, "application/json")
        self.store.tags["latest"] = "sha256:one"
        self.tls: TlsFiles | None = None
        self.change: Callable[[Fleet], Fleet] = lambda fleet: fleet
        self.hub_problem: str | None = None
        self.void = Void()

    def __getitem__(self, name: str) -> Computer:
        return self.computers[name]

    @property
    def file(self) -> Path:
        """The controller's configuration."""
        return self.folder / "fliswarm.yaml"

    def write(self) -> None:
        """Write the configuration."""
        scheme = "tcp" if self.tls is None else "https"
        nodes = {
            name: {
                "host": "127.0.0.1",
                "port": one.camera.port,
                "ssh-port": one.ssh_port,
                "docker-client": f"{scheme}://127.0.0.1:{one.engine.port}",
            }
            for name, one in self.computers.items()
        }
        data = {"type": "none", "o": "bind", "device": str(self.data)}
        written: dict[str, object] = {
            "observatory": "APO",
            "registry": self.registry.name,
            "image": "sdss/flicamera:latest",
            "nodes": {"APO": nodes},
            "volumes": {"data": {"driver": "local", "opts": data}},
        }
        if self.tls is not None:
            tls = self.tls
            files = {"ca": str(tls.ca), "cert": str(tls.cert), "key": str(tls.key)}
            written["docker-tls"] = files
        # What is JSON is YAML.
        self.file.write_text(json.dumps(written))

    def load(self) -> Fleet:
        """Read the configuration."""
        return self.change(config.load(self.file, warn=lambda _: None))

    def certify(self, authority: Authority, *, lasts: timedelta = YEAR) -> None:
        """Put all engines behind TLS."""
        self.tls = client(self.folder / "tls", authority, lasts=lasts)
        for one in self.computers.values():
            self.certify_engine(one, authority)

    def certify_engine(
        self,
        one: Computer,
        authority: Authority,
        *hosts: str,
        age: timedelta = timedelta(0),
        lasts: timedelta = YEAR,
    ) -> None:
        """Give an engine a certificate."""
        cert, key = one.folder / "cert.pem", one.folder / "key.pem"
        names = hosts or ("127.0.0.1",)
        authority.issue(cert, key, *names, age=age, lasts=lasts)
        one.tls = (cert, key)

    async def launch(self) -> None:
        """Make all nodes as wanted, and wait until their cameras are connected."""
        self.service = Service(self.load, DockerEngines(), self._reach, self.state)
        self.fleet: LiveFleet = self.service._fleet
        self.fleet.start()
        nodes = self.fleet.select()
        for first in range(0, len(nodes), AT_ONCE):
            some = nodes[first : first + AT_ONCE]
            results = await self.fleet.apply(some, lambda _: None)
            assert not [str(r.error) for r in results if r.error is not None]
        for one in self.computers.values():
            one.inspected()
        await until(
            lambda: all(live.link.up for live in self.fleet.nodes), "all cameras"
        )

    def _reach(self, node: Node) -> MemoryHost:
        return self.computers[node.name].host

    async def start(self) -> None:
        """Let all computers answer."""
        for one in self.computers.values():
            await one.start()
            one.engine.registry[self.image] = Image("sha256:one", "sha256:one")

    async def close(self) -> None:
        """End the fleet, then its computers."""
        if hasattr(self, "fleet"):
            await self.fleet.close()
        for one in self.computers.values():
            await one.stop()
        self.void.close()

    async def reconfigure(self, change: Callable[[Fleet], Fleet]) -> None:
        """Let the controller read another configuration, and forget the former."""
        self.change = change
        await self.service.reload()
        for leaving in self.fleet.leavings:
            await self.fleet.forget(leaving)

    async def consult(self) -> list[Finding]:
        """Return all that a doctor finds."""
        nodes = self.fleet.select(disabled=True)
        stale = self.service.stale
        return await examine(self.fleet, nodes, stale, self.hub_problem, TIMES)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve the controller's commands; yield where, as the command line has it."""
        dispatcher = self.service._dispatcher
        dispatcher._site = replace(dispatcher._site, times=TIMES)
        path = self.folder / "c.sock"
        await self.service._control.start(path)
        try:
            yield f"unix://{path}"
        finally:
            await self.service._control.close()

    async def told(self) -> list[Finding]:
        """Return what people are told."""
        return faults(await self.consult())


@asynccontextmanager
async def clinic(
    folder: Path,
    names: Sequence[str] = NAMES,
    *,
    authority: Authority | None = None,
    lasts: timedelta = YEAR,
) -> AsyncIterator[Clinic]:
    """Run a healthy site, with its engines behind TLS if there is an authority."""
    site = Clinic(folder, names)
    if authority is not None:
        site.certify(authority, lasts=lasts)
    with serving(site.registry):
        try:
            await site.start()
            site.write()
            await site.launch()
            yield site
        finally:
            await site.close()
