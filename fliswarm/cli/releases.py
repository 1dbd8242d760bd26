"""The releases of a fleet as a table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import click
from rich.table import Table
from rich.text import Text

from fliswarm.cli.app import Options
from fliswarm.cli.console import console, table, tabulate
from fliswarm.cli.fleet import dial
from fliswarm.cli.show import print_message
from fliswarm.errors import EXIT_FAILED
from fliswarm.faces.control.stream import Message


@dataclass(frozen=True, slots=True)
class Row:
    """A release as its controller tells it; ``nodes`` are those that have it."""

    number: int
    image: str
    digest: str
    at: str
    by: str
    outcome: str
    nodes: list[str]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a release.")
@click.pass_obj
def releases(options: Options, *, as_json: bool) -> None:
    """List the releases, and which node has which.

    A release is an image with its digest, made by fliswarm update; fliswarm rollback
    NUMBER brings the fleet back to it.
    """
    rows: list[Row] = []
    out, exit_code = console(), EXIT_FAILED
    with dial(options) as control:
        for message in control.command(["releases"]):
            if "releases" in message.data:
                rows.append(_row(message))
            elif not as_json or message.code == "f":
                print_message(out, message)
            exit_code = message.exit_code
    if as_json:
        for row in rows:
            print(json.dumps(asdict(row)))
    elif rows:
        tabulate(out, _table(rows))
    click.get_current_context().exit(exit_code)


def _row(message: Message) -> Row:
    number, image, digest, at, by, outcome, nodes = message.data["releases"]
    return Row(number, image, digest, at, by, outcome, nodes.split())


def _table(rows: list[Row]) -> Table:
    shown = table("release", "image", "digest", "when", "by", "outcome", "nodes")
    for row in rows:
        words = (row.image, row.digest, row.at, row.by, row.outcome)
        nodes = ", ".join(row.nodes)
        shown.add_row(str(row.number), *map(Text, words), Text(nodes))
    return shown
