"""Starting both programs and the simulated observatory around them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.client import Client

CAMERAS = 21000
ENGINES = 22000
# Below the ports that the kernel gives to clients.
PORTS = {"original": 23996, "fliswarm": 23997}

DEAD = "127.9.9.{}"
"""Addresses that swallow what is sent to them, while `dead_hosts` is entered."""


@dataclass(frozen=True)
class Layout:
    """How many nodes there are; the last ``dead`` of them do not answer at all."""

    nodes: int
    dead: int = 0

    def write(self, folder: Path, program: str) -> Path:
        """Write the configuration of a program, in the original's format."""
        nodes = {}
        for number in range(self.nodes):
            dead = number >= self.nodes - self.dead
            host = DEAD.format(1 + number % 250) if dead else "127.0.0.1"
            nodes[f"cam{number}"] = {
                "user": "sdss",
                "host": host,
                "port": CAMERAS + number,
                "docker-client": f"tcp://{host}:{ENGINES + number}",
                "category": "gfa",
            }
        config: dict[str, object] = {
            "actor": {
                "name": "fliswarm",
                "host": "127.0.0.1",
                "port": PORTS[program],
                "log_dir": str(folder / f"{program}-logs"),
                "additional_properties": True,
            },
            "registry": None,
            "image": "sdss/flicamera:latest",
            "container_name": "flicamera",
            "ping_timeout": 0.6,
            "enabled_nodes": {"APO": list(nodes)},
            "nodes": {"APO": nodes},
            "volumes": {},
        }
        if program == "fliswarm":
            config["control"] = {"socket": str(folder / "control.sock")}
        file = folder / f"{program}.yaml"
        # JSON is YAML.
        file.write_text(json.dumps(config), "utf-8")
        return file


@dataclass(frozen=True)
class Program:
    """A running actor."""

    process: subprocess.Popen[bytes]
    port: int
    started: float

    @property
    def memory(self) -> int:
        """Resident memory in bytes."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text("utf-8").split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def observatory(nodes: int) -> Iterator[None]:
    """Run simulated cameras and engines for the time of a ``with`` block."""
    words = ((f"bench.{kind}", port) for kind, port in SIMULATED.items())
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", module, str(port), str(nodes)],
            stdout=subprocess.PIPE,
        )
        for module, port in words
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                sys.exit("the simulated observatory did not start")
        yield
    finally:
        for process in processes:
            process.kill()
            process.communicate()


SIMULATED = {"cameras": CAMERAS, "engines": ENGINES}


@contextmanager
def dead_hosts() -> Iterator[None]:
    """Make the dead nodes' addresses swallow everything, as a host without power."""
    rule = ["INPUT", "--destination", "127.9.9.0/24", "--jump", "DROP"]
    subprocess.run(["iptables", "--insert", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "--delete", *rule], check=True)


@contextmanager
def running(
    program: str, layout: Layout, folder: Path, oracle: Path
) -> Iterator[Program]:
    """Run one of the programs on a layout; ready when it answers a ping."""
    file = layout.write(folder, program)
    with launched(program, file, folder, oracle) as found:
        yield found


@contextmanager
def launched(program: str, file: Path, folder: Path, oracle: Path) -> Iterator[Program]:
    """Run one of the programs on a configuration; ready when it answers a ping."""
    if program == "original":
        words = [str(oracle / "bin/fliswarm"), "-c", str(file)]
        words += ["actor", "start", "--debug"]
    else:
        words = [sys.executable, "-m", "fliswarm", "-c", str(file), "start", "--debug"]
    began = time.monotonic()
    with (folder / f"{program}.log").open("wb") as log:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "OBSERVATORY": "APO"},
        )
    try:
        client = Client.wait(PORTS[program], limit=120)
        client.command("ping")
        started = time.monotonic() - began
        yield Program(process, PORTS[program], started)
        client.close()
    finally:
        process.kill()
        process.wait()
