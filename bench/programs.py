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
    """How many nodes there are; the last ``dead`` of them do not answer at all.

    ``tls`` is the folder with the certificates of their engines, where they have some.
    """

    nodes: int
    dead: int = 0
    tls: Path | None = None

    def write(self, folder: Path, program: str) -> Path:
        """Write the configuration of a program, in the original's format."""
        nodes = {}
        scheme = "tcp" if self.tls is None else "https"
        for number in range(self.nodes):
            dead = number >= self.nodes - self.dead
            host = DEAD.format(1 + number % 250) if dead else "127.0.0.1"
            nodes[f"cam{number}"] = {
                "user": "sdss",
                "host": host,
                "port": CAMERAS + number,
                "docker-client": f"{scheme}://{host}:{ENGINES + number}",
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
        if self.tls is not None:
            files = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
            config["docker-tls"] = {k: str(self.tls / f) for k, f in files.items()}
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

    @property
    def processor(self) -> float:
        """Seconds of processor time of all its threads, the kernel's on its behalf too.

        Other programs of a busy machine do not count in it.
        """
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        texts = ((thread / "schedstat").read_text("utf-8") for thread in threads)
        return sum(int(text.split()[0]) for text in texts) / 1e9


@contextmanager
def observatory(nodes: int, tls: Path | None = None) -> Iterator[None]:
    """Run simulated cameras and engines for the time of a ``with`` block."""
    secure = [str(tls)] if tls is not None else []
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", *words],
            stdout=subprocess.PIPE,
        )
        for words in (
            ["bench.cameras", str(CAMERAS), str(nodes)],
            ["bench.engines", str(ENGINES), str(nodes), *secure],
        )
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
    environment = {
        **os.environ,
        "OBSERVATORY": "APO",
        "STATE_DIRECTORY": str(folder / "state"),
    }
    # With it, both programs would be this one.
    environment.pop("PYTHONPATH", None)
    began = time.monotonic()
    with (folder / f"{program}.log").open("wb") as log:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
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
