"""Engines and hosts behind the ssh of real computers."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fliswarm.engine.docker import DockerEngine, DockerEngines
from fliswarm.errors import EngineUnreachableError, HostError
from fliswarm.host.ssh import SshHosts
from fliswarm.model import Node
from tests.integration.conftest import ROOT, Lab

pytestmark = pytest.mark.lab

SSH = f"ssh -F {ROOT}/.lab/ssh/config"

OTHER_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
"""A host key that no host has."""


def _let_in(fleet: Lab, name: str) -> Iterator[str]:
    """Let the lab's user speak to a host's engine for a while; yield its name."""
    there = "docker" in fleet.ssh(name, "id -Gn").out.split()
    if not there:
        assert fleet.ssh(name, "sudo usermod -aG docker lab").code == 0
    yield name
    if not there:
        assert fleet.ssh(name, "sudo gpasswd -d lab docker").code == 0


@pytest.fixture
def node(fleet: Lab) -> Iterator[str]:
    """Yield a node whose engine the lab's user may speak to."""
    yield from _let_in(fleet, fleet.nodes[0])


@pytest.fixture
def manager(fleet: Lab) -> Iterator[str]:
    """Yield the manager, whose engine has no container of ours."""
    yield from _let_in(fleet, "manager")


@asynccontextmanager
async def speaking(lab: Lab, node: str) -> AsyncIterator[DockerEngine]:
    engines = DockerEngines()
    engine = engines(Node(node, node, f"ssh://lab@{lab.address(node)}"))
    try:
        yield engine
    finally:
        engine.close()
        # The loop closes what it was asked to.
        await asyncio.sleep(0.1)


async def back(engine: DockerEngine, limit: float) -> None:
    """Return when the engine answers again."""
    async with asyncio.timeout(limit):
        while True:
            try:
                await engine.ping()
            except EngineUnreachableError:
                await asyncio.sleep(0.2)
            else:
                return


def test_an_engine_behind_ssh_keeps_the_contract(fleet: Lab, manager: str) -> None:
    address = fleet.address(manager)
    done = fleet.run(
        *("pytest", "-q", "tests/contract/test_engine.py"),
        FLISWARM_TEST_ENGINE=f"ssh://lab@{address}",
        FLISWARM_TEST_IMAGE=f"{address}:5000/sdss/flicamera:latest",
        FLISWARM_SSH_COMMAND=SSH,
    )
    assert done.code == 0, done.out
    assert "skipped" not in done.out


async def test_the_way_through_ssh_heals(
    fleet: Lab, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLISWARM_SSH_COMMAND", SSH)
    async with speaking(fleet, node) as engine:
        await engine.ping()
        assert engine._tunnel is not None
        assert engine._tunnel._ssh is not None
        os.kill(engine._tunnel._ssh._process.pid, signal.SIGKILL)
        await engine.ping()
        # The login of the node ends its sessions.
        fleet.ssh(node, "sudo pkill -f '^[s]shd: lab'")
        await back(engine, 10)
        with fleet.outer() as outer:
            host = outer.containers.get(f"fliswarm-lab-{node}")
            host.pause()
            try:
                began = time.monotonic()
                with pytest.raises(EngineUnreachableError, match="does not answer"):
                    await engine.ping()
                assert time.monotonic() - began < 3
            finally:
                host.unpause()
        await back(engine, 20)


async def test_an_engine_that_is_down_behind_ssh(
    fleet: Lab, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLISWARM_SSH_COMMAND", SSH)
    async with speaking(fleet, node) as engine:
        await engine.ping()
        assert fleet.ssh(node, "sudo systemctl stop docker docker.socket").code == 0
        try:
            with pytest.raises(
                EngineUnreachableError, match="cannot be reached through ssh"
            ) as error:
                await engine.ping()
            assert error.value.host_alive is True
        finally:
            fleet.ssh(node, "sudo systemctl reset-failed docker docker.socket")
            assert fleet.ssh(node, "sudo systemctl start docker").code == 0
        await back(engine, 30)


async def test_a_host_with_another_key(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = lab.address(lab.nodes[0])
    known = tmp_path / "known_hosts"
    known.write_text(f"{address} ssh-ed25519 {OTHER_KEY}\n", "utf-8")
    command = f"ssh -o UserKnownHostsFile={known}"
    monkeypatch.setenv("FLISWARM_SSH_COMMAND", command)
    hosts = SshHosts()
    with pytest.raises(HostError) as error:
        await hosts(Node("gfa1", address, f"tcp://{address}", user="lab")).mark()
    assert str(error.value) == (
        f"gfa1: ssh lab@{address}: its host key is not the one that is known here; "
        "remedy: run the site's playbook for this node"
    )
    hosts.close()
