"""Two operators: what the second is told, and when it has the fleet."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fliswarm.commands import lock as verb
from fliswarm.errors import EXIT_BUSY
from fliswarm.faces.control.client import LocalControl
from fliswarm.faces.control.stream import Message
from tests.unit.cli.test_program import Program
from tests.unit.cli.test_program import fliswarm as fliswarm
from tests.unit.commands.test_doors import me
from tests.unit.control.test_control import beside
from tests.unit.support.camera import RawCamera
from tests.unit.support.client import Client
from tests.unit.support.observatory import observatory
from tests.unit.support.site import free_port
from tests.unit.support.wait import LIMIT, until, wait_until


async def give(path: Path, *words: str, key: str = "") -> list[Message]:
    def work() -> list[Message]:
        with LocalControl(path) as control:
            if key:
                control.introduce(lock=key)
            return list(control.command(words))

    return await beside(work)


class Holder:
    """A client that keeps a lock."""

    def __init__(self, path: Path, *words: str) -> None:
        self.control = LocalControl(path)
        self.replies = self.control.command(["lock", "--reason", "new cables", *words])
        self.key = ""

    async def held(self) -> None:
        """Return when it is held."""
        while not self.key:
            message = await beside(lambda: next(self.replies))
            assert not message.final, message
            self.key = str(message.data.get("lock_key", ""))


async def test_what_a_lock_keeps_away(tmp_path: Path) -> None:
    camera = await RawCamera().start()
    path = tmp_path / "c.sock"
    ports = {"gfa1": camera.port, "gfa2": free_port()}
    async with observatory(ports, path, commands="original") as running:
        fleet = running.service._fleet
        assert (await give(path, "reconnect", "-n", "gfa1"))[-1].code == ":"
        client = await Client.connect(running.port)
        holder = Holder(path, "-n", "gfa1")
        await holder.held()
        holder_is = f"gfa1: held by {me()} (control socket) since 20"
        for words in (
            ["reconnect", "--force"],
            ["remove", "-n", "gfa1"],
            ["reboot", "-n", "gfa1"],
            ["disable", "gfa1"],
            ["enable", "--all"],
            ["reload"],
            ["lock", "--reason", "mine"],
        ):
            end = (await give(path, *words))[-1]
            assert (end.code, end.exit_code) == ("f", EXIT_BUSY), words
            assert end.data["error"].startswith(holder_is)
            assert "UTC: new cables. Remedy: ask them, or " in end.data["error"]
        # Telescope software is told the same, and its cameras take commands.
        said = await client.command("5 reconnect")
        assert said[-1].startswith(f'f error="{holder_is}')
        assert (await client.command("6 talk -n gfa1 status"))[-1] == ": "
        # What changes nothing goes on, and so do other nodes.
        for words in (
            ["status"],
            ["reconnect", "-n", "gfa1", "--dry-run"],
            ["reload", "--check"],
            ["disable", "gfa2"],
        ):
            assert (await give(path, *words))[-1].code == ":", words
        # Who has the lock may change what it is of.
        end = (await give(path, "disable", "gfa1", key=holder.key))[-1]
        assert end.code == ":"
        holder.control.close()
        await until(lambda: not fleet.locks.holds)
        assert (await give(path, "enable", "gfa1"))[-1].code == ":"
        end = (await give(path, "disable", "gfa1", key=holder.key))[-1]
        assert "is held no more" in end.data["error"]
        await client.close()
    await camera.close()


async def test_it_is_shown_to_all(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path) as running:
        client = await Client.connect(running.port)
        holder = Holder(path)
        await holder.held()
        while "locked" not in client.seen[-1]:
            await client.readline()
        assert client.seen[-1] == (
            f'0 0 i text="gfa1: locked by {me()}: new cables."\n'
        )
        said = await client.command("5 status")
        (shown,) = [text for text in said if text.startswith("i lock=")]
        assert shown.startswith(f'i lock={me()},"control socket","new cables",20')
        assert shown.endswith(",gfa1")
        holder.control.close()
        while "unlocked" not in client.seen[-1]:
            await client.readline()
        assert f"gfa1: unlocked by {me()}." in client.seen[-1]
        assert not [t for t in await client.command("6 status") if "lock=" in t]
        await client.close()


async def test_two_commands_on_the_same_node(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    camera = await RawCamera(name="gfa2").start()
    ports = {"gfa1": free_port(), "gfa2": camera.port}
    async with observatory(ports, path, state=tmp_path / "state") as running:
        await until(lambda: "gfa1" in running.engines)
        engine = running.engines["gfa1"]
        client = await Client.connect(running.port)
        # Its camera never answers, so it goes on.
        client.send("5 reconnect -n gfa1")
        await until(lambda: "run flicamera-gfa1" in engine.calls)
        end = (await give(path, "remove", "-n", "gfa1..2"))[-1]
        assert (end.code, end.exit_code) == ("f", EXIT_BUSY)
        assert end.data["error"].startswith(
            "gfa1: held by user 1 at 127.0.0.1 (actor protocol) since "
        )
        assert (
            "UTC: reconnect -n gfa1. Remedy: wait (--wait SECONDS)"
            in (end.data["error"])
        )
        # Another node goes beside it, and who is commanded may be said.
        assert (await give(path, "reconnect", "-n", "gfa2"))[-1].code == ":"
        assert (await give(path, "disable", "gfa1"))[-1].code == ":"
        assert (await give(path, "enable", "gfa1"))[-1].code == ":"
        assert (await give(path, "reload"))[-1].code == ":"
        waits = asyncio.create_task(
            give(path, "remove", "-n", "gfa1", "--wait", f"{LIMIT:g}")
        )
        await asyncio.sleep(0)
        assert not waits.done()
        # The first one fails at last, and the second has the node.
        engine.set_state(next(iter(engine.daemon.containers)), "exited")
        said = await waits
        assert "waiting" in said[1].data["text"]
        assert said[-1].code == ":"
        assert not engine.daemon.containers
        await client.close()
    await camera.close()


async def test_who_waits_and_is_gone_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path) as running:
        holder = Holder(path)
        await holder.held()
        control = LocalControl(path)
        waiting = control.command(["remove", "--all", "--wait", "1000"])
        while "waiting" not in str((await beside(lambda: next(waiting))).data):
            pass
        control.close()
        holder.control.close()
        await until(lambda: not running.service._dispatcher._tasks)
        assert not [c for c in running.engines["gfa1"].calls if "remove" in c]


async def test_it_is_broken_and_that_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path, state=tmp_path / "s"):
        holder = Holder(path)
        await holder.held()
        assert (await give(path, "lock", "break"))[-1].exit_code == 2
        said = await give(path, "lock", "break", "--reason", "she is asleep")
        assert said[-1].data == {"text": "locks broken: 1"}
        end = (await beside(lambda: list(holder.replies)))[-1]
        assert (end.code, end.exit_code) == ("f", EXIT_BUSY)
        assert end.data["error"] == f"this lock was broken by {me()}: she is asleep"
        assert (await give(path, "disable", "gfa1"))[-1].code == ":"
        holder.control.close()
        said = await give(path, "audit", "--json")
        rows = [json.loads(m.data["audit"]) for m in said if "audit" in m.data]
        assert [(row["verb"], row["words"]) for row in rows] == [
            ("lock", "--reason 'new cables'"),
            ("lock", "break --reason 'she is asleep'"),
            ("disable", "gfa1"),
        ]
        assert rows[0]["outcome"].startswith("failed: this lock was broken by")
        assert rows[1]["ending"]["outcomes"] == {"gfa1": "changed"}
        # Done again, there is nothing to break.
        said = await give(path, "lock", "break", "--reason", "again")
        assert said[-1].data == {"text": "locks broken: 0"}


async def test_a_holder_far_away_that_says_nothing_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "QUIET_LIMIT", 0.2)
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path) as running:
        here = Holder(path)
        await here.held()
        far = LocalControl(path)
        far.introduce(**{"from": "10.1.2.3"})
        words = ["lock", "--reason", "far away", "-n", "gfa1"]
        holds = running.service._fleet.locks.holds
        assert [hold.why for hold in holds] == ["new cables"]
        here.control.close()
        await until(lambda: not running.service._fleet.locks.holds)
        # Its cable is cut: the connection stays, and nothing comes through it.
        said = await beside(lambda: list(far.command(words)))
        assert "lock_key" in said[1].data
        assert said[-1].code == ":"
        far.close()


# The program


@contextmanager
def holding(fliswarm: Program, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``fliswarm lock`` until the end of a block; yield it when it has the lock."""
    command = fliswarm.command("lock", "--reason", "new cables", *words)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "Locked: gfa1, gfa2, fvc. Ctrl-C unlocks.\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_holder_that_is_killed_has_it_no_more(fliswarm: Program) -> None:
    assert fliswarm("start").code == 0
    with holding(fliswarm) as process:
        refused = fliswarm("disable", "gfa1")
        assert refused.code == EXIT_BUSY
        assert f"held by {me()} (control socket) since " in refused.out
        shown = fliswarm("status")
        assert f"gfa1, gfa2, fvc: locked by {me()}" in shown.out
        (first, *_) = fliswarm("status", "--json").out.splitlines()
        assert json.loads(first)["locked_by"] == f"{me()}: new cables"
        # The second waits, and has it as soon as the first is gone.
        words = fliswarm.command("remove", "--left", "--wait", f"{LIMIT:g}")
        waits = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        process.kill()
        process.wait()
        said, _ = waits.communicate(timeout=LIMIT)
        assert waits.returncode == 0, said
    assert fliswarm("disable", "gfa1").code == 0


def test_a_holder_far_away_that_is_killed(fliswarm: Program) -> None:
    assert fliswarm("start").code == 0
    ssh = fliswarm.folder / "ssh"
    program = " ".join(fliswarm.command("dial-stdio"))
    ssh.write_text(f"#!/bin/sh\nexec {program}\n", "utf-8")
    ssh.chmod(0o755)
    far = {
        "FLISWARM_HOST": "ssh://me@manager",
        "FLISWARM_SSH_COMMAND": str(ssh),
        "SSH_CONNECTION": "10.1.2.3 5 10.1.1.1 22",
    }
    words = fliswarm.command("lock", "--reason", "far away")
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env={**os.environ, **far}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Locked: ")
        refused = fliswarm("disable", "gfa1")
        assert f"held by {me()} from 10.1.2.3 (control socket)" in refused.out
        process.kill()
    wait_until(lambda: fliswarm("disable", "gfa1").code == 0, "the lock")


def test_ctrl_c_unlocks(fliswarm: Program) -> None:
    assert fliswarm("start").code == 0
    with holding(fliswarm) as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.read().endswith("Unlocked.\n")
        assert process.wait() == 0


PROGRAM = """
import os, subprocess, sys
given = sys.argv[1:]
inside = subprocess.run([*given, "disable", "gfa1"], check=False).returncode
del os.environ["FLISWARM_LOCK"]
outside = subprocess.run([*given, "enable", "gfa1"], check=False).returncode
sys.exit(10 * inside + outside)
"""


def test_around_a_program(fliswarm: Program) -> None:
    assert fliswarm("start").code == 0
    words = ["--", sys.executable, "-c", PROGRAM, *fliswarm.command()]
    done = fliswarm("lock", "--reason", "a trial", "-n", "gfa1", *words)
    assert done.code == EXIT_BUSY, done.err
    assert "gfa1: held by" in done.out
    assert fliswarm("enable", "gfa1").code == 0
    missing = fliswarm("lock", "--reason", "x", "--", "no-such-program")
    assert (missing.code, missing.err) == (
        2,
        "fliswarm: there is no program no-such-program\n",
    )
    killed = fliswarm("lock", "--reason", "x", "--", "sh", "-c", "kill -9 $$")
    assert killed.code == 128 + 9
    assert fliswarm("lock").code == 2
    broken = fliswarm("lock", "break", "--reason", "nothing is there")
    assert (broken.code, broken.out) == (0, "locks broken: 0\n")


async def test_the_name_of_a_client_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path):
        reader, writer = await asyncio.open_unix_connection(path)
        # What is said wrongly is nothing, and has no answer.
        writer.write(b'0 as {"from": "10.1.2.3"}\n0 as nonsense\n0 as [1]\n7 ping\n')
        found = json.loads(await reader.readline())
        assert found["header"]["command_id"] == 7
        writer.close()
        await writer.wait_closed()
