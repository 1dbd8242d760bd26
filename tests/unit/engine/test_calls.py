"""Calls in threads: their turns, their limits, and that what is given up is over."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from fliswarm.engine.calls import AT_ONCE, Call, Calls, GivenUpError
from tests.unit.support.wait import LIMIT, until

SHORT = 0.05
"""Seconds of a limit that is to be over."""


class Gate:
    """What calls wait at, and who has passed it."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.inside = 0
        self.passed: list[str] = []
        self._lock = threading.Lock()

    def call(self, name: str) -> Callable[[Call], str]:
        def act(_: Call) -> str:
            with self._lock:
                self.inside += 1
            assert self._open.wait(LIMIT)
            self.passed.append(name)
            return name

        return act

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


async def test_a_call_returns_and_raises_what_its_thread_does() -> None:
    calls = Calls()
    assert await calls.make(lambda _: 5, LIMIT) == 5

    def fails(_: Call) -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await calls.make(fails, LIMIT)


async def test_calls_have_their_turns(gate: Gate) -> None:
    calls = Calls(2)
    names = ["a", "b", "c", "d", "e"]
    tasks = [asyncio.create_task(calls.make(gate.call(n), LIMIT)) for n in names]
    await until(lambda: gate.inside == 2)
    for _ in range(20):
        await asyncio.sleep(0)
    assert gate.inside == 2
    gate.open()
    assert await asyncio.gather(*tasks) == names


async def test_what_had_no_turn_in_time_never_begins(gate: Gate) -> None:
    calls = Calls(1)
    first = asyncio.create_task(calls.make(gate.call("first"), LIMIT))
    await until(lambda: gate.inside)
    with pytest.raises(TimeoutError):
        await calls.make(gate.call("late"), SHORT)
    cancelled = asyncio.create_task(calls.make(gate.call("cancelled"), LIMIT))
    await asyncio.sleep(0)
    cancelled.cancel()
    gate.open()
    assert await first == "first"
    assert await calls.make(gate.call("last"), LIMIT) == "last"
    assert gate.passed == ["first", "last"]


async def test_a_given_up_call_keeps_its_turn_until_its_thread_ends(gate: Gate) -> None:
    calls = Calls(1)
    with pytest.raises(TimeoutError):
        await calls.make(gate.call("first"), SHORT)
    with pytest.raises(TimeoutError):
        await calls.make(gate.call("second"), SHORT)
    assert gate.inside == 1
    gate.open()
    assert await calls.make(gate.call("third"), LIMIT) == "third"


async def test_nobody_waits_for_another_engine_s_threads(gate: Gate) -> None:
    stuck = [
        asyncio.create_task(calls.make(gate.call("stuck"), LIMIT))
        for calls in [Calls() for _ in range(50)]
        for _ in range(AT_ONCE)
    ]
    await until(lambda: gate.inside == len(stuck), "all are stuck")
    assert await Calls().make(lambda _: "well", LIMIT) == "well"
    assert not any(task.done() for task in stuck)
    gate.open()
    await asyncio.gather(*stuck)


@pytest.mark.parametrize("how", ["limit", "cancelled"])
async def test_giving_up_ends_the_thread(how: str) -> None:
    ours, theirs = socket.socketpair()
    begun, ended = threading.Event(), threading.Event()

    def reads(call: Call) -> bytes:
        call.takes(ours)
        begun.set()
        try:
            return ours.recv(1)
        finally:
            ended.set()

    limit = SHORT if how == "limit" else LIMIT
    task = asyncio.create_task(Calls().make(reads, limit))
    await until(begun.is_set)
    if how == "cancelled":
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        with pytest.raises(TimeoutError):
            await task
    await until(ended.is_set)
    ours.close()
    theirs.close()


async def test_a_request_does_not_begin_when_nobody_waits(gate: Gate) -> None:
    ours, theirs = socket.socketpair()
    outcome: list[BaseException] = []

    def asks(call: Call) -> None:
        gate.call("before")(call)
        try:
            call.takes(ours)
        except GivenUpError as error:
            outcome.append(error)
            raise
        ours.send(b"stop the camera")

    with pytest.raises(TimeoutError):
        await Calls().make(asks, SHORT)
    gate.open()
    await until(lambda: outcome)
    ours.close()
    assert theirs.recv(1) == b""
    theirs.close()


async def test_a_connection_that_has_gone_on_to_another_call_is_left_alone() -> None:
    ours, theirs = socket.socketpair()
    first, second = Call(LIMIT), Call(LIMIT)
    first.takes(ours)
    first.lets_go()
    second.takes(ours)
    first.give_up()
    ours.send(b"1")
    assert theirs.recv(1) == b"1"
    second.give_up()
    assert theirs.recv(1) == b""
    ours.close()
    theirs.close()


async def test_the_limit_is_on_the_silence() -> None:
    limit = 2.0

    def goes_on(call: Call) -> float:
        begun = time.monotonic()
        while time.monotonic() < begun + 1.5 * limit:
            call.hear()
            time.sleep(0.05)
        return time.monotonic() - begun

    assert await Calls().make(goes_on, limit) > limit


async def test_what_is_told_comes_in_the_loop_s_thread_and_not_afterwards() -> None:
    told: list[int] = []
    call = Call(LIMIT)

    def tell() -> None:
        call.tell(lambda: told.append(threading.get_ident()))

    await asyncio.to_thread(tell)
    await until(lambda: told)
    assert told == [threading.get_ident()]
    call.give_up()
    await asyncio.to_thread(tell)
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(told) == 1


async def test_hearing_is_told_at_most_once_a_second() -> None:
    call = Call(LIMIT)
    begun = time.monotonic()
    tellings = sum(call.hear() for _ in range(1000))
    assert 1 <= tellings <= 1 + (time.monotonic() - begun)


async def test_what_is_handed_over_is_waited_for() -> None:
    taken: list[int] = []
    room = asyncio.Event()

    async def take(number: int) -> None:
        await room.wait()
        taken.append(number)

    def act(call: Call) -> str:
        for number in range(3):
            call.hand(partial(take, number))
        return "all"

    making = asyncio.create_task(Calls().make(act, SHORT))
    # Who takes it is slow for longer than the call may be silent.
    await asyncio.sleep(4 * SHORT)
    assert not making.done()
    room.set()
    assert await making == "all"
    assert taken == [0, 1, 2]


async def test_what_nobody_takes_any_more_ends_the_thread() -> None:
    begun, ended = threading.Event(), threading.Event()

    async def take() -> None:
        begun.set()
        await asyncio.Event().wait()

    def act(call: Call) -> None:
        try:
            call.hand(take)
        except GivenUpError:
            with pytest.raises(GivenUpError):
                call.hand(take)
            ended.set()

    making = asyncio.create_task(Calls().make(act, LIMIT))
    await until(begun.is_set)
    making.cancel()
    await until(ended.is_set)
