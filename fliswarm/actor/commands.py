"""The commands, defined once for telescope software and for people."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from fliswarm.actor.call import Call
from fliswarm.camera import Outcome, Reply
from fliswarm.errors import FliswarmError, SelectionError
from fliswarm.fleet import LiveFleet
from fliswarm.model import NodeStatus
from fliswarm.node import LiveNode

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Context:
    """What a command works with.

    ``name`` and ``version`` are the actor's; ``reload`` reads the configuration again
    and returns the names of the nodes that changed.
    """

    call: Call
    fleet: LiveFleet
    name: str
    version: str
    reload: Callable[[], Awaitable[list[str]]]


# Telescope software sends negative numbers, which look like options.
SETTINGS = {"ignore_unknown_options": True, "terminal_width": 80}


@click.group(context_settings=SETTINGS)
def commands() -> None:
    """Commands of the actor."""


def selection(what: str) -> Callable[[F], F]:
    """Add the options that say which nodes are meant."""
    options = (
        click.option("--names", "-n", help=f"Comma-separated {what}."),
        click.option("--category", "-c", help="Category of nodes (gfa, fvc)."),
        click.option("--exclude", "-x", help="Comma-separated names to leave out."),
    )

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@commands.command(context_settings=SETTINGS)
@click.pass_obj
async def ping(context: Context) -> None:
    """Pings the actor."""
    context.call.finish(text="Pong.")


@commands.command(context_settings=SETTINGS)
@click.pass_obj
async def version(context: Context) -> None:
    """Reports the version."""
    context.call.finish(version=context.version)


@commands.command(name="help", context_settings=SETTINGS)
@click.argument("PARSER-COMMAND", nargs=-1)
@click.pass_obj
async def help_(context: Context, parser_command: tuple[str, ...]) -> None:
    """Shows the help."""
    show_help(context, parser_command)


def show_help(context: Context, names: tuple[str, ...]) -> None:
    """Answer with the help of a command, or of all."""
    outer = click.Context(commands, info_name=context.name, **_width())
    if not names:
        text = commands.get_help(outer)
    elif (command := commands.commands.get(names[0])) is not None:
        inner = click.Context(command, outer, info_name=names[0], **_width())
        text = command.get_help(inner)
    else:
        context.call.fail(error=f"command {names[0]} not found.")
        return
    for line in text.splitlines():
        context.call.warning(help=line)
    context.call.finish()


def _width() -> dict[str, Any]:
    return {"terminal_width": 80, "max_content_width": 80}


@commands.command(context_settings=SETTINGS)
@selection("nodes to report")
@click.option("--detail", "-d", is_flag=True, help="Report image and camera as well.")
@click.pass_obj
async def status(
    context: Context,
    names: str | None,
    category: str | None,
    exclude: str | None,
    *,
    detail: bool,
) -> None:
    """Reports the status of the nodes and containers."""
    nodes = context.fleet.select(names, category, exclude)
    context.call.info(enabledNodes=[node.node.name for node in nodes])
    await _report(context, nodes, detail=detail)
    context.call.finish()


async def _report(
    context: Context, nodes: list[LiveNode], *, detail: bool = False
) -> None:
    for found in await context.fleet.status(nodes):
        _report_one(context, found, detail=detail)


def _report_one(context: Context, found: NodeStatus, *, detail: bool) -> None:
    call, node = context.call, found.node
    if not found.host_alive:
        call.warning(text=f"Node {node.host} is not pinging back.")
    elif not found.engine_alive:
        call.warning(text=f"Docker client on node {node.host} is not connected.")
    alive = [found.host_alive, found.engine_alive]
    call.info(node=[node.name, node.host, node.engine, *alive])
    if found.engine_alive:
        if found.container is None:
            call.warning(text=f"No containers running on {node.host}.")
        short_id = found.container.short_id if found.container else "NA"
        call.debug(container=[node.name, short_id])
        for volume in context.fleet.desired.volumes:
            there = found.volumes.get(volume.name, False)
            if not there:
                text = f"Volume {volume.name} not present in {node.name}."
                call.warning(text=text)
            device = volume.options["device"] if there else "NA"
            call.debug(volume=[node.name, volume.name, there, device])
    if detail:
        image = context.fleet.desired.image_reference
        call.info(image=[node.name, image, found.digest or "NA"])
        call.info(camera=[node.name, found.camera_up])


@commands.command(context_settings=SETTINGS)
@selection("nodes to reconnect")
@click.option(
    "--force",
    "-f",
    is_flag=True,
    help="Replaces containers that are as they should be.",
)
@click.option("--dry-run", is_flag=True, help="Only says what would be done.")
@click.pass_obj
async def reconnect(
    context: Context,
    names: str | None,
    category: str | None,
    exclude: str | None,
    *,
    force: bool,
    dry_run: bool,
) -> None:
    """Creates volumes and containers where needed and reconnects the cameras."""
    call, fleet = context.call, context.fleet
    nodes = fleet.select(names, category, exclude)
    if dry_run:
        await _say_plan(context, nodes, force=force)
        return
    failed = []
    for result in await fleet.apply(nodes, call.write, force=force):
        if result.error is not None:
            failed.append(result.node)
            call.error(error=str(result.error))
    good = [node for node in nodes if node.node.name not in failed]
    await _report(context, good)
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
@click.option("--all", "-a", "everything", is_flag=True, help="All nodes.")
@click.pass_obj
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
    nodes = context.fleet.select(names, category, exclude)
    failed = []
    for result in await context.fleet.remove(nodes, call.write):
        if result.error is not None:
            failed.append(result.node)
            call.error(error=str(result.error))
    if failed:
        call.fail(error="Failed to clear one or more nodes.", failed=failed)
    else:
        call.finish()


@commands.command(context_settings=SETTINGS)
@click.argument("CAMERA-COMMAND", nargs=-1)
@selection("cameras to command")
@click.option("--timeout", type=float, help="Seconds to wait for each camera.")
@click.option("--strict", is_flag=True, help="Fails when any camera does.")
@click.pass_obj
async def talk(
    context: Context,
    camera_command: tuple[str, ...],
    names: str | None,
    category: str | None,
    exclude: str | None,
    timeout: float | None,  # noqa: ASYNC109  the option's name is the protocol's
    *,
    strict: bool,
) -> None:
    """Sends a command to selected or all cameras."""
    call = context.call
    if not camera_command:
        raise click.UsageError("Missing argument 'CAMERA-COMMAND...'.")
    nodes = context.fleet.select(names, category, exclude)
    connected = {node.node.name for node in nodes if node.link.up}
    for node in nodes:
        if node.node.name not in connected:
            call.warning(text=f"Failed connecting to {node.node.name}.")
    bundle: list[str] = []

    def on_reply(reply: Reply) -> None:
        call.relay(reply)
        written = reply.data.get("filename")
        if isinstance(written, Mapping) and "filename" in written:
            bundle.append(str(written["filename"]))

    message = shlex.join(camera_command)
    results = await context.fleet.talk(nodes, message, on_reply, timeout)
    for result in results:
        if result.outcome is Outcome.LOST and result.node in connected:
            call.error(error=f"{result.node}: {result.problem}")
    if bundle:
        call.info(filename_bundle=bundle)
    failed = [r.node for r in results if r.outcome is not Outcome.DONE]
    if failed:
        call.warning(failed=failed)
    if all(result.outcome is Outcome.LOST for result in results):
        call.fail(error="No camera answered.")
    elif failed and strict:
        call.fail(error="One or more cameras failed.")
    else:
        call.finish()


@commands.command(context_settings=SETTINGS)
@click.argument("NODES", nargs=-1)
@click.option("--all", "-a", "everything", is_flag=True, help="Disable all nodes.")
@click.pass_obj
async def disable(
    context: Context, nodes: tuple[str, ...], *, everything: bool
) -> None:
    """Disables one or multiple cameras/nodes."""
    for name in context.fleet.names if everything else nodes:
        if not context.fleet.disable(name):
            context.call.warning(text=f"Cannot find node {name}.")
    context.call.finish()


@commands.command(context_settings=SETTINGS)
@click.argument("NODES", nargs=-1)
@click.option("--all", "-a", "everything", is_flag=True, help="Enable all nodes.")
@click.pass_obj
async def enable(context: Context, nodes: tuple[str, ...], *, everything: bool) -> None:
    """Enables one or multiple cameras."""
    for name in context.fleet.names if everything else nodes:
        if not context.fleet.enable(name):
            context.call.warning(text="Node does not exist.")
    context.call.finish()


@commands.command(context_settings=SETTINGS)
@click.argument("NODE")
@click.option("--lines", type=click.IntRange(1, 10000), default=100, show_default=True)
@click.pass_obj
async def logs(context: Context, node: str, lines: int) -> None:
    """Shows what a camera's program printed last."""
    for live in context.fleet.select(node):
        for line in (await context.fleet.logs(live, lines)).splitlines():
            context.call.info(log=[live.node.name, line])
    context.call.finish()


@commands.command(context_settings=SETTINGS)
@click.pass_obj
async def reload(context: Context) -> None:
    """Reads the configuration again and follows what changed."""
    changed = await context.reload()
    context.call.finish(text=f"changed: {', '.join(changed) or 'nothing'}")
