"""An observatory on loopback, and a program that runs it: the original, or ours."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from fliswarm import config
from fliswarm.model import LABEL_NODE, LABEL_SPEC
from tests.oracle.camera import Camera
from tests.oracle.engine import Engine
from tests.oracle.hub import Hub
from tests.unit.support.site import free_port, listening
from tests.unit.support.wait import until

OURS = (sys.executable, "-m", "fliswarm")

NODES = {"gfa1": "gfa", "gfa2": "gfa", "gfa3": "gfa", "fvc": "fvc", "gfa4": "gfa"}
"""Categories, by node. There is one more node, ``spare``, which has none."""

ENABLED = ("gfa1", "gfa2", "gfa3", "fvc")

AWAY = "gfa3"
"""The node whose container runs, with a camera in it that does not listen."""

_NODE = """\
    {name}:
      user: nobody-at-all
      host: 127.0.0.1
      port: {port}
      docker-client: tcp://127.0.0.1:{engine}
      power: {{device: nuc-{name}}}
"""

_FILE = """\
actor:
  name: fliswarm
  host: 127.0.0.1
  port: {port}
  tron_host: 127.0.0.1
  tron_port: {hub}
  log_dir: {folder}/log
  additional_properties: true

registry: sdss-hub:5000
image: sdss/flicamera:latest
container_name: flicamera
ping_timeout: 0.6
reboot_command: sudo reboot

enabled_nodes:
  APO: [{enabled}]

nodes:
  APO:
{nodes}
power:
  actor: jaeger
  command:
    poweron: ieb switch --on
    poweroff: ieb switch --off

volumes:
  data:
    driver: local
    opts: {{type: nfs, o: "addr=sdss-hub,rw", device: ":/data"}}

control:
  socket: {folder}/control.sock
"""

PING = "#!/bin/sh\nexit 0\n"
"""The original asks ``ping`` whether a host is alive; loopback always is."""

SSH = "#!/bin/sh\necho 'ssh: connect to host: Connection refused' >&2\nexit 255\n"
"""No test starts a computer anew."""


class World:
    """What there is around the program, and how to reach the program itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.cameras = {name: Camera(name) for name in NODES}
        self.engines = {
            name: Engine(self._container_started) for name in (*NODES, "spare")
        }
        self.hub = Hub()
        self.hub.on_switch = self._switched
        self.revived: set[str] = set()
        self.ours = True
        self.process: asyncio.subprocess.Process | None = None

    @property
    def file(self) -> Path:
        """The configuration file, which both programs read."""
        return self.folder / "fliswarm.yaml"

    def _container_started(self, name: str) -> None:
        node = name.removeprefix("flicamera-")
        if node in self.revived:
            self.revived.discard(node)
            self._starting = asyncio.ensure_future(self.cameras[node].start())

    def _switched(self, device: str, on: bool) -> None:
        self.engines[device.removeprefix("nuc-")].off = not on

    async def start(self) -> None:
        """Start everything but the program."""
        for camera in self.cameras.values():
            await camera.start()
        # Its port is known, and nobody listens there.
        await self.cameras[AWAY].close()
        await self.hub.start()
        for engine in self.engines.values():
            await engine.start()
        self._write_file()
        for name in ("a1", "a2", "b1"):
            image = self.folder / "FILES" / f"{name}.fits"
            image.parent.mkdir(exist_ok=True)
            image.touch()
        wanted = config.load(self.file, environment={})
        for name in ENABLED:
            engine, node = self.engines[name], wanted.nodes[name]
            container = wanted.container(node)
            labels = {LABEL_NODE: name, LABEL_SPEC: json.dumps(container.fields())}
            created = {"Image": container.image, "Labels": labels}
            engine.create(container.name, created, running=True)
            for volume in container.volumes:
                # The original's name, and ours.
                engine.create_volume(volume.name, volume.options, {})
                engine.create_volume(
                    volume.docker_name, volume.options, {LABEL_NODE: name}
                )

    def _write_file(self) -> None:
        nodes = ""
        for name, engine in self.engines.items():
            port = self.cameras[name].port if name in NODES else 1
            nodes += _NODE.format(name=name, port=port, engine=engine.port)
            if name in NODES:
                nodes += f"      category: {NODES[name]}\n"
        text = _FILE.format(
            port=self.port,
            hub=self.hub.port,
            folder=self.folder,
            enabled=", ".join(ENABLED),
            nodes=nodes,
        )
        self.file.write_text(text, "utf-8")

    def programs(self) -> Path:
        """Return a folder with stand-ins for the programs that the original runs."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        for name, text in (("ping", PING), ("ssh", SSH)):
            (folder / name).write_text(text, "utf-8")
            (folder / name).chmod(0o755)
        return folder

    async def run(self, program: tuple[str, ...]) -> None:
        """Start the program in the foreground; return when it serves."""
        self.ours = program == OURS
        output = (self.folder / "output").open("wb")
        environment = {
            **os.environ,
            "PATH": f"{self.programs()}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "OBSERVATORY": "APO",
            "STATE_DIRECTORY": str(self.folder / "state"),
        }
        environment.pop("SSH_AUTH_SOCK", None)
        with output:
            self.process = await asyncio.create_subprocess_exec(
                *program,
                "-c",
                str(self.file),
                "start",
                "--debug",
                cwd=self.folder,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
            )
        process = self.process
        await until(lambda: process.returncode is not None or listening(self.port))
        assert process.returncode is None, self.output

    @property
    def output(self) -> str:
        """What the program printed."""
        return (self.folder / "output").read_text("utf-8", "replace")

    async def close(self) -> None:
        """End the program, then everything around it."""
        process = self.process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()
        for camera in self.cameras.values():
            await camera.close()
        for engine in self.engines.values():
            await engine.close()
        await self.hub.close()

    async def printed(self, text: str, count: int = 1) -> None:
        """Wait until our own program has printed a text; the original does not."""
        if not self.ours:
            return
        await until(lambda: self.output.count(text) >= count, text)

    def neutral(self, text: str) -> str:
        """Return a text without the ports and paths of this world."""
        for port in sorted(self._ports(), key=int, reverse=True):
            text = text.replace(port, self._ports()[port])
        return text.replace(str(self.folder), "FOLDER")

    def _ports(self) -> Mapping[str, str]:
        return {
            str(self.port): "ACTOR",
            str(self.hub.port): "HUB",
            **{str(camera.port): "CAMERA" for camera in self.cameras.values()},
            **{str(engine.port): "ENGINE" for engine in self.engines.values()},
        }


@asynccontextmanager
async def world(folder: Path, program: tuple[str, ...] = OURS) -> AsyncIterator[World]:
    """Run a program in an observatory of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    running = World(folder)
    try:
        await running.start()
        await running.run(program)
        yield running
    finally:
        await running.close()
