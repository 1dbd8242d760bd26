"""Whether an engine answers is noticed by whatever is asked of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fliswarm.fleet.fan import ApplyResult
from fliswarm.model.facts import EngineAway, EngineUp
from tests.unit.support.camera import RawCamera
from tests.unit.support.live import PATIENCE, Site
from tests.unit.support.wait import LIMIT, until

Change = Callable[[Site], Awaitable[list[ApplyResult]]]


async def reconnect(site: Site) -> list[ApplyResult]:
    return await site.fleet.apply(site.fleet.select("gfa1"), lambda _: None)


async def remove(site: Site) -> list[ApplyResult]:
    return await site.fleet.remove(site.fleet.select("gfa1"), lambda _: None)


async def power_cycle(site: Site) -> list[ApplyResult]:
    nodes = site.fleet.select("gfa1")
    return await site.fleet.reboot(nodes, lambda _: None, hard=True, limit=LIMIT)


@pytest.mark.parametrize(
    "work", [reconnect, remove, power_cycle], ids=lambda w: w.__name__
)
async def test_work_on_an_engine_that_was_silent_finds_it_back(
    tmp_path: Path, work: Change
) -> None:
    camera = await RawCamera().start()
    # Nobody asks it again by itself for longer than the test lasts.
    rare = replace(PATIENCE, look=10 * LIMIT, settle=10 * LIMIT)
    site = Site(tmp_path / "state", {"gfa1": camera}, rare)
    site.fleet.start()
    computer = site.computer("gfa1")
    assert await site.reconnect() == {"gfa1": None}
    computer.up = False
    (seen,) = await site.fleet.status(site.fleet.select())
    assert not seen.engine_alive
    # It was asked once more at once, and is waited for now.
    (live,) = site.fleet.nodes
    waiting: Any = live._watch._task
    await until(lambda: waiting.get_coro().cr_await is not None, "it is waited for")
    computer.up = True
    assert [result.error for result in await work(site)] == [None]
    news = [f for f in site.facts if isinstance(f, EngineAway | EngineUp)]
    assert [type(fact) for fact in news] == [EngineAway, EngineUp]
    (seen,) = await site.fleet.status(site.fleet.select())
    assert seen.engine_alive
    await site.fleet.close()
    await camera.close()
