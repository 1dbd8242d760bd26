from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from fliswarm.errors import ConfigError
from fliswarm.model import ActorSettings, Fleet, Node
from fliswarm.service import Service
from tests.unit.support.camera import RawCamera, busy, line
from tests.unit.support.client import Client
from tests.unit.support.observatory import Observatory, observatory
from tests.unit.support.site import fleet, free_port, listening
from tests.unit.support.wait import LIMIT, until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_and_every_command(
    tmp_path: Path, number: signal.Signals
) -> None:
    running = Observatory(fleet({"gfa1": free_port()}))
    path = tmp_path / "c.sock"
    task = asyncio.create_task(running.service.run(path))
    await until(lambda: listening(running.port))
    client = await Client.connect(running.port)
    (tmp_path / "a.fits").touch()
    client.send(f"4 simulate {tmp_path}/*")
    while "filename=gfa1,gfa1," not in await client.readline():
        pass
    os.kill(os.getpid(), number)
    async with asyncio.timeout(LIMIT):
        await task
    while not client.seen[-1].startswith("1 4 f"):
        assert await client.readline()
    assert await client.readline() == ""
    assert not path.exists()
    await client.close()


async def test_the_status_is_told_to_all_at_the_start(tmp_path: Path) -> None:
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock") as running:
        await until(lambda: "observe" in running.engines["gfa1"].calls)


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    async with observatory({"gfa1": free_port()}, tmp_path / "a.sock") as first:
        second = Observatory(fleet({"gfa1": free_port()}))
        second.desired = replace(second.desired, actor=first.desired.actor)
        second = _again(second, first.desired.actor)
        with pytest.raises(ConfigError, match=r"actor 127.0.0.1:\d+: .*in use"):
            await second.service.run(tmp_path / "b.sock")
        # Whoever started it would have taken it for started by that.
        assert not second.service._control.listens
        assert not (tmp_path / "b.sock").exists()


def _again(other: Observatory, actor: ActorSettings) -> Observatory:
    made = Observatory(other.desired)
    made.desired = replace(made.desired, actor=actor)
    made.service = type(made.service)(lambda: made.desired, made._connect, made._reach)
    return made


async def reload(running: Observatory, how: str) -> str:
    """Reload by a command; return what it says in the end."""
    client = await Client.connect(running.port)
    end = (await client.command("9 reload"))[-1]
    await client.close()
    return f"{how}{end}"


async def test_a_reload_changes_only_what_differs(tmp_path: Path) -> None:
    camera = await RawCamera().start()
    other = await RawCamera(name="gfa2").start()
    moved = await RawCamera(name="gfa2").start()
    ports = {"gfa1": camera.port, "gfa2": other.port}
    async with observatory(ports, tmp_path / "c.sock") as running:
        await until(lambda: camera.connections and other.connections)
        assert await reload(running, "") == ': text="changed: nothing"'
        nodes: dict[str, Node] = dict(running.desired.nodes)
        nodes["gfa2"] = replace(nodes["gfa2"], port=moved.port)
        nodes["gfa3"] = replace(nodes["gfa1"], name="gfa3")
        running.desired = replace(
            running.desired, nodes=nodes, enabled=("gfa1", "gfa2", "gfa3")
        )
        assert await reload(running, "") == ': text="changed: gfa2, gfa3, enabled"'
        await until(lambda: moved.connections == 1)
        # gfa1 keeps its own connection; the second is that of gfa3.
        await until(lambda: camera.connections == 2)
        running.desired = replace(
            running.desired, nodes={"gfa1": nodes["gfa1"]}, enabled=("gfa1",)
        )
        assert await reload(running, "") == ': text="changed: gfa2, gfa3, enabled"'
        client = await Client.connect(running.port)
        assert "i enabledNodes=gfa1" in await client.command("1 status")
        await client.close()
        assert camera.connections == 2
    for one in (camera, other, moved):
        await one.close()


async def command(running: Observatory, words: str) -> list[str]:
    """Give a command; return its replies."""
    client = await Client.connect(running.port)
    said = await client.command(f"9 {words}")
    await client.close()
    return said


async def test_what_is_not_as_the_file_has_it_is_told(tmp_path: Path) -> None:
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock") as running:
        before = running.desired
        good = ': text="all is as the file has it"'
        assert (await command(running, "reload --check"))[-1] == good
        gfa1 = replace(before.nodes["gfa1"], category="fvc")
        running.desired = replace(before, nodes={"gfa1": gfa1}, image="sdss/other")
        bad = 'f error="not as the file has it: gfa1, image"'
        assert (await command(running, "reload --check"))[-1] == bad
        await command(running, "reload")
        assert (await command(running, "reload --check"))[-1] == good
        # What only a start brings into force is not taken for done by a reload.
        actor = replace(before.actor, port=before.actor.port + 1)
        running.desired = replace(running.desired, actor=actor)
        said = await command(running, "reload")
        assert any("actor: in force from the next start" in line for line in said)
        bad = 'f error="not as the file has it: actor"'
        assert (await command(running, "reload --check"))[-1] == bad


@pytest.mark.parametrize(
    ("field", "value"),
    [("ping_timeout", 7.5), ("control_socket", Path("/run/elsewhere.sock"))],
)
async def test_what_only_a_start_brings_into_force_is_told(
    tmp_path: Path, field: str, value: object
) -> None:
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock") as running:
        running.desired = replace(running.desired, **{field: value})  # type: ignore[arg-type]
        for _ in range(2):
            said = await command(running, "reload")
            assert any(f"{field}: in force from the next start" in s for s in said)
            assert said[-1] == ': text="changed: nothing"'
        bad = f'f error="not as the file has it: {field}"'
        assert (await command(running, "reload --check"))[-1] == bad


@pytest.mark.parametrize("disabled", [["gfa1"], ["gfa2"], ["gfa1", "gfa2"]])
async def test_all_nodes_are_cleared_disabled_ones_too(
    tmp_path: Path, disabled: list[str]
) -> None:
    ports = {"gfa1": free_port(), "gfa2": free_port()}
    async with observatory(ports, tmp_path / "c.sock") as running:
        for name in disabled:
            await command(running, f"disable {name}")
        for engine in running.engines.values():
            engine.calls.clear()
        said = await command(running, "remove --all")
        assert said[-1].startswith(":"), said
        for engine in running.engines.values():
            assert "observe" in engine.calls
        one = disabled[0]
        assert (await command(running, f"remove -n {one}"))[-1].startswith("f")


async def test_an_exposure_goes_on_while_its_engine_gets_another_address(
    tmp_path: Path,
) -> None:
    camera = await RawCamera(busy).start()
    async with observatory({"gfa1": camera.port}, tmp_path / "c.sock") as running:
        await until(lambda: camera.connections)
        client = await Client.connect(running.port)
        client.send("5 talk -n gfa1 expose 60")
        await until(lambda: camera.asked("expose 60"))
        node = replace(running.desired.nodes["gfa1"], engine="ssh://gfa1")
        running.desired = replace(running.desired, nodes={"gfa1": node})
        assert await reload(running, "") == ': text="changed: gfa1"'
        camera.send(line(camera.asked("expose 60")[0], ":"))
        while not (said := await client.readline()).startswith("1 5 :"):
            assert said
        assert camera.connections == 1
        await client.close()
    await camera.close()


@asynccontextmanager
async def serving(
    load: Callable[[], Fleet], path: Path, limit: float
) -> AsyncIterator[Observatory]:
    """Run a controller whose configuration is read by ``load``."""
    running = Observatory(fleet({"gfa1": free_port()}))
    before = running.desired
    first = iter([before])
    running.service = Service(
        lambda: next(first, None) or load(),
        running._connect,
        running._reach,
        read_limit=limit,
    )
    task = asyncio.create_task(running.service.run(path))
    await until(lambda: listening(running.port))
    try:
        yield running
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("words", ["reload", "reload --check"])
async def test_a_file_that_is_not_there_yet_holds_up_nobody(
    tmp_path: Path, words: str
) -> None:
    hangs, begun = threading.Event(), threading.Event()

    def load() -> Fleet:
        begun.set()
        hangs.wait(LIMIT)
        return running.desired

    async with serving(load, tmp_path / "c.sock", LIMIT) as running:
        client = await Client.connect(running.port)
        client.send(f"5 {words}")
        await until(begun.is_set, "the file is read")
        assert (await command(running, "ping"))[-1].startswith(":")
        hangs.set()
        while not (said := await client.readline()).startswith("1 5 :"):
            assert said
        await client.close()


async def test_a_file_that_is_never_there_is_told_and_the_next_is_read(
    tmp_path: Path,
) -> None:
    hangs = threading.Event()

    def load() -> Fleet:
        hangs.wait()
        return running.desired

    async with serving(load, tmp_path / "c.sock", 0.05) as running:
        for words in ("reload", "reload --check"):
            said = (await command(running, words))[-1]
            assert said.startswith(
                'f error="the configuration: it could not be read in 0.05 s; nothing is'
            )
        hangs.set()
        running.service._files.limit = LIMIT
        assert (await command(running, "reload"))[-1] == ': text="changed: nothing"'


@pytest.mark.parametrize(
    "error", [ConfigError("f.yaml", "is wrong"), RuntimeError("is wrong")], ids=repr
)
async def test_a_reload_by_a_signal_that_fails_in_any_way_is_told(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = True

    def load() -> Fleet:
        if wrong:
            raise error
        return replace(running.desired, image="sdss/other")

    async with serving(load, tmp_path / "c.sock", LIMIT) as running:
        caplog.set_level(logging.INFO, "fliswarm")
        client = await Client.connect(running.port)
        os.kill(os.getpid(), signal.SIGHUP)
        while 'w text="not reloaded: ' not in await client.readline():
            pass
        assert "is wrong" in client.seen[-1]
        assert any(m.startswith("not reloaded: ") for m in caplog.messages)
        wrong = False
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "reloaded; changed: image" in caplog.messages)
        await client.close()


async def test_a_wrong_file_changes_nothing(tmp_path: Path) -> None:
    good = fleet({"gfa1": free_port()})
    running = Observatory(good)
    wrong = False

    def load() -> object:
        if wrong:
            raise ConfigError("f.yaml: nodes", "is missing")
        return running.desired

    running.service = type(running.service)(
        load,  # type: ignore[arg-type]
        running._connect,
        running._reach,
    )
    task = asyncio.create_task(running.service.run(tmp_path / "c.sock"))
    await until(lambda: listening(running.port))
    wrong = True
    assert await reload(running, "") == 'f error="f.yaml: nodes: is missing"'
    os.kill(os.getpid(), signal.SIGHUP)
    client = await Client.connect(running.port)
    assert "i enabledNodes=gfa1" in await client.command("1 status")
    await client.close()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
