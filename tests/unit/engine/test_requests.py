"""What the real engine's door asks of an engine, and takes for its answer."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fliswarm.engine import Engine
from fliswarm.engine.docker import DockerEngines
from fliswarm.errors import ImageUnavailableError
from fliswarm.model import ContainerSpec, Node
from tests.oracle.engine import Engine as StandIn

IMAGE = "hub:5000/flicamera:1"


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    engine = await StandIn().start()
    yield engine
    await engine.close()


@pytest.fixture
async def door(stand_in: StandIn) -> AsyncIterator[Engine]:
    engines = DockerEngines()
    address = f"tcp://127.0.0.1:{stand_in.port}"
    engine = engines(Node("gfa1", "127.0.0.1", address))
    yield engine
    engine.close()


@pytest.mark.parametrize("privileged", [True, False])
async def test_a_camera_is_not_in_a_user_namespace(
    stand_in: StandIn, door: Engine, *, privileged: bool
) -> None:
    await door.run(ContainerSpec("camera", "gfa1", IMAGE, {}, (), privileged))
    asked = stand_in.bodies["camera"]["HostConfig"]
    assert asked["UsernsMode"] == "host"
    assert asked["NetworkMode"] == "host"


@pytest.mark.parametrize(
    "event",
    [
        {"error": "no space left"},
        {"errorDetail": {"message": "no space left"}},
        {"errorDetail": {"message": "no space left"}, "error": "no space left"},
    ],
)
async def test_a_failed_pull_is_told_in_the_words_of_any_engine(
    stand_in: StandIn, door: Engine, event: dict[str, object]
) -> None:
    stand_in.pull, stand_in.image = event, False
    with pytest.raises(ImageUnavailableError, match="no space left"):
        await door.pull(IMAGE)


@pytest.mark.parametrize("tag", ["", ":1"])
async def test_an_image_by_its_digest_has_no_tag_for_an_engine(
    stand_in: StandIn, door: Engine, tag: str
) -> None:
    """Newer engines do not find by NAME:TAG@DIGEST what was pulled by its digest."""
    digest = f"sha256:{'5' * 64}"
    pinned = f"hub:5000/flicamera{tag}@{digest}"
    pulled = await door.pull(pinned)
    assert pulled.image.digest == digest
    await door.run(ContainerSpec("camera", "gfa1", pinned, {}, (), privileged=True))
    assert stand_in.bodies["camera"]["Image"] == f"hub:5000/flicamera@{digest}"
    pulls = [query for _, path, query in stand_in.asked if path == "images/create"]
    assert pulls == [{"fromImage": "hub:5000/flicamera", "tag": digest}]
    looks = {path for _, path, _ in stand_in.asked if path.endswith("/json")}
    assert f"images/hub:5000/flicamera@{digest}/json" in looks
