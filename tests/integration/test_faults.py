"""Faults of real parts: each command ends, the others are served, the fleet heals.

How fast each ended is printed with ``pytest -s``; docs/faults.md has the figures.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from docker.models.containers import Container

from tests.integration.conftest import Done, Lab, wait

pytestmark = pytest.mark.lab

OTHERS = "gfa1,gfa3"


class Given:
    """A command given from this machine in a thread, and when it ended."""

    def __init__(self, fleet: Lab, *words: str) -> None:
        self.done: Done | None = None
        self.seconds = 0.0
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, args=(fleet, words))
        self._thread.start()

    def _run(self, fleet: Lab, words: tuple[str, ...]) -> None:
        self.done = fleet.fliswarm(*words)
        self.seconds = time.monotonic() - self._began

    def ended(self, limit: float) -> Done:
        """Return how it ended; fail when it does not."""
        self._thread.join(limit)
        assert self.done is not None, f"did not end in {limit:g} s"
        print(f"ended after {self.seconds:.1f} s")
        return self.done


def answers(fleet: Lab, node: str) -> bool:
    return fleet.fliswarm("talk", "--timeout", "2", "-n", node, "status").code == 0


def others_are_served(fleet: Lab) -> None:
    began = time.monotonic()
    done = fleet.fliswarm("talk", "-n", OTHERS, "status")
    assert done.code == 0, done.out
    assert time.monotonic() - began < 5


def healed(fleet: Lab, limit: float = 60) -> None:
    seconds = wait(lambda: answers(fleet, "gfa2"), limit, "the camera of gfa2 answers")
    print(f"healed after {seconds:.1f} s")


@contextmanager
def exposing(fleet: Lab, seconds: int = 40) -> Iterator[Given]:
    """Let gfa2 expose for longer than the test takes to break it."""
    given = Given(fleet, "talk", "-n", "gfa2", "--", "expose", str(seconds))
    wait(lambda: _integrating(fleet), 10, "the exposure has begun")
    yield given


def _integrating(fleet: Lab) -> bool:
    logs = fleet.fliswarm("logs", "gfa2", "--lines", "1").out
    return "expose" in logs


def _exec(node: Container, words: list[str]) -> None:
    code, output = node.exec_run(words)
    assert code == 0, output


def test_a_container_killed_in_an_exposure(fleet: Lab) -> None:
    with exposing(fleet) as exposure:
        with fleet.engine("gfa2") as engine:
            engine.containers.get("flicamera-gfa2").kill()
        done = exposure.ended(5)
        assert done.code == 4
        assert "gfa2" in done.out
        others_are_served(fleet)
        # Talk after that ends at once, too.
        assert Given(fleet, "talk", "-n", "gfa2", "status").ended(5).code == 4
    # Docker leaves a killed container alone, as somebody meant it.
    assert fleet.fliswarm("reconnect", "-n", "gfa2").code == 0
    healed(fleet)


@pytest.mark.parametrize("fault", ["frozen", "cut off", "firewalled"])
def test_a_node_that_says_nothing_in_an_exposure(fleet: Lab, fault: str) -> None:
    with fleet.outer() as outer:
        node = outer.containers.get("fliswarm-lab-gfa2")
        network = outer.networks.get("fliswarm-lab")
        address = fleet.address("gfa2")
        rule = ["INPUT", "!", "--in-interface", "lo", "--jump", "DROP"]
        ways: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
            "frozen": (node.pause, node.unpause),
            "cut off": (
                lambda: network.disconnect(node),
                lambda: network.connect(node, ipv4_address=address),
            ),
            "firewalled": (
                lambda: _exec(node, ["iptables", "--insert", *rule]),
                lambda: _exec(node, ["iptables", "--delete", *rule]),
            ),
        }
        breaks, mends = ways[fault]
        with exposing(fleet) as exposure:
            breaks()
            try:
                others_are_served(fleet)
                assert Given(fleet, "reconnect", "-n", "gfa2").ended(15).code == 4
                assert exposure.ended(30).code == 4
                status = Given(fleet, "status", "--json").ended(10)
                assert status.code == 4
            finally:
                mends()
        healed(fleet)
    # The camera knows nothing of it, and would expose on into the next test.
    assert fleet.fliswarm("reconnect", "-n", "gfa2", "--force", "--now").code == 0


def test_docker_down_on_one_node_at_the_start(fleet: Lab) -> None:
    fleet.ssh("gfa2", "sudo systemctl stop docker")
    try:
        fleet.ssh("manager", "sudo systemctl restart fliswarm")
        wait(lambda: answers(fleet, "gfa1"), 20, "the others answer")
        found = fleet.fleet()["gfa2"]
        assert found["host_alive"] is True
        assert found["docker_alive"] is False
        # live-restore: the camera runs on without its daemon, and is commanded.
        wait(lambda: answers(fleet, "gfa2"), 20, "gfa2 answers")
        done = Given(fleet, "reconnect").ended(30)
        assert done.code == 4
        assert "gfa2" in done.out
        others_are_served(fleet)
    finally:
        fleet.ssh("gfa2", "sudo systemctl start docker")
    wait(lambda: fleet.fleet()["gfa2"]["docker_alive"], 30, "its engine is seen again")
    healed(fleet)


def test_the_registry_down_at_reconnect(fleet: Lab) -> None:
    fleet.ssh("manager", "sudo systemctl stop docker-registry")
    try:
        done = Given(fleet, "reconnect", "--force", "-n", "gfa2").ended(60)
        assert done.code == 0, done.out
    finally:
        fleet.ssh("manager", "sudo systemctl start docker-registry")
    healed(fleet)


def test_the_controller_killed_in_an_exposure(fleet: Lab) -> None:
    before = {name: node["container"] for name, node in fleet.fleet().items()}
    with exposing(fleet, 5) as exposure:
        fleet.ssh("manager", "sudo systemctl kill --signal=KILL fliswarm")
        assert exposure.ended(10).code == 4
        wait(lambda: answers(fleet, "gfa1"), 20, "systemd has started it again")
    healed(fleet)
    after = {name: node["container"] for name, node in fleet.fleet().items()}
    assert after == before


def test_a_reboot_comes_back_by_itself(fleet: Lab) -> None:
    done = Given(fleet, "reboot", "-n", "gfa2").ended(120)
    assert done.code == 0, done.out
    assert answers(fleet, "gfa2")


def test_an_image_that_does_not_start_leaves_the_old_container(fleet: Lab) -> None:
    """Safe replace: what the registry's tag names now ends at once."""
    registry = f"{fleet.address('manager')}:5000/sdss/flicamera"
    folder = "/etc/docker/registry/writer"
    writer = json.loads(fleet.ssh("manager", f"sudo cat {folder}/registry.json").out)
    login = {"username": writer["user"], "password": writer["password"]}
    pushed = f"{writer['address']}/sdss/flicamera"
    before = fleet.fleet()["gfa2"]["container"]
    with fleet.engine("manager") as engine:
        good = engine.images.get(f"{registry}:latest")
        container = engine.containers.create(f"{registry}:latest", entrypoint=["false"])
        container.commit(pushed, "latest", changes='ENTRYPOINT ["false"]')
        container.remove()
        try:
            engine.images.push(pushed, "latest", auth_config=login)
            done = Given(fleet, "reconnect", "-n", "gfa2").ended(90)
            assert done.code == 1
            assert "runs again, its camera answers" in done.out
            found = fleet.fleet()["gfa2"]
            assert found["container"] == before
            assert found["camera"] is True
        finally:
            good.tag(pushed, "latest")
            engine.images.push(pushed, "latest", auth_config=login)
    assert fleet.fliswarm("reconnect", "-n", "gfa2").code == 0
