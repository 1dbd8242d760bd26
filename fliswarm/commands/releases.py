"""Bringing the fleet to another image, and back: by releases, turn by turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from fliswarm.commands import scope
from fliswarm.commands.change import report_errors, telling
from fliswarm.commands.context import Context
from fliswarm.commands.drift import who_has_what
from fliswarm.commands.group import SETTINGS, commands, selection, terms
from fliswarm.errors import EngineUnreachableError
from fliswarm.fleet import survey
from fliswarm.fleet.node import LiveNode
from fliswarm.fleet.rolling import Order, Outcome, Rolling
from fliswarm.fleet.survey import Seen, Way
from fliswarm.model.facts import now
from fliswarm.model.imagename import short
from fliswarm.model.release import Known, Release
from fliswarm.plan.rollout import Turns, full_name, goal, grouped, made, named, turns

IMAGE = ("image", "image_id", "image_digest")
"""The fields of a difference that an update is about."""

F = TypeVar("F", bound=Callable[..., Any])


def _options(what: str) -> Callable[[F], F]:
    """Add the options that say how nodes go from release to release."""
    options = (
        selection(what),
        click.option(
            "--canary",
            help="Who is replaced first, and judged alone: names, or a part (10%). "
            "Default: the first node.",
        ),
        click.option(
            "--max-parallel",
            type=click.IntRange(1),
            default=4,
            show_default=True,
            help="How many nodes are replaced together after that.",
        ),
        click.option(
            "--monitor",
            type=click.FloatRange(0, 86400),
            default=10.0,
            show_default=True,
            help="Seconds for which each camera has to stay good.",
        ),
        click.option("--expose", is_flag=True, help="Each takes a short dark as well."),
        click.option(
            "--all",
            "-a",
            "everything",
            is_flag=True,
            help="A failure takes all nodes back, not those of its turn alone.",
        ),
        terms,
        click.option("--dry-run", is_flag=True, help="Only says what would be done."),
    )

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@commands.command(changing=scope.selected, context_settings=SETTINGS)
@click.option(
    "--image",
    help="The image, or :TAG of the configuration's. Default: the configuration's.",
)
@_options("nodes to update")
async def update(
    context: Context,
    image: str | None,
    names: str | None,
    category: str | None,
    exclude: str | None,
    *,
    dry_run: bool,
    **how: Any,  # noqa: ANN401  the options of `_options`
) -> None:
    """Brings nodes to another image, a canary first."""
    fleet = context.fleet
    nodes = fleet.select(names, category, exclude)
    every = fleet.select(names, category, exclude, disabled=True)
    desired = fleet.desired
    configured = desired.image_reference
    wanted = configured
    if image is not None:
        wanted = full_name(image, configured, desired.registry)

    async def prepared() -> tuple[Way, Known]:
        seen = await _looked(context, nodes)
        digest = await survey.ask(fleet, seen, wanted)
        at = now().isoformat(timespec="seconds")
        who = context.call.who
        known, release = made(seen.known, wanted, digest, configured, who, at)
        targets = {live.node.name: release for live in every}
        return await survey.way(fleet, seen, targets, how["terms"]), known

    await _go(context, _order(context, "update", how), prepared, dry_run=dry_run)


@commands.command(changing=scope.selected, context_settings=SETTINGS)
@click.argument("RELEASE", type=int, required=False)
@_options("nodes to take back")
async def rollback(
    context: Context,
    release: int | None,
    names: str | None,
    category: str | None,
    exclude: str | None,
    *,
    dry_run: bool,
    **how: Any,  # noqa: ANN401  the options of `_options`
) -> None:
    """Brings nodes back to the release before, or another."""
    fleet = context.fleet
    nodes = fleet.select(names, category, exclude)
    every = fleet.select(names, category, exclude, disabled=True)

    async def prepared() -> tuple[Way, Known]:
        asked = [live.node.name for live in every]
        targets = goal(fleet.releases.known, release, asked)
        seen = await _looked(context, nodes)
        left = [name for name in asked if name not in targets]
        return await survey.way(fleet, seen, targets, how["terms"], left), seen.known

    await _go(context, _order(context, "rollback", how), prepared, dry_run=dry_run)


def _order(context: Context, verb: str, how: Mapping[str, Any]) -> Order:
    call = context.call
    return Order(
        verb,
        f"fliswarm {call.body}",
        call.who,
        canary=how["canary"],
        at_once=how["max_parallel"],
        monitor=how["monitor"],
        everything=how["everything"],
        expose=how["expose"],
        terms=how["terms"],
    )


async def _looked(context: Context, nodes: Sequence[LiveNode]) -> Seen:
    seen = await survey.look(context.fleet, nodes)
    if not seen.on:
        why = "; ".join(seen.off.values())
        raise EngineUnreachableError(named(list(seen.off)), why)
    return seen


async def _go(
    context: Context,
    order: Order,
    prepared: Callable[[], Any],
    *,
    dry_run: bool,
) -> None:
    call, fleet = context.call, context.fleet
    with fleet.releases.carrying(order.verb):
        way, known = await prepared()
        todo = [live.node.name for live in way.todo]
        groups = turns(todo, order.canary, order.at_once, way.targets)
        _say_who_is_not_touched(context, way)
        done = _is_given(context, way)
        if dry_run:
            _say_way(context, way, groups, given=done)
            return
        if done:
            call.finish(text=f"Nothing to do: {_have(context, way)}.")
            return
        rolling = Rolling(fleet, order, telling(call))
        failed = report_errors(call, await rolling.pull(way))
        if failed:
            text = (
                f"No container was touched: an image did not come to {named(failed)}."
            )
            call.fail(error=text, failed=failed)
            return
        outcome = await rolling.roll(way, known)
        if not outcome.failed:
            await rolling.prune(way)
    await _say_end(context, order, way, outcome)


def _is_given(context: Context, way: Way) -> bool:
    """Return whether nothing is left to be done, nor to be written down."""
    fleet = context.fleet
    releases = fleet.releases
    if way.todo or releases.known.rollout is not None:
        return False
    given = {name: releases.of(fleet.desired, name) for name in way.targets}
    return all(
        release is not None and release.number == way.targets[name].number
        for name, release in given.items()
    )


def _say_who_is_not_touched(context: Context, way: Way) -> None:
    call = context.call
    enabled = set(context.fleet.enabled)
    for name, release in way.targets.items():
        if name not in enabled:
            call.warning(
                text=f"{name}: disabled, and left out; it is to have release "
                f"{release.number}, by fliswarm reconnect when it is enabled."
            )
        elif name in way.seen.off:
            call.warning(
                text=f"{name}: it is off ({way.seen.off[name]}); it gets release "
                f"{release.number} when it is back."
            )
    for name in way.left:
        call.warning(text=f"{name}: what it had before is not known; left out.")


def _say_way(context: Context, way: Way, groups: Turns, *, given: bool) -> None:
    """Say what would be done."""
    call = context.call
    for number, turn in enumerate(groups, 1):
        for name in turn:
            had, gets = way.seen.has.get(name), way.targets[name]
            before = "what it has" if had is None else _release(had)
            who = "canary" if number == 1 else f"turn {number}"
            others = [d for d in way.plans[name].differences if d.field not in IMAGE]
            more = f" ({', '.join(map(str, others))})" if others else ""
            call.info(text=f"{name}: {who}, {before} -> {_release(gets)}{more}")
    if given:
        call.finish(text=f"Nothing to do: {_have(context, way)}.")
    elif not groups:
        call.finish(text=f"No container would be replaced: {_have(context, way)}.")
    else:
        call.finish()


def _release(release: Release) -> str:
    return f"release {release.number} ({release.image}, {short(release.digest)})"


def _have(context: Context, way: Way) -> str:
    """Return which release the nodes have that could be reached."""
    reached = set(context.fleet.enabled) - set(way.seen.off)
    here = {n: _release(r) for n, r in way.targets.items() if n in reached}
    groups = grouped(here)
    return "; ".join(f"{what} for {named(names)}" for what, names in groups.items())


async def _say_end(context: Context, order: Order, way: Way, outcome: Outcome) -> None:
    """Tell which node has what, and end the command."""
    call, verb = context.call, order.verb
    await _say_who_has_what(context)
    if not outcome.failed:
        call.finish(text=f"The {verb} is done: {_have(context, way)}.")
        return
    for name, error in {**outcome.failed, **outcome.stuck}.items():
        call.note(error.exit_code)
        call.error(error=str(error))
        if name in outcome.stuck:
            text = f"{name}: it could not go back yet; fliswarm status tells of it."
            call.warning(text=text)
    back = f"back to what they had: {named(outcome.back)}"
    rest = _untouched(context, way, outcome)
    text = f"The {verb} stopped at {named(list(outcome.failed))}; {back}; {rest}."
    call.fail(error=text, failed=list(outcome.failed))


def _untouched(context: Context, way: Way, outcome: Outcome) -> str:
    rollout = context.fleet.releases.known.rollout
    done = () if rollout is None else rollout.done
    touched = {*done, *outcome.back, *outcome.stuck, *outcome.failed}
    rest = [n.node.name for n in way.todo if n.node.name not in touched]
    kept = f"{named(done)} keep it; " if done else ""
    went = {*outcome.back, *outcome.stuck, *done}
    left = [name for name in outcome.failed if name not in went]
    stay = f"left as they are: {named(left)}; " if left else ""
    return f"{kept}{stay}not touched: {named(rest)}"


async def _say_who_has_what(context: Context) -> None:
    """Look at all nodes, and tell which release each has."""
    fleet = context.fleet
    await fleet.status(fleet.select(none_will_do=True), detail=True)
    has = who_has_what(context)
    for what, names in grouped(has).items():
        context.call.info(text=f"{what}: {named(names)}")


@commands.command(everywhere=True, context_settings=SETTINGS)
async def releases(context: Context) -> None:
    """Lists the releases, and which node has which."""
    fleet, call = context.fleet, context.call
    await fleet.status(fleet.nodes, detail=True)
    has = who_has_what(context)
    for release in fleet.releases.known.releases:
        nodes = [n for n, what in has.items() if what == f"release {release.number}"]
        call.info(
            releases=[
                release.number,
                release.image,
                short(release.digest),
                release.at,
                release.by,
                release.outcome,
                " ".join(nodes),
            ]
        )
    if not fleet.releases.known.releases:
        call.finish(text="There is no release yet; fliswarm update makes one.")
    else:
        call.finish()
