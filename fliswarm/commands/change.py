"""Changing the fleet."""

from __future__ import annotations

import click

from fliswarm.commands.call import Call
from fliswarm.commands.context import Context
from fliswarm.commands.group import SECONDS, SETTINGS, commands, selection
from fliswarm.commands.look import report
from fliswarm.errors import FliswarmError, SelectionError
from fliswarm.fleet.live import ApplyResult
from fliswarm.fleet.node import LiveNode


@commands.command(everywhere=True, context_settings=SETTINGS)
@selection("nodes to reconnect")
@click.option(
    "--force",
    "-f",
    is_flag=True,
    help="Replaces containers that are as they should be.",
)
@click.option("--dry-run", is_flag=True, help="Only says what would be done.")
async def reconnect(
    context: Context,
    names: str | None,
    category: str | None,
    exclude: str | None,
    *,
    force: bool,
    dry_run: bool,
) -> None:
    """Recreates volumes and restarts the Docker containers."""
    call, fleet = context.call, context.fleet
    nodes = fleet.select(names, category, exclude)
    if dry_run:
        await _say_plan(context, nodes, force=force)
        return
    failed = report_errors(call, await fleet.apply(nodes, call.write, force=force))
    good = [node for node in nodes if node.node.name not in failed]
    await report(context, good)
    for live in good:
        node = live.node
        text = f"{node.name}: reconnected to device on port {node.port}."
        call.debug(text=text)
    if failed:
        call.fail(error="Failed to reconnect one or more nodes.", failed=failed)
    else:
        call.finish()


async def _say_plan(context: Context, nodes: list[LiveNode], *, force: bool) -> None:
    call = context.call
    unknown = False
    for node, steps in zip(
        nodes, await context.fleet.plan(nodes, force=force), strict=True
    ):
        name = node.node.name
        if isinstance(steps, FliswarmError):
            unknown = True
            call.note(steps.exit_code)
            call.error(error=str(steps))
        elif steps.blocked:
            call.warning(text=f"{name}: {steps.blocked}")
        elif steps.empty:
            call.info(text=f"{name}: nothing to do")
        else:
            why = ", ".join(map(str, steps.differences)) or "forced"
            what = ", ".join(type(action).__name__ for action in steps.actions)
            call.info(text=f"{name}: {what} ({why})")
    if unknown:
        call.fail(error="One or more nodes cannot be asked.")
    else:
        call.finish()


@commands.command(context_settings=SETTINGS)
@selection("nodes to clear")
@click.option(
    "--all", "-a", "everything", is_flag=True, help="All nodes, disabled ones as well."
)
async def remove(
    context: Context,
    names: str | None,
    category: str | None,
    exclude: str | None,
    *,
    everything: bool,
) -> None:
    """Stops and removes the camera containers and their volumes."""
    if not everything and not names and not category:
        raise SelectionError("name the nodes to clear, or --all")
    call = context.call
    nodes = context.fleet.select(names, category, exclude, disabled=everything)
    failed = report_errors(call, await context.fleet.remove(nodes, call.write))
    if failed:
        call.fail(error="Failed to clear one or more nodes.", failed=failed)
    else:
        call.finish()


@commands.command(everywhere=True, context_settings=SETTINGS)
@selection("nodes to reboot")
@click.option(
    "--hard", "-f", is_flag=True, help="Reboots the computer by power cycling it."
)
@click.option("--timeout", type=SECONDS, default=300.0, help="Seconds to wait.")
async def reboot(
    context: Context,
    names: str | None,
    category: str | None,
    exclude: str | None,
    timeout: float,  # noqa: ASYNC109  the option's name is the protocol's
    *,
    hard: bool,
) -> None:
    """Reboot the camera computer(s)."""
    call = context.call
    nodes = context.fleet.select(names, category, exclude)
    results = await context.fleet.reboot(nodes, call.write, hard=hard, limit=timeout)
    failed = report_errors(call, results)
    call.info(enabledNodes=context.fleet.enabled)
    await report(context, nodes)
    if failed:
        call.fail(error="Failed to reboot one or more nodes.", failed=failed)
    else:
        call.finish()


def report_errors(call: Call, results: list[ApplyResult]) -> list[str]:
    """Tell what went wrong on which nodes; return their names."""
    failed = {r.node: r.error for r in results if r.error is not None}
    for error in failed.values():
        call.note(error.exit_code)
        call.error(error=str(error))
    return list(failed)


@commands.command(everywhere=True, context_settings=SETTINGS)
@click.argument("NODES", nargs=-1)
@click.option("--all", "-a", "everything", is_flag=True, help="Disable all nodes.")
async def disable(
    context: Context, nodes: tuple[str, ...], *, everything: bool
) -> None:
    """Disables one or multiple cameras/nodes."""
    chosen = context.fleet.names if everything else nodes
    unknown = [name for name in chosen if not context.fleet.disable(name)]
    for name in unknown:
        context.call.warning(text=f"Cannot find node {name}.")
    if unknown:
        context.call.warning(failed=unknown)
    context.call.finish()


@commands.command(everywhere=True, context_settings=SETTINGS)
@click.argument("NODES", nargs=-1)
@click.option("--all", "-a", "everything", is_flag=True, help="Enable all nodes.")
async def enable(context: Context, nodes: tuple[str, ...], *, everything: bool) -> None:
    """Enables one or multiple cameras."""
    chosen = context.fleet.names if everything else nodes
    unknown = [name for name in chosen if not context.fleet.enable(name)]
    for _ in unknown:
        context.call.warning(text="Node does not exist.")
    if unknown:
        context.call.warning(failed=unknown)
    context.call.finish()


@commands.command(context_settings=SETTINGS)
@click.option("--check", is_flag=True, help="Fails when anything would change.")
async def reload(context: Context, *, check: bool) -> None:
    """Reads the configuration again and follows what changed."""
    if check:
        if stale := context.site.stale():
            context.call.fail(error=f"not as the file has it: {', '.join(stale)}")
        else:
            context.call.finish(text="all is as the file has it")
        return
    changed = await context.site.reload()
    if late := context.site.stale():
        context.call.warning(text=f"{', '.join(late)}: in force from the next start")
    context.call.finish(text=f"changed: {', '.join(changed) or 'nothing'}")
