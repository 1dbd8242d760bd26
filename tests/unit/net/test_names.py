from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from fliswarm.net import names
from fliswarm.net.dial import dial, reason
from fliswarm.net.link import Link
from fliswarm.net.names import Loop

GENEROUS = 30.0


class Resolver:
    """Answers for names as a test says; ``lost`` ones it never answers."""

    def __init__(self) -> None:
        self.address = "127.0.0.1"
        self.problem: int | None = None
        self.lost: set[str] = set()
        self.asked: list[str] = []
        self.over = threading.Event()

    def getaddrinfo(self, host: str, port: int, *options: int) -> list[Any]:
        self.asked.append(host)
        if host in self.lost:
            self.over.wait()
        if self.problem is not None:
            raise socket.gaierror(self.problem, "no answer")
        at = (self.address, port)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", at)]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    found = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", found.getaddrinfo)
    yield found
    found.over.set()


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())


async def look_up(name: str, port: int = 5) -> list[tuple[str, int]]:
    loop = asyncio.get_running_loop()
    return [answer[4] for answer in await loop.getaddrinfo(name, port)]  # type: ignore[misc]


class Peer(Link):
    def __init__(self, host: str, port: int) -> None:
        super().__init__("peer", host, port, heartbeat=5, silence=15, retry=0.1)

    def _line(self, line: bytes) -> None: ...


def test_names_that_nobody_answers_cost_a_healthy_peer_nothing(
    resolver: Resolver,
) -> None:
    resolver.lost = {f"lost{n}" for n in range(100)}

    async def main() -> None:
        server = socket.create_server(("127.0.0.1", 0))
        port = server.getsockname()[1]
        links = [Peer(name, port) for name in [*resolver.lost, "healthy"]]
        for link in links:
            link.start()
        async with asyncio.timeout(GENEROUS):
            while set(resolver.asked) < resolver.lost:
                await asyncio.sleep(0.01)
            writer = await dial("healthy", port, GENEROUS)
            writer.transport.abort()
            await links[-1].wait_up()
        await asyncio.gather(*(link.close() for link in links))
        server.close()

    # That this returns is the other half: the threads go on, and nothing waits.
    run(main)


def test_a_name_is_asked_for_once_at_a_time(resolver: Resolver) -> None:
    resolver.lost = {"slow"}

    async def main() -> None:
        waiting = [asyncio.create_task(look_up("slow", port)) for port in (1, 2, 3)]
        while not resolver.asked:
            await asyncio.sleep(0.01)
        # Who gives up does not take the answer from the others.
        waiting[0].cancel()
        await asyncio.sleep(0)
        resolver.over.set()
        assert await waiting[1] == [("127.0.0.1", 2)]
        assert await waiting[2] == [("127.0.0.1", 3)]
        assert resolver.asked == ["slow"]
        await look_up("slow")
        assert resolver.asked == ["slow", "slow"]

    run(main)


def test_no_more_look_ups_at_once_than_there_is_room_for(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "LOOK_UPS", 2)
    resolver.lost = {"a", "b"}

    async def main() -> None:
        waiting = [asyncio.create_task(look_up(name)) for name in "abc"]
        while len(resolver.asked) < 2:
            await asyncio.sleep(0.01)
        assert "c" not in resolver.asked
        resolver.over.set()
        assert await asyncio.gather(*waiting) == [[("127.0.0.1", 5)]] * 3

    run(main)


def test_the_last_good_answer_serves_while_nobody_answers(resolver: Resolver) -> None:
    async def main() -> None:
        good = [("127.0.0.1", 5)]
        assert await look_up("gfa1") == good
        resolver.problem = socket.EAI_AGAIN
        assert await look_up("gfa1") == good
        resolver.problem = None
        resolver.address = "127.0.0.2"
        assert await look_up("gfa1") == [("127.0.0.2", 5)]
        resolver.lost = {"gfa1"}
        assert await look_up("gfa1") == [("127.0.0.2", 5)]

    run(main)


def test_a_name_that_is_no_more_is_not_kept(resolver: Resolver) -> None:
    async def main() -> None:
        await look_up("gfa1")
        resolver.problem = socket.EAI_NONAME
        with pytest.raises(socket.gaierror):
            await look_up("gfa1")

    run(main)


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("a..b", 5, "is no address to connect to"),
        ("gfa1\0", 5, "is no address to connect to"),
        ("127.0.0.1", 70000, "is no address to connect to"),
        ("127.0.0.1", -1, "is no address to connect to"),
        ("no-such-name.invalid", 5, "[Nn]ame"),
        ("127.0.0.1", 9, "Connection refused"),
    ],
)
def test_whatever_is_wrong_with_an_address_is_said_in_words(
    host: str, port: int, words: str
) -> None:
    async def main() -> None:
        with pytest.raises(OSError) as caught:
            await dial(host, port, GENEROUS)
        problem = reason(caught.value)
        assert re.search(words, problem), problem

    run(main)
