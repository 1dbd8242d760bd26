"""Whether a node is a camera again: its container, its link, what it says it is."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Mapping

from fliswarm.camera import Outcome, Reply
from fliswarm.change.steps import last_words
from fliswarm.change.world import World, current
from fliswarm.errors import CameraError
from fliswarm.fleet.node import LiveNode

EXPOSURE = "expose --dark 0.1"
"""A short exposure that leaves the shutter shut."""

EXPOSURE_LIMIT = 120.0
"""Seconds for a test exposure: a readout of the slowest mode, and a file on NFS."""


async def judge(live: LiveNode, world: World, *, monitor: float, expose: bool) -> float:
    """Judge a node as a camera, and see for a while that it stays one.

    Parameters
    ----------
    live, world
        The node, and what changes of it act on.
    monitor
        Seconds for which its container and its link have to stay as they are.
    expose
        Whether it has to take a dark exposure besides.

    Returns
    -------
    temperature
        What its camera tells of its sensor, in degrees Celsius.

    Raises
    ------
    FliswarmError
        Saying what is not good, with the last line of its log.
    """
    container = await _runs(world)
    try:
        temperature = await _status(live, world)
        await _stays(live, world, container, monitor)
        if monitor:
            temperature = await _status(live, world)
        if expose:
            await _ask(live, world, EXPOSURE, EXPOSURE_LIMIT)
    except CameraError as error:
        said = await last_words(world, container)
        last = f"; the last line of its log: {said}" if said != "''" else ""
        raise CameraError(error.node, f"{error.problem}{last}") from error
    return temperature


async def _stays(live: LiveNode, world: World, container: str, monitor: float) -> None:
    """See for a while that a container runs, and that its camera is connected."""
    loop = asyncio.get_running_loop()
    until = loop.time() + monitor
    while (left := until - loop.time()) > 0:
        await asyncio.sleep(min(world.patience.look, left))
        if await _runs(world) != container:
            raise CameraError(live.node.name, "its container was made anew")
        if not live.link.up:
            raise CameraError(live.node.name, f"it is lost: {live.link.problem}")


async def _runs(world: World) -> str:
    """Return the id of the node's container, which runs."""
    found = current(world.wanted, await world.seen())
    name = world.node.name
    if found is None:
        raise CameraError(name, "its container is gone")
    if not found.running:
        said = await last_words(world, found.id)
        raise CameraError(name, f"its container is {found.state}: {said}")
    return found.id


async def _status(live: LiveNode, world: World) -> float:
    """Ask the camera for its status until there is a temperature in it.

    A camera that has just been started may know nothing of its device for a while.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + world.patience.settle
    while True:
        late = loop.time() >= until
        try:
            replies = await _ask(live, world, "status", world.patience.answer)
            for cold in _temperatures(replies):
                return cold
        except CameraError:
            if late:
                raise
        if late:
            raise CameraError(live.node.name, "its status has no temperature")
        await asyncio.sleep(world.patience.look / 10)


def _temperatures(replies: Iterable[Reply]) -> Iterator[float]:
    """Find temperatures as flicamera tells them: of ``status``, of ``temperature``."""
    places = (("status", "temperature_ccd"), ("temperature", "ccd_temp"))
    for reply, (keyword, field) in itertools.product(replies, places):
        values = reply.data.get(keyword)
        if isinstance(values, Mapping):
            cold = values.get(field)
            # A temperature that is no number is none.
            if isinstance(cold, int | float) and cold == cold:
                yield float(cold)


async def _ask(live: LiveNode, world: World, message: str, limit: float) -> list[Reply]:
    """Give the camera a command; return its replies, which are all its own."""
    name, word = live.node.name, message.split()[0]
    replies: list[Reply] = []
    exchange = None
    try:
        async with asyncio.timeout(limit):
            await live.link.wait_up()
            exchange = live.link.send(message, replies.append)
            outcome = await exchange.ended
    except TimeoutError:
        if exchange is not None:
            live.link.forget(exchange)
        why = live.link.stranger or f"it did not answer {word} in {limit:g} s"
        raise CameraError(name, why) from None
    if outcome is Outcome.LOST:
        raise CameraError(name, f"it was lost in {word}: {exchange.problem}")
    actor = world.wanted.environment.get("ACTOR_NAME", name)
    others = [reply.sender for reply in replies if reply.sender not in ("", actor)]
    if others:
        raise CameraError(name, f"what answers there says that it is {others[0]}")
    if outcome is Outcome.FAILED:
        said = next((r.data["error"] for r in replies if "error" in r.data), "no word")
        raise CameraError(name, f"it failed {word}: {said}")
    return replies
