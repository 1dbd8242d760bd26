"""Running a program in the cameras' containers."""

from __future__ import annotations

import click

from fliswarm.commands import scope
from fliswarm.commands.context import Context
from fliswarm.commands.group import SECONDS, SETTINGS, commands, selection
from fliswarm.errors import FliswarmError
from fliswarm.fleet.fan import fan
from fliswarm.fleet.node import LiveNode
from fliswarm.fleet.printed import container
from fliswarm.model import Executed


@commands.command(name="exec", changing=scope.touched, context_settings=SETTINGS)
@click.argument("PROGRAM", nargs=-1, required=True)
@selection("nodes to run it on")
@click.option(
    "--timeout", type=SECONDS, default=60.0, help="Seconds that it may take; 60."
)
async def exec_(
    context: Context,
    program: tuple[str, ...],
    names: str | None,
    category: str | None,
    exclude: str | None,
    timeout: float,  # noqa: ASYNC109  the option's name is the command's
) -> None:
    """Runs a program in the cameras' containers."""
    call, fleet = context.call, context.fleet
    nodes = fleet.select(names, category, exclude)
    codes: dict[str, int] = {}

    async def run(live: LiveNode) -> Executed:
        there = await container(fleet, live)
        with live.asking() as engine:
            done = await engine.execute(there.id, program, timeout)
        # Those that are quick are told at once.
        for line in done.output.splitlines():
            await call.ready()
            call.info(output=[live.node.name, line])
        call.debug(exit=[live.node.name, done.exit_code])
        return done

    for live, result in zip(nodes, await fan(nodes, run), strict=True):
        if isinstance(result, FliswarmError):
            codes[live.node.name] = result.exit_code
            call.error(error=str(result))
        elif result.exit_code:
            codes[live.node.name] = result.exit_code
    if not codes:
        call.finish()
        return
    call.note(max(codes.values()))
    said = ", ".join(f"{name}: {code}" for name, code in codes.items())
    call.fail(error=f"{program[0]} did not end well ({said}).", failed=list(codes))
