"""A command that changes something, from the note that it begins to that of its end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from fliswarm.commands.call import Call
from fliswarm.commands.context import Context
from fliswarm.commands.scope import Scope
from fliswarm.errors import FliswarmError, RecordError
from fliswarm.model import NodeStatus
from fliswarm.record.row import Beginning, Ending

log = logging.getLogger(__name__)


async def carry_out(
    context: Context, verb: str, scope: Scope, act: Callable[[], Awaitable[None]]
) -> None:
    """Do what a command says, with its beginning and its end in the record.

    It is not begun when that cannot be written down. Who gave it is told of its end
    once that is written down, and finds it in the record.

    Raises
    ------
    FliswarmError
        When it was not begun.
    """
    call, record = context.call, context.site.record
    words = call.body.strip().removeprefix(verb).strip()
    before = await _how(context, scope)
    beginning = Beginning(call.who, call.door, verb, words, scope.nodes, before)
    try:
        number = await record.begin(beginning)
    except RecordError as error:
        text = f"Nothing is changed, since it cannot be recorded: {error}"
        raise FliswarmError(text) from error
    began, late = time.monotonic(), None
    call.hold()
    try:
        problem = await _acted(call, act)
        after = await _how(context, scope)
        late = await _ended(context, number, _ending(call, began, problem, after))
    except BaseException as error:
        why = "cancelled" if isinstance(error, asyncio.CancelledError) else repr(error)
        await _ended(context, number, _ending(call, began, why, {}))
        raise
    finally:
        call.let_go(late)


async def _acted(call: Call, act: Callable[[], Awaitable[None]]) -> str:
    """Do it; return why it failed, or nothing."""
    try:
        await act()
    except FliswarmError as error:
        call.note(error.exit_code)
        call.fail(error=str(error))
    if call.verdict is None:
        return "it ended without a result"
    code, keywords, _ = call.verdict
    return "" if code == ":" else str(keywords.get("error", ""))


def _ending(call: Call, began: float, problem: str, after: dict[str, Any]) -> Ending:
    code, _, exit_code = call.verdict or ("f", {}, 1)
    return Ending(
        round(time.monotonic() - began, 3),
        code == ":" and not problem,
        exit_code,
        problem,
        dict(call.outcomes),
        after,
    )


async def _ended(context: Context, number: int, ending: Ending) -> str | None:
    """Write down how a command ended; return what went wrong with that, in words."""
    try:
        await context.site.record.end(number, ending)
    except RecordError as error:
        log.error("%s", error)  # noqa: TRY400  its words say all
        return f"The end of this could not be written down: {error}"
    return None


async def _how(context: Context, scope: Scope) -> dict[str, Any]:
    """Return how the nodes of a scope are."""
    fleet = context.fleet
    if not scope.looks:
        standing = fleet.roster.standing
        return {name: {"enabled": standing(name).enabled} for name in scope.nodes}
    lives = [live for live in fleet.nodes if live.node.name in scope.nodes]
    seen = await fleet.status(lives, detail=True)
    return {status.node.name: _seen(status) for status in seen}


def _seen(status: NodeStatus) -> dict[str, Any]:
    if not status.engine_alive:
        return {"engine": status.problem or "does not answer"}
    if status.found is None:
        return {"container": None}
    return {
        "container": status.found.id,
        "state": status.found.state,
        "image": status.found.image_id,
        "digest": status.digest,
    }
