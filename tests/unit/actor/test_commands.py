"""The commands of the original that do not need a camera."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from clu.legacy.types.parser import ActorReplyParser

from tests.unit.support.client import Client
from tests.unit.support.observatory import observatory
from tests.unit.support.site import free_port


@pytest.fixture
async def clients(tmp_path: Path) -> AsyncIterator[tuple[Client, Client]]:
    """Run a controller without a camera, with two clients."""
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock") as running:
        pair = (await Client.connect(running.port), await Client.connect(running.port))
        yield pair
        for client in pair:
            await client.close()


@pytest.fixture
def client(clients: tuple[Client, Client]) -> Client:
    return clients[0]


async def test_a_keyword_as_the_original_shows_it(client: Client) -> None:
    assert await client.command("15 keyword text") == [
        "> ",
        'i text="text = {          "',
        'i text="  type: string    "',
        'i text="}                 "',
        ": ",
    ]
    assert (await client.command("16 keyword nope"))[-1].startswith("f error=")


async def test_the_schema(client: Client) -> None:
    (end,) = (await client.command("5 get_schema"))[1:]
    raw = ActorReplyParser().parse(f"1 5 {end}").keywords[0].values[0]
    schema = json.loads(json.loads(f'"{raw}"'))
    assert schema["properties"]["yourUserID"] == {"type": "integer"}
    assert schema["additionalProperties"] is True
    # The command model has the original's name for it, which is spelt otherwise.
    model = await client.command("6 get-command-model ping")
    assert model[-1].startswith(": command_model=")
    wrong = await client.command("19 get_command_model ping")
    assert wrong[1].startswith("w help=\"NoSuchCommand: No such command 'get_command")


async def test_simulate_goes_on_until_it_is_stopped(
    clients: tuple[Client, Client], tmp_path: Path
) -> None:
    one, two = clients
    (tmp_path / "a.fits").touch()
    assert (await two.command("14 simulate --stop"))[-1] == (
        'f error="Cannot find running command fliswarm-command-parser_simulate."'
    )
    assert (await two.command("21 simulate"))[-1] == (
        'f error="A valid path pattern is required to start the simulation."'
    )
    nothing = await two.command(f"22 simulate {tmp_path}/*.nope")
    assert nothing[-1] == 'f error="No images found."'
    wrong = await two.command(f"23 simulate {tmp_path}/a\0/*")
    assert wrong[-1] == 'f error="No images found."'
    one.send(f"3 simulate {tmp_path}/*.fits --delay 0.01")
    expected = f"1 3 i filename=gfa1,gfa1,{tmp_path}/a.fits\n"
    while one.seen.count(expected) < 3:
        await one.readline()
    second = await two.command(f"4 simulate {tmp_path}/*.fits")
    assert "already running" in second[-1]
    assert (await two.command("5 simulate --stop"))[-1].startswith(": ")
    while not one.seen[-1].startswith("1 3 f"):
        assert await one.readline()


async def test_reboot_says_who_failed(client: Client) -> None:
    replies = await client.command("20 reboot -n nope")
    assert replies[-1].startswith("f error=\"no node 'nope'")
    done = await client.command("21 reboot -n gfa1")
    assert 'w text="gfa1: there is no container to wait for."' in done
    assert done[-1] == ": "
    hard = await client.command("22 reboot --hard")
    assert hard[-1] == 'f error="Failed to reboot one or more nodes."; failed=gfa1'


async def test_no_hub_to_reconnect_to(client: Client) -> None:
    end = (await client.command("1 tron-reconnect"))[-1]
    assert end == 'f error="Tron instance not set."'


async def test_status_tells_certificates_that_end_soon(tmp_path: Path) -> None:
    ports = {"gfa1": free_port(), "gfa2": free_port()}
    async with observatory(ports, tmp_path / "c.sock") as running:
        now = dt.datetime.now(dt.UTC)
        soon, late = now + dt.timedelta(days=12, hours=1), now + dt.timedelta(days=61)
        running.engines["gfa1"].certificate_ends = soon
        running.engines["gfa2"].certificate_ends = late
        client = await Client.connect(running.port)
        said = await client.command("7 status --detail")
        told = [line for line in said if "ertificate" in line]
        assert told == [
            'w text="A certificate between the controller and gfa1 ends in 12 days, on '
            f'{soon.date()}: fliswarm provision renews it."',
            f"i certificate=gfa1,{soon.date()},12",
            f"i certificate=gfa2,{late.date()},60",
        ]
        # Telescope software that asks as ever hears of it when it matters alone.
        said = await client.command("8 status")
        assert [line for line in said if "ertificate" in line] == told[:1]
        await client.close()
