"""A camera that exposes is not stopped, unless that is wanted."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fliswarm.camera import Exchange
from fliswarm.errors import EXIT_BUSY, ExposingError
from fliswarm.fleet.fan import ApplyResult
from fliswarm.model import Node
from fliswarm.model.facts import ExposureAwaited, ExposureLost
from fliswarm.model.terms import Terms
from tests.unit.control.test_control import beside, replies
from tests.unit.support.camera import RawCamera, line
from tests.unit.support.client import Client
from tests.unit.support.live import PATIENCE, Site
from tests.unit.support.observatory import observatory
from tests.unit.support.wait import LIMIT, until

LONG = Terms(wait=LIMIT)


class Exposing:
    """A camera that may expose: for who asked us, or for a stranger.

    ``left`` is what its device says is left of an exposure, in seconds.
    """

    def __init__(self, camera: RawCamera) -> None:
        self.camera = camera
        self.left = 0.0
        self.numbers: list[int] = []
        self._before = camera.answer
        camera.answer = self._answer

    def _answer(self, camera: RawCamera, number: int, body: str) -> None:
        if body.startswith("expose"):
            self.numbers.append(number)
            self.left = 30
        else:
            if body == "status":
                status = {"camera": camera.name, "exposure_time_left": self.left * 1000}
                camera.send(line(number, "i", camera.name, status=status))
            self._before(camera, number, body)

    def end(self) -> None:
        """Let the exposure be over."""
        self.left = 0
        for number in self.numbers:
            self.camera.send(line(number, ":", self.camera.name))
        self.numbers.clear()


Change = Callable[[Site, Terms], Coroutine[Any, Any, list[ApplyResult]]]


async def replace(site: Site, terms: Terms) -> list[ApplyResult]:
    nodes = site.fleet.select("gfa1")
    return await site.fleet.apply(
        nodes, lambda _: None, "a test", force=True, terms=terms
    )


async def remove(site: Site, terms: Terms) -> list[ApplyResult]:
    nodes = site.fleet.select("gfa1")
    return await site.fleet.remove(nodes, lambda _: None, "a test", terms=terms)


async def cycle(site: Site, terms: Terms) -> list[ApplyResult]:
    nodes = site.fleet.select("gfa1")
    return await site.fleet.reboot(
        nodes, lambda _: None, "a test", hard=True, limit=LIMIT, terms=terms
    )


async def reboot(site: Site, terms: Terms) -> list[ApplyResult]:
    nodes = site.fleet.select("gfa1")
    return await site.fleet.reboot(
        nodes, lambda _: None, "a test", hard=False, limit=LIMIT, terms=terms
    )


CHANGES = pytest.mark.parametrize(
    "change", [replace, remove, cycle, reboot], ids=lambda c: c.__name__
)


@pytest.fixture
async def camera(site: Site) -> AsyncIterator[Exposing]:
    """Yield the camera of gfa1, whose container runs."""
    assert await site.reconnect() == {"gfa1": None, "gfa2": None}
    yield Exposing(site.computer("gfa1").camera)


async def expose(site: Site) -> Exchange:
    link = site.fleet.select("gfa1")[0].link
    await link.wait_up()
    return link.send("expose 30", lambda _: None)


def world(site: Site) -> tuple[object, ...]:
    """Return all of gfa1's computer that a change might change."""
    computer = site.computer("gfa1")
    starts = computer.system.starts
    return (dict(computer.daemon.containers), starts, list(site.power.switched))


@CHANGES
@pytest.mark.parametrize("ours", [True, False], ids=["through us", "a stranger's"])
async def test_an_exposure_is_not_ended(
    site: Site, camera: Exposing, change: Change, ours: bool
) -> None:
    if ours:
        await expose(site)
        await until(lambda: camera.left)
    camera.left = 30
    before = world(site)
    (result,) = await change(site, Terms())
    assert isinstance(result.error, ExposingError)
    assert result.error.exit_code == EXIT_BUSY
    what = " (expose 30)" if ours else ""
    assert str(result.error) == (
        f"gfa1: its camera exposes for another 30 s{what}. Remedy: --wait SECONDS "
        "waits for its end, --now goes on and loses it"
    )
    assert world(site) == before
    assert site.fleet.journal.entries == []
    camera.end()
    (again,) = await change(site, Terms())
    assert again.error is None
    assert again.changed
    assert world(site) != before


@CHANGES
@pytest.mark.parametrize("ours", [True, False], ids=["through us", "a stranger's"])
async def test_an_exposure_is_waited_for(
    site: Site, camera: Exposing, change: Change, ours: bool
) -> None:
    if ours:
        await expose(site)
        await until(lambda: camera.left)
    camera.left = 30
    before = world(site)
    task = asyncio.create_task(change(site, LONG))
    await until(lambda: any(isinstance(fact, ExposureAwaited) for fact in site.facts))
    assert world(site) == before
    camera.end()
    (result,) = await task
    assert result.error is None
    assert world(site) != before
    assert len([f for f in site.facts if isinstance(f, ExposureAwaited)]) == 1
    assert not [f for f in site.facts if isinstance(f, ExposureLost)]


async def test_a_wait_ends(site: Site, camera: Exposing) -> None:
    camera.left = 30
    before = world(site)
    (result,) = await replace(site, Terms(wait=0.2))
    assert str(result.error).startswith(
        "gfa1: after 0.2 s, its camera exposes for another"
    )
    assert world(site) == before


@CHANGES
async def test_what_is_lost_is_told(
    site: Site, camera: Exposing, change: Change
) -> None:
    await expose(site)
    await until(lambda: camera.left)

    def over(call: str) -> None:
        if call.startswith("done: stop") or (call == "ping" and change is not replace):
            camera.left = 0

    site.computer("gfa1").on_call = over
    (result,) = await change(site, Terms(now=True))
    assert result.error is None
    lost = [fact for fact in site.facts if isinstance(fact, ExposureLost)]
    assert [(fact.node, fact.exposure) for fact in lost] == [
        ("gfa1", "its camera exposes for another 30 s (expose 30)")
    ]


@CHANGES
async def test_a_camera_that_does_not_answer_exposes_nothing(
    site: Site, camera: Exposing, change: Change
) -> None:
    await expose(site)
    await until(lambda: camera.left)
    answer = camera.camera.answer
    camera.camera.answer = lambda *_: None

    def anew(call: str) -> None:
        if call.startswith("done: run") or (call == "ping" and change is not replace):
            camera.left = 0
            camera.camera.answer = answer

    site.computer("gfa1").on_call = anew
    (result,) = await change(site, Terms())
    assert result.error is None


async def test_a_camera_that_hangs_is_replaced_without_being_forced(
    site: Site, camera: Exposing
) -> None:
    answer = camera.camera.answer
    camera.camera.answer = lambda *_: None

    def anew(call: str) -> None:
        if call == "done: run flicamera-gfa1":
            camera.camera.answer = answer

    site.computer("gfa1").on_call = anew
    (before,) = site.computer("gfa1").daemon.containers
    assert await site.reconnect() == {"gfa1": None, "gfa2": None}
    assert list(site.computer("gfa1").daemon.containers) != [before]


async def test_an_exposure_that_begins_just_before_the_stop(
    site: Site, camera: Exposing
) -> None:
    before = world(site)

    def begin(call: str) -> None:
        if call.startswith("done: rename"):
            camera.left = 30

    site.computer("gfa1").on_call = begin
    (result,) = await replace(site, Terms())
    assert isinstance(result.error, ExposingError)
    assert world(site) == before
    assert site.fleet.journal.entries == []


async def test_nobody_waits_for_its_end_any_more(site: Site, camera: Exposing) -> None:
    link = site.fleet.select("gfa1")[0].link
    link.forget(await expose(site))
    await until(lambda: camera.left)
    camera.left = 0
    (result,) = await replace(site, Terms())
    assert "its camera exposes (expose 30)" in str(result.error)


async def test_the_four_beats(site: Site, camera: Exposing) -> None:
    fleet = site.fleet
    nodes = fleet.select("gfa1")
    camera.left = 30
    (refused,) = await fleet.plan(nodes, force=True)
    assert isinstance(refused, ExposingError)
    (todo,) = await fleet.plan(nodes, force=True, terms=LONG)
    assert not isinstance(todo, Exception)
    assert not todo.empty
    # What stops nothing is in nobody's way.
    (nothing,) = await fleet.plan(nodes)
    assert not isinstance(nothing, Exception)
    assert nothing.empty
    (result,) = await fleet.apply(nodes, lambda _: None)
    assert (result.error, result.changed) == (None, False)


async def test_another_camera_on_the_same_computer(tmp_path: Path) -> None:
    cameras = {name: await RawCamera(name=name).start() for name in ("gfa1", "gfa2")}
    site = Site(tmp_path, cameras)
    engine = site.desired.nodes["gfa1"].engine

    def change(nodes: dict[str, Node]) -> None:
        nodes["gfa2"] = dataclasses.replace(nodes["gfa2"], engine=engine)

    site.configure(change)
    fleet = site.start()
    try:
        other = Exposing(cameras["gfa2"])
        other._before = lambda cam, number, _: cam.send(line(number, ":", cam.name))
        await fleet.apply(fleet.select("gfa1"), lambda _: None)
        await fleet.select("gfa2")[0].link.wait_up()
        other.left = 30
        for change_it in (reboot, cycle):
            (result,) = await change_it(site, Terms())
            assert str(result.error).startswith("gfa1: gfa2 exposes for another 30 s")
        # Its own container stays, whatever is done to gfa1's.
        (result,) = await replace(site, Terms())
        assert result.error is None
    finally:
        await fleet.close()
        for camera in cameras.values():
            await camera.close()


async def test_the_telescope_s_software_is_refused_too(tmp_path: Path) -> None:
    raw = await RawCamera().start()
    camera = Exposing(raw)
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": raw.port}, path, commands="original") as running:
        link = running.service._fleet.nodes[0].link
        await until(lambda: link.up)
        client = await Client.connect(running.port)
        assert (await client.command("5 reconnect"))[-1] == ": "
        await until(lambda: link.up)
        camera.left = 30
        for number, body in enumerate(
            ("reconnect --force", "reconnect --force --dry-run", "reboot --hard"), 6
        ):
            said = await client.command(f"{number} {body}")
            assert said[-1].startswith("f "), body
            assert any(
                "its camera exposes for another 30 s" in text for text in said
            ), body
        wrong = ["reconnect", "--force", "--wait", "x"]
        heard = await beside(lambda: replies(path, ["remove", "--all"], wrong))
        assert [(said[-1].code, said[-1].exit_code) for said in heard] == [
            ("f", EXIT_BUSY),
            ("f", 2),
        ]
        said = await client.command("9 reconnect --force --now")
        assert said[-1] == ": "
        assert any("that exposure is lost" in text for text in said)
        await client.close()
    await raw.close()


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"status": None},
        {"status": {"exposure_time_left": None}},
        {"status": {"exposure_time_left": "NA"}},
        {"status": [1, 2]},
    ],
    ids=str,
)
async def test_a_status_that_tells_nothing(
    site: Site, camera: Exposing, said: Mapping[str, object]
) -> None:
    def odd(raw: RawCamera, number: int, body: str) -> None:
        raw.send(line(number, ":", "gfa1", **(said if body == "status" else {})))

    camera.camera.answer = odd
    (result,) = await replace(site, Terms())
    assert result.error is None


async def test_who_waits_may_be_asked_to_end(site: Site, camera: Exposing) -> None:
    camera.left = 30
    before = world(site)
    task = asyncio.create_task(replace(site, LONG))
    await until(lambda: any(isinstance(fact, ExposureAwaited) for fact in site.facts))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert world(site) == before
    assert site.fleet.journal.entries == []
    assert PATIENCE.readout < LIMIT
