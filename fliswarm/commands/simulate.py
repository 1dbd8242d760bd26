"""Images that nobody takes, for displays that are being tried."""

from __future__ import annotations

import asyncio
import glob as globbing
import itertools
import random as chance
import re

import click

from fliswarm.commands.context import Context
from fliswarm.commands.group import SECONDS, SETTINGS, commands
from fliswarm.errors import FliswarmError
from fliswarm.net.apart import Apart

IMAGE = re.compile(r"\.(fits|fit|fts)(\.(gz|bz2|fz|xz|z))?$", re.IGNORECASE)
"""What an image's name ends with. Whoever may show images to displays learns from
these replies of no other file of this computer."""


@commands.command(everywhere=True, context_settings=SETTINGS)
@click.argument("GLOB", required=False)
@click.option(
    "--delay", type=SECONDS, default=5.0, help="Delay between outputting images."
)
@click.option("--random", is_flag=True, help="Randomise images.")
@click.option("--stop", is_flag=True, help="Stops the execution of the command.")
async def simulate(
    context: Context, glob: str | None, delay: float, *, random: bool, stop: bool
) -> None:
    """Simulate images being written to disk."""
    call = context.call
    if not claim(context, "simulate", stop=stop):
        return
    if glob is None:
        call.fail(error="A valid path pattern is required to start the simulation.")
        return
    images = await _images(context.site.looking, glob)
    if not images:
        call.fail(error="No images found.")
        return
    if random:
        chance.shuffle(images)
    cycle = itertools.cycle(images)
    while not call.abandoned:
        for name in context.fleet.enabled:
            call.info(filename=[name, name, next(cycle)])
        await asyncio.sleep(max(delay, 0.01))


async def _images(looking: Apart, glob: str) -> list[str]:
    """Return the images that a pattern means, and no other files."""

    def look() -> list[str]:
        # PTH207: a `Path` finds nothing by a pattern with a leading slash.
        found = globbing.glob(glob)  # noqa: PTH207
        return [name for name in found if IMAGE.search(name)]

    try:
        return await looking.ask("images", look)
    except TimeoutError as error:
        text = f"{glob}: what files there are is not told in {looking.limit:g} s"
        raise FliswarmError(text) from error
    except ValueError:
        # A pattern that no file can have.
        return []


def claim(context: Context, name: str, *, stop: bool) -> bool:
    """Take the place of the one running command of a name, or stop who has it.

    Returns whether the command is to go on.
    """
    call, running = context.call, context.site.running
    path = f"{context.site.name}-command-parser_{name}"
    other = running.get(name)
    if stop and other is None:
        call.fail(error=f"Cannot find running command {path}.")
    elif stop and other is not None:
        other.cancel()
        call.finish(text="Command has been scheduled for cancellation.")
    elif other is not None:
        call.fail(error=f"Another command {path} is already running.")
    elif (task := asyncio.current_task()) is not None:
        running[name] = task
        task.add_done_callback(lambda _: running.pop(name, None))
        return True
    return False
