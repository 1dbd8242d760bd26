"""What the real engine's door asks of an engine, and takes for its answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fliswarm.engine import Engine
from fliswarm.engine.docker import DockerEngines
from fliswarm.errors import ImageUnavailableError
from fliswarm.model import ContainerSpec, Image, Limits, Node, Volume
from tests.unit.support.engine import FakeEngine

IMAGE = "hub:5000/flicamera:1"

DATA = Volume("data", "local", {"type": "nfs", "o": "addr=hub", "device": ":/data"})

WANTED = ContainerSpec(
    "flicamera-gfa1",
    "gfa1",
    IMAGE,
    {"ACTOR_NAME": "gfa1", "OBSERVATORY": "APO"},
    (DATA,),
)


@pytest.fixture
async def fake() -> AsyncIterator[FakeEngine]:
    async with FakeEngine().listening() as fake:
        fake.images[IMAGE] = fake.registry[IMAGE] = Image("sha256:one")
        yield fake


@pytest.fixture
async def door(fake: FakeEngine) -> AsyncIterator[Engine]:
    engine = DockerEngines()(Node("gfa1", "127.0.0.1", fake.address))
    yield engine
    engine.close()


async def test_what_a_camera_runs_is_known_when_its_image_has_no_name(
    fake: FakeEngine, door: Engine
) -> None:
    await door.run(WANTED)
    (own,) = fake.containers.values()
    seen = await door.observe(WANTED)
    assert (seen.image, seen.running) == (Image("sha256:one"), None)
    del fake.images[IMAGE]
    seen = await door.observe(WANTED)
    assert (seen.image, seen.running) == (None, None)
    names = ["other/flicamera@sha256:not", "hub:5000/flicamera@sha256:digest"]
    found = {"Id": own["ImageID"], "RepoDigests": names}
    path = f"images/{own['ImageID']}/json"
    fake.instead = lambda _, asked: (200, found) if asked == path else None
    seen = await door.observe(WANTED)
    assert seen.running == Image(own["ImageID"], "sha256:digest")
    assert (await door.observe(WANTED, image=False)).running is None


async def asked(fake: FakeEngine, door: Engine, wanted: ContainerSpec) -> Any:  # noqa: ANN401
    """Run a container; return what was asked of the engine for it."""
    await door.run(wanted)
    return fake.bodies[wanted.name]


async def test_a_camera_s_container(fake: FakeEngine, door: Engine) -> None:
    """Everything that is asked, so that nothing is lost or added by chance."""
    body = await asked(fake, door, WANTED)
    labels = body["Labels"]
    assert json.loads(labels.pop("org.sdss.fliswarm.spec")) == WANTED.fields()
    assert labels == {"org.sdss.fliswarm.node": "gfa1"}
    assert body["Image"] == IMAGE
    assert body["Env"] == ["ACTOR_NAME=gfa1", "OBSERVATORY=APO"]
    assert "User" not in body
    host = {key: value for key, value in body["HostConfig"].items() if value}
    mounts = [
        {key: value for key, value in mount.items() if value}
        for mount in host.pop("Mounts")
    ]
    assert mounts == [
        {"Type": "volume", "Source": DATA.docker_name, "Target": "/data"},
        {"Type": "bind", "Source": "/dev/bus/usb", "Target": "/dev/bus/usb"},
    ]
    assert host == {
        "Privileged": True,
        "NetworkMode": "host",
        "Memory": 6 << 30,
        "CpuPeriod": 100_000,
        "CpuQuota": 350_000,
        "RestartPolicy": {"Name": "unless-stopped"},
        "Init": True,
        "UsernsMode": "host",
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": "10m", "max-file": "5"},
        },
    }


async def test_a_camera_with_the_least_privilege(
    fake: FakeEngine, door: Engine
) -> None:
    host = (await asked(fake, door, replace(WANTED, privileged=False)))["HostConfig"]
    assert not host.get("Privileged")
    assert host["DeviceCgroupRules"] == ["c 189:* rmw"]
    assert host["UsernsMode"] == "host"
    assert host["NetworkMode"] == "host"
    assert not host.get("CapAdd")


async def test_a_camera_without_limits_and_with_a_user(
    fake: FakeEngine, door: Engine
) -> None:
    wanted = replace(WANTED, limits=Limits(memory=None, cpus=None), user="2005:3005")
    body = await asked(fake, door, wanted)
    assert body["User"] == "2005:3005"
    host = body["HostConfig"]
    assert not {"Memory", "CpuPeriod", "CpuQuota", "NanoCpus"} & host.keys()


@pytest.mark.parametrize("policy", ["no", "always", "on-failure"])
async def test_other_policies(fake: FakeEngine, door: Engine, policy: str) -> None:
    body = await asked(fake, door, replace(WANTED, restart_policy=policy))
    assert body["HostConfig"]["RestartPolicy"]["Name"] == policy


@pytest.mark.parametrize("driver", ["json-file", "local"])
async def test_logs_on_the_node_s_disk_are_bounded(
    fake: FakeEngine, door: Engine, driver: str
) -> None:
    fake.log_driver = driver
    assert (await asked(fake, door, WANTED))["HostConfig"]["LogConfig"] == {
        "Type": driver,
        "Config": {"max-size": "10m", "max-file": "5"},
    }


@pytest.mark.parametrize("driver", ["journald", "none", "syslog", "", None])
async def test_another_log_driver_is_the_site_s_choice(
    fake: FakeEngine,
    door: Engine,
    driver: Any,  # noqa: ANN401
) -> None:
    fake.log_driver = driver
    assert not (await asked(fake, door, WANTED))["HostConfig"].get("LogConfig")


async def test_the_proxies_of_whoever_started_us_are_no_camera_s(
    fake: FakeEngine, door: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxies = {"default": {"httpProxy": "http://proxy:3128"}}
    (tmp_path / "config.json").write_text(json.dumps({"proxies": proxies}), "utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    body = await asked(fake, door, WANTED)
    assert body["Env"] == ["ACTOR_NAME=gfa1", "OBSERVATORY=APO"]


async def test_a_stop_gives_a_camera_its_time(fake: FakeEngine, door: Engine) -> None:
    container = await door.run(WANTED)
    await door.stop(container, 5.0)
    assert fake.queries[f"containers/{container}/stop"] == {"t": "5"}


async def test_a_container_that_does_not_start_is_taken_away(
    fake: FakeEngine, door: Engine
) -> None:
    def instead(_: str, path: str) -> tuple[int, object] | None:
        return (500, {"message": "no /data"}) if path.endswith("/start") else None

    fake.instead = instead
    with pytest.raises(Exception, match="no /data"):
        await door.run(WANTED)
    assert fake.containers == {}


@pytest.mark.parametrize(
    "event",
    [
        {"error": "no space left"},
        {"errorDetail": {"message": "no space left"}},
        {"errorDetail": {"message": "no space left"}, "error": "no space left"},
    ],
)
async def test_a_failed_pull_is_told_in_the_words_of_any_engine(
    fake: FakeEngine, door: Engine, event: dict[str, object]
) -> None:
    fake.images.clear()
    fake.registry.clear()
    fake.instead = lambda _, path: (200, event) if path == "images/create" else None
    with pytest.raises(ImageUnavailableError, match="no space left"):
        await door.pull(IMAGE)


@pytest.mark.parametrize("tag", ["", ":1"])
async def test_an_image_by_its_digest_has_no_tag_for_an_engine(
    fake: FakeEngine, door: Engine, tag: str
) -> None:
    """Newer engines do not find by NAME:TAG@DIGEST what was pulled by its digest."""
    digest = f"sha256:{'5' * 64}"
    pinned = f"hub:5000/flicamera{tag}@{digest}"
    bare = f"hub:5000/flicamera@{digest}"
    fake.registry[bare] = Image("sha256:five", digest)
    pulled = await door.pull(pinned)
    assert pulled.image == Image("sha256:five", digest)
    await door.run(replace(WANTED, image=pinned))
    assert fake.bodies[WANTED.name]["Image"] == bare
    query = fake.queries["images/create"]
    assert query == {"fromImage": "hub:5000/flicamera", "tag": digest}
    assert ("GET", f"images/{bare}/json") in fake.asked
