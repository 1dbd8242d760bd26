"""A command that changes something: locked, recorded, done, and recorded again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fliswarm.commands.call import Call
from fliswarm.commands.context import Context
from fliswarm.commands.scope import Scope
from fliswarm.errors import FliswarmError, RecordError
from fliswarm.fleet.lock import Hold, Waiting
from fliswarm.model import NodeStatus
from fliswarm.record.row import Beginning, Ending

log = logging.getLogger(__name__)

Act = Callable[[], Awaitable[None]]


async def carry_out(
    context: Context, verb: str, scope: Scope, values: Mapping[str, Any], act: Act
) -> None:
    """Do what a command says, with its nodes locked and itself in the record.

    It is not begun when others have its nodes, or it cannot be written down. Who gave
    it is told of its end once that is written down and the nodes are free again.

    Parameters
    ----------
    context
        The command's.
    verb
        Its name.
    scope
        What it may change.
    values
        Its options. With ``wait`` it waits for others to let go of its nodes, and
        ``plan`` is the fingerprint of a plan.
    act
        Does it.
    """
    wait = (values["wait"] or 0.0) if "wait" in values else None
    plan = str(values.get("plan") or "")
    call, late = context.call, None
    call.hold()
    try:
        async with _hand(context, verb, scope, wait):
            late = await _recorded(context, verb, scope, plan, act)
    except FliswarmError as error:
        call.note(error.exit_code)
        call.fail(error=str(error))
    finally:
        call.let_go(late)


@asynccontextmanager
async def _hand(
    context: Context, verb: str, scope: Scope, wait: float | None
) -> AsyncIterator[None]:
    """Have the nodes of a command locked for its time."""
    if not scope.locks:
        yield
        return
    call = context.call
    why = f"{verb} {_words(call, verb)}".strip()
    hold = Hold(call.who, call.door, why, scope.nodes, computers=scope.computers)
    async with context.fleet.locks.holding(hold, call.key, patient(call, wait)):
        yield


def patient(call: Call, wait: float | None) -> Waiting:
    """Return how a command waits for a lock: as long as somebody waits for it."""

    def told(whom: str) -> None:
        call.info(text=f"{whom}; waiting, {wait:g} s at most.")

    return Waiting(wait, told, lambda: call.abandoned)


async def _recorded(
    context: Context, verb: str, scope: Scope, plan: str, act: Act
) -> str | None:
    """Do it, with its beginning and its end written down.

    Returns
    -------
    late
        Why its end is not written down, in words; ``None`` when it is.
    """
    call = context.call
    before = await _how(context, scope)
    words = _words(call, verb)
    who, door, nodes = call.who, call.door, scope.nodes
    beginning = Beginning(who, door, verb, words, nodes, before, plan)
    try:
        number = await context.site.record.begin(beginning)
    except RecordError as error:
        text = f"Nothing is changed, since it cannot be recorded: {error}"
        raise FliswarmError(text) from error
    began = time.monotonic()
    try:
        problem = await _acted(call, act)
        after = await _how(context, scope)
    except BaseException as error:
        why = "cancelled" if isinstance(error, asyncio.CancelledError) else repr(error)
        await _ended(context, number, _ending(call, began, why, {}))
        raise
    return await _ended(context, number, _ending(call, began, problem, after))


async def _acted(call: Call, act: Act) -> str:
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


def _words(call: Call, verb: str) -> str:
    return call.body.strip().removeprefix(verb).strip()


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
    if not scope.computers:
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
