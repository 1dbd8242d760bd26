"""Taking over from sdss-fliswarm, as people and telescope software see it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.unit.support.camera import RawCamera, obedient
from tests.unit.support.client import Client
from tests.unit.support.live import original_of
from tests.unit.support.observatory import Observatory, observatory
from tests.unit.support.site import IMAGE, PULLED, free_port
from tests.unit.support.wait import until


def put_original(running: Observatory, name: str) -> str:
    """Let sdss-fliswarm have started a camera; return its container's id."""
    engine = running.engines[name]
    engine.daemon.images[IMAGE] = PULLED
    node = running.desired.nodes[name]
    made = original_of(running.desired.container(node))
    its = {"FLICAMERA_ACTOR_PORT": str(node.port)}
    return engine.add_original(replace(made, environment={**made.environment, **its}))


async def test_what_is_told_of_it_before_and_afterwards(tmp_path: Path) -> None:
    camera = await RawCamera(obedient).start()
    ports = {"gfa1": camera.port, "gfa2": free_port()}
    async with observatory(ports, tmp_path / "c.sock") as running:
        await until(lambda: camera.connections == 1)
        container = put_original(running, "gfa1")
        client = await Client.connect(running.port)

        async def said(words: str) -> str:
            return "\n".join(await client.command(f"5 {words}"))

        before = await said("status -n gfa1")
        assert "a container of sdss-fliswarm runs here (flicamera-gfa1, " in before
        assert "Remedy: fliswarm reconnect --adopt -n gfa1" in before
        dry = await said("reconnect -n gfa1 --dry-run")
        assert "a container of sdss-fliswarm runs here" in dry
        assert dry.splitlines()[-1].startswith("f ")
        assert (await said("reconnect -n gfa1")).splitlines()[-1].startswith("f ")
        would = await said("reconnect -n gfa1 --dry-run --adopt")
        assert 'i text="gfa1: nothing to do"' in would
        assert "runs here" in await said("status -n gfa1")

        did = await said("reconnect -n gfa1 --adopt")
        assert f"container of sdss-fliswarm, {container[:12]}, is adopted." in did
        assert did.splitlines()[-1] == ": "
        again = await said("reconnect -n gfa1 --adopt")
        assert "is adopted" not in again
        assert again.splitlines()[-1] == ": "
        after = await said("status -n gfa1 --detail")
        assert "runs here" not in after
        assert f"container=gfa1,{container[:12]}" in after
        assert "volume=gfa1,data,T,:/data" in after
        assert "was made by sdss-fliswarm and is adopted" in after
        assert [*running.engines["gfa1"].daemon.containers] == [container]
        await client.close()
    await camera.close()
