"""What every engine keeps: the twin in memory, and the real one's door to any engine.

The door is tried on an engine over HTTP that keeps the rules of a real one. A real one
is used besides when ``FLISWARM_TEST_ENGINE`` is its address and ``FLISWARM_TEST_IMAGE``
the full name of an image on it that has ``/bin/sh``. For ``https://...``,
``FLISWARM_TEST_TLS`` is a folder with ``ca.pem``, ``controller.pem``,
``controller.key``. Containers and volumes of the tests carry names of their own and are
taken away again.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from fliswarm.engine import Engine
from fliswarm.engine.docker import DockerEngine, DockerEngines
from fliswarm.engine.memory import STATES, MemoryDaemon, MemoryEngine
from fliswarm.engine.protocol import OnPrinted
from fliswarm.errors import (
    EngineError,
    EngineUnreachableError,
    ImageUnavailableError,
)
from fliswarm.model import (
    ContainerSpec,
    Executed,
    Image,
    Limits,
    Node,
    Observation,
    Printed,
    TlsFiles,
    Volume,
    imagename,
)
from fliswarm.plan.difference import (
    CreateVolume,
    Plan,
    RemoveContainer,
    RemoveVolume,
    ReplaceContainer,
    StartContainer,
    plan,
    removal,
)
from tests.unit.support.engine import FakeEngine
from tests.unit.support.site import free_port
from tests.unit.support.wait import LIMIT, until

T = TypeVar("T")

ADDRESS = os.environ.get("FLISWARM_TEST_ENGINE")

GRACE = 1.0


class Rig:
    """What makes an engine under test what a test needs; this one is the twin."""

    image = "hub:5000/sdss/flicamera:latest"
    states: tuple[str, ...] = STATES

    def __init__(self) -> None:
        self.daemon = MemoryDaemon()
        self.registry = {self.image: Image("sha256:one", "sha256:digest-one")}
        self.engines: list[MemoryEngine] = []

    def face(self, node: str) -> Engine:
        """Return the engine as one node has it."""
        engine = MemoryEngine(node, self.registry, daemon=self.daemon)
        self.engines.append(engine)
        return engine

    async def foreign(self, name: str) -> str:
        """Make a container of somebody else; return its id."""
        return self.engines[0].add_foreign(name)

    async def set_state(self, container: str, state: str) -> None:
        """Let a container be in a state."""
        self.engines[0].set_state(container, state)

    def says(self, container: str, at: str, text: str) -> None:
        """Let a container print a line."""
        self.daemon.logs.setdefault(container, []).append(Printed(at, text))

    def ends(self, program: str, done: Executed | None) -> None:
        """Say what comes of a program, by its name."""
        self.daemon.programs[program] = done

    async def registry_ends(self) -> None:
        """Let the registry answer no more."""
        for engine in self.engines:
            engine.registry_up = False


class HttpRig(Rig):
    """The real one's door, and an engine over HTTP behind it."""

    def __init__(self, fake: FakeEngine) -> None:
        self.fake = fake
        fake.registry[self.image] = Image("sha256:one", "sha256:digest-one")
        self.made: list[Engine] = []
        self.connect = DockerEngines()

    def face(self, node: str) -> Engine:
        engine = self.connect(Node(node, "127.0.0.1", self.fake.address))
        self.made.append(engine)
        return engine

    async def foreign(self, name: str) -> str:
        self.fake.images["theirs"] = Image("sha256:theirs")
        _, made = self.fake._create(name, {"Image": "theirs"})
        assert isinstance(made, dict)
        return str(made["Id"])

    async def set_state(self, container: str, state: str) -> None:
        self.fake.containers[container]["State"] = state

    def says(self, container: str, at: str, text: str) -> None:
        self.fake.logs.setdefault(container, []).append(Printed(at, text))

    def ends(self, program: str, done: Executed | None) -> None:
        self.fake.programs[program] = done

    async def registry_ends(self) -> None:
        self.fake.problem = "dial tcp: connection refused"


class DockerRig(Rig):
    """A real engine."""

    # There is no way to bring about the others at will.
    states = ("running", "paused", "exited")

    def __init__(self, address: str) -> None:
        self.image = os.environ["FLISWARM_TEST_IMAGE"]
        folder = Path(os.environ.get("FLISWARM_TEST_TLS", "."))
        files = ("ca.pem", "controller.pem", "controller.key")
        tls = TlsFiles(*(folder / name for name in files))
        self.node = Node("d", "here", address, tls=tls if "https" in address else None)
        self.connect = DockerEngines()
        self.made: list[DockerEngine] = []
        self.theirs: list[str] = []

    def face(self, node: str) -> Engine:
        engine = self.connect(replace(self.node, name=node))
        self.made.append(engine)
        return engine

    async def _do(self, act: Callable[[Any], T]) -> T:
        """Do with the SDK what the program has no word for."""
        return await self.made[0]._call(60, act)

    async def foreign(self, name: str) -> str:
        made = await self._do(
            lambda api: api.create_container(self.image, ["sleep", "600"], name=name)
        )
        self.theirs.append(made["Id"])
        return str(made["Id"])

    async def set_state(self, container: str, state: str) -> None:
        if state == "paused":
            await self._do(lambda api: api.pause(container))
        elif state == "exited":
            await self._do(lambda api: api.stop(container, timeout=1))

    def ends(self, program: str, done: Executed | None) -> None:
        """Leave it to the programs of the image."""

    async def clear(self) -> None:
        for container in self.theirs:
            await self.made[0].remove(container)


class Bench:
    """An engine under test and what is wanted of it; all names are its own."""

    def __init__(self, rig: Rig) -> None:
        self.mark = f"fliswarm-test-{secrets.token_hex(4)}"
        self.rig = rig
        self.engine = rig.face(self.mark)
        self.image = rig.image
        self.foreign = rig.foreign
        # A bind of a folder that every host has, and nothing is written to.
        self.volume = Volume(
            self.mark, "local", {"type": "none", "o": "bind", "device": "/srv"}
        )
        self.wanted = ContainerSpec(
            name=f"{self.mark}-a",
            node=self.mark,
            image=rig.image,
            environment={"ACTOR_NAME": "a"},
            volumes=(self.volume,),
            privileged=False,
            network="none",
            limits=Limits(memory="64m", cpus=0.5),
            restart_policy="no",
        )

    async def seen(self) -> Observation:
        return await self.engine.observe(self.wanted)

    async def running(self) -> dict[str, bool]:
        found = (await self.seen()).containers
        return {container.name: container.running for container in found}

    async def run(self, wanted: ContainerSpec | None = None) -> str:
        """Run a container, with its image and volume there before."""
        await self.engine.pull(self.image)
        await self.engine.create_volume(self.volume)
        return await self.engine.run(wanted or self.wanted)

    async def clear(self) -> None:
        seen = await self.seen()
        for container in seen.containers:
            await self.engine.remove(container.id)
        for volume in seen.volumes:
            await self.engine.remove_volume(volume)


async def _memory() -> AsyncIterator[Bench]:
    yield Bench(Rig())


async def _http() -> AsyncIterator[Bench]:
    async with FakeEngine().listening() as fake:
        rig = HttpRig(fake)
        yield Bench(rig)
        for engine in rig.made:
            engine.close()


async def _docker() -> AsyncIterator[Bench]:
    rig = DockerRig(ADDRESS or "")
    bench = Bench(rig)
    try:
        yield bench
    finally:
        await bench.clear()
        await rig.clear()
        for engine in rig.made:
            engine.close()


KINDS = {"memory": _memory, "http": _http, "docker": _docker}

NO_ENGINE = "no engine is given: set FLISWARM_TEST_ENGINE and FLISWARM_TEST_IMAGE"


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


OWN_REGISTRY = pytest.mark.parametrize("bench", ["memory", "http"], indirect=True)
"""For tests of a registry that ends or changes: a real engine's is not the test's."""


async def test_an_empty_engine(bench: Bench) -> None:
    await bench.engine.ping()
    seen = await bench.seen()
    assert (seen.node, seen.containers, seen.volumes) == (bench.mark, (), frozenset())
    assert seen.foreign is None


async def test_a_container_that_runs_is_as_wanted(bench: Bench) -> None:
    container = await bench.run()
    seen = await bench.seen()
    (found,) = seen.containers
    assert (found.id, found.name, found.running) == (container, bench.wanted.name, True)
    assert found.node == bench.mark
    assert found.volumes == {bench.volume.docker_name}
    assert found.spec == bench.wanted.fields()
    assert seen.volumes == {bench.volume.docker_name}
    assert seen.image is not None
    assert found.image_id == seen.image.id
    assert plan(bench.wanted, seen).empty


async def test_a_name_is_given_once(bench: Bench) -> None:
    await bench.run()
    with pytest.raises(EngineError):
        await bench.engine.run(bench.wanted)
    assert await bench.running() == {bench.wanted.name: True}


async def test_stop_start_rename_remove(bench: Bench) -> None:
    container = await bench.run()
    await bench.engine.stop(container, GRACE)
    assert await bench.running() == {bench.wanted.name: False}
    await bench.engine.stop(container, GRACE)
    await bench.engine.rename(container, f"{bench.mark}-aside")
    assert await bench.running() == {f"{bench.mark}-aside": False}
    other = await bench.engine.run(bench.wanted)
    with pytest.raises(EngineError):
        await bench.engine.rename(container, bench.wanted.name)
    await bench.engine.remove(other)
    await bench.engine.rename(container, bench.wanted.name)
    await bench.engine.start(container)
    await bench.engine.start(container)
    assert await bench.running() == {bench.wanted.name: True}
    await bench.engine.remove(container)
    assert await bench.running() == {}


async def test_what_is_not_there(bench: Bench) -> None:
    nobody = "0" * 63 + "f"
    for act in (
        lambda: bench.engine.start(nobody),
        lambda: bench.engine.stop(nobody, GRACE),
        lambda: bench.engine.rename(nobody, "x"),
        lambda: bench.engine.remove(nobody),
        lambda: bench.engine.logs(nobody, 1),
        lambda: bench.engine.printed(nobody, taken([])),
        lambda: bench.engine.execute(nobody, ["true"], LIMIT),
        lambda: bench.engine.remove_volume(f"{bench.mark}-none"),
    ):
        with pytest.raises(EngineError) as error:
            await act()
        assert not isinstance(error.value, EngineUnreachableError)


async def test_a_volume_in_use_stays(bench: Bench) -> None:
    container = await bench.run()
    with pytest.raises(EngineError):
        await bench.engine.remove_volume(bench.volume.docker_name)
    await bench.engine.stop(container, GRACE)
    with pytest.raises(EngineError):
        await bench.engine.remove_volume(bench.volume.docker_name)
    await bench.engine.remove(container)
    await bench.engine.remove_volume(bench.volume.docker_name)
    assert (await bench.seen()).volumes == frozenset()


async def test_a_volume_may_be_made_twice(bench: Bench) -> None:
    for _ in range(2):
        await bench.engine.create_volume(bench.volume)
    assert (await bench.seen()).volumes == {bench.volume.docker_name}


async def test_containers_of_other_nodes_are_not_ours(bench: Bench) -> None:
    await bench.run()
    neighbour = replace(bench.wanted, node=f"{bench.mark}-b", name=f"{bench.mark}-b")
    seen = await bench.engine.observe(neighbour)
    assert seen.containers == ()
    assert seen.foreign is None
    assert [other.node for other in seen.others] == [bench.mark]


async def test_foreign_containers_are_not_listed(bench: Bench) -> None:
    for name in (f"{bench.wanted.name}0", f"not-{bench.wanted.name}"):
        await bench.foreign(name)
    seen = await bench.seen()
    assert (seen.containers, seen.others, seen.foreign) == ((), (), None)
    await bench.run()
    assert await bench.running() == {bench.wanted.name: True}


async def test_a_foreign_container_of_our_name_is_told(bench: Bench) -> None:
    theirs = await bench.foreign(bench.wanted.name)
    seen = await bench.seen()
    assert (seen.containers, seen.foreign) == ((), theirs)
    await bench.engine.pull(bench.image)
    with pytest.raises(EngineError):
        await bench.engine.run(bench.wanted)
    assert (await bench.seen()).foreign == theirs


async def test_our_container_of_another_node_blocks_the_name(bench: Bench) -> None:
    container = await bench.run()
    seen = await bench.engine.observe(replace(bench.wanted, node=f"{bench.mark}-b"))
    assert (seen.containers, seen.foreign) == ((), container)


async def test_an_image_that_is_nowhere(bench: Bench) -> None:
    missing = f"localhost:{free_port()}/{bench.mark}:1"
    with pytest.raises(ImageUnavailableError):
        await bench.engine.pull(missing)
    with pytest.raises(ImageUnavailableError):
        await bench.engine.run(replace(bench.wanted, image=missing))
    assert await bench.running() == {}
    assert (await bench.engine.observe(replace(bench.wanted, image=missing))).image is (
        None
    )


@OWN_REGISTRY
async def test_the_local_image_serves_when_the_registry_is_down(bench: Bench) -> None:
    first = await bench.engine.pull(bench.image)
    await bench.rig.registry_ends()
    second = await bench.engine.pull(bench.image)
    assert second.image == first.image
    assert second.problem
    with pytest.raises(ImageUnavailableError):
        await bench.engine.digest(bench.image)


@OWN_REGISTRY
async def test_an_image_that_its_registry_has_no_more(bench: Bench) -> None:
    new = Image("sha256:two", "sha256:digest-two")
    rig = bench.rig
    registry = rig.fake.registry if isinstance(rig, HttpRig) else rig.registry
    first = await bench.engine.pull(bench.image)
    assert first.problem is None
    assert await bench.engine.digest(bench.image) == first.image.digest
    registry[bench.image] = new
    # What the registry has now is known without a pull.
    assert await bench.engine.digest(bench.image) == new.digest
    seen = await bench.seen()
    assert seen.image == first.image
    assert (await bench.engine.pull(bench.image)).image == new
    del registry[bench.image]
    last = await bench.engine.pull(bench.image)
    assert last.image == new
    assert last.problem
    with pytest.raises(ImageUnavailableError):
        await bench.engine.digest(bench.image)


# Images by their digest


async def pinned(bench: Bench) -> str:
    """Return the name with the digest that the registry has for the image."""
    digest = await bench.engine.digest(bench.image)
    assert digest is not None
    name = imagename.pinned(bench.image, digest)
    if isinstance(bench.rig, HttpRig):
        bench.rig.fake.registry[name] = bench.rig.fake.registry[bench.image]
    return name


async def test_an_image_by_its_digest_is_found_and_run(bench: Bench) -> None:
    name = await pinned(bench)
    assert await bench.engine.digest(name) == imagename.digest_of(name)
    pulled = await bench.engine.pull(name)
    assert (pulled.image.digest, pulled.problem) == (imagename.digest_of(name), None)
    wanted = replace(bench.wanted, image=name)
    await bench.run(wanted)
    seen = await bench.engine.observe(wanted)
    (found,) = seen.containers
    assert seen.image == pulled.image
    assert found.image_id == pulled.image.id
    assert plan(wanted, seen).empty


async def test_a_container_of_the_same_image_by_another_name_stays(
    bench: Bench,
) -> None:
    """A pinned image is the content: what it was called by is of no concern."""
    name = await pinned(bench)
    await bench.run()
    await bench.engine.pull(name)
    wanted = replace(bench.wanted, image=name)
    assert plan(wanted, await bench.engine.observe(wanted)).empty


@OWN_REGISTRY
async def test_an_image_gets_a_name_and_loses_it(bench: Bench) -> None:
    name = await pinned(bench)
    tag = f"{imagename.split(name)[0]}:fliswarm-1"
    with pytest.raises(EngineError):
        await bench.engine.tag_image(name, tag)
    await bench.engine.pull(name)
    await bench.engine.tag_image(name, tag)
    await bench.engine.tag_image(name, tag)

    async def there(image: str) -> bool:
        seen = await bench.engine.observe(replace(bench.wanted, image=image))
        return seen.image is not None

    assert await there(tag)
    wanted = replace(bench.wanted, image=name)
    await bench.engine.create_volume(bench.volume)
    container = await bench.engine.run(wanted)
    for image in (tag, name):
        with pytest.raises(EngineError, match="is used by") as error:
            await bench.engine.remove_image(image)
        assert not isinstance(error.value, EngineUnreachableError)
    assert await bench.running() == {bench.wanted.name: True}
    await bench.engine.remove(container)
    for _ in range(2):
        for image in (tag, name):
            await bench.engine.remove_image(image)
    assert not await there(name)
    assert not await there(tag)


# What is printed


def taken(lines: list[Printed]) -> OnPrinted:
    """Return what keeps lines of a log."""

    async def take(found: Sequence[Printed]) -> None:
        lines.extend(found)

    return take


def at(second: int) -> str:
    return f"2026-12-01T10:30:{second:02}.000000001Z"


async def printed(bench: Bench, container: str, **how: Any) -> list[str]:  # noqa: ANN401
    """Return what an engine hands over of a log that nobody writes to."""
    found: list[Printed] = []
    await bench.engine.printed(container, taken(found), **how)
    assert [one.at for one in found] == sorted(one.at for one in found)
    return [one.text for one in found]


@OWN_REGISTRY
async def test_a_log_with_its_moments(bench: Bench) -> None:
    container = await bench.run()
    assert await printed(bench, container) == []
    for second, text in enumerate(("one", "two words", "drei \N{SNOWFLAKE}")):
        bench.rig.says(container, at(second), text)
    everything = ["one", "two words", "drei \N{SNOWFLAKE}"]
    assert await printed(bench, container) == everything
    assert await printed(bench, container, lines=2) == everything[1:]
    # A moment is part of what comes since then.
    assert await printed(bench, container, since=at(1)) == everything[1:]
    assert await printed(bench, container, since=at(2), lines=2) == everything[2:]


@OWN_REGISTRY
async def test_a_log_is_followed_to_the_container_s_end(bench: Bench) -> None:
    container = await bench.run()
    bench.rig.says(container, at(0), "before")
    found: list[Printed] = []
    following = asyncio.create_task(
        bench.engine.printed(container, taken(found), follow=True)
    )
    await until(lambda: len(found) == 1)
    bench.rig.says(container, at(1), "after")
    await until(lambda: len(found) == 2)
    # Whoever follows is in nobody's way.
    await asyncio.gather(*(bench.engine.ping() for _ in range(8)))
    await bench.engine.stop(container, GRACE)
    await following
    assert found == [Printed(at(0), "before"), Printed(at(1), "after")]


@OWN_REGISTRY
async def test_who_takes_a_log_slowly_holds_no_more_than_that(bench: Bench) -> None:
    container = await bench.run()
    bench.rig.says(container, at(0), "one")
    begun, go = asyncio.Event(), asyncio.Event()

    async def take(_: Sequence[Printed]) -> None:
        begun.set()
        await go.wait()

    following = asyncio.create_task(bench.engine.printed(container, take, follow=True))
    await begun.wait()
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    await bench.engine.ping()
    # Nothing waits for the one who left.
    for _ in range(8):
        assert await printed(bench, container) == ["one"]


async def test_a_program_in_a_container(bench: Bench) -> None:
    container = await bench.run()
    bench.rig.ends("sh", Executed(3, "out\nerr\n"))
    script = "echo out; sleep 0.1; echo err >&2; exit 3"
    done = await bench.engine.execute(container, ["sh", "-c", script], LIMIT)
    assert done == Executed(3, "out\nerr\n")
    missing = await bench.engine.execute(container, ["no-such-program"], LIMIT)
    assert missing.exit_code in (126, 127)


async def test_a_program_that_does_not_end_is_given_up(bench: Bench) -> None:
    container = await bench.run()
    bench.rig.ends("sleep", None)
    with pytest.raises(EngineError, match="did not end in") as error:
        await bench.engine.execute(container, ["sleep", "600"], 0.1)
    assert not isinstance(error.value, EngineUnreachableError)
    await bench.engine.ping()


async def test_a_program_needs_a_container_that_runs(bench: Bench) -> None:
    container = await bench.run()
    await bench.engine.stop(container, GRACE)
    with pytest.raises(EngineError, match="not running"):
        await bench.engine.execute(container, ["true"], LIMIT)


# States


def _states(bench: Bench, *names: str) -> tuple[str, ...]:
    return tuple(name for name in names if name in bench.rig.states)


async def test_a_state_is_told_by_its_name(bench: Bench) -> None:
    container = await bench.run()
    for state in bench.rig.states:
        await bench.rig.set_state(container, state)
        (found,) = (await bench.seen()).containers
        assert found.state == state
        assert found.running is (state == "running")
        assert found.at_rest is (state in ("created", "exited", "dead"))
        await bench.engine.start(container) if state == "paused" else None


async def test_a_start_brings_it_back_from_any_state_but_the_end(bench: Bench) -> None:
    container = await bench.run()
    for state in _states(bench, "created", "exited", "paused", "running"):
        await bench.rig.set_state(container, state)
        await bench.engine.start(container)
        assert await bench.running() == {bench.wanted.name: True}
    for state in _states(bench, "dead", "removing"):
        await bench.rig.set_state(container, state)
        with pytest.raises(EngineError):
            await bench.engine.start(container)
    for state in _states(bench, "restarting"):
        await bench.rig.set_state(container, state)
        await bench.engine.start(container)


async def test_a_stop_leaves_nothing_alive(bench: Bench) -> None:
    container = await bench.run()
    for state in _states(
        bench, "running", "paused", "restarting", "created", "exited", "dead"
    ):
        await bench.rig.set_state(container, state)
        await bench.engine.stop(container, GRACE)
        (found,) = (await bench.seen()).containers
        assert found.at_rest
        if state in ("running", "paused"):
            await bench.engine.start(container)


async def test_any_container_can_be_removed(bench: Bench) -> None:
    for state in bench.rig.states:
        container = await bench.run()
        await bench.rig.set_state(container, state)
        await bench.engine.remove(container)
        assert (await bench.seen()).containers == ()


async def test_a_paused_camera_is_wanted_to_start(bench: Bench) -> None:
    container = await bench.run()
    await bench.rig.set_state(container, "paused")
    steps = plan(bench.wanted, await bench.seen())
    (action,) = steps.actions
    assert isinstance(action, StartContainer)
    await bench.engine.start(action.container.id)
    assert plan(bench.wanted, await bench.seen()).empty


# Two nodes on one engine


async def test_two_nodes_on_one_engine_settle(bench: Bench) -> None:
    """Each as wanted after one go; the volume goes with the last of them."""
    neighbour = replace(bench.wanted, node=f"{bench.mark}-b", name=f"{bench.mark}-b")
    face = bench.rig.face(neighbour.node)
    pairs = ((bench.wanted, bench.engine), (neighbour, face))
    both = {bench.mark, neighbour.node}
    await bench.engine.pull(bench.image)
    try:
        for wanted, engine in pairs:
            steps = plan(wanted, await engine.observe(wanted), neighbours=both)
            await carry_out(engine, wanted, steps)
        for wanted, engine in pairs:
            seen = await engine.observe(wanted)
            assert plan(wanted, seen, neighbours=both) == Plan(wanted.node)
            (own,), (other,) = seen.containers, seen.others
            assert {own.node, other.node} == {bench.mark, neighbour.node}
            assert own.node == wanted.node
            assert own.volumes == other.volumes == {bench.volume.docker_name}
        steps = removal(await bench.seen(), both)
        assert not any(isinstance(action, RemoveVolume) for action in steps.actions)
        await carry_out(bench.engine, bench.wanted, steps)
        seen = await face.observe(neighbour)
        assert plan(neighbour, seen).empty
        assert seen.others == ()
        # Who made the volume is of no concern.
        await carry_out(face, neighbour, removal(seen))
        seen = await bench.seen()
        assert (seen.containers, seen.volumes) == ((), frozenset())
    finally:
        for container in (await face.observe(neighbour)).containers:
            await face.remove(container.id)


async def carry_out(engine: Engine, wanted: ContainerSpec, steps: Plan) -> None:
    """Do what a plan says, without a camera."""
    for action in steps.actions:
        match action:
            case CreateVolume(volume):
                await engine.create_volume(volume)
            case ReplaceContainer(old):
                for container in old:
                    await engine.remove(container.id)
                await engine.run(wanted)
            case StartContainer(container):
                await engine.start(container.id)
            case RemoveContainer(container):
                await engine.remove(container.id)
            case RemoveVolume(name):
                await engine.remove_volume(name)


async def test_what_an_engine_says_of_itself(bench: Bench) -> None:
    said = await bench.engine.info()
    assert tuple(map(int, said.api.split("."))) >= (1, 24)
    assert said.version
    assert said.storage
    assert abs(said.offset) < 60


async def test_what_is_known_of_a_container_alone(bench: Bench) -> None:
    container = await bench.run()
    detail = await bench.engine.detail(container)
    assert (detail.restarts, detail.out_of_memory, detail.problem) == (0, False, "")
    with pytest.raises(EngineError):
        await bench.engine.detail("0" * 63 + "f")


async def test_the_logs_of_a_container(bench: Bench) -> None:
    container = await bench.run()
    assert isinstance(await bench.engine.logs(container, 5), str)


# Engines that are not there


async def test_the_twin_that_is_down() -> None:
    twin = MemoryEngine("gfa1", up=False)
    with pytest.raises(EngineUnreachableError) as error:
        await twin.ping()
    assert (error.value.node, error.value.host_alive) == ("gfa1", False)
    twin.up = True
    await twin.ping()


@pytest.fixture
def engines() -> DockerEngines:
    return DockerEngines()


async def test_a_host_that_refuses_is_alive(engines: DockerEngines) -> None:
    port = free_port()
    engine = engines(Node("gfa1", "127.0.0.1", f"tcp://127.0.0.1:{port}"))
    with pytest.raises(
        EngineUnreachableError, match="no Docker Engine listens"
    ) as error:
        await engine.ping()
    assert error.value.host_alive is True
    engine.close()


async def test_a_host_without_a_name(engines: DockerEngines) -> None:
    engine = engines(Node("gfa1", "h", "tcp://nowhere.invalid:2375"))
    with pytest.raises(EngineUnreachableError) as error:
        await engine.ping()
    assert error.value.host_alive is False
    assert "Unknown error" not in str(error.value)
    engine.close()


# The library leaves the socket that it could not connect to Python to close.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_no_socket(engines: DockerEngines) -> None:
    engine = engines(Node("gfa1", "h", "unix:///nonexistent/docker.sock"))
    with pytest.raises(EngineUnreachableError):
        await engine.ping()
    engine.close()
    gc.collect()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _talks_rubbish(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nrubbish")
    writer.close()


async def _refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}")
    writer.close()


async def _is_another_program(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    writer.close()


async def _says_nothing(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    with suppress(ConnectionError):
        await reader.read()
        await reader.read()
    writer.close()


@pytest.mark.parametrize(
    "serve", [_hangs_up, _talks_rubbish, _is_another_program, _says_nothing, _refuses]
)
async def test_a_server_that_is_no_engine(engines: DockerEngines, serve: Serve) -> None:
    under_way = 0

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way
        under_way += 1
        await serve(reader, writer)
        under_way -= 1

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    engine = engines(Node("gfa1", "127.0.0.1", f"tcp://127.0.0.1:{port}"))
    with pytest.raises(EngineError) as error:
        await engine.ping()
    if isinstance(error.value, EngineUnreachableError):
        assert error.value.host_alive is True
    else:
        assert serve is _refuses
    engine.close()
    server.close()
    await until(lambda: not under_way, "all connections end")
