"""Which node has which release, and what is not as it is to be: for `status`."""

from __future__ import annotations

from fliswarm.commands.context import Context
from fliswarm.model.release import Release, Rollout
from fliswarm.plan.rollout import grouped, holds, named

REMEDY = "remedy: fliswarm reconnect -n"


def report_releases(context: Context) -> None:
    """Tell of an update that was cut off, of who is behind, of a mixed fleet."""
    fleet, call = context.fleet, context.call
    releases = fleet.releases
    known = releases.known
    if releases.unreadable:
        call.warning(
            text="What was noted of releases cannot be read (see the log), so nodes "
            "are to have the configured image. Remedy: fliswarm update"
        )
    if known.rollout is not None:
        call.warning(text=_rollout(context, known.rollout))
    current = known.release(known.current)
    configured = fleet.desired.image_reference
    if current is not None and not holds(current, configured):
        call.warning(
            text=f"The configuration names {configured} now, so release "
            f"{current.number} ({current.image}) is not wanted any more; fliswarm "
            "update makes a release of it, fliswarm reconnect does without."
        )
    for name in fleet.desired.nodes:
        if (text := _behind(context, name)) is not None:
            call.warning(text=text)
    has = who_has_what(context)
    if known.releases and len({what for what in has.values() if " " in what}) > 1:
        groups = grouped(has).items()
        every = "; ".join(f"{what}: {named(names)}" for what, names in groups)
        call.warning(text=f"The fleet is mixed: {every}.")


def _rollout(context: Context, rollout: Rollout) -> str:
    """Return how far an update is, or was when it was cut off."""
    known, verb = context.fleet.releases.known, rollout.verb
    to = "; ".join(_line(known.release(number)) for number in rollout.numbers)
    head = f"{verb} to {to}, by {rollout.by} since {rollout.at},"
    turn, turns = rollout.turn + 1, len(rollout.turns)
    at = f"turn {turn} of {turns} ({named(rollout.turns[rollout.turn])})"
    if context.fleet.releases.under_way is not None:
        return f"{head} is under way: {at}."
    done = f"done before: {named(rollout.done)}"
    return (
        f"{head} was stopped at {at}; {done}. {rollout.command} goes on; "
        "fliswarm rollback goes back."
    )


def _line(release: Release | None) -> str:
    return "?" if release is None else f"release {release.number} ({release.image})"


def _behind(context: Context, name: str) -> str | None:
    """Return why a node has not the release that it is to have, if so."""
    fleet = context.fleet
    wanted = fleet.releases.of(fleet.desired, name)
    has = fleet.releases.has(fleet.board.state(name).status)
    why = fleet.releases.known.behind.get(name)
    if wanted is None or (why is None and (has is None or _same(has, wanted))):
        return None
    had = "" if has is None else f"has release {has.number} and "
    head = f"{name}: {had}is to have release {wanted.number}"
    if why:
        return f"{head}, which did not come up: {why}; {REMEDY} {name}"
    if why is not None:
        return f"{head}; it gets it when it is back."
    if name not in fleet.enabled:
        return f"{head}; it is disabled. When it is enabled, {REMEDY} {name}"
    if fleet.journal.busy(name) is not None:
        return None
    return f"{head}; {REMEDY} {name}"


def _same(has: Release, wanted: Release) -> bool:
    return (has.pinned, has.digest) == (wanted.pinned, wanted.digest)


def who_has_what(context: Context) -> dict[str, str]:
    """Return what each node was seen to have, in words; of all nodes, by name."""
    return {
        live.node.name: _what(context, live.node.name) for live in context.fleet.nodes
    }


def _what(context: Context, name: str) -> str:
    fleet = context.fleet
    state = fleet.board.state(name)
    if state.status is None or state.looked is None:
        return "unknown"
    if state.status.found is None:
        return "nothing"
    release = fleet.releases.has(state.status)
    return "unknown" if release is None else f"release {release.number}"
