"""A site goes over from the real sdss-fliswarm 0.7, and back, while its cameras run."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker
import pytest
import yaml

from tests.integration.conftest import ROOT, Lab, wait
from tests.oracle.conftest import original as original
from tests.unit.support.site import free_port

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

LIMIT = 300
"""Seconds for the original to bring an image of 700 MB to all nodes."""


class Old:
    """The original's program on the machine around the lab, and its file."""

    def __init__(self, lab: Lab, program: Path, folder: Path) -> None:
        self.lab = lab
        self.program = program
        self.folder = folder
        self.port = free_port()
        self.registry = f"{lab.address('manager')}:5000"
        self.file = folder / "old.yaml"
        self.file.write_text(yaml.safe_dump(self._config(), sort_keys=False), "utf-8")
        # Not every machine has one, and none of the hosts is down.
        (folder / "ping").write_text("#!/bin/sh\nexit 0\n", "utf-8")
        (folder / "ping").chmod(0o755)

    def _config(self) -> dict[str, object]:
        lab = self.lab
        volume = {"type": "none", "o": "bind", "device": "/data"}
        return {
            "actor": {
                "name": "fliswarm",
                "host": "127.0.0.1",
                "port": self.port,
                "log_dir": str(self.folder / "logs"),
                "additional_properties": True,
            },
            "registry": self.registry,
            "image": "sdss/flicamera:latest",
            "container_name": "flicamera",
            "ping_timeout": 0.6,
            "reboot_command": "sudo reboot",
            "enabled_nodes": {"LAB": list(lab.nodes)},
            "nodes": {
                "LAB": {
                    name: {
                        "user": "sdss",
                        "host": lab.address(name),
                        "port": 19995,
                        "docker-client": f"tcp://{lab.address(name)}:2375",
                        "category": "gfa",
                        "power": {"device": name},
                    }
                    for name in lab.nodes
                }
            },
            "power": {
                "actor": "jaeger",
                "command": {"poweron": "on", "poweroff": "off"},
            },
            "volumes": {"data": {"driver": "local", "opts": volume}},
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the program run for a while; its containers stay."""
        environment = {
            **os.environ,
            "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "OBSERVATORY": "LAB",
        }
        words = [str(self.program), "-c", str(self.file), "actor", "start", "--debug"]
        with (self.folder / "output").open("ab") as output:
            process = subprocess.Popen(
                words, env=environment, stdout=output, stderr=output
            )
        try:
            wait(self._listens, 60, "the original listens")
            yield
        finally:
            process.terminate()
            process.wait(30)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def ask(self, command: str) -> list[str]:
        """Give a command; return its replies, of which the last one says how it was."""
        said: list[str] = []
        with (
            socket.create_connection(("127.0.0.1", self.port), LIMIT) as connection,
            connection.makefile("r", encoding="utf-8", newline="\n") as lines,
        ):
            connection.sendall(f"77 {command}\n".encode())
            for line in lines:
                _, number, rest = line.rstrip("\n").split(" ", 2)
                if number == "77":
                    said.append(rest)
                    if rest[0] in ":f":
                        break
        return said


def plain(lab: Lab, node: str) -> closing[docker.DockerClient]:
    """Return a node's engine by plain TCP, as the original has it."""
    address = f"tcp://{lab.address(node)}:2375"
    return closing(docker.DockerClient(address, version="1.41", timeout=20))


def cameras(lab: Lab) -> dict[str, str]:
    """Return the ids of the cameras' containers, by node."""
    found = {}
    for node in lab.nodes:
        with plain(lab, node) as engine:
            containers = engine.containers.list(all=True)
            assert [c.name for c in containers] == [f"flicamera-{node}"]
            assert containers[0].status == "running"
            found[node] = str(containers[0].id)
    return found


def ours(lab: Lab, node: str) -> bool:
    """Return whether a node's container is one that we made."""
    with plain(lab, node) as engine:
        labels = engine.containers.get(f"flicamera-{node}").labels
        return "org.sdss.fliswarm.node" in labels


@pytest.fixture
def old(fleet: Lab, original: Path, tmp_path: Path) -> Iterator[Old]:
    """Yield a site of the original's: plain TCP, its containers, nothing of ours."""
    plain_tcp = {"LAB_TRANSPORT": "tcp"}
    site = ("ansible-playbook", "-i", "inventory/lab", "playbooks/site.yml")
    done = fleet.run(*site, limit=900, **plain_tcp)
    assert done.code == 0, done.out
    assert fleet.fliswarm("remove", "--all").code == 0
    assert fleet.ssh("manager", "sudo systemctl stop fliswarm").code == 0
    made = Old(fleet, original, tmp_path)
    with made.running():
        said = made.ask("reconnect")
        assert said[-1][0] == ":", said
    try:
        yield made
    finally:
        for node in fleet.nodes:
            with plain(fleet, node) as engine:
                for container in engine.containers.list(all=True):
                    container.remove(force=True)
                for volume in engine.volumes.list():
                    if volume.name == "data":
                        volume.remove()
        fleet.ssh("manager", "sudo rm -f /var/lib/fliswarm/LAB/adopted.json")
        up = fleet.run("fliswarm", "up", "-i", "inventory/lab", limit=1200)
        assert up.code == 0, up.out + up.err


def imported(old: Old) -> Path:
    """Return the inventory of the original's file, with what the lab needs besides."""
    lab, folder = old.lab, old.folder / "inventory"
    words = ("import", str(old.file), "--site", "lab", "-o", str(folder))
    done = lab.run("fliswarm", *words)
    assert done.code == 0, done.err
    again = lab.run("fliswarm", *words)
    assert (again.code, "as it would be written" in again.out) == (0, True)
    # How its hosts are reached, and where its image comes from, no such file tells.
    every = folder / "group_vars" / "all.yml"
    known = yaml.safe_load(every.read_text("utf-8"))
    theirs = ROOT / "inventory/lab/group_vars/all.yml"
    of_the_lab = yaml.safe_load(theirs.read_text("utf-8"))
    keys = ("ansible_user", "ansible_python_interpreter")
    known |= {key: of_the_lab[key] for key in keys}
    images = [key for key in of_the_lab if key.startswith("flicamera_image_")]
    known |= {key: of_the_lab[key] for key in images}
    known |= {
        "lab_dir": str(ROOT / ".lab"),
        "ansible_ssh_common_args": f"-F '{ROOT}/.lab/ssh/config'",
        "camera_host_user": "sdss",
        "docker_engine_allowed": [lab.address("manager"), f"{lab.prefix}.1"],
    }
    known.pop("flicamera_image_upstream", None)
    # The original ran on the machine around the lab, in folders of its own.
    known.pop("controller_actor", None)
    every.write_text(yaml.safe_dump(known, sort_keys=False), "utf-8")
    return folder


def test_there_and_back(fleet: Lab, old: Old) -> None:
    before = cameras(fleet)
    assert not any(ours(fleet, node) for node in fleet.nodes)
    inventory = imported(old)
    done = fleet.run("fliswarm", "provision", "-i", str(inventory), limit=900)
    assert done.code == 0, done.out + done.err
    assert cameras(fleet) == before

    # They are seen, and left alone.
    said = fleet.fliswarm("send", "--json", "status")
    for node in fleet.nodes:
        assert f"{node}: a container of sdss-fliswarm runs here" in said.out
    assert fleet.fliswarm("reconnect", "--dry-run").code != 0
    assert fleet.fliswarm("reconnect").code != 0
    assert cameras(fleet) == before

    # Adopted, they run on, and nothing is left to do.
    would = fleet.fliswarm("reconnect", "--dry-run", "--adopt")
    assert would.code == 0, would.out
    assert would.out.count("nothing to do") == len(fleet.nodes), would.out
    assert fleet.fliswarm("reconnect", "--adopt", limit=300).code == 0
    assert fleet.fliswarm("reconnect", limit=300).code == 0
    assert cameras(fleet) == before
    plan = fleet.fliswarm("reconnect", "--dry-run")
    assert plan.out.count("nothing to do") == len(fleet.nodes), plan.out
    known = fleet.fleet()
    assert {n: known[n]["container"] for n in before} == {
        node: container[:12] for node, container in before.items()
    }
    assert fleet.fliswarm("talk", "--strict", "expose", "0.5").code == 0
    assert fleet.ssh("manager", "sudo systemctl restart fliswarm").code == 0
    wait(lambda: fleet.fliswarm("status").code == 0, 60, "the fleet is good")
    assert cameras(fleet) == before

    # One is changed: it is ours then, and the others are not touched.
    first, *rest = fleet.nodes
    done = fleet.fliswarm("reconnect", "-n", first, "--force", limit=300)
    assert done.code == 0, done.out
    assert ours(fleet, first)
    after = cameras(fleet)
    assert {node: after[node] for node in rest} == {node: before[node] for node in rest}
    assert fleet.fliswarm("talk", "--strict", "-n", first, "status").code == 0
    assert fleet.fliswarm("reconnect", "--dry-run").code == 0

    # And back: ours stops, cameras go on, the original takes them.
    assert fleet.ssh("manager", "sudo systemctl stop fliswarm").code == 0
    assert cameras(fleet) == after
    with old.running():
        said_by_old = "\n".join(old.ask("status"))
        for container in after.values():
            assert container[:10] in said_by_old
        assert old.ask("talk status")[-1][0] == ":"
        assert old.ask("reconnect")[-1][0] == ":"
    assert not any(ours(fleet, node) for node in fleet.nodes)
    assert not {*cameras(fleet).values()} & {*after.values()}


def test_a_replacement_that_does_not_come_up_gives_the_original_back(
    fleet: Lab, old: Old
) -> None:
    inventory = imported(old)
    options = inventory / "host_vars"
    options.mkdir()
    # Its camera listens where nobody looks for it.
    wrong = {"fliswarm_environment": {"FLICAMERA_ACTOR_PORT": "20111"}}
    name = fleet.nodes[0]
    (options / f"{name}.yml").write_text(yaml.safe_dump(wrong), "utf-8")
    done = fleet.run("fliswarm", "provision", "-i", str(inventory), limit=900)
    assert done.code == 0, done.out + done.err
    done = fleet.fliswarm("reconnect", "--adopt", "-n", name, limit=300)
    assert done.code != 0
    assert "the previous container runs again, its camera answers" in done.out
    assert not ours(fleet, name)
    cameras(fleet)
