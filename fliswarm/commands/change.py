"""Changing the fleet."""

from __future__ import annotations

from collections.abc import Sequence

import click

from fliswarm.change.carry import problem
from fliswarm.commands import scope
from fliswarm.commands.call import Call
from fliswarm.commands.context import Context
from fliswarm.commands.group import (
    SECONDS,
    SETTINGS,
    commands,
    of_plan,
    selection,
    terms,
)
from fliswarm.commands.report import report, trouble
from fliswarm.commands.scope import meant
from fliswarm.commands.words import words
from fliswarm.errors import FliswarmError, SelectionError
from fliswarm.fleet.adopting import adopt as adopt_all
from fliswarm.fleet.fan import ApplyResult
from fliswarm.fleet.left import Leaving
from fliswarm.fleet.node import LiveNode
from fliswarm.model.facts import Fact, Tell
from fliswarm.model.terms import Terms


@commands.command(everywhere=True, changing=scope.selected, context_settings=SETTINGS)
@selection("nodes to reconnect")
@click.option(
    "--force",
    "-f",
    is_flag=True,
    help="Replaces containers that are as they should be.",
)
@click.option("--dry-run", is_flag=True, help="Only says what would be done.")
@terms
@of_plan
@click.option(
    "--adopt",
    is_flag=True,
    help="Takes over what sdss-fliswarm runs; what is as wanted is not replaced.",
)
async def reconnect(
    context: Context,
    names: str | None,
    category: str | None,
    exclude: str | None,
    terms: Terms,
    plan: str | None,
    *,
    force: bool,
    dry_run: bool,
    adopt: bool,
) -> None:
    """Recreates volumes and restarts the Docker containers."""
    call, fleet = context.call, context.fleet
    call.plan = plan or ""
    nodes = fleet.select(names, category, exclude)
    whole = names is None and category is None and exclude is None
    if dry_run:
        await _say_plan(context, nodes, terms, whole=whole, force=force, adopt=adopt)
        return
    if adopt:
        errors = await adopt_all(fleet, nodes, telling(call), call.who)
        for error in errors.values():
            call.note(error.exit_code)
            call.error(error=str(error))
    results = await fleet.apply(
        nodes, telling(call), call.who, force=force, terms=terms
    )
    failed = report_errors(call, results)
    good = [node for node in nodes if node.node.name not in failed]
    await _clear(context, _left_by(context, good, whole=whole))
    await report(context, good)
    for live in good:
        node = live.node
        text = f"{node.name}: reconnected to device on port {node.port}."
        call.debug(text=text)
    if failed:
        call.fail(error="Failed to reconnect one or more nodes.", failed=failed)
    else:
        call.finish()


def _left_by(
    context: Context, nodes: Sequence[LiveNode], *, whole: bool
) -> list[Leaving]:
    """Return the engines that these nodes left, and with ``whole`` those of no node."""
    names = {live.node.name for live in nodes}
    wanted = context.fleet.desired.nodes
    return [
        leaving
        for leaving in context.fleet.leavings
        if leaving.node.name in names or (whole and leaving.node.name not in wanted)
    ]


async def _clear(context: Context, leavings: Sequence[Leaving]) -> list[str]:
    """Take away what was left behind; tell what stays, and return whose it is."""
    call = context.call
    results = await context.fleet.clear(leavings, telling(call), call.who)
    stay = []
    for leaving, result in zip(leavings, results, strict=True):
        if result.error is not None:
            node = leaving.node
            stay.append(node.name)
            call.warning(
                text=f"{node.name}: what it left on {node.engine} stays "
                f"({result.error}); remedy: fliswarm remove --left, or remove "
                f"--forget {node.name} when that computer is gone for good"
            )
            call.info(left=[node.name, node.engine])
    return stay


async def _say_plan(
    context: Context,
    nodes: list[LiveNode],
    terms: Terms,
    *,
    whole: bool,
    force: bool,
    adopt: bool,
) -> None:
    call = context.call
    unknown = False
    plans = await context.fleet.plan(
        nodes, telling(call), force=force, terms=terms, adopt=adopt
    )
    for node, steps in zip(nodes, plans, strict=True):
        name = node.node.name
        trouble(context, name)
        if isinstance(steps, FliswarmError):
            unknown = True
            call.note(steps.exit_code)
            call.error(error=str(steps))
        elif steps.blocked:
            unknown = True
            call.warning(text=f"{name}: {steps.blocked}")
        elif steps.empty:
            call.info(text=f"{name}: nothing to do")
        else:
            why = ", ".join(map(str, steps.differences)) or "forced"
            what = ", ".join(type(action).__name__ for action in steps.actions)
            call.info(text=f"{name}: {what} ({why})")
    for leaving in _left_by(context, nodes, whole=whole):
        name, engine = leaving.node.name, leaving.node.engine
        call.info(text=f"{name}: what it left on {engine} would be removed")
    if unknown:
        call.fail(error="One or more nodes cannot be made as wanted.")
    else:
        call.finish()


@commands.command(changing=scope.cleared, context_settings=SETTINGS)
@selection("nodes to clear")
@click.option(
    "--all", "-a", "everything", is_flag=True, help="All nodes, disabled ones as well."
)
@click.option("--left", is_flag=True, help="What is left where no node is any more.")
@click.option("--forget", help="A computer that left and will never answer again.")
@terms
@of_plan
async def remove(
    context: Context,
    names: str | None,
    category: str | None,
    exclude: str | None,
    forget: str | None,
    terms: Terms,
    plan: str | None,
    *,
    everything: bool,
    left: bool,
) -> None:
    """Stops and removes the camera containers and their volumes."""
    call, fleet = context.call, context.fleet
    call.plan = plan or ""
    named = everything or names is not None or category is not None
    if forget is not None:
        await _forget(context, forget)
    if not (named or left or forget):
        raise SelectionError("name the nodes to clear, or --all, or --left")
    failed: list[str] = []
    if named:
        nodes = fleet.select(names, category, exclude, disabled=everything)
        results = await fleet.remove(nodes, telling(call), call.who, terms=terms)
        failed = report_errors(call, results)
    if left or everything:
        stay = await _clear(context, fleet.leavings)
        # Who clears all nodes is told of it; who asked for just that has not got it.
        failed += stay if left else []
    if failed:
        call.fail(error="Failed to clear one or more nodes.", failed=failed)
    else:
        call.finish()


async def _forget(context: Context, name: str) -> None:
    fleet = context.fleet
    found = [leaving for leaving in fleet.leavings if leaving.node.name == name]
    if not found:
        raise SelectionError(f"nothing is known to be left of {name}")
    for leaving in found:
        await fleet.forget(leaving)
        context.call.info(text=f"{name}: {leaving.node.engine} is forgotten.")


@commands.command(everywhere=True, changing=scope.named, context_settings=SETTINGS)
@click.argument("NODES", nargs=-1)
@click.option("--all", "-a", "everything", is_flag=True, help="Disable all nodes.")
@click.option("--reason", default="", help="Why, for others to read.")
async def disable(
    context: Context, nodes: tuple[str, ...], reason: str, *, everything: bool
) -> None:
    """Disables one or multiple cameras/nodes."""
    fleet, who = context.fleet, context.call.who
    chosen = fleet.roster.met if everything else meant(context, nodes)
    unknown = [name for name in chosen if not fleet.disable(name, who, reason)]
    for name in unknown:
        context.call.warning(text=f"Cannot find node {name}.")
    if unknown:
        context.call.warning(failed=unknown)
    context.call.finish()


@commands.command(everywhere=True, changing=scope.named, context_settings=SETTINGS)
@click.argument("NODES", nargs=-1)
@click.option("--all", "-a", "everything", is_flag=True, help="Enable all nodes.")
async def enable(context: Context, nodes: tuple[str, ...], *, everything: bool) -> None:
    """Enables one or multiple cameras."""
    fleet, who = context.fleet, context.call.who
    chosen = fleet.roster.met if everything else meant(context, nodes)
    unknown = [name for name in chosen if not fleet.enable(name, who)]
    for _ in unknown:
        context.call.warning(text="Node does not exist.")
    if unknown:
        context.call.warning(failed=unknown)
    context.call.finish()


@commands.command(changing=scope.whole, context_settings=SETTINGS)
@click.option("--check", is_flag=True, help="Fails when anything would change.")
async def reload(context: Context, *, check: bool) -> None:
    """Reads the configuration again and follows what changed."""
    if check:
        if stale := await context.site.stale():
            context.call.fail(error=f"not as the file has it: {', '.join(stale)}")
        else:
            context.call.finish(text="all is as the file has it")
        return
    changed = await context.site.reload()
    context.call.outcomes.update(dict.fromkeys(changed, "changed"))
    if late := await context.site.stale():
        context.call.warning(text=f"{', '.join(late)}: in force from the next start")
    context.call.finish(text=f"changed: {', '.join(changed) or 'nothing'}")


@commands.command(everywhere=True, changing=scope.rebooted, context_settings=SETTINGS)
@selection("nodes to reboot")
@click.option(
    "--hard", "-f", is_flag=True, help="Reboots the computer by power cycling it."
)
@click.option("--timeout", type=SECONDS, default=300.0, help="Seconds to wait.")
@terms
async def reboot(
    context: Context,
    names: str | None,
    category: str | None,
    exclude: str | None,
    timeout: float,  # noqa: ASYNC109  the option's name is the protocol's
    terms: Terms,
    *,
    hard: bool,
) -> None:
    """Reboot the camera computer(s)."""
    call = context.call
    nodes = context.fleet.select(names, category, exclude)
    results = await context.fleet.reboot(
        nodes, telling(call), call.who, hard=hard, limit=timeout, terms=terms
    )
    failed = report_errors(call, results)
    call.info(enabledNodes=context.fleet.enabled)
    await report(context, nodes)
    if failed:
        call.fail(error="Failed to reboot one or more nodes.", failed=failed)
    else:
        call.finish()


def telling(call: Call) -> Tell:
    """Return what tells facts to whoever gave a command, in the actor's words."""

    def tell(fact: Fact) -> None:
        if said := words(fact):
            call.write(*said)

    return tell


def report_errors(call: Call, results: list[ApplyResult]) -> list[str]:
    """Tell what went wrong on which nodes, and note it; return their names."""
    for result in results:
        how = "changed" if result.changed else "as it was"
        error = result.error
        call.outcomes[result.node] = how if error is None else problem(error)
    failed = {r.node: r.error for r in results if r.error is not None}
    for error in failed.values():
        call.note(error.exit_code)
        call.error(error=str(error))
    return list(failed)
