"""What users are told of the ways to engines: the addresses as they are configured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.support.client import Client
from tests.unit.support.observatory import observatory
from tests.unit.support.site import free_port


@pytest.mark.parametrize(
    "engine", ["https://sdss-gfa1:2376", "ssh://sdss@sdss-gfa1", "unix:///run/d.sock"]
)
async def test_status_shows_the_address(tmp_path: Path, engine: str) -> None:
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock") as running:
        nodes = {"gfa1": replace(running.desired.nodes["gfa1"], engine=engine)}
        running.desired = replace(running.desired, nodes=nodes)
        client = await Client.connect(running.port)
        await client.command("1 reload")
        assert f"i node=gfa1,127.0.0.1,{engine},T,T" in await client.command("2 status")
        await client.close()
