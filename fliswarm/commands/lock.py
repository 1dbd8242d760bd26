"""Keeping the fleet to oneself for a while."""

from __future__ import annotations

import asyncio

import click

from fliswarm.commands import scope
from fliswarm.commands.context import Context
from fliswarm.commands.deed import patient
from fliswarm.commands.group import SECONDS, SETTINGS, commands, selection
from fliswarm.errors import EXIT_BUSY
from fliswarm.fleet.lock import Hold

LOOK = 0.1
"""Seconds between two looks at whether the holder is there."""

QUIET_LIMIT = 45.0
"""Seconds without a word from another computer after which a holder is gone.

The program ``fliswarm`` has one each 10 s.
"""


@commands.command(changing=scope.locked, context_settings=SETTINGS)
@click.argument("ACTION", required=False, type=click.Choice(["break"]))
@selection("nodes to lock")
@click.option("--reason", required=True, help="Why, for others to read.")
@click.option("--wait", type=SECONDS, help="Seconds to wait for others to end.")
async def lock(
    context: Context,
    action: str | None,
    names: str | None,
    category: str | None,
    exclude: str | None,
    reason: str,
    wait: float | None,
) -> None:
    """Keeps changes of others away, as long as its client stays.

    With break, takes away the locks that others keep.
    """
    call, fleet = context.call, context.fleet
    chosen = fleet.select(names, category, exclude, disabled=True)
    nodes = tuple(live.node.name for live in chosen)
    if action == "break":
        broken = fleet.locks.break_(nodes, call.who, reason)
        for hold in broken:
            call.info(text=f"broken: {hold}")
            call.outcomes.update(dict.fromkeys(hold.nodes, "changed"))
        call.finish(text=f"locks broken: {len(broken)}")
        return
    hold = Hold(call.who, call.door, reason, nodes, kept=True)
    how = patient(call, wait or 0.0)
    async with fleet.locks.holding(hold, call.key, how) as gone:
        call.info(lock_key=hold.key, locked=list(nodes))
        while not (call.abandoned or call.quiet > QUIET_LIMIT):
            await asyncio.wait([gone], timeout=LOOK)
            if gone.done():
                call.note(EXIT_BUSY)
                call.fail(error=gone.result())
                return
    call.finish()
