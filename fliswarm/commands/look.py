"""Looking at the fleet: nothing here changes anything."""

from __future__ import annotations

import click

from fliswarm.commands.context import Context
from fliswarm.commands.drift import report_releases
from fliswarm.commands.group import SETTINGS, commands, selection
from fliswarm.commands.report import (
    report,
    report_disabled,
    report_leavings,
    report_locks,
)


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
        report_releases(context)
    context.call.finish()


@commands.command(everywhere=True, context_settings=SETTINGS)
async def nodes(context: Context) -> None:
    """Names all nodes, without asking any of them."""
    context.call.finish(nodes=[live.node.name for live in context.fleet.nodes])
