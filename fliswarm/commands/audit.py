"""What was done, by whom: read from the record."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime

import click

from fliswarm.commands.context import Context
from fliswarm.commands.group import SETTINGS, commands
from fliswarm.commands.since import MOMENT
from fliswarm.record.row import Row


@commands.command(everywhere=True, context_settings=SETTINGS)
@click.option("--since", type=MOMENT, help="From a moment on: 2h, 10:30, 2026-12-01.")
@click.option(
    "--number",
    "-n",
    type=click.IntRange(1, 10000),
    default=20,
    show_default=True,
    help="So many of the last ones.",
)
@click.option("--json", "as_json", is_flag=True, help="All that is known of each.")
async def audit(
    context: Context, since: datetime | None, number: int, *, as_json: bool
) -> None:
    """Shows who changed what, the newest last."""
    call = context.call
    for row in await context.site.record.rows(since=since, last=number):
        await call.ready()
        if as_json:
            call.info(audit=json.dumps(whole(row)))
        else:
            begun, seconds = row.beginning, row.ending and row.ending.seconds
            what = f"{begun.verb} {begun.words}".strip()
            nodes = ",".join(begun.nodes)
            call.info(
                audit=[
                    *(row.number, row.at, begun.who, begun.door),
                    *(what, nodes, row.outcome, seconds),
                ]
            )
    call.finish()


def whole(row: Row) -> dict[str, object]:
    """Return all that is known of a command, as JSON values."""
    ending = None if row.ending is None else asdict(row.ending)
    return {
        "number": row.number,
        "at": row.at,
        **asdict(row.beginning),
        "outcome": row.outcome,
        "ending": ending,
    }
