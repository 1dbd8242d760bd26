"""Who did what: a command that changes something is written down first."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fliswarm.commands.group import Verb
from fliswarm.commands.verbs import commands
from fliswarm.faces.control.client import LocalControl
from fliswarm.faces.control.stream import Message
from fliswarm.record.record import Record
from tests.unit.cli.test_program import Program
from tests.unit.cli.test_program import fliswarm as fliswarm
from tests.unit.commands.test_doors import me
from tests.unit.control.test_control import beside, replies
from tests.unit.support.camera import RawCamera
from tests.unit.support.client import Client
from tests.unit.support.observatory import observatory
from tests.unit.support.site import free_port
from tests.unit.support.wait import until, wait_until

LOOKING = {
    *("status", "talk", "simulate", "ping", "version", "help", "get_schema"),
    *("keyword", "get-command-model", "tron-reconnect", "logs", "events", "audit"),
    *("plan", "releases", "doctor", "image-list", "image-begin", "image-save", "nodes"),
}
"""Commands that change nothing of the fleet."""

CHANGING: Mapping[str, tuple[str, ...]] = {
    "reconnect": ("-n", "gfa1"),
    "remove": ("--all",),
    "enable": ("gfa1",),
    "disable": ("gfa1", "--reason", "it's broken"),
    "reload": (),
    "image-load": ("no-such-file",),
    "image-prune": ("--yes",),
    "reboot": ("-n", "gfa1", "--timeout", "0.1"),
    "update": ("--canary", "nobody"),
    "rollback": ("1",),
    "lock": ("break", "--reason", "nobody is there"),
    "exec": ("-n", "gfa1", "true"),
}
"""Those that do, each with words that it takes."""


def test_each_verb_changes_something_or_nothing() -> None:
    verbs = {n: v for n, v in commands.commands.items() if isinstance(v, Verb)}
    changing = {name for name, verb in verbs.items() if verb.changing is not None}
    assert set(verbs) == set(commands.commands)
    assert changing == set(CHANGING)
    assert set(verbs) - changing == LOOKING


async def record(path: Path) -> list[dict[str, Any]]:
    """Return what is recorded."""
    (said,) = await beside(lambda: replies(path, ["audit", "--json"]))
    return [json.loads(reply.data["audit"]) for reply in said if "audit" in reply.data]


async def give(path: Path, *words: str) -> list[Message]:
    (said,) = await beside(lambda: replies(path, words))
    return said


@pytest.mark.parametrize("verb", CHANGING)
async def test_a_change_is_recorded(tmp_path: Path, verb: str) -> None:
    camera = await RawCamera().start()
    path = tmp_path / "c.sock"
    ports = {"gfa1": camera.port}
    async with observatory(ports, path, state=tmp_path / "state") as running:
        running.engines["gfa1"].on_call = lambda _: None
        said = await give(path, verb, *CHANGING[verb])
        (row,) = await record(path)
        assert (row["who"], row["door"], row["verb"]) == (me(), "control socket", verb)
        assert row["nodes"] == ["gfa1"]
        assert set(row["before"]) == set(row["ending"]["after"]) == {"gfa1"}
        assert row["ending"]["done"] == (said[-1].code == ":")
        assert row["ending"]["exit_code"] == said[-1].exit_code
    await camera.close()


async def test_what_looks_or_only_says_what_it_would_do(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path, state=tmp_path / "s"):
        for words in (
            ["status"],
            ["reconnect", "--dry-run"],
            ["reload", "--check"],
            ["talk", "status"],
            ["reconnect", "-n", "gfa9"],
            ["reconnect", "--nonsense", "-n"],
        ):
            await give(path, *words)
        assert await record(path) == []


async def test_who_what_when_and_how_it_was(tmp_path: Path) -> None:
    camera = await RawCamera().start()
    path = tmp_path / "c.sock"
    ports = {"gfa1": camera.port, "gfa2": free_port()}
    async with observatory(ports, path, state=tmp_path / "state") as running:
        running.engines["gfa2"].up = False
        client = await Client.connect(running.port)
        client.send("APO.guider 5 reconnect -n gfa1")
        while "1 5 :" not in client.seen[-1]:
            await client.readline()
        await give(path, "reconnect", "--force")
        await give(path, "disable", "gfa1", "--reason", "it's broken")
        os.kill(os.getpid(), signal.SIGHUP)
        rows: list[dict[str, Any]] = []
        while len(rows) < 4 or rows[-1]["ending"] is None:
            rows = await record(path)
        first, forced, disabled, reloaded = rows
        assert (first["who"], first["door"]) == (
            "APO.guider, user 1 at 127.0.0.1",
            "actor protocol",
        )
        assert first["before"]["gfa1"] == {"container": None}
        was, now = forced["before"]["gfa1"], forced["ending"]["after"]["gfa1"]
        assert was == first["ending"]["after"]["gfa1"]
        assert was["container"] != now["container"]
        assert was["image"] == now["image"] == "sha256:one"
        assert now["digest"] == "sha256:digest-one"
        assert forced["words"] == "--force"
        assert forced["ending"]["outcomes"]["gfa1"] == "changed"
        assert "does not answer" in forced["ending"]["outcomes"]["gfa2"]
        assert "does not answer" in forced["before"]["gfa2"]["engine"]
        assert not forced["ending"]["done"]
        assert disabled["words"] == "gfa1 --reason 'it'\"'\"'s broken'"
        assert disabled["before"] == {"gfa1": {"enabled": True}}
        assert disabled["ending"]["after"] == {"gfa1": {"enabled": False}}
        assert (reloaded["who"], reloaded["door"]) == ("SIGHUP", "signal")
        assert [row["number"] for row in rows] == [1, 2, 3, 4]
        # In short, for who reads keywords.
        short = (await give(path, "audit", "-n", "1"))[1].data["audit"]
        assert short[2:7] == ["SIGHUP", "signal", "reload", "gfa1,gfa2", "done"]
        # Done twice, it is recorded twice, and the second changed nothing.
        for _ in range(2):
            await give(path, "reconnect", "-n", "gfa1..2", "-x", "gfa2")
        await give(path, "enable", "gfa1")
        for _ in range(2):
            await give(path, "reconnect", "-n", "gfa1")
        outcomes = [row["ending"]["outcomes"] for row in (await record(path))[-2:]]
        assert outcomes == [{"gfa1": "as it was"}] * 2
        await client.close()
    await camera.close()


def break_it(state: Path) -> None:
    """Let a record be what no record can be."""
    state.mkdir(exist_ok=True)
    (state / "record.sqlite").write_bytes(b"rubbish" * 1000)


async def test_what_cannot_be_recorded_is_not_begun(tmp_path: Path) -> None:
    path, state = tmp_path / "c.sock", tmp_path / "state"
    break_it(state)
    async with observatory({"gfa1": free_port()}, path, state=state) as running:
        engine = running.engines["gfa1"]
        for verb, words in CHANGING.items():
            said = await give(path, verb, *words)
            assert said[-1].code == "f"
            error = said[-1].data["error"]
            assert error.startswith("Nothing is changed, since it cannot be recorded: ")
            assert f"Remedy: keep the file and let a new one be begun: mv {state}" in (
                error
            )
        assert {call.partition(" ")[0] for call in engine.calls} <= {"observe", "ping"}
        assert running.service._fleet.enabled == ["gfa1"]
        # What changes nothing goes on, but for the record itself.
        assert (await give(path, "status"))[-1].code == ":"
        assert (await give(path, "audit"))[-1].code == "f"
        (state / "record.sqlite").rename(state / "record.sqlite.broken")
        assert (await give(path, "disable", "gfa1"))[-1].code == ":"
        assert len(await record(path)) == 1


async def test_an_end_that_cannot_be_recorded_is_told(tmp_path: Path) -> None:
    path, state = tmp_path / "c.sock", tmp_path / "state"
    camera = await RawCamera().start()
    async with observatory({"gfa1": camera.port}, path, state=state) as running:
        file = state / "record.sqlite"

        def lose(call: str) -> None:
            if call == "done: run flicamera-gfa1":
                file.rename(state / "aside")
                file.mkdir()

        await until(lambda: "gfa1" in running.engines)
        running.engines["gfa1"].on_call = lose
        said = await give(path, "reconnect")
        assert said[-1].code == ":"
        assert "The end of this could not be written down" in said[-2].data["text"]
        file.rmdir()
        (state / "aside").rename(file)
        await give(path, "enable", "gfa1")
        assert [row["outcome"] for row in await record(path)] == ["done", "done"]
    await camera.close()


async def test_a_command_that_breaks_has_an_end(tmp_path: Path) -> None:
    path, state = tmp_path / "c.sock", tmp_path / "state"
    async with observatory({"gfa1": free_port()}, path, state=state) as running:

        async def broken() -> list[str]:
            raise RuntimeError("nobody thought of that")

        site = running.service._dispatcher._site
        object.__setattr__(site, "reload", broken)
        said = await give(path, "reload")
        assert said[-1].code == "f"
        assert "nobody thought of that" in said[-1].data["error"]
        (row,) = await record(path)
        assert row["outcome"] == "failed: RuntimeError('nobody thought of that')"


async def test_a_command_that_the_controller_ends(tmp_path: Path) -> None:
    path, state = tmp_path / "c.sock", tmp_path / "state"
    ports = {"gfa1": free_port()}
    async with observatory(ports, path, state=state) as running:
        hung = running.engines["gfa1"]
        with LocalControl(path) as control:
            # Its camera never answers.
            replying = control.command(["reconnect"])
            await beside(lambda: next(replying))
            await until(lambda: "run flicamera-gfa1" in hung.calls)
            await running.service._dispatcher.close()
    async with observatory(ports, path, state=state):
        (row,) = await record(path)
        assert row["outcome"] == "failed: cancelled"


# The program


def test_the_record_as_people_see_it(fliswarm: Program) -> None:
    assert fliswarm("start").code == 0
    assert fliswarm("audit").code == 0
    fliswarm("disable", "gfa1", "--reason", "[red]cable")
    shown = fliswarm("audit")
    (line,) = [text for text in shown.out.splitlines() if "disable" in text]
    for word in (me(), "control socket", "gfa1", "[red]cable", "done"):
        assert word in line
    (row,) = map(json.loads, fliswarm("audit", "--json").out.splitlines())
    assert (row["verb"], row["outcome"]) == ("disable", "done")
    assert fliswarm("audit", "--json", "--since", "1h", "-n", "1").out.strip()
    wrong = fliswarm("audit", "--since", "soon")
    assert wrong.code == 2
    assert "is no moment; write one such as 90s" in wrong.err
    assert fliswarm("restart").code == 0
    assert "cable" in fliswarm("audit").out


def test_who_came_through_ssh_comes_from_somewhere(fliswarm: Program) -> None:
    assert fliswarm("start").code == 0
    came = {"SSH_CONNECTION": "10.1.2.3 50000 10.0.0.1 22"}
    done = fliswarm("dial-stdio", given="1 disable gfa1\n", **came)
    assert done.code == 0
    (row,) = map(json.loads, fliswarm("audit", "--json").out.splitlines())
    assert row["who"] == f"{me()} from 10.1.2.3"


def test_killed_in_the_middle_of_a_change(fliswarm: Program) -> None:
    with socket.socket() as hung:
        # It takes connections, and says nothing.
        hung.bind(("127.0.0.1", 0))
        hung.listen()
        config = fliswarm.config.read_text("utf-8")
        engine = f"tcp://127.0.0.1:{hung.getsockname()[1]}"
        fliswarm.config.write_text(
            config.replace("tcp://sdss-gfa1:2375", engine), "utf-8"
        )
        assert fliswarm("start").code == 0

        def begun() -> bool:
            return bool(file.exists() and asyncio.run(Record(file).rows(last=1)))

        file = fliswarm.folder / "state" / "APO" / "record.sqlite"
        with LocalControl(fliswarm.folder / "c.sock") as control:
            next(control.command(["reconnect", "-n", "gfa1"]))
            wait_until(begun, "a beginning in the record")
            os.kill(control.pid, signal.SIGKILL)
            assert control.wait_end(60)
        assert fliswarm("start").code == 0
        (line,) = fliswarm("audit", "--json").out.splitlines()
        assert json.loads(line)["outcome"] == "cut off (controller ended)"


def test_a_disk_that_is_full(fliswarm: Program) -> None:
    # No file of this controller may be longer, as on a disk that is full.
    limited = ["bash", "-c", 'ulimit -f 32; exec "$0" "$@"', *fliswarm.command("start")]
    assert fliswarm.run_program(limited).code == 0
    with LocalControl(fliswarm.folder / "c.sock") as control:

        def end(*words: str) -> Message:
            return list(control.command(words))[-1]

        for _ in range(1000):
            if (refused := end("disable", "gfa1", "--reason", "x" * 500)).code == "f":
                break
        while end("disable", "gfa1").code == ":":
            pass
        assert end("enable", "gfa1").code == "f"
        disabled = [m.data for m in control.command(["status", "--detail"])]
        assert any("disabled" in data for data in disabled)
        rows = [m.data for m in control.command(["audit", "-n", "10000"])][1:-1]
    assert "Nothing is changed, since it cannot be recorded" in refused.data["error"]
    assert "Remedy: make room on the disk" in refused.data["error"]
    assert fliswarm("restart").code == 0
    assert fliswarm("enable", "gfa1").code == 0
    shown = fliswarm("audit", "--json", "-n", "10000").out.splitlines()
    assert len(shown) == len(rows) + 1
