"""What people see: on a terminal, and in a pipe, of a controller with its cameras."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fliswarm.engine.memory import MemoryEngine
from fliswarm.model import Executed, Image, Printed
from tests.unit.commands.test_doors import me
from tests.unit.support.camera import RawCamera, line, obedient
from tests.unit.support.observatory import Observatory, observatory
from tests.unit.support.site import IMAGE
from tests.unit.support.terminal import PROGRAM, environment, piped, shown
from tests.unit.support.wait import until

DIGEST = f"sha256:{'0123456789abcdef' * 4}"

FILES = {name: f"/data/{name}/61368/gimg-{name}-0007.fits" for name in ("gfa1", "gfa2")}


class Camera(RawCamera):
    """A camera that exposes for as long as a test wants."""

    def __init__(self, name: str) -> None:
        super().__init__(self._told, name)
        self.go = asyncio.Event()
        self.go.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def _told(self, _: RawCamera, number: int, body: str) -> None:
        self.say(number, ">")
        if body.startswith("expose"):
            task = asyncio.create_task(self._expose(number))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif body == "boom":
            self.say(number, "f", error="its shutter is stuck. Remedy: oil")
        elif body == "status":
            cold = {"camera": self.name, "temperature_ccd": -30.14, "model": "ML4240"}
            self.say(number, "i", status=cold)
            self.say(number, ":")
        else:
            self.say(number, ":", text=f"done {body}")

    def say(self, number: int, code: str, **data: object) -> None:
        self.send(line(number, code, self.name, **data))

    async def _expose(self, number: int) -> None:
        state: dict[str, Any] = {
            "camera": self.name,
            "state": "integrating",
            "image_type": "object",
            "remaining_time": 0,
            "exposure_time": 120.0,
            "current_stack": 1,
            "n_stack": 1,
        }
        self.say(number, "i", exposure_state=state)
        await self.go.wait()
        self.say(number, "i", exposure_state={**state, "state": "reading"})
        written = {"camera": self.name, "filename": FILES[self.name]}
        self.say(number, "i", filename=written)
        self.say(number, "i", exposure_state={**state, "state": "idle"})
        self.say(number, ":")


class Bench:
    """A controller with two cameras."""

    def __init__(
        self, running: Observatory, path: Path, cameras: dict[str, Camera]
    ) -> None:
        self.running = running
        self.path = path
        self.cameras = cameras

    def engine(self, node: str) -> MemoryEngine:
        return self.running.engines[node]

    def says(self, node: str, at: str, text: str) -> None:
        (container,) = self.engine(node).daemon.containers
        log = self.engine(node).daemon.logs.setdefault(container, [])
        log.append(Printed(at, text))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    cameras = {name: Camera(name) for name in FILES}
    for camera in cameras.values():
        await camera.start()
    path = tmp_path / "c.sock"
    ports = {name: camera.port for name, camera in cameras.items()}
    async with observatory(ports, path) as running:
        for engine in running.engines.values():
            engine.registry[IMAGE] = Image("sha256:one", DIGEST)
        await until(lambda: all(n.link.up for n in running.service._fleet.nodes))
        yield Bench(running, path, cameras)
    for camera in cameras.values():
        await camera.close()


# A command


async def test_an_exposure_in_a_pipe(bench: Bench) -> None:
    seen = await piped(bench.path, "talk", "expose", "120")
    assert (seen.code, seen.err) == (0, "")
    assert "\x1b" not in seen.out
    lines = seen.lines
    for name in FILES:
        assert f"{name}: exposes for 120 s (object)." in lines
        assert f"{name}: reads out." in lines
    # The files are a table at the end, whole.
    head = lines.index("node  file")
    assert sorted(lines[head + 1 : head + 3]) == [f"{n}  {f}" for n, f in FILES.items()]
    assert lines[head + 3 :] == ["Done."]


async def test_an_exposure_on_a_terminal(bench: Bench) -> None:
    for camera in bench.cameras.values():
        camera.go.clear()
    looking = asyncio.create_task(shown(bench.path, "talk", "expose", "120"))
    await until(lambda: all(c._tasks for c in bench.cameras.values()), "exposures")
    # Who looks at the fleet meanwhile is told.
    status = await shown(bench.path, "status", columns=80)
    assert "exposing" in status.lines[1]
    assert "gfa1: under way: expose 120" in status.lines
    await asyncio.sleep(0.3)
    for camera in bench.cameras.values():
        camera.go.set()
    seen = await looking
    assert seen.code == 0
    # A bar that goes with the clock, and is gone at the end.
    assert "gfa1 exposes" in seen.out
    assert " s left" in seen.out
    assert "━" in seen.out
    assert "\x1b[?25h" in seen.out
    assert seen.lines[-1] == "Done."
    assert f"gfa1  {FILES['gfa1']}" in seen.lines
    assert not [text for text in seen.lines if text == "gfa1: reads out."]


async def test_a_camera_that_failed(bench: Bench) -> None:
    bench.cameras["gfa2"].answer = obedient
    seen = await piped(bench.path, "talk", "boom")
    assert seen.code == 1
    assert "gfa1: its shutter is stuck. Remedy: oil" in seen.lines
    assert seen.lines[-1] == "Done, but not on gfa1."
    red = await shown(bench.path, "talk", "-n", "gfa1", "boom")
    assert "\x1b[31mits shutter is stuck. \x1b[0m\x1b[1mRemedy: oil" in red.out
    colourless = await shown(bench.path, "talk", "-n", "gfa1", "boom", NO_COLOR="1")
    assert "\x1b[3" not in colourless.out
    assert "its shutter is stuck" in colourless.out


async def test_a_silent_success_is_told(bench: Bench) -> None:
    assert (await piped(bench.path, "enable", "gfa1")).out == "Done.\n"
    disabled = await piped(bench.path, "disable", "gfa9")
    assert disabled.lines == ["Cannot find node gfa9.", "Done, but not on gfa9."]
    assert disabled.code == 1


async def test_keywords_stay_behind_a_flag(bench: Bench) -> None:
    raw = await piped(bench.path, "talk", "--raw", "-n", "gfa1", "ping")
    assert raw.out == "gfa1       i text=done ping\n"
    sent = await piped(bench.path, "send", "talk -n gfa1 ping")
    assert sent.out == raw.out
    lines = (await piped(bench.path, "talk", "--json", "-n", "gfa1", "ping")).lines
    assert [json.loads(text)["code"] for text in lines] == [">", "i", ":"]
    # Behind the first word of ours, all goes on as it is written.
    theirs = await piped(bench.path, "talk", "-n", "gfa1", "--", "echo", "--raw")
    assert theirs.lines == ["gfa1: done echo --raw", "Done."]
    assert (await piped(bench.path, "reconnect", "--raw", "--dry-run")).code == 0


async def test_what_cameras_say_is_a_table(bench: Bench) -> None:
    seen = await piped(bench.path, "talk", "status")
    assert [text.split() for text in seen.lines[:-1]] == [
        ["gfa1", "gfa2"],
        ["camera", "gfa1", "gfa2"],
        ["temperature_ccd", "-30.14", "-30.14"],
        ["model", "ML4240", "ML4240"],
    ]
    narrow = await shown(bench.path, "talk", "status", columns=40)
    assert max(map(len, narrow.lines)) <= 40
    # A table for each, side by side there is no room.
    assert sum(text.startswith("model") for text in narrow.lines) == 2


async def test_a_pull_in_a_pipe_and_on_a_terminal(bench: Bench) -> None:
    on_terminal = await shown(bench.path, "reconnect", "-n", "gfa1")
    assert "gfa1 pulls" in on_terminal.out
    assert on_terminal.lines[-1] == "Done."
    in_pipe = await piped(bench.path, "reconnect", "-n", "gfa2")
    assert in_pipe.code == 0
    assert len([text for text in in_pipe.lines if "pulling, " in text]) == 1


# The table


async def test_a_fleet_in_eighty_columns(bench: Bench) -> None:
    assert (await piped(bench.path, "reconnect")).code == 0
    await piped(bench.path, "disable", "--reason", "its shutter is stuck", "gfa2")
    for columns in (80, 100):
        seen = await shown(bench.path, "status", columns=columns)
        assert max(map(len, seen.lines[:3])) <= columns
        head, first, second, *notes = seen.lines
        assert head.split() == [
            *("node", "host", "Docker", "container", "image", "camera", "temp.")
        ]
        # As much of a digest as people compare.
        assert first.split()[4] == DIGEST[: len("sha256:") + 12]
        assert first.split()[5:] == ["up", "-30.1", "°C"]
        assert second.split() == ["gfa2", "disabled"]
        (note,) = (text for text in notes if text.startswith("gfa2: disabled by"))
        assert note.endswith(": its shutter is stuck")
        assert f"{me()} since 20" in note
    whole = await piped(bench.path, "status", COLUMNS="20", FORCE_COLOR="1")
    assert "-30.1 °C" in whole.out.splitlines()[1]


# Logs, events, programs


async def test_logs_for_people(bench: Bench) -> None:
    assert (await piped(bench.path, "reconnect")).code == 0
    long = "x" * 300
    bench.says("gfa1", "2020-01-05T10:30:01.000000000Z", "\x1b[31mred\x1b[0m")
    bench.says("gfa2", "2020-01-05T10:30:02.000000000Z", long)
    bench.says("gfa1", "2020-01-05T10:30:03.000000000Z", "error: 5")
    seen = await piped(bench.path, "logs")
    assert seen.lines == [
        "2020-01-05 10:30:01 gfa1   red",
        f"2020-01-05 10:30:02 gfa2   {long}",
        "2020-01-05 10:30:03 gfa1   error: 5",
    ]
    found = await piped(bench.path, "logs", "--grep", "err(or)?", "gfa*")
    assert len(found.lines) == 1
    assert found.lines[0].endswith("10:30:03 gfa1   error: 5")
    # A node after another has its colour.
    coloured = await shown(bench.path, "logs", "-n", "1")
    assert coloured.out.count("\x1b[") > 4
    wrong = await piped(bench.path, "logs", "--grep", "(")
    assert wrong.code == 2
    assert "is no regular expression" in wrong.err
    old = await piped(bench.path, "logs", "gfa1", "--lines", "1")
    assert len(old.lines) == 1
    as_json = await piped(bench.path, "logs", "--json", "gfa2")
    (log,) = (json.loads(t)["data"].get("log") for t in as_json.lines[1:-1])
    assert log == ["gfa2", long, "2020-01-05T10:30:02.000000000Z"]


async def listened(bench: Bench, heard: str, *words: str) -> str:
    """Return what a command without an end printed, interrupted after some words."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        *words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(bench.path, PYTHONUNBUFFERED="1"),
    )
    assert process.stdout is not None
    said = ""
    async with asyncio.timeout(60):
        while heard not in said:
            said += (await process.stdout.readline()).decode()
    process.send_signal(signal.SIGINT)
    rest, err = await process.communicate()
    assert process.returncode == 130
    assert err.decode().strip() == "fliswarm: interrupted"
    return said + rest.decode()


async def test_events_for_people(bench: Bench) -> None:
    assert (await piped(bench.path, "reconnect", "-n", "gfa1")).code == 0
    said = await listened(bench, "reconnect ended", "events", "--since", "1h")
    lines = [text for text in said.splitlines() if "gfa1" in text]
    assert any(text[8:].startswith(" gfa1   reconnect began, by") for text in lines)
    assert any(text.endswith(" gfa1   reconnect ended.") for text in lines)
    only = await listened(
        bench, "reconnect ended", "events", "--since", "1h", "--grep", "reconnect (b|e)"
    )
    assert len(only.splitlines()) == 2
    as_json = await listened(
        bench, '"ended"', "events", "--json", "--since", "1h", "--grep", "reconnect"
    )
    last = [json.loads(text) for text in as_json.splitlines()][-1]
    assert last["data"]["change"] == ["gfa1", "reconnect", "ended", None]
    assert last["data"]["at"][1] == "gfa1"


async def test_a_log_is_followed_until_interrupted(bench: Bench) -> None:
    assert (await piped(bench.path, "reconnect", "-n", "gfa1")).code == 0
    bench.says("gfa1", "2020-01-05T10:30:01.000000000Z", "before")
    following = asyncio.create_task(listened(bench, "later", "logs", "-f", "gfa1"))
    await until(lambda: bench.engine("gfa1").calls.count("printed") == 2)
    bench.says("gfa1", "2020-01-05T10:30:02.000000000Z", "later")
    said = (await following).splitlines()
    assert [text.split()[-1] for text in said] == ["before", "later"]


async def test_a_program_s_output_and_end(bench: Bench) -> None:
    assert (await piped(bench.path, "reconnect")).code == 0
    bench.engine("gfa1").daemon.programs["df"] = Executed(0, "a b\n")
    bench.engine("gfa2").daemon.programs["df"] = Executed(9, "c\n")
    seen = await piped(bench.path, "exec", "--", "df", "-h")
    assert seen.code == 9
    assert sorted(seen.lines) == ["gfa1   a b", "gfa2   c"]
    assert seen.err == "df did not end well (gfa2: 9).\n"
    wrong = await piped(bench.path, "exec", "--timout", "5", "df")
    assert (wrong.code, wrong.out) == (2, "")
    one = await piped(bench.path, "exec", "-n", "gfa1", "df", "-n")
    assert (one.code, one.err) == (0, "")


async def test_who_reads_no_further_is_no_fault(bench: Bench) -> None:
    assert (await piped(bench.path, "reconnect")).code == 0
    for second in range(60):
        for _ in range(300):
            at = f"2020-01-05T10:30:{second:02}.000000000Z"
            bench.says("gfa1", at, "x" * 100)

    def run() -> subprocess.CompletedProcess[str]:
        command = f"{' '.join(PROGRAM)} logs -n 10000 gfa1 | head -1"
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment(bench.path),
        )

    done = await asyncio.to_thread(run)
    assert (done.returncode, done.stderr) == (141, "")
    assert len(done.stdout.splitlines()) == 1
