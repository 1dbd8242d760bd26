"""The fleet changes by edits of its inventory, while the other cameras expose."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import ROOT, Done, Lab

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

SPARE = 2
"""Computers beside those of the fleet."""


class Growth:
    """An inventory of the lab that is edited, a line a node.

    Parameters
    ----------
    lab
        Where it is.
    folder
        Of the inventory; its variables are those of the lab.
    """

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.nodes: dict[str, dict[str, Any]] = {
            name: self.on(name) for name in lab.nodes
        }
        count = len(lab.nodes)
        self.spare = [f"gfa{count + n + 1}" for n in range(SPARE)]
        self.computers = (*lab.nodes, *self.spare)
        shutil.copytree(ROOT / "inventory/lab/group_vars", folder / "group_vars")

    def on(self, computer: str) -> dict[str, Any]:
        """Return the line of a node that is on a computer of the lab."""
        return {"ansible_host": self.lab.address(computer)}

    def fliswarm(self, *words: str) -> Done:
        """Run a command over the inventory as it is now."""
        inventory = {
            "manager": {
                "hosts": {"lab-manager": {"ansible_host": self.lab.address("manager")}}
            },
            "nodes": {"children": {"gfa": {"hosts": self.nodes}}},
        }
        (self.folder / "hosts.yml").write_text(json.dumps(inventory), "utf-8")
        return self.lab.run(
            "fliswarm", words[0], "-i", str(self.folder), *words[1:], limit=1200
        )

    def containers(self) -> dict[str, dict[str, str]]:
        """Return all containers of each computer, ids by names."""
        found = {}
        for computer in self.computers:
            listed = "sudo docker ps --all --no-trunc --format '{{.Names}} {{.ID}}'"
            # One that was given back has no Docker.
            asked = f"! command -v docker >/dev/null || {listed}"
            done = self.lab.ssh(computer, asked)
            assert done.code == 0, done.err
            found[computer] = dict(line.split() for line in done.out.splitlines())
        return found

    def names(self) -> dict[str, list[str]]:
        """Return the names of all containers of each computer."""
        return {host: sorted(found) for host, found in self.containers().items()}

    def apply(self, *said: str, exposing: Sequence[str]) -> None:
        """Have a plan made, carried out, and nothing said any more.

        Meanwhile cameras expose, in the containers that they have; they are those of
        the computers of their names.
        """
        before = self.containers()
        began = time.monotonic()
        plan = self.fliswarm("plan")
        # Longer than a plan and what is done of it take, on whatever machine.
        seconds = str(60 + 6 * (time.monotonic() - began))
        assert plan.code == 2, plan.out + plan.err
        for text in said:
            assert text in plan.out, plan.out
        assert self.containers() == before
        with ThreadPoolExecutor(1) as pool:
            words = ("talk", "--strict", "-n", ",".join(exposing), "expose", seconds)
            exposure = pool.submit(self.lab.fliswarm, *words, limit=3600)
            done = self.fliswarm("apply", "--yes")
            assert done.code == 0, done.out + done.err
            assert not exposure.done(), exposure.result()
            after = self.containers()
            assert {n: after[n] for n in exposing} == {n: before[n] for n in exposing}
            assert exposure.result().code == 0, exposure.result()
        again = self.fliswarm("plan")
        assert again.code == 0, again.out + again.err
        nothing = self.fliswarm("apply")
        assert nothing.code == 0, nothing.out + nothing.err
        assert self.containers() == after


@pytest.fixture(scope="module")
def growth(fleet: Lab) -> Iterator[Growth]:
    """Yield an inventory beside that of the lab, and bare computers to grow with."""
    count = len(fleet.nodes)
    added = fleet.run("ansible-playbook", "lab/up.yml", LAB_NODES=str(count + SPARE))
    assert added.code == 0, added.out
    # Paths of the lab's variables are from where an inventory of the clone is.
    folder = ROOT / ".lab" / "growth"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    yield Growth(fleet, folder)
    back = fleet.run("ansible-playbook", "lab/up.yml", LAB_NODES=str(count))
    assert back.code == 0, back.out
    up = fleet.run("fliswarm", "up", "-i", "inventory/lab", limit=1200)
    shutil.rmtree(folder)
    assert up.code == 0, up.out + up.err


def test_one_line_and_one_command_add_a_camera(fleet: Lab, growth: Growth) -> None:
    new = growth.spare[0]
    assert growth.fliswarm("plan").code == 0
    growth.nodes[new] = growth.on(new)
    growth.apply(
        "2 hosts change, 1 node is added, ", f"{new} is added", exposing=fleet.nodes
    )
    assert growth.names()[new] == [f"flicamera-{new}"]
    talked = fleet.fliswarm("talk", "-n", new, "status")
    assert talked.code == 0, talked.err


def test_a_node_is_renamed(fleet: Lab, growth: Growth) -> None:
    computer = growth.spare[0]
    growth.nodes["gfa9"] = growth.nodes.pop(computer)
    growth.apply(f"gfa9 is renamed, it was {computer}", exposing=fleet.nodes)
    assert growth.names()[computer] == ["flicamera-gfa9"]


def test_names_are_swapped(fleet: Lab, growth: Growth) -> None:
    *others, last = fleet.nodes
    growth.nodes[last], growth.nodes["gfa9"] = growth.nodes["gfa9"], growth.nodes[last]
    growth.apply("2 nodes change place", exposing=others)
    names = growth.names()
    assert names[last] == ["flicamera-gfa9"]
    assert names[growth.spare[0]] == [f"flicamera-{last}"]
    growth.nodes[last], growth.nodes["gfa9"] = growth.nodes["gfa9"], growth.nodes[last]
    growth.apply("2 nodes change place", exposing=others)


def test_a_node_moves_to_another_computer(fleet: Lab, growth: Growth) -> None:
    former, new = growth.spare
    growth.nodes["gfa9"] = growth.on(new)
    growth.apply("gfa9 is moved", "1 host leaves", exposing=fleet.nodes)
    names = growth.names()
    assert names[former] == []
    assert names[new] == ["flicamera-gfa9"]


def test_another_port_and_another_category(fleet: Lab, growth: Growth) -> None:
    growth.nodes["gfa9"].update(fliswarm_port=19997, fliswarm_category="fvc")
    growth.apply(
        "category: wanted fvc, found gfa", "port: wanted 19997", exposing=fleet.nodes
    )
    talked = fleet.fliswarm("talk", "-c", "fvc", "status")
    assert talked.code == 0, talked.err


def test_a_saved_plan_does_not_hold_when_a_container_is_another(
    fleet: Lab, growth: Growth, tmp_path: Path
) -> None:
    file = tmp_path / "plan.json"
    growth.nodes["gfa9"]["fliswarm_category"] = "gfa"
    plan = growth.fliswarm("plan", "-o", str(file))
    assert plan.code == 2, plan.out + plan.err
    forced = fleet.fliswarm("reconnect", "--force", "-n", "gfa9")
    assert forced.code == 0, forced.out
    before = growth.containers()
    refused = growth.fliswarm("apply", str(file))
    assert refused.code == 1
    assert "gfa9: its containers changed since" in refused.err
    assert growth.containers() == before
    plan = growth.fliswarm("plan", "-o", str(file))
    done = growth.fliswarm("apply", str(file))
    assert done.code == 0, done.out + done.err
    assert growth.containers() == before


def test_a_line_less_takes_a_camera_away(fleet: Lab, growth: Growth) -> None:
    computer = growth.spare[1]
    del growth.nodes["gfa9"]
    growth.apply(
        "1 host leaves, 1 node is removed, ", "gfa9 is removed", exposing=fleet.nodes
    )
    assert growth.names()[computer] == []
    # Its computer lets the controller in no more, and the controller knows it no more.
    left = fleet.ssh(
        computer, "sudo find /etc/docker /home/sdss/.ssh -type f 2>/dev/null"
    )
    assert left.out == ""
    known = fleet.ssh("manager", "sudo grep -r gfa9 /etc/fliswarm /etc/hosts")
    assert known.out == ""
