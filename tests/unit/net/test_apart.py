from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from fliswarm.net.apart import Apart
from tests.unit.support.wait import LIMIT, until


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """Return what a question waits for, which ends with the test."""
    event = threading.Event()
    yield event
    event.set()


async def test_what_comes_of_it() -> None:
    apart = Apart("test", LIMIT)
    assert await apart.ask("a", lambda: threading.current_thread().name) == "test a"

    def fail() -> None:
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        await apart.ask("a", fail)
    assert not apart._keys


async def test_nobody_waits_longer_than_the_limit(hanging: threading.Event) -> None:
    apart = Apart("test", 0.01)
    with pytest.raises(TimeoutError):
        await apart.ask("a", hanging.wait)


async def test_what_hangs_takes_the_turns_of_its_own_key(
    hanging: threading.Event,
) -> None:
    short, begun = Apart("test", 0.05, turns=2), 0

    def hang() -> None:
        nonlocal begun
        begun += 1
        hanging.wait()

    for _ in range(4):
        with pytest.raises(TimeoutError):
            await short.ask("a", hang)
    # Those that hang keep their turns: no more threads are begun.
    assert begun == 2
    short.limit = LIMIT
    assert await short.ask("b", lambda: 1) == 1
    waiting = asyncio.create_task(short.ask("a", lambda: 2))
    hanging.set()
    assert await waiting == 2
    await until(lambda: not short._keys, "nothing is kept of what is over")


async def test_its_threads_hold_up_no_end(hanging: threading.Event) -> None:
    apart = Apart("test", LIMIT)
    asking = asyncio.create_task(apart.ask("a", hanging.wait))
    names = [thread.name for thread in threading.enumerate()]
    while "test a" not in names:
        await asyncio.sleep(0)
        names = [thread.name for thread in threading.enumerate()]
    assert all(t.daemon for t in threading.enumerate() if t.name == "test a")
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
