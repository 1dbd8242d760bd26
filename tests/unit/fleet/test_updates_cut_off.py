"""The controller is killed at every moment of an update, and started again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from fliswarm.model.release import Known
from tests.unit.support.releasing import TWO, Releasing, releasing
from tests.unit.support.wait import until

UPDATE = "update --monitor 0 --max-parallel 1"

DEEDS = ("pull", "tag", "rename", "stop", "run", "remove", "done: run")


class Killed(BaseException):
    """The controller is killed: nothing of it is done any more."""


class Moments:
    """What an update does to nodes or writes down, each a moment to die at."""

    def __init__(self, site: Releasing, deadly: int | None) -> None:
        self.seen: list[str] = []
        self._deadly = deadly
        for name in site.desired.nodes:
            site.computer(name).on_call = self._call
        fleet = site.fleet
        note, begin = fleet.releases.note, fleet.journal.begin

        async def noting(how: Callable[[Known], Known]) -> None:
            self.meet("note")
            await note(how)
            self.meet("noted")

        async def beginning(*words):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN202
            entry = await begin(*words)
            self.meet(f"noted {entry.step}")
            return entry

        fleet.releases.note = noting  # type: ignore[method-assign]
        fleet.journal.begin = beginning  # type: ignore[method-assign]
        # One that is killed begins nothing more.
        fleet._settling.start = lambda: None  # type: ignore[method-assign]
        fleet.following.start = lambda: None  # type: ignore[method-assign]

    def _call(self, call: str) -> None:
        if call.startswith(DEEDS):
            self.meet(call)
        elif self.dead:
            raise Killed

    @property
    def dead(self) -> bool:
        return self._deadly is not None and len(self.seen) > self._deadly

    def meet(self, moment: str) -> None:
        self.seen.append(moment)
        if self.dead:
            raise Killed


async def killed(site: Releasing, number: int) -> str:
    """Kill the controller at a moment of an update, and start it anew; return which."""
    old = site.fleet
    moments = Moments(site, number)
    site.publish(TWO)
    with pytest.raises(Killed):
        await site.give(UPDATE)
    for name in site.desired.nodes:
        site.computer(name).on_call = None
    await old.close()
    fleet = site.start()
    await until(lambda: not fleet.journal.entries, "an empty journal")
    return moments.seen[number]


async def test_killed_at_every_moment(tmp_path: Path) -> None:
    async with releasing(tmp_path / "whole", 2) as site:
        moments = Moments(site, None)
        site.publish(TWO)
        assert (await site.give(UPDATE)).code == ":"
        every = len(moments.seen)
    assert every > 20
    places = set()
    for number in range(every):
        async with releasing(tmp_path / str(number), 2) as site:
            where = f"killed at {number}, {await killed(site, number)}: {site.has}"
            assert set(site.has.values()) <= {"one", "two"}, where
            for name in site.desired.nodes:
                names = site.computer(name).names
                assert names == {f"flicamera-{name}": "running"}, where
            rollout = site.fleet.releases.known.rollout
            said = await site.give("status --detail")
            assert ("was stopped at turn" in said.text) is (rollout is not None), where
            if rollout is not None:
                places.add((rollout.turn, rollout.done))
                assert f"fliswarm {UPDATE} goes on" in said.text, where
                text = f"turn {rollout.turn + 1} of 2 (gfa{rollout.turn + 1})"
                assert text in said.text, where
            if len(set(site.has.values())) > 1:
                assert (
                    "The fleet is mixed: release 2: gfa1; release 1: gfa2" in said.text
                )
            # It goes on for nobody who did not say so.
            before = site.has
            assert (await site.give("status")).code == ":"
            assert site.has == before, where
            if number % 2:
                assert (await site.give(UPDATE)).code == ":", where
                assert set(site.has.values()) == {"two"}, where
            elif rollout is not None:
                assert (await site.give("rollback --monitor 0")).code == ":", where
                assert set(site.has.values()) == {"one"}, where
            assert site.fleet.releases.known.rollout is None, where
            said = await site.give("status --detail")
            assert "stopped" not in said.text, where
            assert "mixed" not in said.text, where
    assert places == {(0, ()), (0, ("gfa1",)), (1, ("gfa1",)), (1, ("gfa1", "gfa2"))}


async def test_killed_while_a_turn_goes_back(tmp_path: Path) -> None:
    async def failing(folder: Path, number: int | None) -> int:
        async with releasing(folder, 2) as site:
            site.computer("gfa2").temperature = None
            if number is None:
                moments = Moments(site, None)
                site.publish(TWO)
                assert (await site.give(UPDATE)).code == "f"
                assert site.has == {"gfa1": "two", "gfa2": "one"}
                return len(moments.seen)
            where = f"killed at {number}, {await killed(site, number)}: {site.has}"
            assert set(site.has.values()) <= {"one", "two"}, where
            for name in site.desired.nodes:
                names = site.computer(name).names
                assert names == {f"flicamera-{name}": "running"}, where
            rollout = site.fleet.releases.known.rollout
            said = await site.give("status --detail")
            assert ("was stopped at turn" in said.text) is (rollout is not None), where
            site.computer("gfa2").temperature = -10.0
            if rollout is not None:
                assert (await site.give("rollback --monitor 0")).code == ":", where
                assert set(site.has.values()) == {"one"}, where
            return 0

    every = await failing(tmp_path / "whole", None)
    for number in range(every // 2, every):
        await failing(tmp_path / str(number), number)


async def test_the_controller_is_asked_to_end_in_a_turn(tmp_path: Path) -> None:
    async with releasing(tmp_path, 2) as site:
        site.computer("gfa1").silent.add(TWO.id)
        site.publish(TWO)
        task = asyncio.create_task(site.give(UPDATE))
        await until(lambda: "run flicamera-gfa1" in site.computer("gfa1").calls)
        await site.service._dispatcher.close()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert site.has == {"gfa1": "one", "gfa2": "one"}
        rollout = site.fleet.releases.known.rollout
        assert rollout is not None
        assert (rollout.turn, rollout.done) == (0, ())
        assert site.fleet.releases.under_way is None
