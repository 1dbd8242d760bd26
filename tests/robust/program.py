"""The program as an observatory runs it: a process, its configuration, its sockets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.unit.support.site import free_port, listening
from tests.unit.support.wait import LIMIT, wait_until

SWARM = Path(__file__).with_name("swarm.py")

MIB = 1024 * 1024


class Program:
    """A running ``fliswarm start --debug``.

    Parameters
    ----------
    folder
        Where its configuration, control socket and log are.
    cameras
        Ports on which cameras listen, by name of node.
    engines
        Ports of the nodes' Docker Engines; where none is given, nobody listens.
    """

    def __init__(
        self,
        folder: Path,
        cameras: Mapping[str, int],
        engines: Mapping[str, int] | None = None,
    ) -> None:
        self.port = free_port()
        self.socket = folder / "control.sock"
        self.file = folder / "fliswarm.yaml"
        self.log = folder / "fliswarm.log"
        self._nobody = free_port()
        self._engines = dict(engines or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.write(cameras)

    def write(self, cameras: Mapping[str, int]) -> None:
        """Write the configuration."""
        nodes = {
            name: {
                "user": "nobody-at-all",
                "host": "127.0.0.1",
                "port": port,
                "docker-client": "tcp://127.0.0.1:"
                f"{self._engines.get(name, self._nobody)}",
                "category": "gfa",
            }
            for name, port in cameras.items()
        }
        configuration = {
            "actor": {
                "name": "fliswarm",
                "host": "127.0.0.1",
                "port": self.port,
                "commands": "all",
            },
            "image": "sdss/flicamera:latest",
            "nodes": {"LAB": nodes},
            "control": {"socket": str(self.socket)},
        }
        # JSON is YAML.
        self.file.write_text(json.dumps(configuration), "utf-8")

    def start(self, python: Sequence[str] = ("-m", "fliswarm")) -> None:
        """Start the process and wait until it serves."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *python, "-c", str(self.file), "start", "--debug"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "OBSERVATORY": "LAB",
                    "STATE_DIRECTORY": str(self.file.parent / "state"),
                },
            )
        wait_until(lambda: not self.alive or listening(self.port), "the program serves")
        assert self.alive, f"the program ended at its start: {self.said}"

    def stop(self, number: int = signal.SIGTERM, limit: float = LIMIT) -> float:
        """Send a signal; return the seconds until the process has ended."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(number)
        try:
            self._process.wait(limit)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        return time.monotonic() - began

    @property
    def pid(self) -> int:
        """Number of the process."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def said(self) -> str:
        """The end of what it printed."""
        return self.log.read_text("utf-8", "replace")[-4000:]

    @property
    def memory(self) -> float:
        """Resident memory in MiB."""
        return int(self._status("VmRSS").split()[0]) * 1024 / MIB

    @property
    def threads(self) -> int:
        """Number of threads."""
        return int(self._status("Threads"))

    @property
    def descriptors(self) -> int:
        """Number of open descriptors."""
        return len(list(self._proc.joinpath("fd").iterdir()))

    @property
    def processor(self) -> float:
        """Seconds of processor time used up to now."""
        fields = self._proc.joinpath("stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def _proc(self) -> Path:
        return Path(f"/proc/{self.pid}")

    def _status(self, key: str) -> str:
        lines = self._proc.joinpath("status").read_text().splitlines()
        return next(line for line in lines if line.startswith(f"{key}:"))[
            len(key) + 1 :
        ].strip()


@contextmanager
def running(
    folder: Path,
    cameras: Mapping[str, int],
    engines: Mapping[str, int] | None = None,
    *,
    tracebacks: bool = False,
) -> Iterator[Program]:
    """Run the program; at the end it must still be there, and end when asked to.

    A traceback in its log is a failure, unless ``tracebacks`` allows it.
    """
    program = Program(folder, cameras, engines)
    program.start()
    try:
        yield program
        assert program.alive, f"the program has ended: {program.said}"
    finally:
        if program.alive:
            program.stop()
    log = program.log.read_text("utf-8", "replace")
    where = log.find("Traceback")
    assert tracebacks or where < 0, log[max(0, where - 500) : where + 3000]


@contextmanager
def swarm(*names: str) -> Iterator[dict[str, int]]:
    """Run cameras in a process of their own; yield their ports."""
    ports = {name: free_port() for name in names}
    words = [f"{name}:{port}" for name, port in ports.items()]
    process = subprocess.Popen(
        [sys.executable, str(SWARM), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield ports
    finally:
        process.communicate()
