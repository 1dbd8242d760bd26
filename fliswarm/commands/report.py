"""How nodes are, as keywords of the actor protocol; the board says it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fliswarm.commands.context import Context
from fliswarm.commands.words import words
from fliswarm.fleet.board import State
from fliswarm.fleet.node import LiveNode
from fliswarm.model import CERTIFICATE_DAYS, NodeStatus, facts
from fliswarm.model.fact import now

REMEDIES = {
    "roster": "disable the nodes again that are to be so",
    "engines": "fliswarm reconnect, and look at computers that left the configuration",
    "releases": "fliswarm update, which makes releases anew",
    "adopted": "fliswarm reconnect --adopt, which knows the containers again",
}
"""What is to be done when a file of the state folder is lost, by its name."""

REMEDY = "fliswarm reconnect -n {name}, as a change of it may have been cut off"


async def report(
    context: Context, nodes: Sequence[LiveNode], *, detail: bool = False
) -> None:
    """Look at nodes, and tell how each is."""
    seen = await context.fleet.status(nodes, detail=detail)
    for live, found in zip(nodes, seen, strict=True):
        _node(context, found)
        _certificate(context, found, detail=detail)
        trouble(context, found.node.name)
        if detail:
            _detail(context, found)
            for exchange in live.link.under_way("expose"):
                context.call.info(exposing=[found.node.name, exchange.message])


def report_disabled(context: Context, names: Sequence[str]) -> None:
    """Tell of each of these nodes that is disabled who wanted it so, when and why."""
    for name in names:
        standing = context.fleet.roster.standing(name)
        if not standing.enabled:
            who, why = standing.by, standing.reason
            context.call.info(disabled=[name, who, standing.since or "NA", why])


def report_locks(context: Context) -> None:
    """Tell who keeps changes of others away from which nodes, since when and why."""
    for hold in context.fleet.locks.holds:
        if hold.kept:
            since = hold.since.isoformat(timespec="seconds")
            context.call.info(lock=[hold.who, hold.door, hold.why, since, *hold.nodes])


def report_leavings(context: Context) -> None:
    """Tell what of ours may run where the configuration has no node any more."""
    for leaving in context.fleet.leavings:
        node = leaving.node
        said = words(facts.LeftBehind(node=node.name, engine=node.engine))
        assert said is not None
        context.call.write(*said)
        context.call.info(left=[node.name, node.engine])
    pending = [entry.node.name for entry in context.fleet.journal.entries]
    for name in dict.fromkeys(pending):
        if name not in context.fleet.desired.nodes:
            trouble(context, name)
    for path in context.fleet.unreadable:
        name = path.name.partition(".")[0]
        remedy = REMEDIES.get(name, "see the log")
        if path.parent.name == "journal":
            remedy = REMEDY.format(name=name)
        context.call.warning(
            text=f"What was noted in {path} cannot be read. Remedy: {remedy}, "
            "then remove that file"
        )


def _node(context: Context, found: NodeStatus) -> None:
    call, node = context.call, found.node
    if not found.host_alive:
        call.warning(text=f"Node {node.host} is not pinging back.")
    elif not found.engine_alive:
        call.warning(text=f"Docker client on node {node.host} is not connected.")
    alive = [found.host_alive, found.engine_alive]
    call.info(node=[node.name, node.host, node.engine, *alive])
    if not found.engine_alive:
        return
    if found.original is not None:
        name, short = found.original.name, found.original.short_id
        call.warning(
            text=f"{node.name}: a container of sdss-fliswarm runs here ({name}, "
            f"{short}), and is not ours. Remedy: fliswarm reconnect --adopt -n "
            f"{node.name}"
        )
    if found.container is None:
        state = f" ({found.found.name} is {found.found.state})" if found.found else ""
        call.warning(text=f"No containers running on {node.host}{state}.")
    short_id = found.container.short_id if found.container else "NA"
    call.debug(container=[node.name, short_id])
    for volume in context.fleet.desired.volumes:
        there = found.volumes.get(volume.name, False)
        if not there:
            call.warning(text=f"Volume {volume.name} not present in {node.name}.")
        device = volume.options["device"] if there else "NA"
        call.debug(volume=[node.name, volume.name, there, device])
    for stranger in found.strangers:
        call.warning(
            text=f"{node.name}: {stranger.name} is {stranger.state} on its engine; it "
            f"was made for {stranger.node}. Remedy: fliswarm reconnect"
        )


def _certificate(context: Context, found: NodeStatus, *, detail: bool) -> None:
    if found.certificate_ends is None:
        return
    name = found.node.name
    left = (found.certificate_ends - now()).days
    day = found.certificate_ends.date().isoformat()
    if left < CERTIFICATE_DAYS:
        when = f"in {left} days, on {day}" if left >= 0 else f"on {day}"
        text = (
            f"A certificate between the controller and {name} ends {when}:"
            " fliswarm provision renews it."
        )
        context.call.warning(text=text)
    if detail:
        context.call.info(certificate=[name, day, left])


def trouble(context: Context, name: str) -> None:
    """Tell what was cut off on a node and is not settled."""
    for unfinished in context.fleet.board.state(name).unfinished:
        if (said := words(unfinished)) is not None:
            context.call.write(*said)


def _detail(context: Context, found: NodeStatus) -> None:
    """Tell what the original does not, with the age of what is known in seconds."""
    call, name = context.call, found.node.name
    state = context.fleet.board.state(name)
    releases = context.fleet.releases
    image = context.fleet.desired.container(found.node).image
    call.info(image=[name, image, found.digest or "NA"])
    has = releases.has(state.status)
    wanted = releases.of(context.fleet.desired, name)
    if has is not None or wanted is not None:
        numbers = [release and release.number for release in (has, wanted)]
        call.info(release=[name, *numbers])
    call.info(camera=[name, found.camera_up])
    since, problem = _age(state.camera.since), found.camera_problem
    call.info(link=[name, found.camera_up, since, problem])
    call.info(engine=[name, found.engine_alive, _age(state.looked), found.problem])
    call.info(state=[name, *_container(state)])
    if found.found is not None and found.found.made is not None:
        call.info(
            text=f"{name}: its container was made by sdss-fliswarm and is adopted; it "
            f"is gone when it ends. fliswarm reconnect --force -n {name} makes ours"
        )
    change = context.fleet.journal.busy(name)
    if change is not None:
        call.info(change=[name, change, state.step])


def _container(state: State) -> tuple[str, str]:
    """Return the container's state and name, as it was seen last."""
    if state.looked is None or state.status is None:
        return "unknown", "NA"
    found = state.status.found
    return ("none", "NA") if found is None else (found.state, found.name)


def _age(since: float | None) -> float | None:
    if since is None:
        return None
    return round(asyncio.get_running_loop().time() - since, 1)
