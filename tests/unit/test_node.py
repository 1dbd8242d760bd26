from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from fliswarm.camera import CameraLink
from fliswarm.change.journal import Journal
from fliswarm.change.world import Patience
from fliswarm.commands.words import words
from fliswarm.engine.memory import MemoryEngine
from fliswarm.errors import (
    BusyError,
    EngineError,
    FliswarmError,
    HostError,
    ImageUnavailableError,
    UnsureHostError,
)
from fliswarm.fleet.node import LiveNode
from fliswarm.host.memory import MemoryHost
from fliswarm.model import ContainerSpec, Image, Node, Volume
from fliswarm.model.facts import Fact
from tests.unit.support.camera import GoodCamera, RawCamera, line, silent
from tests.unit.support.site import DATA, IMAGE, PULLED, engine, fleet
from tests.unit.support.wait import LIMIT, until

PATIENCE = Patience(answer=2, settle=1, look=0.05, power=0.01)


def ignore(_: Fact) -> None:
    """Take a fact and do nothing."""


class Power:
    """A power switch that notes what it did, and starts the computer anew."""

    def __init__(self, bench: Bench) -> None:
        self.switched: list[bool] = []
        self.works = True
        self.problem: HostError | None = None
        self._bench = bench

    async def switch(self, node: Node, *, on: bool) -> None:
        assert node.name == "gfa1"
        self.switched.append(on)
        if not on and self.problem is not None:
            raise self.problem
        self._bench.engine.up = on or not self.works


class Bench:
    """A node whose engine is in memory and whose camera is a server of the test's."""

    def __init__(self, camera: RawCamera | GoodCamera, twin: MemoryEngine) -> None:
        desired = fleet({"gfa1": camera.port})
        node = desired.nodes["gfa1"]
        self.camera = camera
        self.engine = twin
        self.wanted = desired.container(node)
        self.told: list[tuple[str, Mapping[str, object]]] = []
        link = CameraLink("gfa1", node.host, node.port, retry=0.02)
        self.host = MemoryHost("gfa1")
        self.power = Power(self)
        self.facts: list[Fact] = []
        self.live = LiveNode(
            node,
            twin,
            link,
            self.host,
            self.power,
            Journal(),
            self.facts.append,
            PATIENCE,
        )

    def tell(self, fact: Fact) -> None:
        if said := words(fact):
            self.told.append(said)

    async def apply(
        self, wanted: ContainerSpec | None = None, *, force: bool = False
    ) -> bool:
        return await self.live.apply(wanted or self.wanted, self.tell, force=force)

    async def containers(self) -> dict[str, bool]:
        """Return who runs, by name."""
        seen = await self.engine.observe(self.wanted)
        return {container.name: container.running for container in seen.containers}

    @property
    def acts(self) -> list[str]:
        """Return what was done to the engine, without the looking."""
        looks = ("observe", "ping", "logs", "identity")
        return [call for call in self.engine.calls if call not in looks]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    camera = await RawCamera().start()
    bench = Bench(camera, engine("gfa1"))
    bench.live.link.start()
    yield bench
    await bench.live.close()
    await camera.close()


async def test_apply_four_beats(bench: Bench) -> None:
    would = await bench.live.plan(bench.wanted)
    assert [type(action).__name__ for action in would.actions] == [
        "CreateVolume",
        "ReplaceContainer",
    ]
    assert await bench.apply() is True
    assert await bench.containers() == {"flicamera-gfa1": True}
    done = len(bench.acts)
    assert await bench.apply() is False
    assert bench.acts[done:] == [f"pull {IMAGE}"]
    assert (await bench.live.plan(bench.wanted)).empty


async def test_a_camera_of_the_original_s_kind() -> None:
    camera = await GoodCamera("gfa1").start()
    bench = Bench(camera, engine("gfa1"))
    bench.live.link.start()
    assert await bench.apply() is True
    assert await bench.apply() is False
    await bench.live.close()
    await camera.close()


async def test_nothing_stops_before_the_image_is_there(bench: Bench) -> None:
    await bench.apply()
    done = len(bench.acts)
    missing = replace(bench.wanted, image="hub:5000/other:1")
    with pytest.raises(ImageUnavailableError):
        await bench.apply(missing)
    assert bench.acts[done:] == ["pull hub:5000/other:1"]
    assert await bench.containers() == {"flicamera-gfa1": True}


async def test_a_registry_that_is_down_is_no_hindrance(bench: Bench) -> None:
    text = f"gfa1: its registry does not answer; using the {IMAGE} that is there."
    local = ("w", {"text": text})
    await bench.apply()
    pulling = ("d", {"text": "gfa1: pulling, 100 % of 0 MiB."})
    assert pulling in bench.told
    assert local not in bench.told
    bench.engine.registry_up = False
    assert await bench.apply(force=True) is True
    assert bench.told.count(local) == 1


async def test_a_plan_asks_the_registry_and_pulls_nothing(bench: Bench) -> None:
    await bench.apply()
    done = len(bench.acts)
    assert (await bench.live.plan(bench.wanted)).empty
    bench.engine.registry[IMAGE] = Image("sha256:two", "sha256:digest-two")
    plan = await bench.live.plan(bench.wanted)
    assert [d.field for d in plan.differences] == ["image_digest"]
    # The camera is asked only when nothing else replaces it.
    assert isinstance(bench.camera, RawCamera)
    bench.camera.answer = silent
    plan = await bench.live.plan(bench.wanted)
    assert [d.field for d in plan.differences] == ["image_digest"]
    assert bench.acts[done:] == [f"digest {IMAGE}"] * 3


async def test_a_plan_without_a_registry_takes_the_image_that_is_there(
    bench: Bench,
) -> None:
    bench.engine.registry_up = False
    with pytest.raises(ImageUnavailableError, match="its registry does not answer"):
        await bench.live.plan(bench.wanted)
    bench.engine.registry_up = True
    await bench.apply()
    bench.engine.registry_up = False
    bench.told.clear()
    assert (await bench.live.plan(bench.wanted, tell=bench.tell)).empty
    ((code, keywords),) = bench.told
    assert code == "w"
    assert str(keywords["text"]).endswith(f"; using the {IMAGE} that is there.")


async def test_a_newer_image_replaces_the_container(bench: Bench) -> None:
    await bench.apply()
    before = (await bench.engine.observe(bench.wanted)).containers[0]
    bench.engine.registry[IMAGE] = Image("sha256:two", "sha256:digest-two")
    assert await bench.apply() is True
    after = (await bench.engine.observe(bench.wanted)).containers
    assert [container.image_id for container in after] == ["sha256:two"]
    assert not bench.engine.has(before.id)


async def test_a_stopped_container_is_started(bench: Bench) -> None:
    await bench.apply()
    container = (await bench.engine.observe(bench.wanted)).containers[0]
    await bench.engine.stop(container.id, 0)
    assert await bench.apply() is True
    assert bench.acts[-1] == "start"
    assert await bench.containers() == {"flicamera-gfa1": True}


async def test_other_volume_options_bring_a_new_volume(bench: Bench) -> None:
    await bench.apply()
    other = Volume("data", "local", {**DATA.options, "o": "addr=other"})
    wanted = replace(bench.wanted, volumes=(other,))
    assert await bench.apply(wanted) is True
    seen = await bench.engine.observe(wanted)
    assert seen.volumes == {other.docker_name}
    assert await bench.apply(wanted) is False


async def test_a_new_camera_that_does_not_answer_is_taken_back(bench: Bench) -> None:
    await bench.apply()
    before = (await bench.engine.observe(bench.wanted)).containers[0]
    assert isinstance(bench.camera, RawCamera)
    bench.camera.answer = silent
    newer = replace(bench.wanted, user="5")
    with pytest.raises(
        EngineError,
        match=r"gfa1: the camera did not answer in 2 s; the previous container runs",
    ):
        await bench.apply(newer)
    after = (await bench.engine.observe(bench.wanted)).containers
    assert after == (before,)


async def test_a_first_camera_that_does_not_answer_stays_to_be_looked_at(
    bench: Bench,
) -> None:
    assert isinstance(bench.camera, RawCamera)
    bench.camera.answer = silent
    with pytest.raises(FliswarmError, match=r"did not answer in 2 s$"):
        await bench.apply()
    assert await bench.containers() == {"flicamera-gfa1": True}


async def test_a_camera_that_refuses_a_ping_is_alive(bench: Bench) -> None:
    def refusing(camera: RawCamera, number: int, _: str) -> None:
        camera.send(line(number, "f", error="busy"))

    assert isinstance(bench.camera, RawCamera)
    bench.camera.answer = refusing
    assert await bench.apply() is True


async def test_a_running_container_without_a_camera_is_replaced(bench: Bench) -> None:
    await bench.apply()
    before = (await bench.engine.observe(bench.wanted)).containers[0]
    assert isinstance(bench.camera, RawCamera)
    so_far = bench.camera.connections

    def after_a_new_connection(camera: RawCamera, number: int, _: str) -> None:
        if camera.connections > so_far:
            camera.send(line(number, ":"))

    bench.camera.answer = after_a_new_connection
    assert await bench.apply() is True
    assert ("w", {"text": "gfa1: the camera does not answer; replacing."}) in bench.told
    assert not bench.engine.has(before.id)


class Dying(MemoryEngine):
    """An engine on which every container ends as soon as it is started."""

    async def run(self, wanted: ContainerSpec) -> str:
        container = await super().run(wanted)
        if wanted.user == "5":
            await self.stop(container, 0)
        return container


class Mute(Dying):
    """An engine whose log driver keeps nothing that can be read."""

    async def logs(self, container: str, lines: int) -> str:
        raise EngineError(self.node, "driver does not support reading")


class Stubborn(MemoryEngine):
    """An engine that cannot stop a container."""

    async def stop(self, container: str, grace: float) -> None:
        raise EngineError(self.node, "cannot stop")


async def failing(twin: MemoryEngine, words: str) -> None:
    """See a replacement on ``twin`` fail, and all be as before."""
    camera = await RawCamera().start()
    bench = Bench(camera, twin)
    bench.live.link.start()
    await bench.apply()
    before = (await twin.observe(bench.wanted)).containers
    camera.answer = silent
    with pytest.raises(EngineError, match=words):
        await bench.apply(replace(bench.wanted, user="5"))
    assert (await twin.observe(bench.wanted)).containers == before
    await bench.live.close()
    await camera.close()


async def test_a_new_container_that_ends_is_taken_back() -> None:
    twin = Dying("gfa1", registry={IMAGE: PULLED})
    await failing(twin, "gfa1: the container ended: .*; the previous container runs")
    mute = Mute("gfa1", registry={IMAGE: PULLED})
    await failing(mute, r"ended: why, its log does not tell \(driver .*\)")


@pytest.mark.parametrize("state", ["exited", "restarting", "paused", "dead"])
async def test_an_answer_is_no_success_while_the_container_is_dead(state: str) -> None:
    """Another program has the port, and says that it is this node's camera."""

    class Ending(MemoryEngine):
        async def run(self, wanted: ContainerSpec) -> str:
            container = await super().run(wanted)
            if wanted.user == "5":
                self.set_state(container, state)
            return container

    twin = Ending("gfa1", registry={IMAGE: PULLED})
    camera = await RawCamera().start()
    bench = Bench(camera, twin)
    bench.live.link.start()
    await bench.apply()
    before = (await twin.observe(bench.wanted)).containers
    with pytest.raises(EngineError, match=r"gfa1: the container ended: .*; the prev"):
        await bench.apply(replace(bench.wanted, user="5"))
    assert (await twin.observe(bench.wanted)).containers == before
    await bench.live.close()
    await camera.close()


ALIVE = ["running", "restarting", "paused", "removing"]


async def in_state(bench: Bench, state: str) -> str:
    """Let the node's container be in a state; return its id."""
    await bench.apply()
    (before,) = (await bench.engine.observe(bench.wanted)).containers
    bench.engine.set_state(before.id, state)
    bench.engine.calls.clear()
    return before.id


@pytest.mark.parametrize("state", ALIVE)
async def test_what_is_alive_is_stopped_before_its_successor_runs(
    bench: Bench, state: str
) -> None:
    """One that restarts has the device again, and one that is paused still has it."""
    before = await in_state(bench, state)
    assert await bench.apply(force=True) is True
    names = ["stop 5", "run flicamera-gfa1", "remove"]
    assert [call for call in bench.acts if call in names] == names
    assert not bench.engine.has(before)


@pytest.mark.parametrize("state", ["created", "exited", "dead"])
async def test_what_is_at_rest_need_not_be_stopped(bench: Bench, state: str) -> None:
    await in_state(bench, state)
    assert await bench.apply(force=True) is True
    assert "stop 5" not in bench.acts


@pytest.mark.parametrize("state", ["created", "exited", "dead"])
async def test_what_was_at_rest_is_not_started(bench: Bench, state: str) -> None:
    """Somebody stopped it; its successor stays, to be looked at."""
    before = await in_state(bench, state)
    assert isinstance(bench.camera, RawCamera)
    bench.camera.answer = silent
    with pytest.raises(FliswarmError, match="the camera did not answer in 2 s"):
        await bench.apply(replace(bench.wanted, user="5"))
    seen = (await bench.engine.observe(bench.wanted)).containers
    states = {container.id == before: container.state for container in seen}
    assert states == {True: state, False: "running"}


@pytest.mark.parametrize("state", ["running", "restarting", "paused"])
async def test_what_was_alive_is_put_back_to_run(bench: Bench, state: str) -> None:
    before = await in_state(bench, state)
    assert isinstance(bench.camera, RawCamera)
    bench.camera.answer = silent
    with pytest.raises(EngineError, match="the previous container runs again"):
        await bench.apply(replace(bench.wanted, user="5"))
    assert bench.acts.index("stop 5") < bench.acts.index("run flicamera-gfa1")
    seen = (await bench.engine.observe(bench.wanted)).containers
    names = [(c.id, c.name, c.state) for c in seen]
    assert names == [(before, "flicamera-gfa1", "running")]


@pytest.mark.parametrize("state", ALIVE)
async def test_what_is_alive_is_stopped_before_it_is_removed(
    bench: Bench, state: str
) -> None:
    before = await in_state(bench, state)
    assert await bench.live.remove(bench.wanted, ignore) is True
    assert [c for c in bench.acts if c in ("stop 5", "remove")] == ["stop 5", "remove"]
    assert not bench.engine.has(before)


async def test_all_old_containers_make_way(bench: Bench) -> None:
    await bench.apply()
    (own,) = (await bench.engine.observe(bench.wanted)).containers
    other = replace(own, id="f" * 64, name="flicamera-gfa1-before")
    bench.engine.daemon.containers[other.id] = other
    bench.engine.calls.clear()
    assert await bench.apply(force=True) is True
    run = bench.acts.index("run flicamera-gfa1")
    assert bench.acts[:run].count("stop 5") == 2
    assert bench.acts[run:].count("remove") == 2
    assert await bench.containers() == {"flicamera-gfa1": True}


async def test_a_container_that_is_gone_is_not_waited_for(bench: Bench) -> None:
    def lose(call: str) -> None:
        if call == "done: run flicamera-gfa1":
            bench.engine.daemon.containers.clear()

    assert isinstance(bench.camera, RawCamera)
    bench.camera.answer = silent
    bench.engine.on_call = lose
    with pytest.raises(FliswarmError, match="gfa1: the container is gone"):
        await bench.apply()


async def test_an_engine_is_asked_whether_it_is_there_before_a_pull(
    bench: Bench,
) -> None:
    """A pull has no limit as long as it goes on; a dead engine has a short one."""
    await bench.apply()
    assert bench.engine.calls.index("ping") < bench.engine.calls.index(f"pull {IMAGE}")


async def test_a_container_that_cannot_be_stopped_keeps_its_name() -> None:
    twin = Stubborn("gfa1", registry={IMAGE: PULLED})
    await failing(twin, "gfa1: cannot stop; the previous container runs again")


class Counting(MemoryEngine):
    """An engine that takes its volumes for mounted, as it was started beneath them."""

    async def remove_volume(self, docker_name: str) -> None:
        raise EngineError(self.node, "volume has active mounts")


async def test_a_volume_that_cannot_go_stays_and_is_told() -> None:
    camera = await RawCamera().start()
    bench = Bench(camera, Counting("gfa1", registry={IMAGE: PULLED}))
    bench.live.link.start()
    await bench.apply()
    told = bench.told
    assert await bench.live.remove(bench.wanted, bench.tell)
    volume = bench.wanted.volumes[0].docker_name
    text = f"gfa1: volume {volume} stays: volume has active mounts"
    assert ("w", {"text": text}) in told
    assert not (await bench.engine.observe(bench.wanted)).containers
    await bench.live.close()
    await camera.close()


async def test_a_foreign_container_of_our_name_blocks(bench: Bench) -> None:
    theirs = bench.engine.add_foreign("flicamera-gfa1")
    for force in (False, True):
        with pytest.raises(EngineError, match="fliswarm did not make"):
            await bench.apply(force=force)
    assert bench.engine.has(theirs)
    assert bench.acts == [f"pull {IMAGE}"] * 2


async def test_foreign_containers_beside_ours_survive(bench: Bench) -> None:
    names = ("flicamera-gfa10", "not-flicamera-gfa1", "flicamera-gfa1-old")
    theirs = [bench.engine.add_foreign(name) for name in names]
    await bench.apply()
    await bench.apply(force=True)
    assert await bench.live.remove(bench.wanted, ignore) is True
    assert await bench.live.remove(bench.wanted, ignore) is False
    assert all(bench.engine.has(container) for container in theirs)
    seen = await bench.engine.observe(bench.wanted)
    assert (seen.containers, seen.volumes) == ((), frozenset())


async def test_one_hand_at_a_time(bench: Bench) -> None:
    assert isinstance(bench.camera, RawCamera)
    bench.camera.answer = silent
    first = asyncio.create_task(bench.apply())
    await until(lambda: "run flicamera-gfa1" in bench.acts)
    with pytest.raises(BusyError, match=r"gfa1: another reconnect is under way"):
        await bench.apply()
    with pytest.raises(BusyError, match=r"gfa1: another reconnect is under way"):
        await bench.live.remove(bench.wanted, ignore)
    with pytest.raises(FliswarmError, match="did not answer"):
        await first
    # The first one has let go of the node.
    assert await bench.live.remove(bench.wanted, ignore) is True


async def test_an_engine_that_is_down(bench: Bench) -> None:
    bench.engine.up = False
    with pytest.raises(EngineError, match="does not answer"):
        await bench.apply()
    await bench.live.link.wait_up()
    status = await bench.live.status(bench.wanted)
    # The camera is connected, so the host must be alive.
    assert (status.host_alive, status.engine_alive, status.camera_up) == (
        True,
        False,
        True,
    )
    assert status.problem == "the engine does not answer"


async def test_the_status_of_a_node(bench: Bench) -> None:
    await bench.live.link.wait_up()
    empty = await bench.live.status(bench.wanted)
    assert (empty.container, empty.volumes, empty.digest) == (
        None,
        {"data": False},
        None,
    )
    await bench.apply()
    status = await bench.live.status(bench.wanted, detail=True)
    assert status.container is not None
    assert status.container.name == "flicamera-gfa1"
    assert status.volumes == {"data": True}
    assert status.digest == PULLED.digest
    bench.engine.registry[IMAGE] = Image("sha256:two", "sha256:digest-two")
    await bench.engine.pull(IMAGE)
    # It runs still what was the image before.
    assert (await bench.live.status(bench.wanted)).digest is None


async def test_a_reboot_waits_for_the_camera(bench: Bench) -> None:
    await bench.apply()
    assert isinstance(bench.camera, RawCamera)
    connections = bench.camera.connections
    assert await bench.live.reboot(bench.wanted, ignore, 10, hard=False) is True
    assert bench.host.starts == 2
    assert bench.camera.connections == connections + 1


async def test_a_reboot_waits_for_a_new_start(bench: Bench) -> None:
    """A computer that goes down slowly answers for a while, and is no new one."""
    await bench.apply()
    asked: list[str] = []

    class Slow(MemoryHost):
        async def mark(self) -> str:
            asked.append("1" if len(asked) < 4 else "2")
            return asked[-1]

    bench.live._host = Slow("gfa1")
    assert await bench.live.reboot(bench.wanted, ignore, LIMIT, hard=False) is True
    assert asked == ["1", "1", "1", "1", "2"]


async def test_a_reboot_of_a_host_that_does_not_answer(bench: Bench) -> None:
    bench.host.up = False
    with pytest.raises(HostError, match=r"gfa1: .*does not answer"):
        await bench.live.reboot(bench.wanted, ignore, 10, hard=False)
    assert bench.acts == []


async def test_a_reboot_names_what_did_not_come_back(bench: Bench) -> None:
    await bench.apply()
    assert isinstance(bench.camera, RawCamera)
    bench.camera.answer = silent
    with pytest.raises(HostError, match=r"its camera was not back in 0.1 s"):
        await bench.live.reboot(bench.wanted, ignore, 0.1, hard=False)
    bench.engine.up = False
    with pytest.raises(HostError, match=r"its Docker Engine was not back in 0.1 s"):
        await bench.live.reboot(bench.wanted, ignore, 0.1, hard=False)


async def test_a_reboot_has_its_limit_where_its_computer_says_nothing(
    bench: Bench,
) -> None:
    silence = asyncio.Event()

    async def hang() -> str:
        await silence.wait()
        return ""

    for method in ("mark", "reboot"):
        host = MemoryHost("gfa1")
        setattr(host, method, hang)
        bench.live._host = host
        async with asyncio.timeout(LIMIT):
            with pytest.raises(HostError, match=r"its host was not back in 0.05 s"):
                await bench.live.reboot(bench.wanted, ignore, 0.05, hard=False)
    # Its hand is off the node again.
    assert await bench.apply() is True


async def test_a_reboot_has_its_limit_where_a_switch_never_answers(
    bench: Bench,
) -> None:
    silence = asyncio.Event()

    async def hang(node: Node, *, on: bool) -> None:
        assert node.name == "gfa1"
        bench.power.switched.append(on)
        await silence.wait()

    bench.power.switch = hang  # type: ignore[method-assign]
    bench.live._patience = replace(PATIENCE, undo=0.05)
    async with asyncio.timeout(LIMIT):
        with pytest.raises(HostError, match=r"its host was not back in 0.05 s"):
            await bench.live.reboot(bench.wanted, ignore, 0.05, hard=True)
    # It may have been switched off, so on is tried as well.
    assert bench.power.switched == [False, True]


async def test_a_power_cycle(bench: Bench) -> None:
    await bench.apply()
    # Its operating system need not answer for that.
    bench.host.up = False
    assert await bench.live.reboot(bench.wanted, ignore, 10, hard=True) is True
    assert bench.power.switched == [False, True]


async def test_a_computer_is_without_power_for_a_while(bench: Bench) -> None:
    """Its capacitors keep it alive over a pause that is too short."""
    await bench.apply()
    bench.live._patience = replace(PATIENCE, power=0.2)
    switch, loop = bench.power.switch, asyncio.get_running_loop()
    at: list[float] = []

    async def timed(node: Node, *, on: bool) -> None:
        at.append(loop.time())
        await switch(node, on=on)

    bench.power.switch = timed  # type: ignore[method-assign]
    await bench.live.reboot(bench.wanted, ignore, LIMIT, hard=True)
    off, on = at
    assert on - off >= 0.2


async def test_a_power_switch_that_switches_nothing_is_found_out(bench: Bench) -> None:
    await bench.apply()
    bench.power.works = False
    with pytest.raises(HostError, match=r"its host was not down in 0.3 s"):
        await bench.live.reboot(bench.wanted, ignore, 0.3, hard=True)
    assert bench.power.switched == [False, True]


async def test_a_switch_that_refuses_is_not_asked_again(bench: Bench) -> None:
    bench.power.problem = HostError("gfa1", "no such device")
    with pytest.raises(HostError, match="no such device"):
        await bench.live.reboot(bench.wanted, ignore, 10, hard=True)
    assert bench.power.switched == [False]


async def test_a_switch_that_says_nothing_may_have_switched(bench: Bench) -> None:
    bench.power.problem = UnsureHostError("gfa1", "no answer")
    with pytest.raises(HostError, match="no answer"):
        await bench.live.reboot(bench.wanted, ignore, 10, hard=True)
    assert bench.power.switched == [False, True]
