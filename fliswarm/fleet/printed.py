"""What cameras' programs print: of many nodes in the order of time, and as it comes.

What is read waits for whoever takes it, back to the engine that has it: no more than a
few pieces of a log are held, however long it is and however slow its reader.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from fliswarm.change.world import current
from fliswarm.errors import EngineError, FliswarmError, NodeError
from fliswarm.fleet.live import LiveFleet
from fliswarm.fleet.node import LiveNode
from fliswarm.model import Container, Printed

Hear = Callable[[str, Printed], Awaitable[None]]
"""Takes a line of a node, by its name."""

HELD = 2
"""Pieces of a node's log that wait for their turn."""

PAUSE = 1.0
"""Seconds between two looks for a container that is gone, or an engine that is."""

LOOK = 5.0
"""Seconds between two questions whether the engine is there whose log is followed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of logs: so many last lines of each, of a moment and later."""

    lines: int | None = None
    since: str | None = None


async def container(fleet: LiveFleet, live: LiveNode) -> Container:
    """Return the container of a node's camera.

    Raises
    ------
    EngineError
        When there is none, or nobody tells.
    """
    wanted = fleet.desired.container(live.node)
    with live.asking() as engine:
        found = current(wanted, await engine.observe(wanted, image=False))
    if found is None:
        raise EngineError(live.node.name, f"there is no container {wanted.name}")
    return found


async def history(
    fleet: LiveFleet, nodes: Sequence[LiveNode], wanted: Wanted, hear: Hear
) -> dict[str, FliswarmError]:
    """Hand over what is in the logs of nodes, all of it in the order of time.

    Returns
    -------
    problems
        Why a node's log could not be read, or not to its end, by name.
    """
    problems: dict[str, FliswarmError] = {}
    async with _reading(fleet, nodes, wanted, problems) as queues:
        heads: list[tuple[Printed, str]] = []
        pieces: dict[str, list[Printed]] = {name: [] for name in queues}

        async def advance(name: str) -> None:
            if not pieces[name]:
                pieces[name] = (await queues[name].get())[::-1]
            if pieces[name]:
                heapq.heappush(heads, (pieces[name].pop(), name))

        for name in queues:
            await advance(name)
        while heads:
            line, name = heapq.heappop(heads)
            await hear(name, line)
            await advance(name)
    return problems


Queues = dict[str, asyncio.Queue[list[Printed]]]


@asynccontextmanager
async def _reading(
    fleet: LiveFleet,
    nodes: Sequence[LiveNode],
    wanted: Wanted,
    problems: dict[str, FliswarmError],
) -> AsyncIterator[Queues]:
    """Read logs beside each other; an empty piece is the end of one."""
    queues: Queues = {live.node.name: asyncio.Queue(HELD) for live in nodes}

    async def read(live: LiveNode) -> None:
        queue = queues[live.node.name]

        async def take(lines: Sequence[Printed]) -> None:
            await queue.put(list(lines))

        try:
            there = await container(fleet, live)
            with live.asking() as engine:
                await engine.printed(
                    there.id, take, lines=wanted.lines, since=wanted.since
                )
        except FliswarmError as error:
            problems[live.node.name] = error
        except Exception as error:  # noqa: BLE001  one node's trouble is its own
            problems[live.node.name] = NodeError(live.node.name, repr(error))
        await queue.put([])

    tasks = [asyncio.create_task(read(live)) for live in nodes]
    try:
        yield queues
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def follow(
    fleet: LiveFleet,
    live: LiveNode,
    since: str | None,
    hear: Hear,
    tell: Callable[[str], None],
    pause: float = PAUSE,
) -> None:
    """Hand over what a camera's program prints from now on, until cancelled.

    The next container is followed when one ends, and an engine that goes away is waited
    for: ``tell`` is told of both, once.

    Parameters
    ----------
    since
        The moment of the last line that is known; nothing of it comes twice.
    """
    name, last, told, before = live.node.name, since or "", "", ""

    async def take(lines: Sequence[Printed]) -> None:
        nonlocal last
        for line in lines:
            if not line.at or line.at > last:
                last = max(last, line.at)
                await hear(name, line)

    while True:
        try:
            there = await container(fleet, live)
            if told or before not in ("", there.id):
                tell(f"{name}: the log of {there.name} ({there.short_id}) goes on.")
                told = ""
            before = there.id
            await _while_there(live, there.id, last or None, take)
            problem = f"its container {there.short_id} has ended"
        except EngineError as error:
            problem = error.problem
        # One that has ended and is there still is looked at again and again.
        if not told and problem:
            tell(f"{name}: {problem}; what follows it is waited for.")
            told = problem
        while told and not await _again(fleet, live, before, pause):
            pass


async def _again(fleet: LiveFleet, live: LiveNode, before: str, pause: float) -> bool:
    """Return, after a while, whether there is something to follow."""
    await asyncio.sleep(pause)
    try:
        there = await container(fleet, live)
    except EngineError:
        return False
    return there.running or there.id != before


async def _while_there(
    live: LiveNode,
    number: str,
    since: str | None,
    take: Callable[[Sequence[Printed]], Awaitable[None]],
) -> None:
    """Follow a container to its end, as long as its engine answers."""

    async def taking(lines: Sequence[Printed]) -> None:
        await take(lines)

    async def read() -> None:
        with live.asking() as engine:
            await engine.printed(number, taking, since=since, follow=True)

    reading = asyncio.create_task(read())
    try:
        while not reading.done():
            await asyncio.wait({reading}, timeout=LOOK)
            if not reading.done():
                # A computer that lost its power says no good-bye.
                with live.asking() as engine:
                    await engine.ping()
        await reading
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError, FliswarmError):
            await reading
