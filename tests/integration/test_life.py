"""Power cuts, nodes that are away, other people's containers, down and up again."""

from __future__ import annotations

from pathlib import Path

import pytest
from docker.models.containers import Container

from tests.integration.conftest import Lab, wait

pytestmark = pytest.mark.lab


def camera_up(fleet: Lab, node: str) -> bool:
    found = fleet.fleet()[node]
    return found["camera"] is True and found["temperature"] is not None


def test_a_camera_answers_again_after_a_power_cut(fleet: Lab) -> None:
    with fleet.outer() as outer:
        host = outer.containers.get("fliswarm-lab-gfa3")
        host.kill()
        wait(
            lambda: fleet.fleet()["gfa3"]["camera"] is False,
            30,
            "the link is seen down",
        )
        others = fleet.fliswarm("talk", "--exclude", "gfa3", "status")
        assert others.code == 0, others.out
        host.start()
    wait(lambda: camera_up(fleet, "gfa3"), 60, "the camera of gfa3 answers")


def test_an_unreachable_node_does_not_keep_the_rest_from_being_served(
    fleet: Lab,
) -> None:
    with fleet.outer() as outer:
        outer.networks.get("fliswarm-lab").disconnect("fliswarm-lab-gfa3")
        try:
            done = fleet.run("fliswarm", "up", "-i", "inventory/lab")
            assert done.code != 0
            assert "gfa3: " in done.err
            assert "Traceback" not in done.out + done.err
            found = fleet.fleet()
            assert found["gfa1"]["camera"] is True
            assert found["gfa3"]["docker_alive"] is False
        finally:
            healed = fleet.run("ansible-playbook", "lab/up.yml")
    assert healed.code == 0, healed.out
    wait(lambda: camera_up(fleet, "gfa3"), 60, "the camera of gfa3 answers")


def test_a_foreign_container_survives_everything(
    fleet: Lab, foreign: Container
) -> None:
    foreign.reload()
    began = foreign.attrs["State"]["StartedAt"]
    done = fleet.fliswarm("reconnect", "--force")
    assert done.code == 0, done.out
    down = fleet.run("fliswarm", "down", "-i", "inventory/lab")
    assert down.code == 0, down.out + down.err
    with fleet.engine("gfa1") as engine:
        assert [c.name for c in engine.containers.list(all=True)] == [foreign.name]
    up = fleet.run("fliswarm", "up", "-i", "inventory/lab")
    assert up.code == 0, up.out + up.err
    foreign.reload()
    assert foreign.attrs["State"]["Running"] is True
    assert foreign.attrs["State"]["StartedAt"] == began


def test_an_inventory_without_a_manager_is_refused(fleet: Lab, tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("nodes: {hosts: {gfa1: {}}}\n")
    for words in (
        ("fliswarm", "up", "-i", str(inventory)),
        ("ansible-playbook", "-i", str(inventory), "playbooks/site.yml"),
    ):
        done = fleet.run(*words)
        assert done.code != 0
        said = done.out + done.err
        assert str(inventory) in said
        assert "manager" in said
        assert "Traceback" not in said
