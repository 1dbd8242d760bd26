"""Containers as sdss-fliswarm makes them, as the twin and the real one show them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import docker.types
import pytest

from fliswarm.errors import EngineError
from fliswarm.model import USB_BUS, Foreign, ForeignVolume
from fliswarm.plan.adoption import adopting
from fliswarm.plan.difference import CreateVolume, ReplaceContainer, plan
from tests.contract.test_engine import (
    ADDRESS,
    GRACE,
    KINDS,
    NO_ENGINE,
    Bench,
    DockerRig,
    HttpRig,
)


@pytest.fixture(
    params=[
        "memory",
        "http",
        pytest.param("docker", marks=pytest.mark.skipif(not ADDRESS, reason=NO_ENGINE)),
    ]
)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async for bench in KINDS[request.param]():
        yield bench
        if isinstance(bench.rig, DockerRig):
            plain = f"{bench.mark}-plain"
            with suppress(EngineError):
                await bench.engine.remove_volume(plain)


async def original(bench: Bench, **environment: str) -> str:
    """Make a container for the bench's node as the original makes it; return its id."""
    wanted, rig = bench.wanted, bench.rig
    await bench.engine.pull(bench.image)
    its = {"ACTOR_NAME": "a", "OBSERVATORY": "APO", **environment}
    plain, volume = f"{bench.mark}-plain", bench.volume
    body: dict[str, Any] = {
        "Image": bench.image,
        "Env": [f"{name}={value}" for name, value in its.items()],
        "HostConfig": {
            "AutoRemove": True,
            "CpuPeriod": 10000,
            "CpuQuota": 5000,
            "Memory": 64 << 20,
            "NetworkMode": "none",
            "Mounts": [
                docker.types.Mount("/srv", plain),
                docker.types.Mount(USB_BUS, USB_BUS, type="bind"),
            ],
        },
    }
    if isinstance(rig, HttpRig):
        rig.fake._volumes(
            "POST",
            ["create"],
            {},
            {"Name": plain, "Driver": "local", "DriverOpts": dict(volume.options)},
        )
        _, answer = rig.fake._create(wanted.name, body)
        assert isinstance(answer, dict)
        container = str(answer["Id"])
        await rig.set_state(container, "running")
        return container
    if isinstance(rig, DockerRig):
        options = dict(volume.options)
        await rig._do(lambda api: api.create_volume(plain, "local", options))
        body |= {"Cmd": ["sleep", "600"], "Entrypoint": []}
        made = await rig._do(
            lambda api: api.create_container_from_config(body, wanted.name)
        )
        await bench.engine.start(made["Id"])
        return str(made["Id"])
    image = rig.registry[bench.image]
    return rig.engines[0].add_original(
        Foreign(
            id="",
            name=wanted.name,
            state="running",
            image=bench.image,
            image_id=image.id,
            environment=its,
            volumes={"/srv": ForeignVolume("local", dict(volume.options))},
            binds={USB_BUS: USB_BUS},
            network="none",
            memory=64 << 20,
            cpus=0.5,
        )
    )


async def test_it_is_told_from_a_stranger(bench: Bench) -> None:
    container = await original(bench)
    seen = await bench.seen()
    assert seen.foreign == container
    assert seen.original is not None
    assert (seen.original.id, seen.original.state) == (container, "running")
    assert seen.containers == ()
    blocked = plan(bench.wanted, seen).blocked
    assert blocked is not None
    assert "a container of sdss-fliswarm runs here" in blocked
    # That of another node's name is a stranger.
    other = replace(bench.wanted, environment={"ACTOR_NAME": "b"})
    seen = await bench.engine.observe(other)
    assert (seen.foreign, seen.original) == (container, None)
    await bench.engine.stop(container, GRACE)


async def test_one_that_is_as_wanted_leaves_nothing_to_do(bench: Bench) -> None:
    container = await original(bench)
    would = plan(bench.wanted, adopting(await bench.seen()))
    assert would.empty, would
    bench.engine.adopted = {container: bench.mark}
    seen = await bench.seen()
    assert [c.id for c in seen.containers] == [container]
    assert (seen.foreign, seen.original) == (None, None)
    assert plan(bench.wanted, seen) == would
    # Renamed, it is still the node's.
    await bench.engine.rename(container, f"{bench.wanted.name}-old")
    seen = await bench.seen()
    assert [c.name for c in seen.containers] == [f"{bench.wanted.name}-old"]
    await bench.engine.stop(container, GRACE)


async def test_one_that_differs_is_replaced_with_volumes_of_ours(bench: Bench) -> None:
    container = await original(bench)
    bench.engine.adopted = {container: bench.mark}
    wanted = replace(bench.wanted, environment={"ACTOR_NAME": "a", "NEW": "1"})
    todo = plan(wanted, await bench.engine.observe(wanted))
    assert [d.field for d in todo.differences] == [
        f"volumes/{bench.volume.name}",
        "environment",
    ]
    kinds = [type(action) for action in todo.actions]
    assert kinds == [CreateVolume, ReplaceContainer]
    await bench.engine.stop(container, GRACE)


async def test_stopped_it_is_gone_and_can_be_made_again(bench: Bench) -> None:
    container = await original(bench)
    before = (await bench.seen()).original
    assert before is not None
    assert before.made is not None
    await bench.engine.stop(container, GRACE)
    while (await bench.seen()).foreign is not None:
        # Its engine takes it away in its own time.
        await asyncio.sleep(0.01)
    again = await bench.engine.again(bench.wanted.name, before.made)
    assert again != container
    after = (await bench.seen()).original
    assert after is not None
    assert (after.id, after.state, after.spec) == (again, "running", before.spec)
    with pytest.raises(EngineError):
        await bench.engine.again(bench.wanted.name, before.made)
    await bench.engine.stop(again, GRACE)
