"""What is wrong with the fleet, what that means, and what to type."""

from __future__ import annotations

import click

from fliswarm.commands.context import Context
from fliswarm.commands.group import SETTINGS, commands, selection
from fliswarm.errors import EXIT_DONE
from fliswarm.fleet.doctor import examine
from fliswarm.model.signs import Finding, Outcome
from fliswarm.plan import checks


@commands.command(everywhere=True, context_settings=SETTINGS)
@selection("nodes to look at")
@click.option("--all", "every", is_flag=True, help="Tell what is good as well.")
async def doctor(
    context: Context,
    names: str | None,
    category: str | None,
    exclude: str | None,
    *,
    every: bool,
) -> None:
    """Finds what is wrong, and tells the remedy."""
    call, hub = context.call, context.site.hub
    nodes = context.fleet.select(names, category, exclude, disabled=True)
    problem = None if hub is None or hub.up else hub.problem
    stale, times = context.site.stale, context.site.times
    findings = await examine(context.fleet, nodes, stale, problem, times)
    for found in findings if every else checks.faults(findings):
        await call.ready()
        call.write(_code(found), {"finding": _values(found)})
    code = checks.exit_code(findings)
    if code != EXIT_DONE:
        call.note(code)
    call.finish(text=_summary(findings, len(nodes)))


def _code(found: Finding) -> str:
    if found.outcome is Outcome.BAD:
        return "w"
    return "i" if found.check in checks.TOLD else "d"


def _values(found: Finding) -> list[str]:
    place = found.node or "manager"
    words = (found.seen, found.meaning, found.remedy)
    # What others said may be of several lines.
    lines = (" ".join(text.split()) for text in words)
    return [place, found.check, found.outcome.value, *lines]


def _summary(findings: list[Finding], nodes: int) -> str:
    wrong = [found for found in findings if found.outcome is Outcome.BAD]
    of = f"{nodes} node{'' if nodes == 1 else 's'}"
    if not wrong:
        return f"Nothing found wrong with {of}."
    places = len({found.node for found in wrong if found.node})
    where = f"on {places} of {of}" if places else "on the manager"
    if places and any(not found.node for found in wrong):
        where = f"on the manager and {where}"
    return f"{len(wrong)} fault{'' if len(wrong) == 1 else 's'} {where}."
