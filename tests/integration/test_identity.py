"""Nodes are renamed, change places, leave and move: each host has what is wanted."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.integration.conftest import Lab

FILE = "/etc/fliswarm/fliswarm.yaml"

Nodes = dict[str, Any]


def ours(fleet: Lab, host: str) -> dict[str, str]:
    """Return the containers of ours on a host, by name, with their states."""
    with fleet.engine(host) as engine:
        found = engine.containers.list(
            all=True, filters={"label": "org.sdss.fliswarm.node"}
        )
        return {str(container.name): container.status for container in found}


@pytest.fixture
def configure(fleet: Lab) -> Iterator[Callable[[Callable[[Nodes], None]], None]]:
    """Yield what changes the nodes of the controller's file; put all back at the end.

    The inventory has one line a node, from which the role renders the same.
    """
    before = fleet.ssh("manager", f"sudo cat {FILE}").out

    def write(text: str) -> None:
        command = f"printf %s {shlex.quote(text)} | sudo tee {FILE} >/dev/null"
        assert fleet.ssh("manager", command).code == 0
        done = fleet.fliswarm("reload")
        assert done.code == 0, done.out

    def change(how: Callable[[Nodes], None]) -> None:
        content = yaml.safe_load(before)
        how(content["nodes"]["LAB"])
        content["enabled_nodes"]["LAB"] = list(content["nodes"]["LAB"])
        write(yaml.safe_dump(content, sort_keys=False))

    yield change
    write(before)
    done = fleet.fliswarm("reconnect", limit=300)
    assert done.code == 0, done.out
    wanted = {name: {f"flicamera-{name}": "running"} for name in fleet.nodes}
    assert {name: ours(fleet, name) for name in fleet.nodes} == wanted


def reconnected(fleet: Lab, *nodes: str) -> None:
    """Make all as wanted; each of these nodes answers by itself."""
    done = fleet.fliswarm("reconnect", limit=300)
    assert done.code == 0, done.out
    for node in nodes:
        talked = fleet.fliswarm("talk", "--raw", "-n", node, "status")
        assert talked.code == 0, talked.out
        assert f"camera={node}" in talked.out
    dry = fleet.fliswarm("reconnect", "--dry-run")
    assert dry.code == 0, dry.out
    assert dry.out.count("nothing to do") == len(nodes), dry.out


def test_a_renamed_node(
    fleet: Lab, configure: Callable[[Callable[[Nodes], None]], None]
) -> None:
    def rename(nodes: Nodes) -> None:
        nodes["gfa7"] = nodes.pop("gfa3")

    configure(rename)
    shown = fleet.fliswarm("status")
    assert shown.code == 1
    assert "flicamera-gfa3" in shown.out
    assert "what answers there says that it is gfa3" in shown.out
    # Nobody else's camera is commanded in its place.
    assert fleet.fliswarm("talk", "-n", "gfa7", "status").code == 4
    reconnected(fleet, "gfa1", "gfa2", "gfa7")
    assert ours(fleet, "gfa3") == {"flicamera-gfa7": "running"}


def test_two_nodes_change_places(
    fleet: Lab, configure: Callable[[Callable[[Nodes], None]], None]
) -> None:
    def swap(nodes: Nodes) -> None:
        nodes["gfa1"], nodes["gfa2"] = nodes["gfa2"], nodes["gfa1"]

    configure(swap)
    reconnected(fleet, "gfa1", "gfa2", "gfa3")
    assert ours(fleet, "gfa1") == {"flicamera-gfa2": "running"}
    assert ours(fleet, "gfa2") == {"flicamera-gfa1": "running"}


def test_a_node_leaves_and_another_moves_to_its_computer(
    fleet: Lab, configure: Callable[[Callable[[Nodes], None]], None]
) -> None:
    def move(nodes: Nodes) -> None:
        nodes["gfa3"] = nodes.pop("gfa2")

    configure(move)
    shown = fleet.fliswarm("status")
    assert "may still run" in shown.out
    reconnected(fleet, "gfa1", "gfa3")
    assert ours(fleet, "gfa2") == {"flicamera-gfa3": "running"}
    assert ours(fleet, "gfa3") == {}
    assert "may still run" not in fleet.fliswarm("status").out


def test_a_node_that_left_is_named_while_its_computer_is_away(
    fleet: Lab, configure: Callable[[Callable[[Nodes], None]], None]
) -> None:
    fleet.ssh("gfa3", "sudo systemctl stop docker.socket docker")
    try:
        configure(lambda nodes: nodes.pop("gfa3"))
        done = fleet.fliswarm("reconnect", limit=300)
        assert done.code == 0, done.out
        assert "gfa3: what it left on" in done.out
        assert "remove --left" in done.out
    finally:
        fleet.ssh("gfa3", "sudo systemctl start docker")
    cleared = fleet.fliswarm("remove", "--left")
    assert cleared.code == 0, cleared.out
    assert ours(fleet, "gfa3") == {}
