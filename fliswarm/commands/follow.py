"""Listening to the fleet: what happens in it, and what its cameras' programs print."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import click

from fliswarm.camera import Reply
from fliswarm.commands.call import Call
from fliswarm.commands.context import Context
from fliswarm.commands.group import SETTINGS, commands
from fliswarm.commands.since import moment
from fliswarm.commands.words import words
from fliswarm.errors import FliswarmError, UsageError
from fliswarm.fleet.node import LiveNode
from fliswarm.fleet.printed import Hear, Wanted, follow, history
from fliswarm.model import Printed
from fliswarm.model.fact import now
from fliswarm.model.facts import ChangeBegan, ChangeEnded, Fact, Told
from fliswarm.model.printed import stamp

LINES = 100
"""Lines of each log that are shown when nobody says how many, or from when on."""

ABANDONED_LOOK = 1.0
"""Seconds between two looks whether who listens is there still."""


@commands.command(everywhere=True, context_settings=SETTINGS)
@click.argument("NODES", nargs=-1)
@click.option(
    "--lines", type=click.IntRange(1, 10000), help="Last lines of each; 100 by default."
)
@click.option("--since", help="Only what was printed from a moment on.")
@click.option("--follow", "-f", "further", is_flag=True, help="Goes on with new lines.")
@click.option("--times", is_flag=True, help="Tells when each line was printed.")
async def logs(
    context: Context,
    nodes: tuple[str, ...],
    lines: int | None,
    since: str | None,
    *,
    further: bool,
    times: bool,
) -> None:
    """Shows what a camera's program printed last."""
    call, fleet = context.call, context.fleet
    chosen = fleet.select(",".join(nodes) or None)
    begin = _moment(since)
    if lines is None and begin is None:
        lines = LINES
    wanted = Wanted(lines, None if begin is None else stamp(begin))
    last: dict[str, str] = {}

    async def hear(name: str, line: Printed) -> None:
        await call.ready()
        last[name] = line.at or last.get(name, "")
        call.info(log=[name, line.text, line.at] if times else [name, line.text])

    problems = await history(fleet, chosen, wanted, hear)
    if further:
        known = {live.node.name: wanted.since for live in chosen} | last
        await _follow(context, chosen, known, hear)
        call.finish()
    elif problems:
        _fail(call, problems, len(chosen))
    else:
        call.finish()


def _fail(call: Call, problems: Mapping[str, FliswarmError], asked: int) -> None:
    for error in problems.values():
        call.note(error.exit_code)
        if asked > 1:
            call.error(error=str(error))
        else:
            call.fail(error=str(error))
    call.fail(
        error="The log of one or more nodes could not be read.", failed=list(problems)
    )


async def _follow(
    context: Context,
    nodes: Sequence[LiveNode],
    last: Mapping[str, str | None],
    hear: Hear,
) -> None:
    """Go on with logs until who asked for it is gone."""
    call = context.call

    def tell(text: str) -> None:
        call.warning(text=text)

    tasks = [
        asyncio.create_task(
            follow(context.fleet, live, last.get(live.node.name), hear, tell)
        )
        for live in nodes
    ]
    try:
        while not call.abandoned and not any(task.done() for task in tasks):
            await asyncio.wait(tasks, timeout=ABANDONED_LOOK)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for one in ended:
        if isinstance(one, Exception):
            raise one


@commands.command(everywhere=True, context_settings=SETTINGS)
@click.option("--since", help="Begins with what is known from a moment on.")
@click.option("--times", is_flag=True, help="Tells when, and to which node.")
async def events(context: Context, since: str | None, *, times: bool) -> None:
    """Tells what happens, until its client leaves."""
    call, news = context.call, context.fleet.news
    begin = _moment(since)
    late: list[Fact] = []
    told = False

    def hear(fact: Fact) -> None:
        if told:
            _tell(call, fact, times=times)
        else:
            late.append(fact)

    past = [] if begin is None else news.since(begin)
    deaf = news.listen(hear)
    try:
        for fact in past:
            await call.ready()
            _tell(call, fact, times=times)
        for fact in late:
            _tell(call, fact, times=times)
        told = True
        while not call.abandoned:
            await asyncio.sleep(ABANDONED_LOOK)
    finally:
        deaf()


def _tell(call: Call, fact: Fact, *, times: bool) -> None:
    when = {"at": [fact.at.isoformat(timespec="milliseconds"), fact.node]}
    more: dict[str, object] = dict(when) if times else {}
    if isinstance(fact, Told):
        # A camera's end of something does not end the command that tells of it.
        if fact.keywords:
            said = {**more, **fact.keywords}
            call.relay(Reply(None, fact.code, fact.sender, said))
    elif isinstance(fact, ChangeBegan):
        call.info(**more, change=[fact.node, fact.change, "began", fact.by])
    elif isinstance(fact, ChangeEnded):
        call.info(**more, change=[fact.node, fact.change, "ended", fact.problem])
    elif told := words(fact):
        code, keywords = told
        call.write(code, {**more, **keywords})


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return moment(text, now().astimezone())
    except ValueError as error:
        raise UsageError(f"--since: {error}") from error
