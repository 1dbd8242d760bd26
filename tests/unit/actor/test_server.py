from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from fliswarm import __version__
from fliswarm.faces.actor.server import ActorServer
from fliswarm.faces.connection import LINE_LIMIT
from tests.unit.support.camera import GoodCamera, RawCamera, busy, line
from tests.unit.support.client import Client
from tests.unit.support.observatory import Observatory, observatory
from tests.unit.support.site import IMAGE, fleet, free_port
from tests.unit.support.wait import until


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Observatory]:
    """Run a controller whose only camera is not there."""
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock") as running:
        yield running


@asynccontextmanager
async def connected(
    cameras: dict[str, RawCamera] | dict[str, GoodCamera], folder: Path
) -> AsyncIterator[tuple[Observatory, Client]]:
    """Run a controller and a client; all cameras are connected."""
    ports = {name: camera.port for name, camera in cameras.items()}
    categories = {"fvc": "fvc"}
    async with observatory(ports, folder / "c.sock", categories=categories) as running:
        client = await Client.connect(running.port)
        try:
            for name in cameras:
                while f"i camera={name},T" not in await client.command("1 status -d"):
                    pass
            client.seen.clear()
            yield running, client
        finally:
            await client.close()


@asynccontextmanager
async def good(*names: str) -> AsyncIterator[dict[str, GoodCamera]]:
    cameras = {name: await GoodCamera(name).start() for name in names}
    try:
        yield cameras
    finally:
        for camera in cameras.values():
            await camera.close()


@asynccontextmanager
async def raw(*names: str) -> AsyncIterator[dict[str, RawCamera]]:
    cameras = {name: await RawCamera(name=name).start() for name in names}
    try:
        yield cameras
    finally:
        for camera in cameras.values():
            await camera.close()


# Users


def greetings(client: Client) -> list[str]:
    """Return what was told of users: the first status comes when it comes."""
    told = re.compile(r"\d+ 0 i (?:yourUserID|UserInfo|version)=")
    return [line for line in client.seen if told.match(line)]


async def test_a_new_user_is_greeted_as_the_original_does(empty: Observatory) -> None:
    first = await Client.connect(empty.port)
    assert greetings(first) == [
        "1 0 i yourUserID=1; num_users=1\n",
        "0 0 i UserInfo=1,127.0.0.1\n",
        f"1 0 i version='{__version__}'\n",
    ]
    second = await Client.connect(empty.port)
    greeting = [
        "2 0 i yourUserID=2; num_users=2\n",
        "0 0 i UserInfo=1,127.0.0.1\n",
        "0 0 i UserInfo=2,127.0.0.1\n",
        f"2 0 i version='{__version__}'\n",
    ]
    assert greetings(second) == greeting
    first.seen.clear()
    while f"2 0 i version='{__version__}'\n" not in first.seen:
        await first.readline()
    # The first one knows of itself.
    greeting.remove("0 0 i UserInfo=1,127.0.0.1\n")
    assert greetings(first) == greeting
    await first.close()
    await second.close()


async def test_how_far_a_pull_is_reaches_who_asked(tmp_path: Path) -> None:
    async with raw("gfa1") as cameras, connected(cameras, tmp_path) as (running, user):
        other = await Client.connect(running.port)
        said = await user.command("5 reconnect")
        assert said[-1] == ": "
        pulling = 'd text="gfa1: pulling hub:5000/sdss/flicamera:latest."'
        begun = said.index(pulling)
        assert said[begun + 1] == 'd text="gfa1: pulling, 100 % of 0 MiB."'
        await other.command("6 ping")
        assert not any("pulling" in line for line in other.seen)
        await other.close()


async def test_a_node_that_was_never_enabled_is_connected_when_it_is(
    tmp_path: Path,
) -> None:
    async with raw("gfa1", "gfa2") as cameras:
        ports = {name: camera.port for name, camera in cameras.items()}
        running = Observatory(replace(fleet(ports), enabled=("gfa1",)))
        task = asyncio.create_task(running.service.run(tmp_path / "c.sock"))
        await until(lambda: cameras["gfa1"].connections, "the enabled one")
        client = await Client.connect(running.port)
        assert cameras["gfa2"].connections == 0
        assert await client.command("5 enable gfa2") == ["> ", ": "]
        await until(lambda: cameras["gfa2"].connections, "the other one")
        await client.close()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_why_an_engine_is_away_is_told(empty: Observatory) -> None:
    client = await Client.connect(empty.port)
    empty.engines["gfa1"].up = False
    for _ in range(2):
        said = await client.command("5 status --detail")
        why = "i engine=gfa1,F,"
        (told,) = (line for line in said if line.startswith(why))
        assert told.endswith(',"the engine does not answer"')
    text = '0 0 w text="gfa1: Docker Engine does not answer: the engine does not'
    while not any(line.startswith(text) for line in client.seen):
        await client.readline()
    await client.close()


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("gfa*", "gfa1,gfa2,gfa3"),
        ("gfa1..2", "gfa1,gfa2"),
        ("fvc,gfa3", "gfa3,fvc"),
        ("gfa1 fvc", "gfa1,fvc"),
        ("gfa[23]", "gfa2,gfa3"),
    ],
)
async def test_nodes_are_disabled_and_enabled_as_they_are_selected(
    tmp_path: Path, words: str, meant: str
) -> None:
    names = ["gfa1", "gfa2", "gfa3", "fvc"]
    ports = {name: free_port() for name in names}
    async with observatory(ports, tmp_path / "c.sock") as running:
        client = await Client.connect(running.port)
        assert await client.command(f"5 disable {words}") == ["> ", ": "]
        off = set(meant.split(","))
        rest = [name for name in names if name not in off]
        said = await client.command("6 status")
        assert f"i enabledNodes={','.join(rest)}" in said
        assert await client.command(f"7 enable {words}") == ["> ", ": "]
        said = await client.command("8 status")
        assert f"i enabledNodes={','.join(names)}" in said
        # What means nobody is told, and the rest is done.
        said = await client.command("9 disable gfa9* fvc")
        assert said[1:3] == ['w text="Cannot find node gfa9*."', "w failed=gfa9*"]
        said = await client.command("10 enable nope fvc")
        assert said[1:3] == ['w text="Node does not exist."', "w failed=nope"]
        said = await client.command("11 status")
        assert f"i enabledNodes={','.join(names)}" in said
        await client.close()


async def test_a_user_s_number_is_given_again(empty: Observatory) -> None:
    first = await Client.connect(empty.port)
    second = await Client.connect(empty.port)
    await second.close()
    # The server has seen it leave when it says so to nobody: ask until it counts one.
    while True:
        third = await Client.connect(empty.port)
        if third.seen[0] == "2 0 i yourUserID=2; num_users=2\n":
            break
        await third.close()
    await third.close()
    await first.close()


async def test_replies_are_for_the_one_who_asked(empty: Observatory) -> None:
    first = await Client.connect(empty.port)
    second = await Client.connect(empty.port)
    assert await second.command("7 ping") == ["> ", ": text=Pong."]
    assert await first.command("8 ping") == ["> ", ": text=Pong."]
    assert not [line for line in first.seen if " 7 " in line]
    assert "1 8 : text=Pong.\n" in first.seen
    assert "2 7 : text=Pong.\n" in second.seen
    await first.close()
    await second.close()


# Lines


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("1 ping", ["1 1 > \n", "1 1 : text=Pong.\n"]),
        ("apo.user 2 ping", ["1 2 > \n", "1 2 : text=Pong.\n"]),
        ("3 4 version", ["1 3 > \n", f"1 3 : version={__version__}\n"]),
        ("ping\r", ["1 0 > \n", "1 0 : text=Pong.\n"]),
        (" \n5 ping", ["1 5 > \n", "1 5 : text=Pong.\n"]),
        ("5", ["0 0 f error=\"Could not parse command '5'\"\n"]),
        ("18 !!", ["0 0 f error=\"Could not parse command '18 !!'\"\n"]),
    ],
)
async def test_a_line(empty: Observatory, line: str, replies: list[str]) -> None:
    client = await Client.connect(empty.port)
    client.seen.clear()
    client.send(line)
    # What is told to all meanwhile, the first status for one, is none of its replies.
    while len(lines := [s for s in client.seen if not re.match("0 0 [^f]", s)]) < len(
        replies
    ):
        await client.readline()
    assert lines == replies
    await client.close()


async def test_an_unknown_command(empty: Observatory) -> None:
    client = await Client.connect(empty.port)
    replies = await client.command("12 bogus")
    assert replies[1].startswith("w help=\"NoSuchCommand: No such command 'bogus'.")
    assert replies[2] == (
        "f error=\"Command 'bogus' does not exist or cannot be parsed.\""
    )
    await client.close()


@pytest.mark.parametrize(
    "command",
    ['7 talk "unbalanced', "7 talk 'x", "7 talk x\\", "7 status extra"],
)
async def test_a_command_that_is_wrong_leaves_the_connection(
    empty: Observatory, command: str
) -> None:
    client = await Client.connect(empty.port)
    replies = await client.command(command)
    assert replies[-1].startswith('f error="Command ')
    assert "cannot be parsed" in replies[-1]
    assert await client.command("8 ping") == ["> ", ": text=Pong."]
    await client.close()


async def test_a_line_over_the_limit_is_refused_alone(empty: Observatory) -> None:
    client = await Client.connect(empty.port)
    client.send("9 talk " + "x" * (LINE_LIMIT + 1))
    assert await client.command("8 ping") == ["> ", ": text=Pong."]
    refused = [line for line in client.seen if "is ignored" in line]
    assert refused == [
        f'1 0 f error="a command line of over {LINE_LIMIT} bytes is ignored"\n'
    ]
    assert not [line for line in client.seen if line.startswith("1 9 ")]
    await client.close()


async def test_many_commands_at_once(empty: Observatory) -> None:
    client = await Client.connect(empty.port)
    client.send("\n".join(f"{number} ping" for number in range(1, 200)))
    while "1 199 : text=Pong.\n" not in client.seen:
        await client.readline()
    ended = [line for line in client.seen if line.endswith(": text=Pong.\n")]
    assert len(ended) == 199
    await client.close()


async def test_help(empty: Observatory) -> None:
    client = await Client.connect(empty.port)
    replies = await client.command("16 help ping")
    assert replies[:4] == [
        "> ",
        'w help="Usage: fliswarm ping [OPTIONS]"',
        "w help",
        'w help="  Pings the actor."',
    ]
    assert replies[-1] == ": "
    assert await client.command("17 ping --help") == replies
    everything = await client.command("18 --help")
    assert any("reconnect" in line for line in everything)
    assert await client.command("19 help") == everything
    assert (await client.command("20 help nope"))[-1] == (
        'f error="command nope not found."'
    )
    await client.close()


# A client that does not read


async def test_a_client_that_does_not_read_is_let_go(tmp_path: Path) -> None:
    async with raw("gfa1") as cameras, connected(cameras, tmp_path) as (running, good):
        slow = await Client.connect(running.port)
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        burst = line(None, "i", text="x" * 500_000)

        async def read() -> None:
            while "enough" not in await good.readline():
                pass

        reading = asyncio.create_task(read())
        for _ in range(40):
            cameras["gfa1"].send(burst)
        cameras["gfa1"].send(line(None, "i", text="enough"))
        await reading
        # The other client is served on, and there is one user.
        assert await good.command("5 ping") == ["> ", ": text=Pong."]
        other = await Client.connect(running.port)
        assert other.seen[0].endswith("num_users=2\n")
        await other.close()
        slow.writer.transport.abort()


# Talk


async def test_talk_relays_all_cameras_and_bundles_their_files(tmp_path: Path) -> None:
    async with (
        good("gfa1", "gfa2") as cameras,
        connected(cameras, tmp_path) as (_, client),
    ):
        replies = await client.command("72 talk expose 0")
        assert "i filename=gfa1,gfa1,/data/gfa1/x.fits" in replies
        assert "i filename=gfa2,gfa2,/data/gfa2/x.fits" in replies
        assert 'i text=gfa1,"done expose"' in replies
        assert replies[0] == "> "
        assert replies[-1] == ": "
        bundle = replies[-2].removeprefix("i filename_bundle=").split(",")
        assert sorted(bundle) == ["/data/gfa1/x.fits", "/data/gfa2/x.fits"]


async def test_talk_to_some(tmp_path: Path) -> None:
    async with (
        good("gfa1", "gfa2", "fvc") as cameras,
        connected(cameras, tmp_path) as (_, client),
    ):
        assert await client.command("1 talk -n gfa2 ping") == [
            "> ",
            "i text=gfa2,Pong.",
            ": ",
        ]
        gfas = await client.command("2 talk -c gfa ping")
        assert sorted(gfas[1:-1]) == ["i text=gfa1,Pong.", "i text=gfa2,Pong."]
        assert (await client.command("3 talk --exclude gfa* ping"))[1:-1] == [
            "i text=fvc,Pong."
        ]
        wrong = await client.command("4 talk -n gfa9 ping")
        assert wrong[-1].startswith("f error=\"no node 'gfa9'; did you mean 'gfa")


async def test_the_words_reach_the_camera_as_they_were_meant(tmp_path: Path) -> None:
    async with good("gfa1") as cameras, connected(cameras, tmp_path) as (_, client):
        replies = await client.command("1 talk -- echo 'two words' -5 \"it's\"")
        assert replies[1:] == ['i echo=gfa1,"two words",-5,"it\'s"', ": "]


async def test_a_camera_that_fails_is_named(tmp_path: Path) -> None:
    async with good("gfa1") as cameras, connected(cameras, tmp_path) as (_, client):
        assert await client.command("71 talk boom") == [
            "> ",
            "w error=gfa1,boom",
            "w failed=gfa1",
            ": ",
        ]
        strict = await client.command("72 talk --strict boom")
        assert strict[-1] == 'f error="One or more cameras failed."'


async def test_one_camera_of_three_is_not_there(tmp_path: Path) -> None:
    async with (
        good("gfa1", "gfa2", "gfa3") as cameras,
        connected(cameras, tmp_path) as (_, client),
    ):
        await cameras["gfa2"].close()
        while "gfa2: camera disconnected" not in await client.readline():
            pass
        replies = await client.command("5 talk ping")
        assert 'w text="Failed connecting to gfa2."' in replies
        assert sorted(r for r in replies if r.startswith("i text=")) == [
            "i text=gfa1,Pong.",
            "i text=gfa3,Pong.",
        ]
        assert replies[-2:] == ["w failed=gfa2", ": "]
        strict = await client.command("6 talk --strict ping")
        assert strict[-1] == 'f error="One or more cameras failed."'


async def test_no_camera_at_all(empty: Observatory) -> None:
    client = await Client.connect(empty.port)
    assert await client.command("5 talk ping") == [
        "> ",
        'w text="Failed connecting to gfa1."',
        "w failed=gfa1",
        'f error="No camera answered."',
    ]
    await client.close()


async def test_a_camera_that_goes_during_a_command(tmp_path: Path) -> None:
    async with raw("gfa1") as cameras, connected(cameras, tmp_path) as (_, client):
        camera = cameras["gfa1"]
        camera.answer = busy
        client.send("5 talk expose 30")
        await until(lambda: camera.asked("expose 30"))
        camera.hang_up()
        while not client.seen or not client.seen[-1].startswith("1 5 f"):
            await client.readline()
        assert '1 5 e error="gfa1: connection lost"\n' in client.seen
        assert "1 5 w failed=gfa1\n" in client.seen


async def test_a_camera_is_waited_for_no_longer_than_asked(tmp_path: Path) -> None:
    async with raw("gfa1") as cameras, connected(cameras, tmp_path) as (_, client):
        camera = cameras["gfa1"]
        camera.answer = busy
        replies = await client.command("5 talk --timeout 0.05 expose 30")
        assert 'e error="gfa1: no answer within 0.05 s"' in replies
        assert replies[-1] == 'f error="No camera answered."'
        # What comes late is nobody's.
        (number,) = camera.asked("expose 30")
        camera.send(line(number, ":", text="late"))
        camera.answer = lambda c, n, _: c.send(line(n, ":", text="new"))
        assert await client.command("6 talk ping") == ["> ", "i text=gfa1,new", ": "]
        assert not [seen for seen in client.seen if "late" in seen]


async def test_what_a_camera_says_by_itself_is_for_all(tmp_path: Path) -> None:
    async with raw("gfa1") as cameras, connected(cameras, tmp_path) as (running, one):
        two = await Client.connect(running.port)
        cameras["gfa1"].send(
            line(None, "i", temperature={"camera": "gfa1", "t": -10.0})
        )
        cameras["gfa1"].send(b"what is this\n")
        for client in (one, two):
            while "0 0 i temperature=gfa1,gfa1,-10.0\n" not in client.seen:
                await client.readline()
            while (
                "not understood from the camera: 'what is this'" not in client.seen[-1]
            ):
                await client.readline()
            assert client.seen[-1].startswith("0 0 w text=")
        await two.close()


async def test_a_camera_s_help_is_told_line_by_line(tmp_path: Path) -> None:
    async with good("gfa1") as cameras, connected(cameras, tmp_path) as (_, client):
        replies = await client.command("5 talk -- help ping")
        assert replies[1] == "i help=gfa1"
        assert 'i help="  Pings the actor."' in replies
        assert replies[-1] == ": "


# The fleet


async def test_status(empty: Observatory) -> None:
    client = await Client.connect(empty.port)
    expected = [
        "> ",
        "i enabledNodes=gfa1",
        "i node=gfa1,127.0.0.1,tcp://gfa1:2375,T,T",
        'w text="No containers running on 127.0.0.1."',
        "d container=gfa1,NA",
        'w text="Volume data not present in gfa1."',
        "d volume=gfa1,data,F,NA",
        ": ",
    ]
    assert await client.command("6 status") == expected
    detailed = await client.command("7 status --detail")
    (looked,) = (line for line in detailed if line.startswith("i engine="))
    detailed.remove(looked)
    assert re.fullmatch(r"i engine=gfa1,T,[0-9.]+,None", looked)
    assert detailed == [
        *expected[:-1],
        f"i image=gfa1,{IMAGE},NA",
        "i camera=gfa1,F",
        'i link=gfa1,F,None,"Connection refused"',
        "i state=gfa1,none,NA",
        ": ",
    ]
    empty.engines["gfa1"].up = False
    assert await client.command("8 status") == [
        "> ",
        "i enabledNodes=gfa1",
        'w text="Node 127.0.0.1 is not pinging back."',
        "i node=gfa1,127.0.0.1,tcp://gfa1:2375,F,F",
        ": ",
    ]
    await client.close()


async def test_reconnect_and_remove(tmp_path: Path) -> None:
    async with (
        raw("gfa1", "gfa2") as cameras,
        connected(cameras, tmp_path) as (running, client),
    ):
        dry = await client.command("1 reconnect --dry-run -n gfa1")
        assert dry[1].startswith('i text="gfa1: CreateVolume, ReplaceContainer (')
        assert running.engines["gfa1"].calls.count("run flicamera-gfa1") == 0
        done = await client.command("2 reconnect")
        assert done[-1] == ": "
        for name, camera in cameras.items():
            text = f"{name}: reconnected to device on port {camera.port}."
            assert f'd text="{text}"' in done
        again = await client.command("3 reconnect --dry-run")
        assert again[1:] == [
            'i text="gfa1: nothing to do"',
            'i text="gfa2: nothing to do"',
            ": ",
        ]
        assert (await client.command("4 remove"))[-1].startswith("f error=")
        assert (await client.command("5 remove -n gfa2"))[-1] == ": "
        seen = await client.command("6 status -n gfa1,gfa2")
        assert "d container=gfa1,000000000000" in seen
        assert "d container=gfa2,NA" in seen


async def test_one_node_of_two_fails(tmp_path: Path) -> None:
    async with (
        raw("gfa1", "gfa2") as cameras,
        connected(cameras, tmp_path) as (running, client),
    ):
        running.engines["gfa2"].up = False
        replies = await client.command("1 reconnect")
        assert 'e error="gfa2: the engine does not answer"' in replies
        failure = "Failed to reconnect one or more nodes."
        assert replies[-1] == f'f error="{failure}"; failed=gfa2'
        assert "run flicamera-gfa1" in running.engines["gfa1"].calls
        dry = await client.command("2 reconnect --dry-run")
        assert 'i text="gfa1: nothing to do"' in dry
        assert dry[-1].startswith("f error=")
        cleared = await client.command("3 remove --all")
        assert cleared[-1].endswith("; failed=gfa2")


async def test_enable_and_disable(tmp_path: Path) -> None:
    async with (
        raw("gfa1", "gfa2") as cameras,
        connected(cameras, tmp_path) as (_, client),
    ):
        assert await client.command("1 disable gfa2") == ["> ", ": "]
        assert "i enabledNodes=gfa1" in await client.command("2 status")
        assert (await client.command("3 talk ping"))[1:-1] == [
            'i text=gfa1,"done ping"'
        ]
        assert (await client.command("4 talk -n gfa2 ping"))[-1].startswith("f ")
        assert await client.command("5 disable zzz") == [
            "> ",
            'w text="Cannot find node zzz."',
            "w failed=zzz",
            ": ",
        ]
        assert await client.command("6 enable zzz") == [
            "> ",
            'w text="Node does not exist."',
            "w failed=zzz",
            ": ",
        ]
        assert await client.command("7 enable gfa2") == ["> ", ": "]
        assert "i enabledNodes=gfa1,gfa2" in await client.command("8 status")
        await client.command("9 disable --all")
        await client.command("10 enable --all")
        assert "i enabledNodes=gfa1,gfa2" in await client.command("11 status")


async def test_logs(tmp_path: Path) -> None:
    async with raw("gfa1") as cameras, connected(cameras, tmp_path) as (_, client):
        missing = await client.command("1 logs gfa1")
        assert missing[-1] == 'f error="gfa1: there is no container flicamera-gfa1"'
        await client.command("2 reconnect")
        assert await client.command("3 logs gfa1 --lines 5") == ["> ", ": "]
        assert "cannot be parsed" in (await client.command("4 logs gfa1 --lines 0"))[-1]


@pytest.mark.parametrize(
    ("host", "there", "away"),
    [
        ("::", ["127.0.0.1", "::1"], []),
        ("0.0.0.0", ["127.0.0.1"], ["::1"]),
        ("::1", ["::1"], ["127.0.0.1"]),
    ],
)
async def test_users_come_by_both_families(
    host: str, there: list[str], away: list[str]
) -> None:
    server = ActorServer(Mock(), "1.0")
    port = free_port()
    await server.start(host, port)
    for address in there:
        reader, writer = await asyncio.open_connection(address, port)
        await reader.readline()
        assert await reader.readline() == f"0 0 i UserInfo=1,{address}\n".encode()
        writer.close()
        await until(lambda: not server._users)
    for address in away:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(address, port)
    await server.close()
