"""A fleet without a way outside: provisioned, imaged and used all the same."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.conftest import Done, Lab, wait

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", re.MULTILINE)


def root(*words: str) -> str:
    """Run a program of the system's; return what it says."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


class Cell:
    """A network namespace on the lab's network, from which nothing else is reached."""

    def __init__(self, lab: Lab) -> None:
        mark = secrets.token_hex(3)
        self.name = f"offline-{mark}"
        self._lab = replace(lab, within=("ip", "netns", "exec", self.name))
        self._outside, inside = f"fo{mark}", f"fi{mark}"
        with lab.outer() as outer:
            network = outer.networks.get("fliswarm-lab")
            bridge = f"br-{str(network.id)[:12]}"
        root("ip", "netns", "add", self.name)
        root(
            *("ip", "link", "add", self._outside, "type", "veth"),
            *("peer", "name", inside, "netns", self.name),
        )
        root("ip", "link", "set", self._outside, "master", bridge, "up")
        address = f"{lab.prefix}.250/24"
        root("ip", "-n", self.name, "address", "add", address, "dev", inside)
        for device in ("lo", inside):
            root("ip", "-n", self.name, "link", "set", device, "up")

    def run(self, *words: str, limit: float = 900, **environment: str) -> Done:
        """Run a program of the virtual environment in it."""
        return self._lab.run(*words, limit=limit, **environment)

    def fliswarm(self, *words: str, limit: float = 300) -> Done:
        """Give a command to the manager, through ssh."""
        return self._lab.fliswarm(*words, limit=limit)

    def close(self) -> None:
        """Take it away."""
        root("ip", "netns", "delete", self.name)


@pytest.fixture
def cell(fleet: Lab) -> Iterator[Cell]:
    """Yield an operator's place without a way outside; no host has one either."""
    hosts = ("manager", *fleet.nodes)
    routes = {host: fleet.ssh(host, "ip route show default").out for host in hosts}
    made = Cell(fleet)
    try:
        for host in hosts:
            assert fleet.ssh(host, "sudo ip route flush default").code == 0
        yield made
    finally:
        for host, route in routes.items():
            for line in route.splitlines():
                fleet.ssh(host, f"sudo ip route replace {line}")
        made.close()


def test_nothing_asks_for_the_world_outside(fleet: Lab, cell: Cell) -> None:
    outside = fleet.ssh("manager", "ip route get 192.0.2.1")
    assert outside.code != 0
    site = ("ansible-playbook", "-i", "inventory/lab", "playbooks/site.yml")
    for options in ((), ("--check",)):
        done = cell.run(*site, *options)
        assert done.code == 0, done.out
        changes = {host: int(count) for host, count in RECAP.findall(done.out)}
        assert changes.keys() >= {"lab-manager", *fleet.nodes}
        assert not any(changes.values()), changes
    up = cell.run("fliswarm", "up", "-i", "inventory/lab")
    assert up.code == 0, up.out + up.err
    assert cell.fliswarm("status").code == 0
    assert cell.fliswarm("talk", "--strict", "expose", "0.5").code == 0


def test_an_image_comes_by_archive_where_there_is_no_registry(
    fleet: Lab, cell: Cell, tmp_path: Path
) -> None:
    name = fleet.nodes[-1]
    image = f"{fleet.address('manager')}:5000/sdss/flicamera:latest"
    file = tmp_path / "flicamera.tar"
    saved = cell.fliswarm("image", "save", image, str(file), "-n", fleet.nodes[0])
    assert saved.code == 0, saved.err
    assert file.stat().st_size > 1 << 20
    assert fleet.ssh("manager", "sudo systemctl stop docker-registry").code == 0
    try:
        assert cell.fliswarm("remove", "-n", name).code == 0
        with fleet.engine(name) as engine:
            for one in engine.images.list():
                engine.images.remove(str(one.id), force=True)
        done = cell.fliswarm("reconnect", "-n", name)
        assert done.code != 0
        assert f"remedy: fliswarm image load FILE -n {name}" in done.out
        loaded = cell.fliswarm("image", "load", str(file), "-n", name)
        assert loaded.code == 0, loaded.out
        done = cell.fliswarm("reconnect", "-n", name)
        assert done.code == 0, done.out
        wait(lambda: cell.fliswarm("status", "-n", name).code == 0, 60, "it is good")
        assert cell.fliswarm("talk", "-n", name, "--strict", "expose", "0.5").code == 0
        lines = cell.fliswarm("image", "list", "--json", "-n", name).out.splitlines()
        stored = [m["data"] for m in map(json.loads, lines) if "stored" in m["data"]]
        assert [one["used_by"] for one in stored] == [[f"flicamera-{name}"]]
        again = cell.fliswarm("image", "load", str(file), "-n", name)
        assert again.code == 0
        assert "is there already" in again.out
        # Nobody keeps a file of it.
        left = fleet.ssh("manager", "sudo ls /var/lib/fliswarm/LAB/spool")
        assert left.out == ""
    finally:
        fleet.ssh("manager", "sudo systemctl start docker-registry")
    assert cell.fliswarm("reconnect", "-n", name).code == 0


def test_an_archive_comes_into_the_registry(
    fleet: Lab, cell: Cell, tmp_path: Path
) -> None:
    image = f"{fleet.address('manager')}:5000/sdss/flicamera:latest"
    file = tmp_path / "flicamera.tar"
    assert cell.fliswarm("image", "save", image, str(file)).code == 0
    try:
        done = cell.fliswarm(
            "image", "push", str(file), "-i", "inventory/lab", limit=900
        )
        assert done.code == 0, done.out + done.err
        assert "flicamera_image_source: archive" in done.out
        updated = cell.fliswarm("reconnect", limit=600)
        assert updated.code == 0, updated.out
        assert len({node["digest"] for node in fleet.fleet().values()}) == 1
    finally:
        back = fleet.run("fliswarm", "up", "-i", "inventory/lab", limit=1200)
    assert back.code == 0, back.out + back.err
