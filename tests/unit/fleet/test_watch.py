"""Whether an engine answers is noticed by whatever is asked of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fliswarm.change.world import Patience
from fliswarm.engine.memory import MemoryEngine
from fliswarm.errors import EngineUnreachableError
from fliswarm.fleet.fan import ApplyResult
from fliswarm.fleet.watch import EngineWatch
from fliswarm.model.facts import EngineAway, EngineUp, Fact
from tests.unit.support.camera import RawCamera
from tests.unit.support.clock import ClockLoop
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


def test_a_silent_engine_is_asked_with_pauses_that_grow_to_a_bound() -> None:
    asked: list[float] = []
    facts: list[Fact] = []

    class Silent(MemoryEngine):
        async def ping(self) -> None:
            asked.append(asyncio.get_running_loop().time())
            await super().ping()

    async def watched() -> None:
        twin = Silent("gfa1", up=False)
        patience = Patience(look=2, settle=10)
        watch = EngineWatch("gfa1", twin, facts.append, patience)
        watch.lost(EngineUnreachableError("gfa1", "no route"))
        # Further news of the same change nothing.
        watch.lost(EngineUnreachableError("gfa1", "still no route"))
        await asyncio.sleep(60)
        twin.up = True
        while watch.away is not None:
            await asyncio.sleep(1)
        watch.answered()
        watch.close()

    with asyncio.Runner(loop_factory=ClockLoop) as runner:
        runner.run(watched())
    pauses = [later - before for before, later in itertools.pairwise(asked)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[4:]
    assert set(pauses[4:]) == {10}
    assert [type(fact) for fact in facts] == [EngineAway, EngineUp]


async def test_an_engine_that_refused_is_asked_again(tmp_path: Path) -> None:
    """That costs nothing; one that is silent costs its limit each time."""
    camera = await RawCamera().start()
    rare = replace(PATIENCE, look=10 * LIMIT, settle=10 * LIMIT)
    site = Site(tmp_path / "state", {"gfa1": camera}, rare)
    computer = site.computer("gfa1")
    for refused in (True, False):

        def refuse(_: str, refused: bool = refused) -> None:
            raise EngineUnreachableError("gfa1", "refused", refused=refused)

        computer.on_call = refuse
        for _ in range(2):
            await site.fleet.status(site.fleet.select())
        computer.on_call = None
        (seen,) = await site.fleet.status(site.fleet.select())
        assert seen.engine_alive is refused
    await site.fleet.close()
    await camera.close()
