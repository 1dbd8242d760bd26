"""The lab with its fleet up: real engines, systemd, sshd, Ansible and flicamera."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True)
class Done:
    """A program that has ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Lab:
    """The lab on this machine, as a user and as the outside world reach it.

    ``within`` are the words before each program that is run: they bring it elsewhere.
    """

    prefix: str
    nodes: tuple[str, ...]
    docker_host: str
    within: tuple[str, ...] = ()

    def address(self, name: str) -> str:
        """Return the address of a host."""
        last = 10 if name == "manager" else 10 + int(name.removeprefix("gfa"))
        return f"{self.prefix}.{last}"

    def run(self, *words: str, limit: float = 600, **environment: str) -> Done:
        """Run a program of the virtual environment from the root of the clone."""
        done = subprocess.run(
            [*self.within, str(PROGRAMS / words[0]), *words[1:]],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def fliswarm(self, *words: str, limit: float = 120) -> Done:
        """Run a command against the manager through ssh, from this machine."""
        return self.run(
            "fliswarm",
            *words,
            limit=limit,
            FLISWARM_HOST="ssh://manager",
            FLISWARM_SSH_COMMAND=f"ssh -F {ROOT}/.lab/ssh/config",
        )

    def ssh(self, host: str, command: str, limit: float = 60) -> Done:
        """Run a shell command on a host of the lab."""
        done = subprocess.run(
            ["ssh", "-F", str(ROOT / ".lab/ssh/config"), host, command],
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def outer(self) -> closing[docker.DockerClient]:
        """Return the engine that the lab's hosts are containers of."""
        return closing(docker.DockerClient(self.docker_host))

    def engine(self, node: str) -> closing[docker.DockerClient]:
        """Return a node's own engine, from outside, as the controller."""
        pki = ROOT / ".lab" / "pki"
        tls = docker.tls.TLSConfig(
            client_cert=(str(pki / "controller.pem"), str(pki / "controller.key")),
            ca_cert=str(pki / "ca.pem"),
            verify=True,
        )
        address = f"https://{self.address(node)}:2376"
        # Asked for no version, it makes no connection yet.
        client = docker.DockerClient(address, version="1.41", tls=tls, timeout=20)
        # An authority named in the environment is for the Internet.
        client.api.trust_env = False
        return closing(client)

    def fleet(self) -> dict[str, dict[str, Any]]:
        """Return what ``status --json`` says, by node."""
        done = self.fliswarm("status", "--json")
        # Something may be wrong with it, which the code says.
        assert done.code in (0, 1, 4), done.err
        lines = map(json.loads, done.out.splitlines())
        return {line["node"]: line for line in lines}


def wait(condition: Callable[[], bool], limit: float, what: str) -> float:
    """Return the seconds until a condition holds; fail when it takes too long."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > limit:
            pytest.fail(f"not within {limit:g} s: {what}")
        time.sleep(0.2)
    return time.monotonic() - began


@pytest.fixture(scope="session")
def lab() -> Lab:
    """Return the lab, which ``make lab`` has built."""
    state = ROOT / ".lab" / "lab.json"
    if not state.exists():
        pytest.fail("the lab is not up; remedy: make lab")
    known = json.loads(state.read_text("utf-8"))
    nodes = tuple(f"gfa{n}" for n in range(1, known["nodes"] + 1))
    return Lab(known["prefix"], nodes, known["docker_host"])


@pytest.fixture(scope="session")
def fleet(lab: Lab) -> Lab:
    """Return the lab with its fleet up."""
    done = lab.run("fliswarm", "up", "-i", "inventory/lab", limit=1200)
    if done.code:
        # Each test would bring it up again, for minutes, and fail of the same.
        pytest.exit(f"the fleet does not come up:\n{done.out}{done.err}", returncode=1)
    return lab


@pytest.fixture
def foreign(fleet: Lab) -> Iterator[Container]:
    """Yield someone else's container, whose name contains that of ours on gfa1."""
    with fleet.engine("gfa1") as engine:
        image = engine.containers.get("flicamera-gfa1").attrs["Image"]
        container = engine.containers.run(
            image,
            entrypoint=["sleep", "3600"],
            name="not-flicamera-gfa1-at-all",
            detach=True,
        )
        yield container
        container.remove(force=True)
