"""Looking at the fleet: nothing here changes anything."""

from __future__ import annotations

import asyncio

import click

from fliswarm.camera import Reply
from fliswarm.commands.context import Context
from fliswarm.commands.group import SETTINGS, commands, selection
from fliswarm.commands.report import (
    report,
    report_disabled,
    report_leavings,
    report_locks,
)
from fliswarm.commands.words import words
from fliswarm.model.facts import ChangeBegan, ChangeEnded, Fact, Told


@commands.command(everywhere=True, context_settings=SETTINGS)
@selection("nodes to report")
@click.option("--detail", "-d", is_flag=True, help="Report image and camera as well.")
async def status(
    context: Context,
    names: str | None,
    category: str | None,
    exclude: str | None,
    *,
    detail: bool,
) -> None:
    """Outputs the status of the nodes and containers."""
    fleet = context.fleet
    nodes = fleet.select(names, category, exclude, none_will_do=True)
    context.call.info(enabledNodes=[node.node.name for node in nodes])
    await report(context, nodes, detail=detail)
    if detail:
        chosen = fleet.select(names, category, exclude, disabled=True)
        report_disabled(context, [live.node.name for live in chosen])
    report_locks(context)
    if names is None and category is None:
        report_leavings(context)
    context.call.finish()


@commands.command(everywhere=True, context_settings=SETTINGS)
@click.argument("NODE")
@click.option("--lines", type=click.IntRange(1, 10000), default=100, show_default=True)
async def logs(context: Context, node: str, lines: int) -> None:
    """Shows what a camera's program printed last."""
    for live in context.fleet.select(node):
        for line in (await context.fleet.logs(live, lines)).splitlines():
            await context.call.ready()
            context.call.info(log=[live.node.name, line])
    context.call.finish()


@commands.command(everywhere=True, context_settings=SETTINGS)
async def events(context: Context) -> None:
    """Tells what happens, until its client leaves."""
    call = context.call

    def hear(fact: Fact) -> None:
        if isinstance(fact, Told):
            # A camera's end of something does not end the command that tells of it.
            call.relay(Reply(None, fact.code, fact.sender, fact.keywords))
        elif isinstance(fact, ChangeBegan):
            call.info(change=[fact.node, fact.change, "began", fact.by])
        elif isinstance(fact, ChangeEnded):
            call.info(change=[fact.node, fact.change, "ended", fact.problem])
        elif said := words(fact):
            call.write(*said)

    deaf = context.fleet.news.listen(hear)
    try:
        while not call.abandoned:
            await asyncio.sleep(1)
    finally:
        deaf()
