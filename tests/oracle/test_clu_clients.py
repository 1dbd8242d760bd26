"""CLU's own classes, and a hub as Tron's code describes it, as clients of ours."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from clu.legacy.tron import TronConnection
from clu.legacy.types.parser import ActorReplyParser, ReplyParser

from tests.oracle.camera import NASTY
from tests.oracle.hub import Nub
from tests.oracle.steps import COMMANDS
from tests.oracle.user import User
from tests.oracle.world import OURS, World, world
from tests.unit.support.wait import until

HUB_REPLY = re.compile(r"\s*(?P<cid>[0-9]+)\s+(?P<mid>[0-9]+)\s+[diwe:f>!] .*")
"""What the hub takes for a reply; any other line it tells everybody as ``RawLine``."""

NAME = re.compile(r"[a-z_][a-z0-9_-]*", re.IGNORECASE)

LOSSLESS = {
    "semicolon": ["gfa1", "a;b"],
    "comma": ["gfa1", "a,b"],
    "equals": ["gfa1", "a=b"],
    "single": ["gfa1", "it's"],
    "quoted": ["gfa1", "a whole string"],
    "empty": ["gfa1", ""],
    "blank": ["gfa1", " "],
    "nothing": ["gfa1", "None"],
    "yes": ["gfa1", "T"],
    "number": ["gfa1", "-1.5e-07"],
    "no_values": ["gfa1"],
    "mixed": ["gfa1", "a b", "1", "None", "F", ""],
    "mapping": ["gfa1", "x", "done; really", "None"],
}
"""What CLU's parser has to read. It keeps escapes in strings as they are."""


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as started:
        await started.printed("camera connected", 3)
        yield started


@asynccontextmanager
async def user(running: World) -> AsyncIterator[User]:
    client = await User.connect(running.port)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def nub(running: World) -> AsyncIterator[Nub]:
    """Connect as the hub does, when it is asked to."""
    await until(lambda: running.hub.received, "startNubs")
    connection = await Nub.connect(running.port)
    try:
        yield connection
    finally:
        await connection.close()


# Parsers


@pytest.fixture(scope="module")
def parser() -> Any:  # noqa: ANN401
    """Return CLU's parser of an actor's replies."""
    return ActorReplyParser()


async def test_the_parser_reads_every_line(running: World, parser: Any) -> None:  # noqa: ANN401
    async with user(running) as client:
        lines = client.take()
        bodies = [
            "--help",
            *(f"{name} --help" for name in COMMANDS),
            "get_schema",
            "get-command-model talk",
            "keyword error",
            "status",
            "status --detail",
            "bogus; error=x",
            "ping 'it''s",
            "talk -n nope status",
            "talk -n 'a;b,c=d' status",
            "talk status",
            "talk levels",
            "talk -n gfa1,gfa2 fail",
            "talk -n gfa1 nasty",
            "talk -n gfa1 help",
            "talk expose 0",
            "reconnect -n gfa1 --dry-run",
            "disable 'x\"y'",
        ]
        for number, body in enumerate(bodies, 1):
            client.send(f"{number} {body}")
            assert await client.seen(rf"\d+ {number} [:f]"), body
            lines += client.take()
        client.send("77")
        assert await client.seen("0 0 f")
        lines += client.take()
    assert len(lines) > 200
    for line in lines:
        assert HUB_REPLY.fullmatch(line), line
        for keyword in parser.parse(line).keywords:
            assert NAME.fullmatch(keyword.name), line


@pytest.mark.parametrize("keyword", LOSSLESS)
async def test_values_are_read_as_the_camera_said_them(
    nasty: dict[str, list[str]], keyword: str
) -> None:
    assert nasty[keyword] == LOSSLESS[keyword]


@pytest.fixture(scope="module")
def nasty(
    tmp_path_factory: pytest.TempPathFactory,
    parser: Any,  # noqa: ANN401
) -> dict[str, list[str]]:
    """Return all nasty values, as CLU's parser reads them from our lines."""

    async def ask() -> list[str]:
        async with world(tmp_path_factory.mktemp("nasty")) as running:
            await running.printed("gfa1: camera connected")
            async with user(running) as client:
                return await client.command("1 talk -n gfa1 nasty")

    read: dict[str, list[str]] = {}
    for line in asyncio.run(ask()):
        for keyword in parser.parse(f"1 1 {line}").keywords:
            read[keyword.name] = list(keyword.values)
    assert set(read) == set(NASTY)
    return read


async def test_the_hub_s_own_form_is_read_as_well(running: World) -> None:
    """The hub puts a header of its own before our keywords."""
    read: Any = ReplyParser()
    async with user(running) as client:
        for line in await client.command("5 talk -n gfa1,gfa2 -- expose -n 3 0"):
            code, _, keywords = line.partition(" ")
            reply = read.parse(f"APO.user 5 fliswarm {code} {keywords}")
            if keywords.startswith("filename_bundle"):
                bundle = list(reply.keywords[0].values)
    assert sorted(bundle) == [
        "/data/gfa1/gimg-gfa1-0003.fits",
        "/data/gfa2/gimg-gfa2-0003.fits",
    ]


async def test_clu_s_connection_follows_a_command(running: World) -> None:
    """CLU's client of the hub, at the other end of a hub that knows only us."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with nub(running) as back:
            while line := (await reader.readline()).decode():
                commander, number, target, text = line.rstrip("\n").split(" ", 3)
                for reply in await back.command(text, commander):
                    head = f"{commander} {number} {target}"
                    writer.write(f"{head} {reply}\n".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tron: Any = TronConnection("APO.guider", "127.0.0.1", port)
    tron.log.sh.setLevel(1000)
    try:
        await tron.start(get_keys=False)
        asyncio.get_running_loop().set_exception_handler(None)
        done = await tron.send_command("fliswarm", "talk -c fvc -- expose -n 9 0")
        assert done.status.did_succeed
        keywords = [key for reply in done.replies for key in reply.message]
        assert keywords[-1] == "filename_bundle"
        failed = await tron.send_command("fliswarm", "talk -n nope status")
        assert failed.status.did_fail
    finally:
        tron.stop()
        server.close()


# The hub


async def test_the_hub_connects_back(running: World) -> None:
    async with nub(running) as hub:
        assert running.hub.received == ["fliswarm.fliswarm 1 hub startNubs fliswarm\n"]
        assert hub.lines[0] == f"{hub.cid} 0 i yourUserID={hub.cid}; num_users=1\n"
        # What it gives to every actor that it connects to.
        assert await hub.command("ping") == ["> ", ": text=Pong."]
        assert (await hub.command("status"))[-1] == ": "
        replies = await hub.command("talk -c gfa expose 0", "APO.guider.guider")
        assert replies[0] == "> "
        assert replies[-3].startswith("i filename_bundle=")
        assert replies[-2:] == ["w failed=gfa3", ": "]
        assert all(map(HUB_REPLY.fullmatch, (line[:-1] for line in hub.lines)))


async def test_the_hub_takes_its_own_number_beside_others(running: World) -> None:
    async with user(running) as other, nub(running) as hub:
        assert other.number == 1
        assert hub.cid == "2"
        assert await hub.command("ping") == ["> ", ": text=Pong."]
        await other.fence()
        assert not [line for line in other.lines if "Pong" in line]


async def test_the_hub_goes_and_comes_back(running: World) -> None:
    hub = running.hub
    await until(lambda: hub.received)
    async with user(running) as client:
        await hub.close()
        assert await client.seen(r'0 0 w text="Tron disconnected')
        replies = await client.command("1 reboot --hard -n gfa1 --timeout 5")
        assert "Tron is not connected" in " ".join(replies)
        assert replies[-1].startswith("f ")
        hub.received.clear()
        await hub.start()
        assert await client.seen(r'0 0 i text="Tron connected')
        await until(lambda: hub.received)
        assert [line.split(" ", 2)[2] for line in hub.received] == [
            "hub startNubs fliswarm\n"
        ]


async def test_attempts_to_reach_the_hub_get_rarer(running: World) -> None:
    """Also when it takes each connection and drops it at once."""
    await until(lambda: running.hub.received)
    await running.hub.close()
    tried: list[float] = []

    async def drop(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tried.append(asyncio.get_running_loop().time())
        writer.close()

    server = await asyncio.start_server(drop, "127.0.0.1", running.hub.port)
    await until(lambda: tried)
    await asyncio.sleep(2)
    server.close()
    assert len(tried) <= 8


async def test_tron_reconnect(running: World) -> None:
    await until(lambda: running.hub.received)
    async with user(running) as client:
        assert await client.command("1 tron-reconnect") == ["> ", ": "]
        await until(lambda: len(running.hub.received) == 2)
        assert running.hub.connections == 2
        await running.hub.close()
        replies = await client.command("2 tron-reconnect")
        assert replies[-1].startswith("f error=")


async def test_a_hard_reboot_goes_through_the_hub(running: World) -> None:
    await until(lambda: running.hub.received)
    async with user(running) as client:
        replies = await client.command("1 reboot --hard -n gfa1")
        assert replies[-1] == ": "
    said = [line.split(" ", 2)[2] for line in running.hub.received[1:]]
    assert said == [
        "jaeger ieb switch --off nuc-gfa1\n",
        "jaeger ieb switch --on nuc-gfa1\n",
    ]
    numbers = [int(line.split(" ")[1]) for line in running.hub.received]
    assert numbers == [1, 2, 3]


async def test_a_failed_power_off_is_the_end(running: World) -> None:
    await until(lambda: running.hub.received)
    running.hub.fails.add("jaeger ieb switch --off nuc-gfa1")
    async with user(running) as client:
        replies = await client.command("1 reboot --hard -n gfa1,gfa2")
        assert replies[-1].startswith("f error=")
        assert replies[-1].endswith("failed=gfa1")
    said = {line.split(" ", 2)[2] for line in running.hub.received[1:]}
    assert said == {
        "jaeger ieb switch --off nuc-gfa1\n",
        "jaeger ieb switch --off nuc-gfa2\n",
        "jaeger ieb switch --on nuc-gfa2\n",
    }


async def test_no_hub_at_the_start(tmp_path: Path) -> None:
    """The cameras are commanded all the same, and the hub is found when it comes."""

    class NoHub(World):
        async def run(self, program: tuple[str, ...]) -> None:
            await self.hub.close()
            await super().run(program)

    running = NoHub(tmp_path)
    try:
        await running.start()
        await running.run(OURS)
        async with user(running) as client:
            await running.printed("gfa1: camera connected")
            assert (await client.command("1 talk -n gfa1 quiet"))[-1] == ": "
            await running.hub.start()
            assert await client.seen(r'0 0 i text="Tron connected')
            await until(lambda: running.hub.received)
            assert running.hub.received[0].endswith("hub startNubs fliswarm\n")
    finally:
        await running.close()
