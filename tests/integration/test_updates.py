"""Updates of real nodes: canary, judgement, the way back, who was off, a kill."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.conftest import ROOT, Lab, wait
from tests.integration.test_identity import ours

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

STATE = "/var/lib/fliswarm/LAB"

KILL = f"""
pid=$(systemctl show --property MainPID --value fliswarm)
for _ in $(seq 200000); do
    if grep -qs '"turn": %d' {STATE}/releases.json && ls {STATE}/journal/*.json; then
        kill -9 "$pid"
        exit
    fi
done
exit 1
"""
"""Waits for a turn whose changes have begun, and kills the controller then."""

QUICK = ("--monitor", "2")

Publish = Callable[..., None]


@pytest.fixture
def publish(fleet: Lab) -> Iterator[Publish]:
    """Yield what gives a changed image a tag in the registry; forget all releases."""
    registry = f"{fleet.address('manager')}:5000/sdss/flicamera"
    folder = "/etc/docker/registry/writer"
    writer = json.loads(fleet.ssh("manager", f"sudo cat {folder}/registry.json").out)
    login = {"username": writer["user"], "password": writer["password"]}
    pushed = f"{writer['address']}/sdss/flicamera"

    def publish(tag: str, *words: str) -> None:
        """Publish an image whose program is begun by these words, if there are any."""
        with fleet.engine("manager") as engine:
            name = f"{registry}:latest"
            config = engine.images.get(name).attrs["Config"]
            whole = [*words, *(config["Entrypoint"] or []), *(config["Cmd"] or [])]
            changes = f'LABEL org.sdss.fliswarm.test="{tag}"'
            if words:
                changes += f"\nENTRYPOINT {json.dumps(whole)}\nCMD []"
            container = engine.containers.create(name)
            try:
                container.commit(pushed, tag, changes=changes)
            finally:
                container.remove()
            engine.images.push(pushed, tag, auth_config=login)

    yield publish
    # What other tests publish as latest is to come by reconnect again.
    begin = f"sudo systemctl stop fliswarm; sudo rm -f {STATE}/releases.json"
    assert fleet.ssh("manager", f"{begin}; sudo systemctl start fliswarm").code == 0
    wait(lambda: fleet.fliswarm("reconnect", limit=300).code == 0, 300, "as before")


def labels(fleet: Lab) -> dict[str, str | None]:
    """Return the tag that each node's running image was published with."""
    found: dict[str, str | None] = {}
    for name in fleet.nodes:
        with fleet.engine(name) as engine:
            running = engine.containers.get(f"flicamera-{name}")
            assert running.status == "running"
            config: dict[str, Any] = running.attrs["Config"]
            found[name] = config["Labels"].get("org.sdss.fliswarm.test")
    return found


def containers(fleet: Lab) -> dict[str, str]:
    return {name: node["container"] for name, node in fleet.fleet().items()}


def everywhere(fleet: Lab, tag: str | None) -> dict[str, str | None]:
    return dict.fromkeys(fleet.nodes, tag)


def test_there_and_back(fleet: Lab, publish: Publish) -> None:
    publish("next")
    said = fleet.fliswarm("update", "--image", ":next", "--dry-run")
    assert said.code == 0, said.out
    assert labels(fleet) == everywhere(fleet, None)
    done = fleet.fliswarm("update", "--image", ":next", *QUICK, "--expose", limit=600)
    assert done.code == 0, done.out
    assert labels(fleet) == everywhere(fleet, "next")
    before = containers(fleet)
    for words in (("update", "--image", ":next"), ("reconnect",)):
        again = fleet.fliswarm(*words, limit=300)
        assert again.code == 0, again.out
    assert containers(fleet) == before
    # What has no tag of its own is not taken for rubbish.
    with fleet.engine("gfa1") as engine:
        engine.images.prune()
        tags = [tag for image in engine.images.list() for tag in image.tags]
        assert any(tag.endswith(":fliswarm-1") for tag in tags)
        assert any(tag.endswith(":fliswarm-2") for tag in tags)
    done = fleet.fliswarm("rollback", *QUICK, limit=600)
    assert done.code == 0, done.out
    assert labels(fleet) == everywhere(fleet, None)
    again = fleet.fliswarm("rollback")
    assert (again.code, "Nothing to do" in again.out) == (0, True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("sh", "-c", "sleep 600"), "the camera did not answer"),
        (("env", "ACTOR_NAME=gfa9"), "says that it is gfa9"),
        (("false",), "the container ended"),
    ],
    ids=["silent", "another", "ends"],
)
def test_a_bad_image(
    fleet: Lab, publish: Publish, words: tuple[str, ...], why: str
) -> None:
    publish("bad", *words)
    before = containers(fleet)
    done = fleet.fliswarm("update", "--image", ":bad", *QUICK, limit=600)
    assert done.code == 1, done.out
    assert why in done.out
    assert "The update stopped at gfa1; back to what they had: gfa1" in done.out
    assert containers(fleet) == before
    assert fleet.fliswarm("status").code == 0


def test_a_node_that_is_off_follows(fleet: Lab, publish: Publish) -> None:
    publish("next")
    last = fleet.nodes[-1]
    units = "docker.service docker.socket"
    assert fleet.ssh(last, f"sudo systemctl stop {units}").code == 0
    try:
        done = fleet.fliswarm("update", "--image", ":next", *QUICK, limit=600)
        assert done.code == 0, done.out
        assert f"{last}: it is off" in done.out
    finally:
        assert fleet.ssh(last, f"sudo systemctl start {units}").code == 0

    def followed() -> bool:
        return ours(fleet, last) == {f"flicamera-{last}": "running"} and (
            labels(fleet) == everywhere(fleet, "next")
        )

    wait(followed, 180, f"{last} follows")
    wait(lambda: fleet.fliswarm("status").code == 0, 120, "all is well")


@pytest.mark.parametrize("turn", [0, 1])
@pytest.mark.parametrize("goes", ["update", "rollback"])
def test_killed_in_a_turn(fleet: Lab, publish: Publish, turn: int, goes: str) -> None:
    publish("next")
    update = ("update", "--image", ":next", *QUICK, "--max-parallel", "1")
    with ThreadPoolExecutor(1) as pool:
        killer = subprocess.Popen(
            ["ssh", "-F", str(ROOT / ".lab/ssh/config"), "manager", "sudo bash -s"],
            stdin=subprocess.PIPE,
            text=True,
        )
        assert killer.stdin is not None
        killer.stdin.write(KILL % turn)
        killer.stdin.close()
        change = pool.submit(fleet.fliswarm, *update, limit=600)
        assert killer.wait(timeout=300) == 0, "no such turn was begun"
        assert change.result().code != 0
    left = f"sudo find {STATE}/journal -name '*.json'"
    wait(lambda: fleet.ssh("manager", left).out == "", 120, "settled")
    done = tuple(fleet.nodes[:turn])
    found = labels(fleet)
    assert all(found[name] == "next" for name in done)
    assert all(found[name] is None for name in fleet.nodes[turn + 1 :])
    said = fleet.fliswarm("send", "status --detail").out
    assert f"was stopped at turn {turn + 1} of" in said
    words = update if goes == "update" else ("rollback", *QUICK)
    ended = fleet.fliswarm(*words, limit=600)
    assert ended.code == 0, ended.out
    wanted = "next" if goes == "update" else None
    assert labels(fleet) == everywhere(fleet, wanted)
    assert "was stopped" not in fleet.fliswarm("send", "status --detail").out
