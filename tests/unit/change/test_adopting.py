"""Containers of sdss-fliswarm are taken over: left as they are, or replaced by ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fliswarm import store
from fliswarm.errors import EngineError, StoreError
from fliswarm.fleet.adopted import Adopted
from fliswarm.fleet.adopting import adopt
from fliswarm.fleet.fan import ApplyResult
from fliswarm.model import facts
from fliswarm.plan.difference import Plan
from tests.unit.change.test_cut_off import Killed, Moments, _answers
from tests.unit.support.camera import RawCamera
from tests.unit.support.live import Computer, Site, original_of
from tests.unit.support.site import DATA, IMAGE
from tests.unit.support.wait import until


def put_original(site: Site, name: str = "gfa1") -> str:
    """Let sdss-fliswarm have started a camera; return its container's id."""
    computer = site.computer(name)
    node = site.desired.nodes[name]
    wanted = site.desired.container(node)
    computer.daemon.images[IMAGE] = computer.registry[IMAGE]
    (engine, *_) = computer.engines
    # The camera of a test has its own port, which no original would know.
    its = {"FLICAMERA_ACTOR_PORT": str(node.port)}
    made = original_of(wanted)
    return engine.add_original(replace(made, environment={**made.environment, **its}))


async def taken(site: Site, *, force: bool = False) -> list[ApplyResult]:
    """Give ``reconnect --adopt``."""
    nodes = site.fleet.select("gfa1")
    assert await adopt(site.fleet, nodes, lambda _: None, "a test") == {}
    return await site.fleet.apply(nodes, lambda _: None, "a test", force=force)


async def would(site: Site, *, adopt: bool = False) -> Plan:
    (plan,) = await site.fleet.plan(site.fleet.select("gfa1"), adopt=adopt)
    assert isinstance(plan, Plan)
    return plan


async def shown(site: Site):  # type: ignore[no-untyped-def]  # noqa: ANN201
    (status,) = await site.fleet.status(site.fleet.select("gfa1"), detail=True)
    return status


async def test_it_is_left_alone_and_told_without_adoption(site: Site) -> None:
    container = put_original(site)
    status = await shown(site)
    assert status.container is None
    assert status.original is not None
    assert status.original.id == container
    said = (await site.reconnect())["gfa1"]
    assert said is not None
    assert "remedy: fliswarm reconnect --adopt" in said
    assert list(site.computer("gfa1").daemon.containers) == [container]


async def test_one_that_is_as_wanted_runs_on(site: Site) -> None:
    """Say, do, say again, do again: and nothing on the node is touched."""
    container = put_original(site)
    assert (await would(site, adopt=True)).empty
    (result,) = await taken(site)
    assert (result.error, result.changed) == (None, False)
    assert (await would(site)).empty
    assert (await site.reconnect())["gfa1"] is None
    computer = site.computer("gfa1")
    assert list(computer.daemon.containers) == [container]
    touched = ("run", "stop", "rename", "remove", "again", "create")
    assert not [call for call in computer.calls if call.startswith(touched)]
    status = await shown(site)
    assert status.found is not None
    assert (status.found.id, status.original) == (container, None)
    assert status.volumes == {"data": True}
    told = [fact for fact in site.facts if isinstance(fact, facts.Adopted)]
    assert [(fact.node, fact.container) for fact in told] == [("gfa1", container[:12])]


async def test_it_is_remembered_over_a_start(site: Site) -> None:
    container = put_original(site)
    await taken(site)
    noted = json.loads((site.state / "adopted.json").read_text("utf-8"))
    assert noted[container]["node"] == "gfa1"
    assert noted[container]["by"] == "a test"
    assert noted[container]["engine"] == site.computer("gfa1").daemon.identity
    await site.fleet.close()
    site.start()
    assert (await would(site)).empty
    assert (await shown(site)).container is not None


async def test_a_record_that_cannot_be_read_adopts_nothing(site: Site) -> None:
    put_original(site)
    await taken(site)
    (site.state / "adopted.json").write_text('{"x": 5}', "utf-8")
    await site.fleet.close()
    site.start()
    assert (await would(site)).blocked is not None


async def test_a_record_that_cannot_be_written_adopts_nothing(site: Site) -> None:
    put_original(site)
    (site.state / "adopted.json").mkdir(parents=True)
    errors = await adopt(site.fleet, site.fleet.select("gfa1"), lambda _: None)
    assert isinstance(errors["gfa1"], StoreError)
    assert (await would(site)).blocked is not None


async def test_any_later_change_replaces_it_by_ours(site: Site) -> None:
    container = put_original(site)
    await taken(site)
    gfa1 = site.desired.nodes["gfa1"]
    site.configure(
        lambda nodes: nodes.update(gfa1=replace(gfa1, environment={"NEW": "1"}))
    )
    await site.fleet.reload(site.desired)
    assert (await site.reconnect())["gfa1"] is None
    computer = site.computer("gfa1")
    assert computer.names == {"flicamera-gfa1": "running"}
    assert container not in computer.daemon.containers
    assert computer.daemon.volumes == {DATA.docker_name}
    assert (await would(site)).empty


async def test_one_that_differs_is_replaced_at_once(site: Site) -> None:
    put_original(site)
    (result,) = await taken(site, force=True)
    assert (result.error, result.changed) == (None, True)
    assert site.computer("gfa1").names == {"flicamera-gfa1": "running"}
    assert len(site.computer("gfa1").daemon.containers) == 1


async def test_a_replacement_that_does_not_answer_gives_way_to_it(site: Site) -> None:
    first = put_original(site)
    computer = site.computer("gfa1")

    def ends(call: str) -> None:
        if call == "done: run flicamera-gfa1":
            made = next(c for c in computer.daemon.containers.values() if c.node)
            computer.engines[0].set_state(made.id, "exited")

    computer.on_call = ends
    (result,) = await taken(site, force=True)
    assert "the previous container runs again, its camera" in str(result.error)
    computer.on_call = None
    assert computer.names == {}
    (again,) = computer.daemon.containers.values()
    assert (again.name, again.state) == ("flicamera-gfa1", "running")
    assert again.id != first
    # It is another one, and is adopted by those who want it.
    assert await _answers(site)
    assert (await would(site)).blocked is not None
    assert (await would(site, adopt=True)).empty


async def test_removal_takes_it_away(site: Site) -> None:
    put_original(site)
    await taken(site)
    nodes = site.fleet.select("gfa1")
    (result,) = await site.fleet.remove(nodes, lambda _: None, "a test")
    assert (result.error, result.changed) == (None, True)
    assert site.computer("gfa1").daemon.containers == {}


async def test_a_renamed_node_takes_its_place(site: Site) -> None:
    put_original(site)
    await taken(site)

    def rename(nodes):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        nodes["gfa9"] = nodes.pop("gfa1")

    site.configure(rename)
    await site.fleet.reload(site.desired)
    assert (await site.reconnect())["gfa9"] is None
    assert site.computer("gfa9").names == {"flicamera-gfa9": "running"}
    assert len(site.computer("gfa9").daemon.containers) == 1


# Cut off at any moment


@asynccontextmanager
async def adopted(folder: Path) -> AsyncIterator[Site]:
    """Run a site whose one node has an adopted container."""
    camera = await RawCamera().start()
    site = Site(folder, {"gfa1": camera})
    site.fleet.start()
    put_original(site)
    assert [r.error for r in await taken(site)] == [None]
    try:
        yield site
    finally:
        await site.fleet.close()
        await camera.close()


def names(computer: Computer) -> dict[str, str]:
    return {c.name: c.state for c in computer.daemon.containers.values()}


async def replace_it(site: Site) -> list[ApplyResult]:
    nodes = site.fleet.select("gfa1")
    return await site.fleet.apply(nodes, lambda _: None, "a test", force=True)


async def test_killed_at_every_moment_a_camera_is_there_afterwards(
    tmp_path: Path,
) -> None:
    async with adopted(tmp_path / "whole") as site:
        met = Moments(site, None)
        assert [result.error for result in await replace_it(site)] == [None]
    assert len(met.seen) > 5
    for number, moment in enumerate(met.seen):
        async with adopted(tmp_path / str(number)) as site:
            old = site.fleet
            old._settling.start = lambda: None  # type: ignore[method-assign]
            Moments(site, number)
            with pytest.raises(Killed):
                await replace_it(site)
            computer = site.computer("gfa1")
            computer.on_call = None
            fleet = site.start()
            try:
                await until(lambda f=fleet: not f.journal.entries, "an empty journal")  # type: ignore[misc]
                where = f"killed at {moment}"
                assert names(computer) == {"flicamera-gfa1": "running"}, where
                assert await _answers(site), where
            finally:
                await old.close()


async def test_an_engine_that_refuses_is_told(site: Site) -> None:
    put_original(site)
    computer = site.computer("gfa1")

    def refuse(call: str) -> None:
        if call.startswith("stop"):
            raise EngineError("gfa1", "not now")

    computer.on_call = refuse
    (result,) = await taken(site, force=True)
    assert str(result.error).startswith("gfa1: not now; the previous container runs")
    assert names(computer) == {"flicamera-gfa1": "running"}


def test_what_cannot_be_read_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "adopted.json"
    path.write_text("{")
    adopted = Adopted(path)
    adopted.note("c0ffee", "gfa1", "an engine", "a test")
    assert dict(Adopted(path)) == {"c0ffee": "gfa1"}
    assert [kept.read_text() for kept in store.kept_aside(tmp_path)] == ["{"]
