"""What every engine keeps, the twin in memory and the real one alike.

The real one is used when ``FLISWARM_TEST_ENGINE`` is its address and
``FLISWARM_TEST_IMAGE`` the full name of an image on it that has ``/bin/sh``. For
``https://...``, ``FLISWARM_TEST_TLS`` is a folder with ``ca.pem``, ``controller.pem``,
``controller.key``. Containers and volumes of the tests carry names of their own and are
taken away again.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from fliswarm.engine import Engine
from fliswarm.engine.docker import DockerEngines
from fliswarm.engine.memory import MemoryEngine
from fliswarm.errors import (
    EngineError,
    EngineUnreachableError,
    ImageUnavailableError,
)
from fliswarm.model import (
    ContainerSpec,
    Image,
    Limits,
    Node,
    Observation,
    TlsFiles,
    Volume,
)
from fliswarm.plan.difference import plan
from tests.unit.support.site import free_port

ADDRESS = os.environ.get("FLISWARM_TEST_ENGINE")

GRACE = 1.0

PrepareForeign = Callable[[str], Awaitable[str]]


class Bench:
    """An engine under test and what is wanted of it; all names are its own."""

    def __init__(self, engine: Engine, image: str, foreign: PrepareForeign) -> None:
        self.mark = f"fliswarm-test-{secrets.token_hex(4)}"
        self.engine = engine
        self.image = image
        self.foreign = foreign
        # A bind of a folder that every host has, and nothing is written to.
        self.volume = Volume(
            self.mark, "local", {"type": "none", "o": "bind", "device": "/srv"}
        )
        self.wanted = ContainerSpec(
            name=f"{self.mark}-a",
            node=self.mark,
            image=image,
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
    image = "hub:5000/sdss/flicamera:latest"
    twin = MemoryEngine("memory", {image: Image("sha256:one")})

    async def foreign(name: str) -> str:
        return twin.add_foreign(name)

    yield Bench(twin, image, foreign)


async def _docker(address: str) -> AsyncIterator[Bench]:
    image = os.environ["FLISWARM_TEST_IMAGE"]
    engines = DockerEngines()
    folder = Path(os.environ.get("FLISWARM_TEST_TLS", "."))
    tls = TlsFiles(
        *(folder / f for f in ("ca.pem", "controller.pem", "controller.key"))
    )
    node = Node("docker", "here", address, tls=tls if "https" in address else None)
    other = engines(node)
    await other.ping()
    # For what the program has no word: containers of others.
    client = other._client(60)
    theirs: list[str] = []

    async def foreign(name: str) -> str:
        made = client.create_container(image, ["sleep", "600"], name=name)
        theirs.append(made["Id"])
        return str(made["Id"])

    bench = Bench(other, image, foreign)
    # The engine labels volumes with the name of its node.
    bench.engine = engines(replace(node, name=bench.mark))
    try:
        yield bench
    finally:
        await bench.clear()
        for container in theirs:
            client.remove_container(container, force=True)
        bench.engine.close()
        other.close()


NO_ENGINE = "no engine is given: set FLISWARM_TEST_ENGINE and FLISWARM_TEST_IMAGE"


@pytest.fixture(
    params=[
        "memory",
        pytest.param("docker", marks=pytest.mark.skipif(not ADDRESS, reason=NO_ENGINE)),
    ]
)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    made = _memory() if request.param == "memory" else _docker(ADDRESS or "")
    async for bench in made:
        yield bench


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


async def test_foreign_containers_are_not_listed(bench: Bench) -> None:
    for name in (f"{bench.wanted.name}0", f"not-{bench.wanted.name}"):
        await bench.foreign(name)
    seen = await bench.seen()
    assert (seen.containers, seen.foreign) == ((), None)
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


async def test_the_local_image_serves_when_the_registry_is_down(bench: Bench) -> None:
    first = await bench.engine.pull(bench.image)
    if isinstance(bench.engine, MemoryEngine):
        bench.engine.registry_up = False
    # The real engine of a test has no registry to begin with.
    assert await bench.engine.pull(bench.image) == first


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
def engines() -> Iterator[DockerEngines]:
    engines = DockerEngines()
    yield engines


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
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
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
