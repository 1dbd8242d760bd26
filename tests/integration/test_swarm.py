"""Why not Docker Swarm: what a service of a real swarm can do with a USB device.

Nothing is behind the device file of this test. Who may open it is told by the kernel
that there is no such device; who may not, that this is not permitted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import docker
import pytest
from docker.errors import APIError
from docker.models.containers import Container

from tests.integration.conftest import Lab, wait

pytestmark = [pytest.mark.lab, pytest.mark.rehearsal]

MANAGER, WORKER, REFUSES = "gfa3", "gfa2", "gfa1"

SERVICE = "fliswarm-test-camera"

Engines = dict[str, docker.DockerClient]
"""The engines of a swarm, by their nodes."""

Filters = dict[str, str | list[str] | bool]

DEVICE = "/dev/bus/usb/099/001"

OPEN = f"""
import errno, os
try:
    os.close(os.open("{DEVICE}", os.O_RDWR))
    print("opened")
except OSError as error:
    print(errno.errorcode[error.errno])
"""

NOTHING_THERE = ("ENXIO", "ENODEV")
"""What the kernel says who may open the file; by whether it knows USB at all."""

TURN_OFF = """sudo python3 - <<'END'
import json, shutil
path = "/etc/docker/daemon.json"
shutil.copy2(path, path + ".before-swarm")
with open(path) as file:
    options = json.load(file)
options["live-restore"] = False
with open(path, "w") as file:
    json.dump(options, file)
END
sudo systemctl reload docker"""

TURN_ON = """cd /etc/docker && if [ -e daemon.json.before-swarm ]
then sudo mv daemon.json.before-swarm daemon.json && sudo systemctl reload docker
fi"""

MAKE_DEVICE = f"""sudo mkdir -p $(dirname {DEVICE}) &&
sudo mknod -m 666 {DEVICE} c 189 12672"""

TAKE_DEVICE = f"sudo rm -rf $(dirname {DEVICE})"


def live_restore(engine: docker.DockerClient, *, on: bool) -> None:
    """Return when an engine is as its file says."""
    wait(
        lambda: engine.info()["LiveRestoreEnabled"] is on, 30, "the engine has read it"
    )


@contextmanager
def member(fleet: Lab, node: str) -> Iterator[docker.DockerClient]:
    """Yield an engine that may be of a swarm; it is of none afterwards."""
    with fleet.engine(node) as engine:
        try:
            done = fleet.ssh(node, TURN_OFF)
            assert done.code == 0, done.err
            live_restore(engine, on=False)
            yield engine
        finally:
            # Of none it is an error to leave it.
            with suppress(APIError):
                engine.swarm.leave(force=True)
            with suppress(APIError):
                engine.networks.get("docker_gwbridge").remove()
            done = fleet.ssh(node, TURN_ON)
            assert done.code == 0, done.err
            live_restore(engine, on=True)


@pytest.fixture(scope="module")
def swarm(fleet: Lab) -> Iterator[Engines]:
    """Yield the engines of a swarm of two, by their nodes; the first one manages it."""
    with ExitStack() as stack:
        engines = {
            node: stack.enter_context(member(fleet, node)) for node in (MANAGER, WORKER)
        }
        address = fleet.address(MANAGER)
        engines[MANAGER].swarm.init(advertise_addr=address, listen_addr="0.0.0.0:2377")
        engines[MANAGER].swarm.reload()
        token = engines[MANAGER].swarm.attrs["JoinTokens"]["Worker"]
        engines[WORKER].swarm.join([f"{address}:2377"], token)
        yield engines


@pytest.fixture
def device(fleet: Lab) -> Iterator[None]:
    """Yield with a device file on the nodes of the swarm."""
    try:
        for node in (MANAGER, WORKER):
            done = fleet.ssh(node, MAKE_DEVICE)
            assert done.code == 0, done.err
        yield
    finally:
        for node in (MANAGER, WORKER):
            fleet.ssh(node, TAKE_DEVICE)


def ask(engine: docker.DockerClient, method: str, path: str, **words: Any) -> Any:  # noqa: ANN401
    """Ask an engine for what the SDK has no word for; return what it answers."""
    api = engine.api
    return api.request(method, f"{api.base_url}/v{api.api_version}{path}", **words)


def ours(engine: docker.DockerClient, node: str) -> Container:
    """Return our container."""
    return engine.containers.get(f"flicamera-{node}")


def opening(container: Container) -> str:
    """Return what becomes of opening the device in a container, as root."""
    code, output = container.exec_run(["python3", "-c", OPEN], user="0")
    assert code == 0, output
    assert isinstance(output, bytes)
    return output.decode().strip()


@contextmanager
def service(
    engines: Engines, node: str, **container: object
) -> Iterator[Container | None]:
    """Yield the container of a service on a node; ``None`` when it is refused.

    It has the same image as ours, the network of its host, and whatever ``container``
    says of a container in Docker's own words.
    """
    manager, engine = engines[MANAGER], engines[node]
    spec = {
        "Name": SERVICE,
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": ours(engine, node).attrs["Config"]["Image"],
                "Command": ["sleep", "3600"],
                "Mounts": [
                    {
                        "Type": "bind",
                        "Source": "/dev/bus/usb",
                        "Target": "/dev/bus/usb",
                    }
                ],
                **container,
            },
            "Networks": [{"Target": "host"}],
            "Placement": {"Constraints": [f"node.hostname=={engine.info()['Name']}"]},
            "RestartPolicy": {"Condition": "none"},
        },
        "Mode": {"Replicated": {"Replicas": 1}},
    }
    made = ask(manager, "POST", "/services/create", json=spec)
    if made.status_code == 400:
        yield None
        return
    assert made.status_code == 201, made.text
    try:
        label: Filters = {"label": f"com.docker.swarm.service.name={SERVICE}"}
        try:
            wait(
                lambda: bool(engine.containers.list(filters=label)),
                90,
                "the service runs",
            )
        except pytest.fail.Exception:
            # Its tasks say why.
            pytest.fail(f"the service does not run: {tasks(manager)}")
        (found,) = engine.containers.list(filters=label)
        yield found
    finally:
        ask(manager, "DELETE", f"/services/{SERVICE}")
        wait(
            lambda: not engine.containers.list(all=True, filters=label),
            60,
            "the service is gone",
        )


def tasks(manager: docker.DockerClient) -> list[object]:
    """Return how the tasks of the swarm are, for who has to find out why."""
    return [task["Status"] for task in ask(manager, "GET", "/tasks").json()]


def test_an_engine_that_spares_its_cameras_is_of_no_swarm(fleet: Lab) -> None:
    """Live-restore keeps cameras going while their engine is started anew."""
    with fleet.engine(REFUSES) as engine:
        live_restore(engine, on=True)
        try:
            with pytest.raises(APIError, match="live-restore"):
                engine.swarm.init(advertise_addr=fleet.address(REFUSES))
            assert engine.info()["Swarm"]["LocalNodeState"] == "inactive"
        finally:
            with suppress(APIError):
                engine.swarm.leave(force=True)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize(
    "wanted",
    [
        {"Privileged": True},
        {
            "Devices": [
                {
                    "PathOnHost": DEVICE,
                    "PathInContainer": DEVICE,
                    "CgroupPermissions": "rwm",
                }
            ]
        },
        {"DeviceCgroupRules": ["c 189:* rwm"]},
    ],
    ids=lambda wanted: next(iter(wanted)),
)
def test_a_service_has_neither_privileges_nor_devices(
    swarm: Engines, wanted: dict[str, Any]
) -> None:
    """The engine refuses what our container has, or takes no notice of it."""
    (key,) = wanted
    with service(swarm, MANAGER, **wanted) as container:
        if container is None:
            return
        made = ask(swarm[MANAGER], "GET", f"/services/{SERVICE}").json()
        spec = made["Spec"]["TaskTemplate"]
        assert key not in spec["ContainerSpec"]
        host = container.attrs["HostConfig"]
        assert not host["Privileged"]
        assert not host["Devices"]
        assert not host["DeviceCgroupRules"]
        assert opening(container) == "EPERM"


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("node", [MANAGER, WORKER])
def test_all_capabilities_do_not_open_the_device_and_our_container_does(
    swarm: Engines, node: str
) -> None:
    began = time.monotonic()
    camera = ours(swarm[node], node)
    with service(swarm, node, CapabilityAdd=["ALL"]) as container:
        assert container is not None
        assert container.attrs["HostConfig"]["CapAdd"]
        # The file is there for both of them, and one may open it.
        code, _ = container.exec_run(["test", "-c", DEVICE])
        assert code == 0
        assert opening(container) == "EPERM"
        assert opening(camera) in NOTHING_THERE
    print(f"a service came and went in {time.monotonic() - began:.1f} s")


def test_our_cameras_are_as_they_were(fleet: Lab, swarm: Engines) -> None:
    """Whatever the swarm did, it did beside them."""
    found = fleet.fleet()
    for node in swarm:
        short_id = ours(swarm[node], node).short_id
        assert found[node]["container"].startswith(short_id)
        assert found[node]["camera"] is True
