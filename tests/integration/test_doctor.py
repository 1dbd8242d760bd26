"""Faults of real hosts: each is named with its remedy; a healthy fleet is silent."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from docker.models.containers import Container

from fliswarm.errors import EXIT_DONE, EXIT_FAILED, EXIT_UNREACHABLE
from tests.integration.conftest import Done, Lab, wait

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

SILENT = "Nothing found wrong with"


def doctor(fleet: Lab, *words: str) -> Done:
    return fleet.fliswarm("doctor", *words)


def faults(fleet: Lab, *words: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what is wrong, by node and check."""
    done = doctor(fleet, *words, "--json")
    assert done.code in (EXIT_DONE, EXIT_FAILED, EXIT_UNREACHABLE), done.err
    rows = map(json.loads, done.out.splitlines())
    return {(r["node"], r["check"]): r for r in rows if r["outcome"] == "bad"}


def silent(fleet: Lab) -> None:
    """Wait until nothing is wrong, as before."""
    wait(lambda: SILENT in doctor(fleet).out, 90, "nothing is wrong")


@contextmanager
def found(fleet: Lab, node: str, check: str, remedy: str) -> Iterator[None]:
    """See that a fault is found alone, and is gone after the ``with`` block.

    What a link or a registry notices late may be told a moment later.
    """
    wait(lambda: set(faults(fleet)) == {(node, check)}, 60, f"{node} {check} alone")
    told = faults(fleet)[node, check]
    assert remedy in told["remedy"], told
    print(f"{node} {check}: {told['seen']}; {told['remedy']}")
    yield
    silent(fleet)


@contextmanager
def camera(fleet: Lab, node: str = "gfa2") -> Iterator[Container]:
    with fleet.engine(node) as engine:
        yield engine.containers.get(f"flicamera-{node}")


def reconnected(fleet: Lab, node: str = "gfa2") -> None:
    done = fleet.fliswarm("reconnect", "-n", node, "--force", limit=180)
    assert done.code == EXIT_DONE, done.out


def test_a_healthy_fleet_is_silent(fleet: Lab) -> None:
    done = doctor(fleet)
    assert done.out == f"{SILENT} {len(fleet.nodes)} nodes.\n", done.out
    assert done.code == EXIT_DONE
    began = time.monotonic()
    doctor(fleet)
    print(f"{time.monotonic() - began:.1f} s")


def test_the_engine_is_stopped(fleet: Lab) -> None:
    fleet.ssh("gfa2", "sudo systemctl stop docker docker.socket")
    try:
        with found(fleet, "gfa2", "engine", "systemctl restart docker"):
            assert doctor(fleet).code == EXIT_UNREACHABLE
            fleet.ssh("gfa2", "sudo systemctl start docker")
    finally:
        fleet.ssh("gfa2", "sudo systemctl start docker")


def test_the_engine_hangs(fleet: Lab) -> None:
    fleet.ssh("gfa2", "sudo systemctl kill --signal=STOP docker")
    try:
        with found(fleet, "gfa2", "engine", "systemctl restart docker"):
            fleet.ssh("gfa2", "sudo systemctl kill --signal=CONT docker")
    finally:
        fleet.ssh("gfa2", "sudo systemctl kill --signal=CONT docker")


def test_the_engine_s_port_is_dropped(fleet: Lab) -> None:
    rule = "INPUT --protocol tcp --dport 2376 --jump DROP"
    fleet.ssh("gfa2", f"sudo iptables --insert {rule}")
    try:
        with found(fleet, "gfa2", "engine", "iptables -S INPUT"):
            fleet.ssh("gfa2", f"sudo iptables --delete {rule}")
    finally:
        fleet.ssh("gfa2", f"sudo iptables --delete {rule} 2>/dev/null")


def test_a_host_is_cut_off(fleet: Lab) -> None:
    with fleet.outer() as outer:
        node = outer.containers.get("fliswarm-lab-gfa2")
        network = outer.networks.get("fliswarm-lab")
        address = fleet.address("gfa2")
        network.disconnect(node)
        try:
            with found(fleet, "gfa2", "host", "ping -c 3"):
                network.connect(node, ipv4_address=address)
        finally:
            network.reload()
            if node.id not in network.attrs["Containers"]:
                network.connect(node, ipv4_address=address)


def test_sshd_is_stopped(fleet: Lab) -> None:
    with fleet.outer() as outer:
        node = outer.containers.get("fliswarm-lab-gfa2")
        node.exec_run(["systemctl", "stop", "ssh"])
        try:
            with found(fleet, "gfa2", "ssh", "fliswarm provision --limit gfa2"):
                node.exec_run(["systemctl", "start", "ssh"])
        finally:
            node.exec_run(["systemctl", "start", "ssh"])


def test_the_registry_is_stopped(fleet: Lab) -> None:
    fleet.ssh("manager", "sudo systemctl stop docker-registry")
    try:
        with found(fleet, "manager", "registry", "systemctl restart docker-registry"):
            fleet.ssh("manager", "sudo systemctl start docker-registry")
    finally:
        fleet.ssh("manager", "sudo systemctl start docker-registry")


def test_a_node_does_not_trust_the_registry(fleet: Lab) -> None:
    folder = f"/etc/docker/certs.d/{fleet.address('manager')}:5000"
    fleet.ssh("gfa2", f"sudo mv {folder} {folder}.away")
    try:
        with found(fleet, "gfa2", "registry", "fliswarm provision --limit gfa2"):
            fleet.ssh("gfa2", f"sudo mv {folder}.away {folder}")
    finally:
        fleet.ssh("gfa2", f"test -d {folder} || sudo mv {folder}.away {folder}")


def test_the_container_is_stopped(fleet: Lab) -> None:
    with camera(fleet) as container:
        container.stop()
        try:
            with found(fleet, "gfa2", "container", "fliswarm reconnect -n gfa2"):
                container.start()
        finally:
            container.start()


def test_the_container_is_paused(fleet: Lab) -> None:
    with camera(fleet) as container:
        container.pause()
        try:
            with found(fleet, "gfa2", "container", "fliswarm reconnect -n gfa2"):
                # As the remedy says.
                assert fleet.fliswarm("reconnect", "-n", "gfa2").code == EXIT_DONE
        finally:
            container.reload()
            if container.status == "paused":
                container.unpause()


def test_the_container_is_removed(fleet: Lab) -> None:
    with camera(fleet) as container:
        container.remove(force=True)
    try:
        with found(fleet, "gfa2", "container", "fliswarm reconnect -n gfa2"):
            reconnected(fleet)
    finally:
        reconnected(fleet)


def test_the_camera_s_program_crashes(fleet: Lab) -> None:
    with camera(fleet) as container:
        # Not the first process, which is Docker's own and passes signals on.
        container.exec_run(["sh", "-c", "kill -KILL $(pidof python3)"])
    try:
        with found(fleet, "gfa2", "restarts", "fliswarm logs gfa2"):
            reconnected(fleet)
    finally:
        reconnected(fleet)


def test_the_camera_is_frozen(fleet: Lab) -> None:
    """A program that is stopped: first it is silent, then its link is given up."""
    signal = "kill -{} $(pidof python3)"
    with camera(fleet) as container:
        container.exec_run(["sh", "-c", signal.format("STOP")])
        try:
            told = faults(fleet)
            assert set(told) <= {("gfa2", "camera"), ("gfa2", "link")}
            assert len(told) == 1
            with found(fleet, "gfa2", "link", "fliswarm logs gfa2"):
                container.exec_run(["sh", "-c", signal.format("CONT")])
        finally:
            container.exec_run(["sh", "-c", signal.format("CONT")])


def test_a_container_that_nothing_wants(fleet: Lab) -> None:
    with fleet.engine("gfa2") as engine:
        image = engine.containers.get("flicamera-gfa2").attrs["Image"]
        left = engine.containers.create(
            image,
            entrypoint=["true"],
            name="flicamera-gfa99",
            labels={"org.sdss.fliswarm.node": "gfa99"},
        )
        try:
            with found(fleet, "gfa2", "left-over", "fliswarm reconnect -n gfa2"):
                left.remove()
        finally:
            for one in engine.containers.list(
                all=True, filters={"label": "org.sdss.fliswarm.node=gfa99"}
            ):
                one.remove(force=True)


def test_live_restore_is_off(fleet: Lab) -> None:
    file = "/etc/docker/daemon.json"
    off = 's/"live-restore": *true/"live-restore": false/'
    fleet.ssh("gfa2", f"sudo cp {file} {file}.kept; sudo sed -i '{off}' {file}")
    back = f"sudo cp {file}.kept {file}; sudo systemctl reload docker"
    try:
        fleet.ssh("gfa2", "sudo systemctl reload docker")
        with found(fleet, "gfa2", "live-restore", "fliswarm provision --limit gfa2"):
            fleet.ssh("gfa2", back)
    finally:
        fleet.ssh("gfa2", f"{back}; sudo rm {file}.kept")


def test_the_file_has_changed(fleet: Lab) -> None:
    file = "/etc/fliswarm/fliswarm.yaml"
    fleet.ssh("manager", f"sudo cp -p {file} {file}.kept")
    line = f"sudo sed -i '$ a ping_timeout: 0.7' {file}"
    try:
        fleet.ssh("manager", line)
        with found(fleet, "manager", "configuration", "systemctl restart fliswarm"):
            fleet.ssh("manager", f"sudo cp -p {file}.kept {file}")
    finally:
        fleet.ssh("manager", f"sudo mv {file}.kept {file}")


def test_a_disabled_node_is_told(fleet: Lab) -> None:
    assert fleet.fliswarm("disable", "gfa2", "--reason", "cold").code == EXIT_DONE
    try:
        with camera(fleet) as container:
            container.pause()
            try:
                done = doctor(fleet)
                assert done.code == EXIT_DONE
                assert ": cold\n" in done.out
                assert SILENT in done.out
            finally:
                container.unpause()
    finally:
        assert fleet.fliswarm("enable", "gfa2").code == EXIT_DONE
    silent(fleet)


def test_the_controller_does_not_run(fleet: Lab) -> None:
    fleet.ssh("manager", "sudo systemctl stop fliswarm")
    try:
        done = doctor(fleet)
        assert done.code in (EXIT_FAILED, EXIT_UNREACHABLE), done.out
        assert "controller: " in done.out
        assert "systemctl status fliswarm" in done.out
        here = fleet.ssh("manager", "fliswarm doctor")
        assert "systemd says: inactive" in here.out
        assert "sudo systemctl restart fliswarm" in here.out
    finally:
        fleet.ssh("manager", "sudo systemctl start fliswarm")
    silent(fleet)
