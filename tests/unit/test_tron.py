from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from fliswarm.errors import HostError, HubError
from fliswarm.hub.power import SitePower
from fliswarm.hub.tron import TronLink
from fliswarm.model import Node, Power
from tests.unit.support.site import free_port
from tests.unit.support.wait import LIMIT, until


class Hub:
    """A hub that answers each command with one code, or not at all."""

    def __init__(self) -> None:
        self.code: str | None = ":"
        self.heard: list[str] = []
        self.writer: asyncio.StreamWriter | None = None

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.writer = writer
        while line := (await reader.readline()).decode():
            self.heard.append(line.rstrip("\n"))
            _, number, target, _ = line.split(" ", 3)
            writer.write(b"nonsense\n")
            writer.write(f".hub 0 {target} : text=other\n".encode())
            writer.write(f".other {number} {target} f\n".encode())
            writer.write(f".fliswarm {number} {target} > \n".encode())
            if self.code is not None:
                writer.write(f".fliswarm {number} {target} {self.code} \n".encode())
        writer.close()


@pytest.fixture
async def hub() -> AsyncIterator[tuple[Hub, TronLink]]:
    hub = Hub()
    server = await asyncio.start_server(hub.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = TronLink("fliswarm", "127.0.0.1", port, retry=0.05)
    link.start()
    await link.wait_up()
    yield hub, link
    await link.close()
    server.close()
    if hub.writer is not None:
        hub.writer.close()
    await asyncio.sleep(0)


async def test_the_hub_is_asked_to_connect_back(hub: tuple[Hub, TronLink]) -> None:
    await until(lambda: hub[0].heard)
    assert hub[0].heard == ["fliswarm.fliswarm 1 hub startNubs fliswarm"]


async def test_a_command_of_another_actor(hub: tuple[Hub, TronLink]) -> None:
    tron, link = hub
    await link.command("jaeger", "ieb switch --off nuc1\n", LIMIT)
    assert tron.heard[-1] == "fliswarm.fliswarm 2 jaeger ieb switch --off nuc1"
    tron.code = "f"
    with pytest.raises(HubError, match=r"jaeger x: failed"):
        await link.command("jaeger", "x", LIMIT)
    tron.code = None
    with pytest.raises(HubError, match=r"jaeger x: no answer in 0.05 s"):
        await link.command("jaeger", "x", 0.05)


async def test_a_hub_that_goes_ends_its_commands(hub: tuple[Hub, TronLink]) -> None:
    tron, link = hub
    tron.code = None
    command = asyncio.create_task(link.command("jaeger", "x", LIMIT))
    await until(lambda: len(tron.heard) == 2)
    assert tron.writer is not None
    tron.writer.close()
    with pytest.raises(HubError, match=r"jaeger x: connection lost"):
        await command


async def test_no_hub() -> None:
    link = TronLink("fliswarm", "127.0.0.1", free_port())
    with pytest.raises(HubError, match="Tron is not connected"):
        await link.command("jaeger", "x", 1)


NODE = Node("gfa1", "h", "tcp://h:1", power=Power("jaeger", "on", "off", "nuc1"))


async def test_power_through_an_actor(hub: tuple[Hub, TronLink]) -> None:
    tron, link = hub
    power = SitePower(link)
    await power.switch(NODE, on=False)
    await power.switch(NODE, on=True)
    assert tron.heard[-2:] == [
        "fliswarm.fliswarm 2 jaeger off nuc1",
        "fliswarm.fliswarm 3 jaeger on nuc1",
    ]
    tron.code = "f"
    with pytest.raises(HostError, match=r"gfa1: jaeger on nuc1: failed"):
        await power.switch(NODE, on=True)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (NODE, "no hub is configured"),
        (replace(NODE, power=None), "says no way to switch it"),
        (replace(NODE, power=Power(None, "false", "false", "x")), "false x: 1"),
        (replace(NODE, power=Power(None, "no-such-program", "", "x")), "No such file"),
    ],
)
async def test_power_that_does_not_work(node: Node, words: str) -> None:
    with pytest.raises(HostError, match=words):
        await SitePower(None).switch(node, on=True)


async def test_power_through_a_program() -> None:
    node = replace(NODE, power=Power(None, "test -n", "test -z", "x"))
    await SitePower(None).switch(node, on=True)
    with pytest.raises(HostError):
        await SitePower(None).switch(node, on=False)
