"""A computer started anew, within a limit."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from fliswarm.change.carry import POWER_CYCLE, Work, restart
from fliswarm.change.exposing import spare
from fliswarm.change.journal import Journal
from fliswarm.change.world import World
from fliswarm.errors import HostError
from fliswarm.model.facts import Fact, StepBegan

WAITS = {
    "AwaitDown": "host was not down",
    "AwaitEngine": "Docker Engine was not back",
    "AwaitReturn": "camera was not back",
}
"""What was not so in time, by the step that waited for it."""


async def start_anew(
    world: World, journal: Journal, by: str, limit: float, *, hard: bool
) -> None:
    """Start the computer of a node anew; return when its camera answers again.

    Parameters
    ----------
    world
        The node, with the container whose camera is waited for.
    journal
        Where it is noted.
    by
        Who wants it.
    limit
        Seconds for all of it, once no camera of the computer exposes.
    hard
        Switch the power off and on instead of asking the computer itself.

    Raises
    ------
    FliswarmError
        Naming the step that failed or was not over in time.
    """
    last = ""

    def note(fact: Fact) -> None:
        nonlocal last
        last = fact.step if isinstance(fact, StepBegan) else last
        world.tell(fact)

    node = world.node
    if not world.terms.now:
        await spare(world, whole=True)
    try:
        async with asyncio.timeout(limit):
            todo = POWER_CYCLE
            if not hard:
                todo = restart(node.host, await world.host.mark())
            work = Work(replace(world, tell=note), journal)
            await work.carry_out("reboot", by, todo)
    except TimeoutError:
        text = f"its {WAITS.get(last, 'host was not back')} in {limit:g} s"
        raise HostError(node.name, text) from None
