"""The command line, on the manager and through ssh from this machine."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.conftest import Lab

pytestmark = pytest.mark.lab


def test_status_is_complete(fleet: Lab) -> None:
    for name, node in fleet.fleet().items():
        assert node["host"] == fleet.address(name)
        assert node["docker_alive"] is True
        assert node["camera"] is True
        assert isinstance(node["temperature"], float)
        assert len(node["container"]) == 12


def test_commands_work_on_the_manager(fleet: Lab) -> None:
    done = fleet.ssh("manager", "fliswarm talk --raw -n gfa2 status")
    assert done.code == 0, done.err
    assert "temperature_ccd=" in done.out
    done = fleet.ssh("manager", "fliswarm status --json")
    assert {json.loads(line)["node"] for line in done.out.splitlines()} == set(
        fleet.nodes
    )


def test_disable_and_enable_from_afar(fleet: Lab) -> None:
    why = ("--reason", "its shutter")
    assert fleet.fliswarm("disable", *why, "gfa2").code == 0
    try:
        done = fleet.fliswarm("talk", "--json", "ping")
        senders = {json.loads(line)["sender"] for line in done.out.splitlines()}
        assert senders == {"fliswarm", *fleet.nodes} - {"gfa2"}
        # It is shown, with who wanted it so, when and why, after a new start as well.
        fleet.ssh("manager", "sudo systemctl restart fliswarm")
        found = fleet.fleet()
        assert {n for n, node in found.items() if node["enabled"]} == {"gfa1", "gfa3"}
        assert found["gfa2"]["disabled_reason"] == "its shutter"
        assert found["gfa2"]["disabled_by"]
        assert found["gfa2"]["disabled_since"]
    finally:
        assert fleet.fliswarm("enable", "gfa2").code == 0
    assert set(fleet.fleet()) == set(fleet.nodes)


def test_reconnect_leaves_what_is_as_wanted_and_force_replaces_it(fleet: Lab) -> None:
    before = {name: node["container"] for name, node in fleet.fleet().items()}
    assert fleet.fliswarm("reconnect").code == 0
    assert {n: v["container"] for n, v in fleet.fleet().items()} == before
    said = fleet.fliswarm("reconnect", "--dry-run", "--force", "-n", "gfa1")
    assert "ReplaceContainer" in said.out
    done = fleet.fliswarm("reconnect", "--force", "-n", "gfa1")
    assert done.code == 0, done.out
    after = fleet.fleet()
    assert after["gfa1"]["container"] != before["gfa1"]
    assert after["gfa1"]["camera"] is True
    assert after["gfa2"]["container"] == before["gfa2"]
    with fleet.engine("gfa1") as engine:
        assert [c.name for c in engine.containers.list(all=True)] == ["flicamera-gfa1"]


def test_logs_of_a_camera(fleet: Lab) -> None:
    done = fleet.fliswarm("logs", "gfa1", "--lines", "5")
    assert done.code == 0
    assert 0 < len(done.out.splitlines()) <= 5


def test_logs_of_all_cameras_in_the_order_of_time(fleet: Lab) -> None:
    assert fleet.fliswarm("talk", "status").code == 0
    done = fleet.fliswarm("logs", "--json", "--since", "1h")
    assert done.code == 0, done.err
    said = [json.loads(line)["data"].get("log") for line in done.out.splitlines()]
    lines = [log for log in said if log is not None]
    assert {node for node, _, _ in lines} == set(fleet.nodes)
    assert [at for _, _, at in lines] == sorted(at for _, _, at in lines)


def test_a_log_is_followed_into_the_next_container(fleet: Lab) -> None:
    """Through ssh, as an operator does; the camera's program greets when it starts."""
    words = ["fliswarm", "logs", "-f", "-n", "1", "gfa2"]
    with ThreadPoolExecutor() as pool:
        following = pool.submit(
            fleet.ssh, "manager", f"timeout 45 {' '.join(words)}", limit=90
        )
        assert fleet.fliswarm("reconnect", "--force", "-n", "gfa2").code == 0
        assert fleet.fliswarm("talk", "-n", "gfa2", "status").code == 0
        done = following.result()
    said = done.out + done.err
    assert "has ended; what follows it is waited for" in said
    assert "goes on." in said
    assert "Traceback" not in said


def test_a_program_in_all_containers(fleet: Lab) -> None:
    done = fleet.fliswarm("exec", "--", "sh", "-c", "echo $ACTOR_NAME; echo 2 >&2")
    assert done.code == 0, done.err
    said = [line.split() for line in done.out.splitlines()]
    assert sorted(said) == sorted([n, text] for n in fleet.nodes for text in (n, "2"))
    ended = fleet.fliswarm("exec", "-n", "gfa1", "--", "sh", "-c", "exit 7")
    assert ended.code == 7
    assert "gfa1: 7" in ended.err
    late = fleet.fliswarm("exec", "-n", "gfa1", "--timeout", "1", "--", "sleep", "20")
    assert late.code == 1
    assert "did not end in 1 s" in late.err


def test_what_happened_is_told_later(fleet: Lab) -> None:
    assert fleet.fliswarm("reconnect", "-n", "gfa1").code == 0
    said = fleet.ssh("manager", "timeout 5 fliswarm events --since 5m --grep reconnect")
    assert "gfa1   reconnect began, by" in said.out
    assert "gfa1   reconnect ended." in said.out


def test_an_unknown_node_is_one_clear_message(fleet: Lab) -> None:
    done = fleet.fliswarm("talk", "-n", "gfa9", "status")
    assert done.code == 2
    assert "no node 'gfa9'; did you mean 'gfa" in done.out
    assert "Traceback" not in done.out + done.err


def test_status_says_when_fliswarm_is_not_running(fleet: Lab) -> None:
    stopped = fleet.ssh("manager", "sudo systemctl stop fliswarm")
    try:
        assert stopped.code == 0, stopped.err
        here = fleet.ssh("manager", "fliswarm status")
        assert here.code == 1
        assert here.err.startswith("fliswarm -- not running\n")
        afar = fleet.fliswarm("status")
        assert afar.code == 1
        assert afar.err == "fliswarm -- not running on manager\n"
    finally:
        fleet.ssh("manager", "sudo systemctl start fliswarm")
