from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from fliswarm.net.link import FIRST_PAUSE, Link
from tests.unit.support.clock import ClockLoop
from tests.unit.support.wait import until

HEARTBEAT, SILENCE, RETRY = 5.0, 15.0, 3.0


class Peer(Link):
    """A link that remembers when it asked for a sign of life."""

    def __init__(self, host: str = "peer", port: int = 1) -> None:
        super().__init__(
            "peer", host, port, heartbeat=HEARTBEAT, silence=SILENCE, retry=RETRY
        )
        self.asked: list[float] = []
        self.on_ask: Callable[[], None] = lambda: None
        self.went_up = 0

    def _line(self, line: bytes) -> None: ...

    def _connected(self) -> None:
        self.went_up += 1

    def _ask(self) -> None:
        self.asked.append(asyncio.get_running_loop().time())
        self.on_ask()

    def hear(self) -> None:
        """Take a line from the peer."""
        self.get_buffer(-1)[:2] = b"x\n"
        self.buffer_updated(2)


class Wire(asyncio.Transport):
    """A connection to nowhere."""

    def __init__(self, peer: Peer) -> None:
        self._peer: Peer | None = peer
        self._socket = socket.socket()

    def get_extra_info(self, name: str, default: object = None) -> socket.socket:
        return self._socket

    def abort(self) -> None:
        peer, self._peer = self._peer, None
        self._socket.close()
        if peer is not None:
            asyncio.get_running_loop().call_soon(peer.connection_lost, None)


class World(ClockLoop):
    """Where connecting ends as the test says, at once."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts: list[float] = []
        self.outcome: Exception | None = ConnectionRefusedError(111, "refused")
        self.wire: Wire | None = None

    async def create_connection(self, factory: Any, *_: Any, **__: Any) -> Any:  # type: ignore[override] # noqa: ANN401
        self.attempts.append(self.now)
        if self.outcome is not None:
            raise self.outcome
        peer = factory()
        self.wire = Wire(peer)
        peer.connection_made(self.wire)


def run(main: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=World) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, World)
        runner.run(main(loop))


def answer(world: World, peer: Peer) -> None:
    world.call_later(0.1, peer.hear)


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


# Connecting


def test_pauses_grow_up_to_a_limit() -> None:
    async def main(world: World) -> None:
        peer = Peer()
        peer.start()
        await asyncio.sleep(200)
        await peer.close()
        pauses = gaps(world.attempts)
        assert max(pauses[:1]) <= FIRST_PAUSE
        assert all(RETRY / 2 <= pause <= RETRY for pause in pauses[10:])
        assert "refused" in peer.problem

    run(main)


def test_a_peer_that_drops_its_connections_is_not_asked_often() -> None:
    async def main(world: World) -> None:
        world.outcome = None
        peer = Peer()
        peer.start()
        while world.now < 200:
            await asyncio.sleep(0.01)
            if world.wire is not None:
                world.wire.abort()
        await peer.close()
        assert all(pause >= RETRY / 2 for pause in gaps(world.attempts)[10:])

    run(main)


def test_a_peer_that_spoke_is_tried_again_soon() -> None:
    async def main(world: World) -> None:
        peer = Peer()
        peer.start()
        await asyncio.sleep(100)
        world.outcome = None
        await peer.wait_up()
        peer.hear()
        assert world.wire is not None
        world.attempts.clear()
        began = world.now
        world.wire.abort()
        await asyncio.sleep(1)
        await peer.close()
        assert world.attempts[0] - began <= FIRST_PAUSE

    run(main)


@pytest.mark.parametrize(
    "error",
    [
        UnicodeError("label empty or too long"),
        ValueError("embedded null character"),
        OverflowError("port must be 0-65535."),
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        OSError("Multiple exceptions: no way here, no way there"),
    ],
)
def test_an_address_that_is_wrong_is_told_and_tried_again(error: Exception) -> None:
    async def main(world: World) -> None:
        world.outcome = error
        peer = Peer()
        peer.start()
        await asyncio.sleep(60)
        assert str(error.args[-1]) in peer.problem
        assert "Unknown error" not in peer.problem
        world.outcome = None
        await peer.wait_up()
        await peer.close()

    run(main)


def test_a_supervisor_outlives_a_mistake_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main(world: World) -> None:
        world.outcome = KeyError("a mistake")
        peer = Peer()
        peer.start()
        await asyncio.sleep(60)
        world.outcome = None
        await peer.wait_up()
        await peer.close()

    run(main)
    assert "link peer" in caplog.text


# Silence


def test_each_heartbeat_of_silence_is_a_question() -> None:
    async def main(world: World) -> None:
        world.outcome = None
        peer = Peer()
        # The answer comes a moment after the question, so that at the next beat the
        # silence is a little shorter than a beat.
        peer.on_ask = lambda: answer(world, peer)
        peer.start()
        await asyncio.sleep(20 * HEARTBEAT)
        assert gaps(peer.asked) == pytest.approx([HEARTBEAT] * len(gaps(peer.asked)))
        assert len(peer.asked) >= 18
        assert peer.went_up == 1
        await peer.close()

    run(main)


def test_a_peer_that_speaks_is_not_asked() -> None:
    async def main(world: World) -> None:
        world.outcome = None
        peer = Peer()
        peer.start()
        for _ in range(100):
            await asyncio.sleep(1)
            peer.hear()
        assert peer.asked == []
        await peer.close()

    run(main)


def test_a_frozen_peer_is_down_until_it_speaks() -> None:
    async def main(world: World) -> None:
        world.outcome = None
        peer = Peer()
        peer.start()
        await asyncio.sleep(SILENCE + 2 * HEARTBEAT)
        # Its kernel takes the new connection; that proves nothing.
        assert world.wire is not None
        assert len(world.attempts) > 1
        assert not peer.up
        assert "silent for 15 s" in peer.problem
        asked = len(peer.asked)
        await asyncio.sleep(SILENCE - 2 * HEARTBEAT)
        # It is asked each second now, to be found as soon as it wakes.
        assert len(peer.asked) - asked >= 3
        assert peer.went_up == 1
        peer.hear()
        assert peer.went_up == 2
        await peer.close()

    run(main)


# Sockets


@pytest.mark.parametrize(
    ("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]
)
async def test_the_kernel_tells_of_a_peer_that_is_gone(
    host: str, family: socket.AddressFamily
) -> None:
    # Nobody accepts: the kernel does.
    server = socket.create_server((host, 0), family=family)
    peer = Peer(host, server.getsockname()[1])
    peer.start()
    await until(lambda: peer.up)
    assert peer._transport is not None
    own = peer._transport.get_extra_info("socket")
    wanted = {
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 6,
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 2,
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 3,
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 12_000,
        (socket.IPPROTO_TCP, socket.TCP_NODELAY): 1,
    }
    assert {option: own.getsockopt(*option) for option in wanted} == wanted
    await peer.close()
    server.close()
