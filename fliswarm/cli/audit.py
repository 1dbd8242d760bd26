"""Who changed what, for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click
from rich.text import Text

from fliswarm.cli.app import Options
from fliswarm.cli.console import console, table, tabulate
from fliswarm.cli.fleet import dial
from fliswarm.errors import CommandError
from fliswarm.record.row import GOOD


@click.command()
@click.option("--since", help="From a moment on: 2h, 1h30m, 10:30, 2026-12-01 (UTC).")
@click.option(
    "--number", "-n", type=int, help="So many of the last ones.  [default: 20]"
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a command.")
@click.pass_obj
def audit(
    options: Options, since: str | None, number: int | None, *, as_json: bool
) -> None:
    """Show who changed what, the newest last.

    Commands that change the fleet are written down on the manager before they begin,
    and how they ended when they have.
    """
    words = ["audit", "--json"]
    words += ["--since", since] if since is not None else []
    words += ["--number", str(number)] if number is not None else []
    rows = []
    problem = ""
    with dial(options) as control:
        for message in control.command(words):
            if isinstance(row := message.data.get("audit"), str):
                rows.append(row)
            # What is wrong with an option is in a line before the end.
            problem = str(message.data.get("help") or problem)
            if message.code == "f":
                why = problem or message.data.get("error")
                raise CommandError(str(why), message.exit_code)
    if as_json:
        for row in rows:
            print(row)
    else:
        _print([json.loads(row) for row in rows])


def _print(rows: list[Mapping[str, Any]]) -> None:
    shown = table("when (UTC)", "who", "by", "what", "nodes", "outcome")
    shown.add_column("seconds", justify="right")
    for row in rows:
        ending = row["ending"]
        good = ending is not None and ending["done"]
        shown.add_row(
            str(row["at"])[:19].replace("T", " "),
            Text(row["who"]),
            Text(row["door"]),
            Text(f"{row['verb']} {row['words']}".strip()),
            Text(", ".join(row["nodes"])),
            Text(_outcome(row), style="green" if good else "red"),
            "" if ending is None else f"{ending['seconds']:.1f}",
        )
    tabulate(console(), shown)


def _outcome(row: Mapping[str, Any]) -> str:
    """Return how a command ended, with what its nodes had to say."""
    ending = row["ending"]
    if ending is None or ending["done"]:
        return str(row["outcome"])
    every = ending["outcomes"].items()
    said = [f"{node}: {how}" for node, how in every if how not in GOOD]
    return "; ".join([str(row["outcome"]), *said])
