"""Edits of an inventory: what the plan says, that it is done, and nothing else is."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from fliswarm import config
from fliswarm.change.world import Patience
from fliswarm.engine.memory import MemoryEngine
from fliswarm.fleet.live import LiveFleet
from fliswarm.host.memory import MemoryHost
from fliswarm.model import Fleet, Image, Node
from fliswarm.plan.edits import KEEP, REMOVE
from fliswarm.plan.whole import CONTROLLER, LEFT, NODE, Item
from tests.unit.support.camera import Answer, RawCamera, line
from tests.unit.support.live import Computer, Power
from tests.unit.support.modules import ROOT
from tests.unit.support.site import PULLED, free_port

CASES = sorted((Path(__file__).parents[2] / "cases" / "edits").glob("*.yaml"))

ROLE = ROOT / "collection/roles/controller"

PLAYBOOK = f"""\
- hosts: manager
  gather_facts: false
  connection: local
  vars_files: [{ROLE}/vars/main.yml]
  tasks:
    - ansible.builtin.copy:
        content: "{{{{ lookup('ansible.builtin.template', template) }}}}"
        dest: "{{{{ result }}}}"
        mode: "0600"
      vars:
        template: {ROLE}/templates/fliswarm.yaml.j2
        ansible_python_interpreter: {sys.executable}
"""

BASE: dict[str, Any] = {
    "vars": {
        "fliswarm_observatory": "APO",
        "fliswarm_docker_transport": "tcp",
        "fliswarm_registry": "hub:5000",
        "fliswarm_port": "PORT",
        "fliswarm_volumes": {
            "data": {
                "driver": "local",
                "opts": {"type": "nfs", "o": "addr=hub", "device": ":/data"},
            }
        },
    },
    "manager": {"hub": {"ansible_host": "127.0.0.10"}},
    "nodes": {f"gfa{n}": {"ansible_host": f"127.0.0.1{n}"} for n in (1, 2, 3)},
    "categories": {},
}

STAND_INS = {"PORT": 61001, "OTHER": 61002}
"""What stands for ports until it is known which are free."""

PATIENCE = Patience(answer=20, settle=20, look=0.05, power=0.01, undo=5)


def edited(inventory: Mapping[str, Any], edit: Mapping[str, Any]) -> dict[str, Any]:
    """Return an inventory with an edit made."""
    made = copy.deepcopy(dict(inventory))
    made["vars"].update(edit.get("vars", {}))
    made["categories"].update(edit.get("categories", {}))
    made["manager"] = edit.get("manager", made["manager"])
    for name, its in edit.get("nodes", {}).items():
        if its is None:
            del made["nodes"][name]
        else:
            made["nodes"][name] = {**made["nodes"].get(name, {}), **its}
    return made


def rendered(folder: Path, inventory: Mapping[str, Any]) -> str:
    """Return the controller's file that the role makes of an inventory."""
    groups: dict[str, Any] = {}
    for name, its in inventory["nodes"].items():
        group = inventory["categories"].get(name, "gfa")
        groups.setdefault(group, {"hosts": {}})["hosts"][name] = its
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text("utf-8"))
    whole = {
        "all": {"vars": {**defaults, **inventory["vars"]}},
        "manager": {"hosts": inventory["manager"]},
        "nodes": {"children": groups},
    }
    text = yaml.safe_dump(whole, sort_keys=False)
    for word, port in STAND_INS.items():
        text = text.replace(word, str(port))
    (folder / "hosts.yml").write_text(text, "utf-8")
    (folder / "play.yml").write_text(PLAYBOOK, "utf-8")
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("ansible-playbook")), "-i"),
            *(str(folder / "hosts.yml"), str(folder / "play.yml")),
            *("-e", f"result={folder / 'fliswarm.yaml'}"),
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_HOME": str(folder / ".ansible")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "fliswarm.yaml").read_text("utf-8")


class World:
    """Computers by their addresses, and the controller's fleet of them."""

    def __init__(self, computers: dict[str, Computer], running: Fleet) -> None:
        self.computers = computers
        self.provisioned = {node.engine for node in running.nodes.values()}
        self.answers: set[str] = set()
        self.publish(running)
        self.fleet = LiveFleet(
            running, self._connect, self._reach, Power({}), None, PATIENCE
        )

    def _connect(self, node: Node) -> MemoryEngine:
        engine = self.computers[node.host].engine(node)
        engine.up = node.engine in self.provisioned or node.host in self.answers
        return engine

    def _reach(self, node: Node) -> MemoryHost:
        return MemoryHost(node.name)

    def publish(self, fleet: Fleet) -> None:
        """Bring the image of a fleet into its registry, as a run does."""
        for computer in self.computers.values():
            same = computer.registry.get(fleet.image_reference)
            made = Image(f"sha256:{fleet.image_reference}", PULLED.digest)
            computer.registry[fleet.image_reference] = same or made

    async def look(self, wanted: Fleet) -> list[Item]:
        """Return what the plan of another configuration says."""
        fleet = self.fleet
        return await fleet.outlook.look(fleet.nodes, fleet.desired, wanted)

    def ids(self, name: str) -> set[str]:
        """Return the containers of a node, wherever they are."""
        every = (c.daemon.containers.values() for c in self.computers.values())
        return {c.id for there in every for c in there if c.node == name}


@asynccontextmanager
async def world(
    running: Fleet, ports: dict[str, int], same: list[str]
) -> AsyncIterator[World]:
    """Yield computers with the cameras of a fleet."""
    cameras: list[RawCamera] = []
    computers: dict[str, Computer] = {}
    for number in range(11, 15):
        host = f"127.0.0.{number}"
        made = []
        for port in ports.values():
            camera = RawCamera()
            camera.host = host
            made.append(await camera.start(port))
        cameras += made
        computers[host] = Computer(made[0], host)
        for camera in made:
            camera.answer = answering(computers[host])
    if same:
        for camera in cameras:
            if camera.host == same[1]:
                camera.answer = answering(computers[same[0]])
        computers[same[1]] = computers[same[0]]
    there = World(computers, running)
    there.fleet.start()
    try:
        results = await there.fleet.apply(there.fleet.select(), lambda _: None)
        assert not [str(r.error) for r in results if r.error is not None]
        yield there
    finally:
        await there.fleet.close()
        for camera in cameras:
            await camera.close()


def answering(computer: Computer) -> Answer:
    """Return the answers of the programs that run on a computer, each on its port."""

    def answer(camera: RawCamera, number: int, _: str) -> None:
        for container in computer.running:
            has = container.spec["environment"]
            assert isinstance(has, dict)
            if has["FLICAMERA_ACTOR_PORT"] == str(camera.port):
                camera.send(line(number, ":", str(has["ACTOR_NAME"])))

    return answer


def told(item: Item, ports: dict[str, int]) -> dict[str, Any]:
    """Return an item as the cases write it."""
    lines = list(item.lines)
    for word, port in ports.items():
        lines = [text.replace(str(port), word) for text in lines]
    lines = [re.sub(r"\b[0-9a-f]{12}\b", "ID", text) for text in lines]
    found: dict[str, Any] = {"kind": item.kind}
    if item.was is not None:
        found["was"] = item.was
    if item.needs is not None:
        found["needs"] = item.needs
    return {**found, "lines": lines}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what the controller has before most edits."""
    return rendered(tmp_path_factory.mktemp("base"), BASE)


def folder(path: Path) -> Path:
    """Make a folder."""
    path.mkdir()
    return path


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
async def test_case(file: Path, base: str, tmp_path: Path) -> None:
    case = yaml.safe_load(file.read_text("utf-8"))
    ports = {"PORT": free_port(), "OTHER": free_port()}
    before = edited(BASE, case.get("before", {}))
    texts = [
        rendered(folder(tmp_path / "before"), before) if "before" in case else base,
        rendered(folder(tmp_path / "after"), edited(before, case["after"])),
    ]
    for word, port in ports.items():
        texts = [text.replace(str(STAND_INS[word]), str(port)) for text in texts]
    running, wanted = map(config.read_text, texts)
    async with world(running, ports, case.get("same", [])) as there:
        there.answers = set(case.get("answers", ()))
        items = await there.look(wanted)
        assert not [item.problem for item in items if item.problem is not None]
        nodes = [item for item in items if item.what == NODE]
        says = {i.name: told(i, ports) for i in nodes if i.kind != KEEP}
        (controller,) = [item for item in items if item.what == CONTROLLER]
        left = {i.name: told(i, ports) for i in items if i.what == LEFT}
        assert says == case["says"]
        assert told(controller, ports)["lines"] == case.get("controller", [])
        assert left == case.get("left", {})
        assert "SECRET" not in str(items)
        # What it says is done, and it says nothing any more.
        keep = {i.name for i in nodes if not i.reconnect and i.kind != REMOVE}
        kept = {name: there.ids(name) for name in keep}
        there.provisioned |= {node.engine for node in wanted.nodes.values()}
        there.publish(wanted)
        await there.fleet.reload(wanted)
        todo = [i.name for i in nodes if i.reconnect]
        if todo:
            chosen = there.fleet.select(",".join(todo))
            results = await there.fleet.apply(chosen, lambda _: None)
            assert not [str(r.error) for r in results if r.error is not None]
        await there.fleet.clear(there.fleet.leavings, lambda _: None)
        again = await there.look(wanted)
        assert [i for i in again if i.pending or i.problem is not None] == []
        assert {name: there.ids(name) for name in keep} == kept


def test_there_are_cases() -> None:
    assert len(CASES) >= 30
