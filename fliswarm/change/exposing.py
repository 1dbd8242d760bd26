"""Whether a camera exposes, and what a change does about it.

An exposure that came through the controller is a command on the camera's link. That of
somebody who talks to the camera itself is told to nobody else: the camera is asked how
long its present one lasts. While it reads its sensor out, it says none is left.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress

from fliswarm.camera import Outcome, Reply
from fliswarm.change.world import Camera, World
from fliswarm.errors import CameraError, ExposingError
from fliswarm.model.facts import ExposureAwaited, ExposureLost


async def spare(world: World, *, whole: bool = False, again: bool = False) -> None:
    """Return when the change may stop the camera of its node.

    The terms of the change say what is done when it exposes: it is waited for, or
    lost, and told. A camera that does not answer is not exposing as far as anybody
    knows, and may be stopped.

    Parameters
    ----------
    world
        The node.
    whole
        Whether the other cameras of its computer are stopped as well.
    again
        Whether they have been asked a moment ago: an exposure may have begun since. One
        that did not answer is not given as much time once more.

    Raises
    ------
    ExposingError
        When a camera exposes, and goes on with that for longer than is waited.
    """
    cameras = {world.node.name: world.camera, **(world.beside if whole else {})}
    # One after the other: a computer has few, and one that answers does so at once.
    for name, camera in cameras.items():
        await _spare(world, name, camera, again=again)


async def _spare(world: World, name: str, camera: Camera, *, again: bool) -> None:
    node, terms, loop = world.node.name, world.terms, asyncio.get_running_loop()
    began, told, stranger = loop.time(), False, False
    limit = world.patience.look if again or terms.now else world.patience.settle
    while (found := await exposure(world, name, camera, limit)) is not None:
        if terms.now:
            world.tell(ExposureLost(node=node, exposure=found))
            return
        left = began + terms.wait - loop.time()
        if left <= 0:
            raise ExposingError(node, found, terms.wait)
        if not told:
            world.tell(ExposureAwaited(node=node, exposure=found, limit=terms.wait))
            told = True
        stranger = not camera.under_way("expose")
        await _pause(world, camera, left)
    if stranger:
        # Nobody says when it has been read out and written.
        await asyncio.sleep(world.patience.readout)


async def _pause(world: World, camera: Camera, limit: float) -> None:
    """Return when it is worth asking again, or after ``limit`` seconds."""
    ends = [e.ended for e in camera.under_way("expose") if not e.ended.done()]
    if ends:
        # Not a moment later: the next one may begin at once.
        await asyncio.wait(ends, timeout=limit)
    else:
        await asyncio.sleep(min(world.patience.look, limit))


async def exposure(world: World, name: str, camera: Camera, limit: float) -> str | None:
    """Return what a camera exposes, in words; ``None`` when nothing is known of it.

    An answer is waited for ``limit`` seconds, and not as long when the link is down.
    """
    left = None
    with suppress(TimeoutError):
        async with asyncio.timeout(limit if camera.up else world.patience.look):
            await camera.wait_up()
            left = await _left(camera)
    ours = camera.under_way("expose")
    if left is None or not (left > 0 or ours):
        return None
    how_long = f" for another {math.ceil(left)} s" if left > 0 else ""
    what = f" ({', '.join(e.message for e in ours)})" if ours else ""
    whose = "its camera" if name == world.node.name else name
    return f"{whose} exposes{how_long}{what}"


async def _left(camera: Camera) -> float | None:
    """Return the seconds left of the camera's exposure; ``None`` without an answer."""
    found = 0.0

    def on_reply(reply: Reply) -> None:
        nonlocal found
        status = reply.data.get("status")
        if isinstance(status, Mapping):
            # flicamera has it from its device, in milliseconds.
            left = status.get("exposure_time_left")
            if isinstance(left, int | float):
                found = max(found, left / 1000)

    try:
        exchange = camera.send("status", on_reply)
    except CameraError:
        return None
    try:
        if await exchange.ended is Outcome.LOST:
            return None
    finally:
        if not exchange.ended.done():
            camera.forget(exchange)
    return found
