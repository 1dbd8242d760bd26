"""A client that is slow, and one that does not read: judged by what they take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from fliswarm.engine.protocol import OnPrinted
from fliswarm.faces.connection import (
    STALLED_LIMIT,
    UNREAD_HIGH,
    UNREAD_LIMIT,
    Client,
)
from fliswarm.faces.control.client import LocalControl
from fliswarm.model import Printed
from tests.unit.support.camera import RawCamera
from tests.unit.support.client import Client as User
from tests.unit.support.clock import ClockLoop
from tests.unit.support.observatory import observatory

LINE = "x" * 899 + "\n"


class Served(Client):
    def _give(self, line: str) -> None: ...
    def _refuse(self, problem: str) -> None: ...


class Wire(asyncio.Transport):
    """A connection to a client that takes what the test lets it take."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.high = 0
        self.waiting = 0
        self.sent = 0
        self.gone = False

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        assert high is not None
        self.high = high

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def write(self, data: Any) -> None:  # noqa: ANN401
        before, self.waiting = self.waiting, self.waiting + len(data)
        self.sent += len(data)
        if before <= self.high < self.waiting:
            self._client.pause_writing()

    def take(self, most: int) -> None:
        before, self.waiting = self.waiting, max(0, self.waiting - most)
        if before > self.high / 4 >= self.waiting:
            self._client.resume_writing()

    def abort(self) -> None:
        self.gone = True
        self.waiting = 0
        asyncio.get_running_loop().call_soon(self._client.connection_lost, None)


def run(main: Callable[[Served, Wire], Coroutine[Any, Any, None]]) -> None:
    async def both() -> None:
        client = Served()
        wire = Wire(client)
        client.connection_made(wire)
        await main(client, wire)

    with asyncio.Runner(loop_factory=ClockLoop) as runner:
        runner.run(both())


async def tell(client: Client, size: int) -> None:
    """Send a client lines of some bytes, in one turn of the loop."""
    for _ in range(size // len(LINE)):
        client.write(LINE)
    await asyncio.sleep(0.01)


def test_a_long_turn_alone_does_not_count_against_a_client() -> None:
    async def main(client: Served, wire: Wire) -> None:
        await tell(client, 2 * UNREAD_LIMIT)
        assert not wire.gone
        wire.take(wire.waiting)
        await tell(client, 2 * UNREAD_LIMIT)
        assert not wire.gone

    run(main)


def test_a_client_that_does_not_keep_up_is_let_go() -> None:
    async def main(client: Served, wire: Wire) -> None:
        while not wire.gone:
            await tell(client, 200_000)
            wire.take(100_000)
        assert wire.sent < 2 * UNREAD_LIMIT + 400_000
        # Of one who is gone nothing more is kept.
        client.write(LINE)
        await client.ready()

    run(main)


def test_a_slow_client_is_kept_as_long_as_it_takes_something() -> None:
    async def main(client: Served, wire: Wire) -> None:
        await tell(client, UNREAD_LIMIT // 2)
        while wire.waiting > 1000:
            await asyncio.sleep(STALLED_LIMIT - 2)
            wire.take(1_000_000)
            assert not wire.gone

    run(main)


def test_a_client_that_takes_nothing_is_let_go_after_a_while() -> None:
    async def main(client: Served, wire: Wire) -> None:
        await tell(client, 2 * UNREAD_HIGH)
        waits = asyncio.create_task(client.ready())
        await asyncio.sleep(STALLED_LIMIT - 2)
        wire.take(1000)
        await asyncio.sleep(STALLED_LIMIT - 2)
        assert not wire.gone
        assert not waits.done()
        await asyncio.sleep(4)
        # Whoever waits for it need not any more.
        await waits
        assert client._transport is None

    run(main)


def test_a_long_answer_waits_for_its_client() -> None:
    async def main(client: Served, wire: Wire) -> None:
        async def answer() -> None:
            for _ in range(10_000):
                await client.ready()
                client.write(LINE)

        task = asyncio.create_task(answer())
        most = 0
        while not task.done():
            await asyncio.sleep(1)
            most = max(most, wire.waiting)
            wire.take(100_000)
        await asyncio.sleep(1)
        assert wire.sent == 10_000 * len(LINE)
        assert most < 2 * UNREAD_HIGH
        assert not wire.gone

    run(main)


async def test_a_long_log_reaches_its_clients_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = await RawCamera().start()
    path = tmp_path / "c.sock"

    def ask() -> int:
        with LocalControl(path) as control:
            words = ["logs", "gfa1", "--lines", "10000"]
            return sum(len(message.data) for message in control.command(words))

    async with observatory({"gfa1": camera.port}, path) as running:
        user = await User.connect(running.port)
        assert (await user.command("2 reconnect"))[-1] == ": "
        engine = running.engines["gfa1"]
        found = [Printed("2026-12-01T10:30:00.000000001Z", LINE[:-1])] * 10_000

        async def printed(_: str, take: OnPrinted, **__: object) -> None:
            await take(found)

        monkeypatch.setattr(engine, "printed", printed)
        said, through_socket = await asyncio.gather(
            user.command("3 logs gfa1 --lines 10000"), asyncio.to_thread(ask)
        )
        assert said == ["> ", *[f"i log=gfa1,{LINE[:-1]}"] * 10_000, ": "]
        assert through_socket == 10_000
        await user.close()
    await camera.close()


def test_an_answer_goes_out_though_its_client_has_ended_its_input() -> None:
    """Nothing is under way any more: the transport closes right after this."""

    async def main(client: Served, wire: Wire) -> None:
        client.write(LINE)
        assert client.eof_received() is False
        assert wire.sent == len(LINE)

    run(main)
