"""What the guider and an operator's display do, as they see it: plain lines."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.oracle.user import User
from tests.oracle.world import World, world

GFAS = ("gfa1", "gfa2")

STATUS = re.compile("0 0 [id] (enabledNodes|node|container|volume)=")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as started:
        await started.printed("camera connected", 3)
        yield started


@pytest.fixture
async def guider(running: World) -> AsyncIterator[User]:
    client = await User.connect(running.port)
    client.send("1 disable gfa3")
    assert await client.seen(r"\d+ 1 :")
    client.take()
    yield client
    await client.close()


@pytest.fixture
async def display(running: World) -> AsyncIterator[User]:
    client = await User.connect(running.port)
    yield client
    await client.close()


def _bundle(replies: list[str]) -> list[str]:
    """Return the files of the line before the last, which is the command's end."""
    assert replies[-1] == ": ", replies
    head, _, values = replies[-2].partition("=")
    assert head == "i filename_bundle", replies
    return sorted(values.split(","))


def _image(name: str, number: int) -> str:
    return f"/data/{name}/gimg-{name}-{number:04d}.fits"


# The guider


async def test_exposures_one_after_another(running: World, guider: User) -> None:
    for number in range(11, 16):
        line = f"{number} talk -c gfa -- expose -n {number} 0.05"
        replies = await guider.command(line)
        assert _bundle(replies) == [_image(name, number) for name in GFAS]
        assert replies[0] == "> "
        for name in GFAS:
            own = [reply for reply in replies if f"={name}," in reply]
            assert own == [
                f"""i text={name},"exposing camera '{name}'\"""",
                f"i exposure_state={name},{name},integrating,object",
                f"i exposure_state={name},{name},reading,object",
                f"i filename={name},{name},{_image(name, number)}",
                f"i exposure_state={name},{name},idle,NA",
            ]
    assert running.cameras["gfa1"].received == [
        f"expose 0.05 n={number} flavour=None" for number in range(11, 16)
    ]
    assert not running.cameras["fvc"].received


async def test_the_cameras_expose_together(guider: User) -> None:
    began = time.monotonic()
    replies = await guider.command("2 talk expose 6")
    assert len(_bundle(replies)) == 3
    # One after the other they take three times as long.
    assert time.monotonic() - began < 12


async def test_the_hub_gives_the_command(guider: User) -> None:
    guider.send("APO.guider 21 talk -c gfa -- expose -n 21 0.01")
    assert await guider.seen(r"1 21 :")
    bundle = [line for line in guider.take() if "filename_bundle" in line]
    assert len(bundle) == 1
    assert bundle[0].startswith("1 21 i ")


async def test_one_camera_fails(guider: User) -> None:
    """A bad exposure time for one is no reason to lose the others' images."""
    replies = await guider.command("3 talk -n gfa1,gfa2 fail gfa2")
    assert replies == ["> ", "w error=gfa2,boom", "w failed=gfa2", ": "]
    assert len(_bundle(await guider.command("4 talk -c gfa expose 0"))) == 2


async def test_one_camera_is_lost_during_the_exposure(
    running: World, guider: User
) -> None:
    guider.send("5 talk -c gfa -- expose -n 5 0.4")
    assert await guider.seen(r"\d+ 5 i exposure_state=gfa1,gfa1,integrating")
    assert await guider.seen(r"\d+ 5 i exposure_state=gfa2,gfa2,integrating")
    running.cameras["gfa2"].hang_up()
    assert await guider.seen(r"\d+ 5 [:f]")
    own = [line.split(" ", 2)[2] for line in guider.take() if " 5 " in line]
    assert own[-1] == ": "
    assert "w failed=gfa2" in own
    assert [line for line in own if line.startswith("e error=") and "gfa2" in line]
    bundle = [line for line in own if "filename_bundle" in line]
    assert bundle == [f"i filename_bundle={_image('gfa1', 5)}"]
    # The next exposure has both again.
    await running.printed("gfa2: camera connected", 2)
    replies = await guider.command("6 talk -c gfa -- expose -n 6 0")
    assert _bundle(replies) == [_image(name, 6) for name in GFAS]


async def test_the_next_exposure_begins_before_the_last_has_ended(
    guider: User,
) -> None:
    guider.send("7 talk -n gfa1 -- expose -n 7 0.3")
    guider.send("8 talk -n gfa2 -- expose -n 8 0.1")
    guider.send("9 ping")
    assert await guider.seen(r"\d+ 7 :")
    ends = re.findall(r"(?m)^1 (\d+) : ", "\n".join(guider.lines))
    assert ends == ["9", "8", "7"]
    bundles = {
        line.split(" ")[1]: line.rpartition("=")[2]
        for line in guider.take()
        if "filename_bundle" in line
    }
    assert bundles == {"7": _image("gfa1", 7), "8": _image("gfa2", 8)}


async def test_a_temperature_is_told_between(running: World, guider: User) -> None:
    guider.send("10 talk -n gfa1 -- expose -n 10 0.3")
    assert await guider.seen(r"\d+ 10 i exposure_state=gfa1,gfa1,integrating")
    running.cameras["gfa1"].say(temperature={"camera": "gfa1", "ccd_temp": -25.5})
    assert await guider.seen(r"0 0 i temperature=gfa1,gfa1,-25\.5$")
    assert await guider.seen(r"\d+ 10 :")


# The display


async def test_an_operator_s_night(running: World, display: User) -> None:
    greeting = display.take()
    assert greeting[0] == "1 0 i yourUserID=1; num_users=1"
    assert greeting[1] == "0 0 i UserInfo=1,127.0.0.1"
    assert greeting[2].startswith("1 0 i version='")

    help_lines = await display.command("1 help")
    assert {"w help=Options:", "w help=Commands:"} <= set(help_lines)
    assert help_lines[-1] == ": "

    status = await display.command("2 status")
    assert status[1] == "i enabledNodes=gfa1,gfa2,gfa3,fvc"
    nodes = [line for line in status if line.startswith("i node=")]
    assert [line.split("=")[1].split(",")[0] for line in nodes] == [
        "gfa1",
        "gfa2",
        "gfa3",
        "fvc",
    ]
    assert all(line.endswith(",T,T") for line in nodes)

    bad = await display.command("3 talk -c gfa quiet")
    assert 'w text="Failed connecting to gfa3."' in bad
    assert bad[-2:] == ["w failed=gfa3", ": "]

    # Until somebody has time for it.
    assert (await display.command("4 disable gfa3"))[-1] == ": "
    assert await display.command("5 talk -c gfa quiet") == ["> ", ": "]
    assert (await display.command("6 status"))[1] == "i enabledNodes=gfa1,gfa2,fvc"

    assert (await display.command("7 enable gfa3"))[-1] == ": "
    running.revived.add("gfa3")
    replies = await display.command("8 reconnect -n gfa3 --force")
    assert replies[-1] == ": "
    port = running.cameras["gfa3"].port
    assert replies[-2] == f'd text="gfa3: reconnected to device on port {port}."'
    assert await display.command("9 talk -c gfa quiet") == ["> ", ": "]


async def test_reconnect_leaves_the_others_alone(running: World, display: User) -> None:
    before = {name: dict(engine.containers) for name, engine in running.engines.items()}
    # Its container has ended, and is gone.
    running.engines["gfa3"].containers.clear()
    running.revived.add("gfa3")
    replies = await display.command("1 reconnect")
    assert replies[-1] == ": "
    after = {name: dict(engine.containers) for name, engine in running.engines.items()}
    assert {name for name in before if set(before[name]) != set(after[name])} == {
        "gfa3"
    }
    for name in ("gfa1", "gfa2", "fvc"):
        assert running.output.count(f"{name}: camera disconnected") == 0


async def test_two_displays_see_the_same_events(running: World, display: User) -> None:
    other = await User.connect(running.port)
    try:
        display.take()
        await asyncio.gather(display.fence(), other.fence())
        running.cameras["fvc"].say(text="cooler on")
        for client in (display, other):
            assert await client.seen(r'0 0 i text=fvc,"cooler on"')
        # What one asks for is no event to the other; all are told the status of the
        # nodes at the start, which may be now.
        await display.command("1 talk -n gfa1 levels")
        await other.fence()
        told = [line for line in other.lines if "gfa1" in line]
        assert [line for line in told if not STATUS.match(line)] == []
    finally:
        await other.close()
