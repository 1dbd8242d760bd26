"""Logs and events of a fleet, and programs run in it, as a client of the socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest

from fliswarm.engine.memory import MemoryEngine
from fliswarm.errors import EngineUnreachableError
from fliswarm.faces.control.client import LocalControl
from fliswarm.faces.control.stream import Message
from fliswarm.fleet import printed
from fliswarm.fleet.board import News
from fliswarm.model import Executed, Printed, facts
from tests.unit.control.test_control import beside, replies
from tests.unit.support.camera import RawCamera
from tests.unit.support.observatory import Observatory, observatory
from tests.unit.support.wait import LIMIT, until

NODES = ("gfa1", "gfa2")


def at(second: int) -> str:
    return f"2026-12-01T10:30:{second:02}.000000000Z"


class Bench:
    """A fleet whose containers run, and its control socket."""

    def __init__(self, running: Observatory, path: Path) -> None:
        self.running = running
        self.path = path

    def engine(self, node: str) -> MemoryEngine:
        return self.running.engines[node]

    def container(self, node: str) -> str:
        (found,) = self.engine(node).daemon.containers
        return found

    def says(self, node: str, second: int, text: str) -> None:
        logs = self.engine(node).daemon.logs
        logs.setdefault(self.container(node), []).append(Printed(at(second), text))

    async def asked(self, *words: str) -> list[Message]:
        return (await beside(lambda: replies(self.path, words)))[0]

    async def lines(self, *words: str) -> list[object]:
        return [m.data["log"] for m in await self.asked(*words) if "log" in m.data]


@asynccontextmanager
async def fleet(path: Path) -> AsyncIterator[Bench]:
    cameras = [await RawCamera(name=name).start() for name in NODES]
    ports = {camera.name: camera.port for camera in cameras}
    async with observatory(ports, path) as running:
        bench = Bench(running, path)
        assert (await bench.asked("reconnect"))[-1].code == ":"
        yield bench
    for camera in cameras:
        await camera.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with fleet(tmp_path / "c.sock") as made:
        yield made


class Listener:
    """A client that gives one command without an end, in a thread."""

    def __init__(self, path: Path, *words: str) -> None:
        self.seen: list[Message] = []
        self._control = LocalControl(path)
        self._words = words
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        for message in self._control.command(self._words):
            self.seen.append(message)
            if message.data.get("text") == "enough":
                break
        self._control.close()

    def values(self, keyword: str) -> list[object]:
        return [m.data[keyword] for m in self.seen if keyword in m.data]

    async def leave(self, news: News) -> None:
        """Leave, at something that it hears."""
        news.tell(facts.CameraConfused(node="", reason="enough"))
        await asyncio.to_thread(self._thread.join)


# Logs


async def test_logs_are_merged_in_time(bench: Bench) -> None:
    for second, node in ((1, "gfa1"), (2, "gfa2"), (3, "gfa1"), (4, "gfa2")):
        bench.says(node, second, f"at {second}")
    merged = [["gfa1", "at 1"], ["gfa2", "at 2"], ["gfa1", "at 3"], ["gfa2", "at 4"]]
    assert await bench.lines("logs") == merged
    assert await bench.lines("logs", "gfa*", "--lines", "1") == merged[2:]
    assert await bench.lines("logs", "gfa2") == merged[1::2]
    assert await bench.lines("logs", "--since", at(3)) == merged[2:]
    timed = await bench.lines("logs", "gfa1", "--times")
    assert timed == [["gfa1", "at 1", at(1)], ["gfa1", "at 3", at(3)]]


async def test_one_log_that_cannot_be_read_is_told_after_the_others(
    bench: Bench,
) -> None:
    bench.says("gfa1", 1, "one")
    bench.engine("gfa2").up = False
    said = await bench.asked("logs")
    assert [m.data["log"] for m in said if "log" in m.data] == [["gfa1", "one"]]
    assert (said[-1].code, said[-1].exit_code) == ("f", 4)
    assert said[-1].data["failed"] == ["gfa2"]
    assert "gfa2: the engine does not answer" in str(said[-2].data)


@pytest.mark.parametrize("text", ["soon", "2999-01-01"])
async def test_a_moment_that_is_none(bench: Bench, text: str) -> None:
    for verb in ("logs", "events"):
        end = (await bench.asked(verb, "--since", text))[-1]
        assert (end.code, end.exit_code) == ("f", 2)
        assert str(end.data["error"]).startswith(f"--since: '{text}' is ")


async def test_a_followed_log_outlives_its_container_and_its_engine(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(printed, "LOOK", 0.02)
    monkeypatch.setattr("fliswarm.commands.follow.ABANDONED_LOOK", 0.02)
    monkeypatch.setattr(printed.follow, "__defaults__", (0.02,))
    bench.says("gfa1", 1, "before")
    reader, writer = await asyncio.open_unix_connection(bench.path)
    writer.write(b"1 logs -f gfa1\n")
    seen: list[str] = []

    async def read() -> None:
        while line := await reader.readline():
            seen.append(line.decode())

    reading = asyncio.create_task(read())

    def heard(text: str) -> bool:
        return any(text in line for line in seen)

    await until(lambda: heard('"before"'))
    # What there was is read, and what comes is followed.
    await until(lambda: bench.engine("gfa1").calls.count("printed") == 2)
    bench.says("gfa1", 2, "as it comes")
    await until(lambda: heard('"as it comes"'))
    old = bench.container("gfa1")
    assert (await bench.asked("reconnect", "--force", "-n", "gfa1"))[-1].code == ":"
    assert bench.container("gfa1") != old
    bench.says("gfa1", 3, "from the new one")
    await until(lambda: heard('"from the new one"'))
    assert heard("has ended; what follows it is waited for")
    bench.engine("gfa1").up = False
    await until(lambda: heard("the engine does not answer; what follows"))
    bench.says("gfa1", 4, "meanwhile")
    bench.engine("gfa1").up = True
    await until(lambda: heard('"meanwhile"'))
    # Nothing came twice.
    for text in ("before", "as it comes", "from the new one", "meanwhile"):
        assert len([line for line in seen if f'"{text}"' in line]) == 1
    # Who leaves is followed by nobody.
    writer.close()
    await reading
    await until(lambda: not bench.running.service._dispatcher._tasks, "all has ended")


async def test_an_engine_that_goes_without_a_word_is_noticed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that says nothing is no sign; the engine is asked apart from it."""
    monkeypatch.setattr(printed, "LOOK", 0.02)
    monkeypatch.setattr(printed.follow, "__defaults__", (0.02,))

    def no_power(call: str) -> None:
        if call in ("ping", "observe"):
            raise EngineUnreachableError("gfa1", "no power")

    reader, writer = await asyncio.open_unix_connection(bench.path)
    writer.write(b"1 logs -f gfa1\n")
    engine = bench.engine("gfa1")
    await until(lambda: engine.calls.count("printed") == 2)
    engine.on_call = no_power
    async with asyncio.timeout(LIMIT):
        while b"no power; what follows it is waited for" not in await reader.readline():
            pass
        engine.on_call = None
        while b"goes on." not in await reader.readline():
            pass
    writer.close()
    await writer.wait_closed()


async def test_who_reads_slowly_gets_all_of_it(bench: Bench) -> None:
    total = 8000
    for number in range(total):
        bench.says("gfa1", number % 60, f"{number} " + "x" * 2000)
    reader, writer = await asyncio.open_unix_connection(bench.path)
    writer.write(b"1 logs gfa1 --lines 10000\n")
    clients = bench.running.service._control._clients
    await until(lambda: any(not c._drained.is_set() for c in clients), "it is full")
    # The others are served, and little is held for the slow one.
    assert (await bench.asked("ping"))[-1].code == ":"
    held = [c._transport for c in clients]
    sizes = [t.get_write_buffer_size() for t in held if t is not None]
    assert max(sizes) < 1024 * 1024
    lines = 0
    while b'"exit_code"' not in (line := await reader.readline()):
        lines += b'"log"' in line
    assert lines == total
    writer.close()
    await writer.wait_closed()


# Events


async def test_events_have_their_times(bench: Bench) -> None:
    news = bench.running.service._fleet.news
    listener = Listener(bench.path, "events", "--since", "1h", "--times")
    await until(lambda: len(listener.values("change")) == 4)
    changes = listener.values("change")
    assert [c[1:] for c in changes if isinstance(c, list) and c[0] == "gfa1"] == [
        ["reconnect", "began", changes[0][3]],  # type: ignore[index]
        ["reconnect", "ended", None],
    ]
    times = [m.data["at"] for m in listener.seen if "at" in m.data]
    moments = [datetime.fromisoformat(time[0]) for time in times]
    assert moments == sorted(moments)
    # The end of a change has a time of its own: it comes after the steps.
    said = [
        str(m.data) for m in listener.seen if m.data.get("at", ["", ""])[1] == "gfa1"
    ]
    assert "ended" in said[-1]
    assert any("running flicamera-gfa1" in text for text in said[:-1])
    assert {time[1] for time in times} == set(NODES)
    await listener.leave(news)


async def test_events_from_now_on(bench: Bench) -> None:
    news = bench.running.service._fleet.news
    listener = Listener(bench.path, "events")
    await until(lambda: listener.seen)
    await until(lambda: len(news._listeners) > 2)
    news.tell(facts.EngineAway(node="gfa1", reason="no power"))
    await listener.leave(news)
    assert listener.values("text") == [
        "gfa1: Docker Engine does not answer: no power.",
        "enough",
    ]
    assert not listener.values("at")


# Programs


async def test_a_program_in_all_containers(bench: Bench) -> None:
    for node in NODES:
        done = Executed(0, f"one of {node}\ntwo\n")
        bench.engine(node).daemon.programs["lsusb"] = done
    said = await bench.asked("exec", "--", "lsusb", "-v")
    output = [m.data["output"] for m in said if "output" in m.data]
    assert sorted(output) == sorted(
        [node, line] for node in NODES for line in (f"one of {node}", "two")
    )
    assert (said[-1].code, said[-1].exit_code) == (":", 0)


async def test_the_worst_end_of_a_program_counts(bench: Bench) -> None:
    bench.engine("gfa1").daemon.programs["x"] = Executed(3, "")
    bench.engine("gfa2").daemon.programs["x"] = Executed(42, "")
    end = (await bench.asked("exec", "x"))[-1]
    assert (end.code, end.exit_code) == ("f", 42)
    assert end.data["error"] == "x did not end well (gfa1: 3, gfa2: 42)."
    assert (await bench.asked("exec", "-n", "gfa1", "x"))[-1].exit_code == 3
    bench.engine("gfa1").up = False
    assert (await bench.asked("exec", "-n", "gfa1", "x"))[-1].exit_code == 4


async def test_a_program_that_hangs_is_not_waited_for(bench: Bench) -> None:
    bench.engine("gfa1").daemon.programs["x"] = None
    bench.engine("gfa2").daemon.programs["x"] = Executed(0, "well\n")
    said = await bench.asked("exec", "--timeout", "0.1", "x")
    assert {"output": ["gfa2", "well"]} in [m.data for m in said]
    assert said[-1].code == "f"
    assert "x did not end in 0.1 s" in str(said[-2].data["error"])


async def test_nodes_are_named_without_asking_them(bench: Bench) -> None:
    for engine in bench.running.engines.values():
        engine.up = False
        engine.calls.clear()
    assert (await bench.asked("nodes"))[-1].data == {"nodes": list(NODES)}
    assert not any(engine.calls for engine in bench.running.engines.values())
