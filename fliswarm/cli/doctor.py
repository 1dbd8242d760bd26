"""What is wrong with the fleet, as people read it: by computer, with the remedies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

import click

from fliswarm.cli import unit
from fliswarm.cli.app import Options
from fliswarm.cli.console import console
from fliswarm.cli.fleet import dial
from fliswarm.cli.show import STYLES, value
from fliswarm.commands.group import selection
from fliswarm.errors import EXIT_FAILED, CommandError, ControlError, NotRunningError
from fliswarm.faces.control.stream import StreamControl

MANAGER = "manager"
"""What the manager is called in findings."""


@dataclass(frozen=True, slots=True)
class Row:
    """A finding, as the controller tells it; ``outcome`` is good, bad or unknown."""

    node: str
    check: str
    outcome: str
    seen: str
    meaning: str
    remedy: str


@click.command()
@selection("nodes to look at")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object a finding, what is good and what is not known as well.",
)
@click.pass_obj
def doctor(
    options: Options,
    names: str | None,
    category: str | None,
    exclude: str | None,
    *,
    as_json: bool,
) -> None:
    """Find what is wrong with the fleet, and tell the remedy.

    Exits with 0 when nothing is, with 4 when something cannot be reached, with 1 when
    something else is wrong, or fliswarm is not running.
    """
    asked = {"--names": names, "--category": category, "--exclude": exclude}
    words = [word for pair in asked.items() if pair[1] for word in pair if word]
    try:
        with dial(options) as control:
            rows, summary, code = consult(control, [*words, *(["--all"] * as_json)])
    except (NotRunningError, ControlError) as error:
        rows, summary, code = [_away(options, error)], "", error.exit_code
    if as_json:
        for row in rows:
            print(json.dumps(asdict(row)))
    else:
        show(rows, summary)
    click.get_current_context().exit(code)


def consult(control: StreamControl, words: Sequence[str]) -> tuple[list[Row], str, int]:
    """Ask a controller; return its findings, their sum in words, and the exit code.

    Raises
    ------
    CommandError
        When it cannot tell.
    """
    rows, summary, code = [], "", EXIT_FAILED
    for message in control.command(["doctor", *words]):
        found = message.data.get("finding")
        if isinstance(found, list):
            rows.append(Row(*map(str, found)))
        if message.code == "f":
            why = message.data.get("error") or message.data.get("help") or ""
            raise CommandError(value(why), message.exit_code)
        if message.final:
            summary, code = str(message.data.get("text", "")), message.exit_code
    return rows, summary, code


def show(rows: Sequence[Row], summary: str) -> None:
    """Print findings, a computer after the other."""
    out = console()

    def say(text: str, style: str = "") -> None:
        out.print(text, style=style, soft_wrap=True)

    for node, found in groupby(rows, lambda row: row.node):
        say(node, "bold")
        for row in found:
            style = STYLES["e"] if row.outcome == "bad" else STYLES["w"]
            say(f"  {row.check}: {row.seen}", style)
            say(f"    {row.meaning}")
            say(f"    remedy: {row.remedy}")
    if summary:
        say(summary)


def _away(options: Options, error: NotRunningError | ControlError) -> Row:
    """Return the finding that there is no controller to ask."""
    seen = str(error).replace("\n", ": ")
    log = "journalctl -u fliswarm -n 50 --no-pager"
    remedy = f"sudo systemctl restart fliswarm; {log}"
    meaning = "Nobody watches the fleet or takes commands for it; cameras run on."
    if options.host is not None and options.host.startswith("ssh://"):
        there = options.host.removeprefix("ssh://")
        ask = f"systemctl status fliswarm; {log}"
        return Row(MANAGER, "controller", "bad", seen, meaning, f"ssh {there} '{ask}'")
    if unit.known():
        seen = f"{seen}; systemd says: {unit.state()}"
    elif isinstance(error, NotRunningError):
        remedy = "fliswarm start"
    return Row(MANAGER, "controller", "bad", seen, meaning, remedy)
