"""Who may give which command, what is written of it, and how a shell hears its end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fliswarm.commands.call import Sink
from fliswarm.commands.context import Site
from fliswarm.commands.dispatch import Dispatcher
from fliswarm.commands.group import Verb
from fliswarm.commands.verbs import commands
from fliswarm.errors import ConfigError
from fliswarm.faces.control import peer
from fliswarm.faces.control.client import LocalControl
from fliswarm.faces.control.stream import Message
from tests.unit.control.test_control import beside, replies
from tests.unit.support.camera import RawCamera, line, obedient
from tests.unit.support.client import Client
from tests.unit.support.observatory import observatory
from tests.unit.support.site import free_port
from tests.unit.support.wait import LIMIT, until


def me() -> str:
    """Return who a client of the control socket is here."""
    return peer.person(peer.Peer(os.getpid(), os.getuid()))


ORIGINAL = {
    *("status", "reconnect", "reboot", "talk", "enable", "disable", "simulate"),
    *("ping", "version", "help", "get_schema", "keyword", "get-command-model"),
    "tron-reconnect",
}
"""The commands of sdss-fliswarm 0.7."""

HARMLESS = {"audit", "doctor", "events", "image-list", "logs", "nodes", "releases"}
"""Others that change nothing."""


def test_what_telescope_software_may_do() -> None:
    verbs = commands.commands.items()
    open_to_all = {name for name, v in verbs if isinstance(v, Verb) and v.everywhere}
    assert open_to_all == ORIGINAL | HARMLESS
    closed = set(commands.commands) - open_to_all
    assert {"remove", "reload", "exec", "update", "rollback"} <= closed


async def test_a_change_that_the_original_has_not(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path, commands="original") as running:
        client = await Client.connect(running.port)
        for number, body in enumerate(("remove --all", "reload", "reload --check"), 5):
            said = await client.command(f"{number} {body}")
            assert said[0] == "> "
            assert said[1].startswith('f error="This command changes the fleet')
            assert "actor.commands: all" in said[1]
            assert len(said) == 2
        assert not [
            call for call in running.engines["gfa1"].calls if call.startswith("remove")
        ]
        helps = await client.command("8 remove --help")
        assert helps[-1] == ": "
        # Who may write to the control socket may do all.
        (reloaded,) = await beside(lambda: replies(path, ["reload"]))
        assert reloaded[-1].code == ":"
        await client.close()


async def test_commands_are_written_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "fliswarm")
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path) as running:
        client = await Client.connect(running.port)
        await client.command("5 ping")
        client.send("APO.guider 6 talk -n gfa9 status")
        while "1 6 f" not in client.seen[-1]:
            await client.readline()
        await beside(lambda: replies(path, ["remove", "--all"], ["ping"]))
        await client.close()
    said = [m for m in caplog.messages if m.startswith("New command received")]
    assert said == [
        "New command received: 'ping' (commander_id=None, command_id=5)"
        " from user 1 at 127.0.0.1",
        "New command received: 'talk -n gfa9 status' (commander_id='APO.guider',"
        " command_id=6) from user 1 at 127.0.0.1",
        "New command received: 'remove --all' (command_id=1)"
        f" from {me()}, control socket",
    ]


async def test_files_that_are_no_images_are_named_to_nobody(tmp_path: Path) -> None:
    names = ["a.fits", "b.FITS.gz", "c.fit", "fits", "d.fits.key", "shadow", "e.gz"]
    for name in names:
        (tmp_path / name).touch()
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock") as running:
        client = await Client.connect(running.port)
        client.send(f"5 simulate {tmp_path}/* --delay 0.01")
        seen: set[str] = set()
        for _ in range(20):
            line = await client.readline()
            if "filename=" in line:
                seen.add(line.strip().rpartition("/")[2])
        await client.close()
    assert seen == {"a.fits", "b.FITS.gz", "c.fit"}


async def test_a_disk_that_does_not_answer_holds_up_nobody(tmp_path: Path) -> None:
    """Who asks for its images is told so, and may ask again."""
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock") as running:
        site: Site = running.service._dispatcher._site
        site.looking.limit = 0.05
        hangs = threading.Event()
        asked = [site.looking.ask("images", hangs.wait) for _ in range(4)]
        await asyncio.gather(*asked, return_exceptions=True)
        client = await Client.connect(running.port)
        for _ in range(2):
            end = (await client.command(f"5 simulate {tmp_path}/*"))[-1]
            assert end.startswith(f'f error="{tmp_path}/*: what files there are is not')
        assert (await client.command("6 ping"))[-1] == ": text=Pong."
        hangs.set()
        site.looking.limit = LIMIT
        end = (await client.command(f"7 simulate {tmp_path}/*"))[-1]
        assert end == 'f error="No images found."'
        await client.close()


# Exit codes


def refusing(camera: RawCamera, number: int, body: str) -> None:
    camera.send(line(number, "f", camera.name, error=f"no {body}"))


async def end_of(path: Path, *words: str) -> Message:
    """Give a command through the control socket; return its end."""
    return (await beside(lambda: replies(path, words)))[0][-1]


async def test_what_cannot_be_reached_has_a_code(tmp_path: Path) -> None:
    good = await RawCamera(obedient).start()
    bad = await RawCamera(refusing, "gfa2").start()
    ports = {"gfa1": good.port, "gfa2": bad.port, "gfa3": free_port()}
    path = tmp_path / "c.sock"
    async with observatory(ports, path) as running:
        await until(lambda: good.connections and bad.connections)

        async def code(*words: str) -> tuple[str, int]:
            end = await end_of(path, *words)
            return end.code, end.exit_code

        nodes = running.service._fleet.nodes
        await until(lambda: nodes[0].link.up and nodes[1].link.up)
        assert await code("ping") == (":", 0)
        assert await code("talk", "-n", "gfa1", "status") == (":", 0)
        assert await code("talk", "-n", "gfa2", "status") == (":", 1)
        assert await code("talk", "-n", "gfa3", "status") == ("f", 4)
        # The others' answers are there, and so is who did not answer.
        assert await code("talk", "-n", "gfa1,gfa3", "status") == (":", 4)
        assert await code("talk", "-n", "gfa1,gfa3", "--strict", "x") == ("f", 4)
        # Faults of two kinds have no code of their own.
        assert await code("talk", "status") == (":", 1)
        assert await code("talk", "-n", "gfa9", "status") == ("f", 2)
        assert await code("talk", "--timeout", "never", "status") == ("f", 2)
        assert await code("nonsense") == ("f", 2)
        assert await code("talk") == ("f", 1)
        for engine in running.engines.values():
            engine.up = False
        assert await code("reconnect") == ("f", 4)
        assert await code("reconnect", "--dry-run") == ("f", 4)
        assert await code("logs", "gfa1") == ("f", 4)
        assert await code("status") == (":", 0)
    await good.close()
    await bad.close()


async def test_a_wrong_file_has_its_code(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path) as running:

        def load() -> None:
            raise ConfigError("fliswarm.yaml: nodes", "is missing")

        running.service._load = load  # type: ignore[assignment]
        end = await end_of(path, "reload")
        assert (end.code, end.exit_code) == ("f", 3)


async def test_the_actor_protocol_knows_no_exit_codes(tmp_path: Path) -> None:
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock") as running:
        client = await Client.connect(running.port)
        said = await client.command("5 talk status")
        assert said[-1] == 'f error="No camera answered."'
        assert not any("exit" in text for text in said)
        await client.close()


# Camera's commands


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["expose -n 7 1.0"], "expose -n 7 1.0"),
        (["  status "], "status"),
        (["status"], "status"),
        (["expose", "--filename", "a b"], "expose --filename 'a b'"),
        (["echo", ""], "echo ''"),
    ],
)
async def test_a_word_with_blanks_is_a_whole_command(
    tmp_path: Path, words: list[str], message: str
) -> None:
    camera = await RawCamera().start()
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": camera.port}, path):
        await until(lambda: camera.connections)
        end = await end_of(path, "talk", "-c", "gfa", "--", *words)
        assert end.code == ":"
        assert camera.asked(message)
    await camera.close()


@pytest.mark.parametrize("words", [[], [""], ["  "]])
async def test_a_command_without_a_word(tmp_path: Path, words: list[str]) -> None:
    camera = await RawCamera().start()
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": camera.port}, path):
        await until(lambda: camera.connections)
        end = await end_of(path, "talk", *words)
        assert end.data == {"error": "No camera command was given."}
        assert not [text for _, text in camera.received if text.strip() != "ping"]
    await camera.close()


async def test_a_camera_without_a_file_is_not_in_the_bundle(tmp_path: Path) -> None:
    def nothing_written(camera: RawCamera, number: int, body: str) -> None:
        written = {"camera": "gfa1", "filename": None}
        end = line(number, ":", text=f"done {body}")
        camera.send(line(number, "i", filename=written) + end)

    camera = await RawCamera(nothing_written).start()
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": camera.port}, path):
        await until(lambda: camera.connections)
        (said,) = await beside(lambda: replies(path, ["talk", "expose"]))
        assert said[-1].code == ":"
        assert not [reply for reply in said if "filename_bundle" in reply.data]
    await camera.close()


# The end


class Codes(Sink):
    """Keeps the codes of the replies."""

    closed = False

    def __init__(self) -> None:
        self.codes = ""

    def write(self, code: str, keywords: Mapping[str, object]) -> None:
        self.codes += code

    def relay(self, code: str, sender: str, keywords: Mapping[str, object]) -> None:
        self.codes += code

    async def ready(self) -> None:
        """See `Sink.ready`."""


async def test_a_command_that_is_cancelled_before_its_turn(tmp_path: Path) -> None:
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock") as running:
        site: Site = running.service._dispatcher._site
        dispatcher, sink = Dispatcher(site), Codes()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            task = dispatcher.give("status", sink)
            assert task is not None
            task.cancel()
            await asyncio.wait([task])
            gc.collect()
        assert sink.codes == ">f"
        assert not [str(w.message) for w in caught if "never awaited" in str(w.message)]


async def test_an_ending_controller_takes_no_more(tmp_path: Path) -> None:
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock") as running:
        dispatcher = running.service._dispatcher
        slow, late = Codes(), Codes()
        going = asyncio.Event()

        async def slowly(*_: object, **__: object) -> None:
            try:
                await going.wait()
            finally:
                await going.wait()

        task = asyncio.create_task(slowly())
        dispatcher._tasks.add(task)
        assert dispatcher.give("events", slow) is not None
        await asyncio.sleep(0)
        end = asyncio.create_task(dispatcher.close())
        await until(lambda: slow.codes == ">f")
        assert dispatcher.give("reconnect", late) is None
        assert late.codes == ">f"
        going.set()
        await end


async def test_who_asked_is_known_to_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path) as running:
        give: Callable[..., asyncio.Task[None] | None] = Dispatcher.give

        def noted(
            self: Dispatcher, body: str, sink: Sink, who: str = "", **more: bool
        ) -> asyncio.Task[None] | None:
            seen.append(who)
            return give(self, body, sink, who, **more)

        monkeypatch.setattr(Dispatcher, "give", noted)
        client = await Client.connect(running.port)
        await client.command("5 version")
        with LocalControl(path) as control:
            await beside(lambda: list(control.command(["version"])))
        await client.close()
    assert seen == [
        "user 1 at 127.0.0.1",
        me(),
    ]
