"""The controller is killed at every moment of every change, and started again."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from fliswarm import store
from fliswarm.commands import context as commands
from fliswarm.commands.call import Call, Sink
from fliswarm.commands.context import Context
from fliswarm.commands.report import report_leavings, trouble
from fliswarm.commands.words import words
from fliswarm.errors import EngineError, EngineUnreachableError
from fliswarm.fleet.fan import ApplyResult
from fliswarm.model import Image, Node
from fliswarm.model.facts import LeftBehind, Settled, Unfinished
from tests.unit.support.camera import RawCamera
from tests.unit.support.live import PATIENCE, Computer, Site
from tests.unit.support.site import IMAGE
from tests.unit.support.wait import until


class Killed(BaseException):
    """The controller is killed: nothing of it is done any more."""


Change = Callable[[Site], Awaitable[list[ApplyResult]]]


async def replace(site: Site) -> list[ApplyResult]:
    nodes = site.fleet.select("gfa1")
    return await site.fleet.apply(nodes, lambda _: None, "a test", force=True)


async def update(site: Site) -> list[ApplyResult]:
    site.computer("gfa1").registry[IMAGE] = Image("sha256:two", "sha256:digest-two")
    nodes = site.fleet.select("gfa1")
    return await site.fleet.apply(nodes, lambda _: None, "a test")


async def remove(site: Site) -> list[ApplyResult]:
    return await site.fleet.remove(site.fleet.select("gfa1"), lambda _: None, "a test")


async def cycle(site: Site) -> list[ApplyResult]:
    return await site.fleet.reboot(
        site.fleet.select("gfa1"), lambda _: None, "a test", hard=True, limit=20
    )


async def reboot(site: Site) -> list[ApplyResult]:
    return await site.fleet.reboot(
        site.fleet.select("gfa1"), lambda _: None, "a test", hard=False, limit=20
    )


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Site]:
    """Run a site whose one node has its container."""
    camera = await RawCamera().start()
    site = Site(folder, {"gfa1": camera})
    site.fleet.start()
    assert await site.reconnect() == {"gfa1": None}
    try:
        yield site
    finally:
        await site.fleet.close()
        await camera.close()


class Moments:
    """All that a change does to the world or writes down, each a moment to die at."""

    def __init__(self, site: Site, deadly: int | None) -> None:
        self.seen: list[str] = []
        self._deadly = deadly
        site.computer("gfa1").on_call = self.meet
        begin, end = site.fleet.journal.begin, site.fleet.journal.end
        switch = site.power.switch

        async def beginning(*words):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN202
            self.meet("note")
            entry = await begin(*words)
            self.meet(f"noted {entry.step}")
            return entry

        async def ending(key: str) -> None:
            self.meet("end")
            await end(key)

        async def switching(node, *, on: bool) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
            self.meet(f"power {on}")
            await switch(node, on=on)
            self.meet(f"done: power {on}")

        site.fleet.journal.begin = beginning  # type: ignore[method-assign]
        site.fleet.journal.end = ending  # type: ignore[method-assign]
        site.power.switch = switching  # type: ignore[method-assign]

    def meet(self, moment: str) -> None:
        self.seen.append(moment)
        if self._deadly is not None and len(self.seen) > self._deadly:
            raise Killed


async def moments(folder: Path, change: Change) -> list[str]:
    """Return all moments of a change that nothing cuts off."""
    async with running(folder) as site:
        met = Moments(site, None)
        assert [result.error for result in await change(site)] == [None]
        return met.seen


async def killed(
    folder: Path,
    change: Change,
    number: int,
    meanwhile: Callable[[Site], None] = lambda _: None,
) -> Site:
    """Kill the controller at a moment of a change, and start it anew.

    ``meanwhile`` happens while there is none.

    Return the site, when what was cut off is over, with its connections closed.
    """
    async with running(folder) as site:
        old = site.fleet
        switch = site.power.switch
        # One that is killed begins nothing more.
        old._settling.start = lambda: None  # type: ignore[method-assign]
        Moments(site, number)
        with pytest.raises(Killed):
            await change(site)
        # What a killed program would not do any more, this one cannot.
        site.computer("gfa1").on_call = None
        site.power.switch = switch  # type: ignore[method-assign]
        meanwhile(site)
        fleet = site.start()
        try:
            await until(lambda: not fleet.journal.entries, "an empty journal")
            seen = await fleet.status(fleet.select("gfa1"), detail=True)
            if change is not remove:
                assert seen[0].container is not None
                assert await _answers(site)
        finally:
            await old.close()
        return site


async def _answers(site: Site) -> bool:
    link = site.fleet.select("gfa1")[0].link
    await link.wait_up()
    exchange = link.send("ping", lambda _: None)
    async with asyncio.timeout(20):
        await exchange.ended
    return True


@pytest.mark.parametrize(
    "change", [replace, update, remove, cycle, reboot], ids=lambda c: c.__name__
)
async def test_killed_at_every_moment(tmp_path: Path, change: Change) -> None:
    every = await moments(tmp_path / "whole", change)
    assert len(every) > 5
    for number, moment in enumerate(every):
        site = await killed(tmp_path / str(number), change, number)
        names = site.computer("gfa1").names
        where = f"killed at {moment}: {names}"
        if change is remove:
            assert names in ({}, {"flicamera-gfa1": "running"}), where
        else:
            assert names == {"flicamera-gfa1": "running"}, where
        assert site.computer("gfa1").power, where
        assert not list((tmp_path / str(number) / "journal").glob("*")), where


async def test_what_was_stopped_runs_again_when_its_computer_starts(
    tmp_path: Path,
) -> None:
    """Both run then, the one that was set aside and its successor."""
    every = await moments(tmp_path / "whole", replace)
    both = 0

    def boot(site: Site) -> None:
        nonlocal both
        site.computer("gfa1").boot()
        both += list(site.computer("gfa1").names.values()) == ["running", "running"]

    for number, moment in enumerate(every):
        site = await killed(tmp_path / str(number), replace, number, boot)
        names = site.computer("gfa1").names
        assert names == {"flicamera-gfa1": "running"}, f"killed at {moment}: {names}"
    assert both > 2


async def test_what_cannot_be_undone_yet_is_told_and_undone_later(site: Site) -> None:
    assert await site.reconnect() == {"gfa1": None, "gfa2": None}
    computer = site.computer("gfa1")
    (before,) = computer.daemon.containers

    def cut(call: str) -> None:
        if call == "run flicamera-gfa1":
            computer.up = False
            raise EngineUnreachableError("gfa1", "the engine does not answer")

    computer.on_call = cut
    (result,) = await replace(site)
    assert "could not be undone" in str(result.error)
    assert "It is undone as soon as that is possible" in str(result.error)
    assert site.fleet.journal.of("gfa1") is not None
    computer.on_call = None
    await until(lambda: any(isinstance(fact, Unfinished) for fact in site.facts))
    computer.up = True
    await until(lambda: site.fleet.journal.of("gfa1") is None, "undone")
    assert computer.names == {"flicamera-gfa1": "running"}
    assert list(computer.daemon.containers) == [before]
    await until(lambda: any(isinstance(fact, Settled) for fact in site.facts))
    settled = [fact for fact in site.facts if isinstance(fact, Settled)]
    assert [(fact.node, fact.how) for fact in settled] == [("gfa1", "undone")]


async def test_what_has_no_way_back_is_not_said_to_be_undone(site: Site) -> None:
    await site.reconnect()
    old = site.fleet
    old._settling.start = lambda: None  # type: ignore[method-assign]
    computer = site.computer("gfa1")
    reboot_it = computer.system.reboot

    async def cut() -> None:
        await reboot_it()
        raise Killed

    computer.system.reboot = cut  # type: ignore[method-assign]
    with pytest.raises(Killed):
        await reboot(site)
    site.start()
    await until(lambda: any(isinstance(fact, Settled) for fact in site.facts))
    settled = [fact for fact in site.facts if isinstance(fact, Settled)]
    assert [(f.change, f.how) for f in settled] == [("reboot", "left as it is")]
    await old.close()


async def test_the_controller_is_asked_to_end_in_a_replacement(site: Site) -> None:
    assert await site.reconnect() == {"gfa1": None, "gfa2": None}
    computer = site.computer("gfa1")
    (before,) = computer.daemon.containers
    computer.camera.answer = lambda *_: None
    task = asyncio.create_task(replace(site))
    await until(lambda: "rename" in computer.calls[-1] or len(computer.running) > 0)
    await until(lambda: list(computer.daemon.containers) not in ([], [before]))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(computer.daemon.containers) == [before]
    assert computer.names == {"flicamera-gfa1": "running"}
    assert site.fleet.journal.entries == []


async def cut_off(site: Site) -> Computer:
    """Let the engine of a node go away in a replacement; return its computer."""
    computer = site.computer("gfa1")

    def cut(call: str) -> None:
        if call == "run flicamera-gfa1":
            computer.up = False
            raise EngineUnreachableError("gfa1", "the engine does not answer")

    computer.on_call = cut
    await replace(site)
    computer.on_call = None
    await until(lambda: site.fleet.board.state("gfa1").unfinished)
    return computer


async def test_a_reload_does_not_forget_what_was_cut_off(site: Site) -> None:
    await site.reconnect()
    computer = await cut_off(site)

    def change(nodes: dict[str, Node]) -> None:
        nodes["gfa1"] = dataclasses.replace(nodes["gfa1"], category="fvc")

    site.configure(change)
    await site.fleet.reload(site.desired)
    assert site.fleet.board.state("gfa1").unfinished
    computer.up = True
    await until(lambda: not site.fleet.board.state("gfa1").unfinished)
    assert computer.names == {"flicamera-gfa1": "running"}


async def test_what_was_cut_off_on_a_computer_that_is_gone_for_good(
    site: Site,
) -> None:
    await site.reconnect()
    await cut_off(site)
    site.configure(lambda nodes: nodes.pop("gfa1"))
    await site.fleet.reload(site.desired)
    told = Told()
    context = Context(Call("status", told), of(site))
    report_leavings(context)
    assert any("gfa1: reconnect was cut off at Run" in text for text in told.texts)
    (leaving,) = site.fleet.leavings
    await site.fleet.forget(leaving)
    told.texts.clear()
    report_leavings(context)
    assert (site.fleet.journal.entries, told.texts) == ([], [])
    assert not site.fleet.board.state("gfa1").unfinished
    assert not list((site.state / "journal").iterdir())


async def test_a_computer_that_hangs_in_a_change_is_started_anew(site: Site) -> None:
    await site.reconnect()
    computer = await cut_off(site)
    (result,) = await cycle(site)
    assert result.error is None
    await until(lambda: not site.fleet.board.state("gfa1").unfinished, "settled")
    assert site.fleet.journal.entries == []
    assert computer.names == {"flicamera-gfa1": "running"}


async def test_killed_in_a_reboot_of_a_computer_that_hangs_in_a_change(
    site: Site,
) -> None:
    await site.reconnect()
    computer = await cut_off(site)
    old = site.fleet
    old._settling.start = lambda: None  # type: ignore[method-assign]
    await old._settling.close()
    switch = site.power.switch

    async def cut(node: Node, *, on: bool) -> None:
        await switch(node, on=on)
        raise Killed

    site.power.switch = cut  # type: ignore[method-assign]
    with pytest.raises(Killed):
        await cycle(site)
    site.power.switch = switch  # type: ignore[method-assign]
    assert not computer.power
    fleet = site.start()
    await until(lambda: not fleet.journal.entries, "an empty journal")
    assert (computer.power, computer.names) == (True, {"flicamera-gfa1": "running"})
    await old.close()


@pytest.mark.parametrize("step", ["SetAside", "Remove"])
async def test_the_controller_is_asked_to_end_while_a_step_is_noted(
    site: Site, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A slow disk takes the note after that: the change is as far as it says."""
    await site.reconnect()
    computer = site.computer("gfa1")
    begun, go = threading.Event(), threading.Event()
    write = store.write

    def slow(path: Path, content: object) -> None:
        noted = cast("dict[str, Any]", content)
        if noted["steps"][noted["begun"] - 1]["step"] == step:
            begun.set()
            go.wait()
        write(path, content)

    (before,) = computer.daemon.containers
    task = asyncio.create_task(replace(site))
    with monkeypatch.context() as patch:
        patch.setattr(store, "write", slow)
        patch.setattr(site.fleet._ledger, "note", lambda *_: None)
        await until(begun.is_set)
        task.cancel()
        # As long as an undoing takes that does not wait for the disk.
        await asyncio.sleep(0.2)
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (before in computer.daemon.containers) == (step == "SetAside")
    assert computer.names == {"flicamera-gfa1": "running"}
    assert site.fleet.journal.entries == []
    assert not list((site.state / "journal").iterdir())


class Told(Sink):
    """Keeps the texts of replies."""

    closed = False

    def __init__(self) -> None:
        self.texts: list[str] = []

    def write(self, code: str, keywords: Mapping[str, object]) -> None:
        """See `Sink.write`."""
        if "text" in keywords:
            self.texts.append(str(keywords["text"]))

    def relay(self, code: str, sender: str, keywords: Mapping[str, object]) -> None:
        """See `Sink.relay`."""

    async def ready(self) -> None:
        """See `Sink.ready`."""


def of(site: Site) -> commands.Site:
    """Return what commands work with."""

    async def reload() -> list[str]:
        return await site.fleet.reload(site.desired)

    async def stale() -> list[str]:
        return []

    return commands.Site(site.fleet, "fliswarm", "0", reload, stale)


async def test_files_that_cannot_be_read_are_told_until_they_are_gone(
    site: Site,
) -> None:
    """What comes next is not written over what may still be told by somebody."""
    await site.fleet.close()
    files = ("roster.json", "engines.json", "journal/gfa1..reboot.json")
    for name in files:
        (site.state / name).parent.mkdir(parents=True, exist_ok=True)
        (site.state / name).write_text("torn")
    for _ in range(2):
        site.start()
        assert await site.reconnect() == {"gfa1": None, "gfa2": None}
        site.fleet.disable("gfa2", "ann", "")
        told = Told()
        report_leavings(Context(Call("status", told), of(site)))
        assert [text.partition(" cannot be read. ")[::2] for text in told.texts] == [
            (
                f"What was noted in {site.state}/{name}.unreadable",
                f"Remedy: {remedy}, then remove that file",
            )
            for name, remedy in (
                (
                    "engines.json",
                    "fliswarm reconnect, and look at computers that left"
                    " the configuration",
                ),
                (
                    "journal/gfa1..reboot.json",
                    "fliswarm reconnect -n gfa1, as a change"
                    " of it may have been cut off",
                ),
                ("roster.json", "disable the nodes again that are to be so"),
            )
        ]
        site.fleet.enable("gfa2")
        await site.fleet.close()
    for name in files:
        path = site.state / f"{name}.unreadable"
        assert path.read_text() == "torn"
        path.unlink()
    told.texts.clear()
    report_leavings(Context(Call("status", told), of(site)))
    assert told.texts == []


async def test_a_camera_that_was_put_back_has_its_time_to_begin(
    tmp_path: Path,
) -> None:
    """It mounts its disks first: for as long as any new one, it does not count as gone.

    `settle` is the time of one that runs already; here it is none at all.
    """
    camera = await RawCamera().start()
    site = Site(tmp_path, {"gfa1": camera}, dataclasses.replace(PATIENCE, settle=0.01))
    site.fleet.start()
    assert await site.reconnect() == {"gfa1": None}
    computer = site.computer("gfa1")
    (before,) = computer.daemon.containers
    answers, begins = camera.answer, asyncio.Event()

    def fail(call: str) -> None:
        if call == "run flicamera-gfa1":
            camera.answer = lambda *_: None
            site.fleet.nodes[0].link.drop("a test")
            raise EngineError("gfa1", "no room")
        if call == "done: start":
            begins.set()

    computer.on_call = fail
    change = asyncio.create_task(replace(site))
    await begins.wait()
    # Longer than one that runs already would have had.
    await asyncio.sleep(0.3)
    camera.answer = answers
    (result,) = await change
    text = "no room; the previous container runs again, its camera answers"
    assert str(result.error) == f"gfa1: {text}"
    # The same after a start of the controller, which settles it by itself.
    computer.on_call = None
    await site.fleet.close()
    old = site.fleet
    old._settling.start = lambda: None  # type: ignore[method-assign]
    Moments(site, (await moments(tmp_path / "x", replace)).index("run flicamera-gfa1"))
    with pytest.raises(Killed):
        await replace(site)
    computer.on_call = None
    fleet = site.start()
    await until(lambda: not fleet.journal.entries, "undone")
    camera.answer = lambda *_: None
    fleet.nodes[0].link.drop("a test")
    again = asyncio.create_task(site.reconnect())
    await until(lambda: fleet.journal.busy("gfa1"))
    await asyncio.sleep(0.3)
    camera.answer = answers
    assert await again == {"gfa1": None}
    assert list(computer.daemon.containers) == [before]
    await fleet.close()
    await camera.close()


async def test_each_change_that_was_cut_off_is_told(site: Site) -> None:
    await site.reconnect()
    await cut_off(site)
    for change in ("reconnect", "reboot"):
        fact = Unfinished(node="gfa1", change=change, step="Run", reason="away")
        site.fleet.news.tell(fact)
    told = Told()
    trouble(Context(Call("status", told), of(site)), "gfa1")
    assert [text.partition(" was cut off")[0] for text in told.texts] == [
        "gfa1: reconnect",
        "gfa1: reboot",
    ]


async def test_what_a_node_left_is_said_alike_by_status_and_events(site: Site) -> None:
    await site.reconnect()
    site.configure(lambda nodes: nodes.pop("gfa1"))
    await site.fleet.reload(site.desired)
    told = Told()
    report_leavings(Context(Call("status", told), of(site)))
    heard = [words(fact) for fact in site.facts if isinstance(fact, LeftBehind)]
    assert [said and said[1]["text"] for said in heard] == told.texts
    assert len(told.texts) == 1
