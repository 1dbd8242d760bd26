"""The commands, defined once for telescope software and for people."""

from __future__ import annotations

import asyncio
import glob as globbing
import itertools
import json
import math
import random as chance
import shlex
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from fliswarm.camera import Outcome, Reply
from fliswarm.commands.call import Call, Sink
from fliswarm.commands.events import Events
from fliswarm.commands.schema import keyword_schema, schema
from fliswarm.errors import FliswarmError, SelectionError
from fliswarm.fleet.live import ApplyResult, LiveFleet
from fliswarm.fleet.node import LiveNode
from fliswarm.hub.tron import TronLink
from fliswarm.model import CERTIFICATE_DAYS, NodeStatus

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Site:
    """What all commands work with.

    ``name`` and ``version`` are the actor's; ``reload`` reads the configuration again
    and returns the names of the nodes that changed; ``stale`` only tells what is not
    as the configuration has it; ``running`` holds the commands that go on until they
    are stopped, by name.
    """

    fleet: LiveFleet
    name: str
    version: str
    reload: Callable[[], Awaitable[list[str]]]
    stale: Callable[[], list[str]]
    hub: TronLink | None = None
    events: Events = field(default_factory=Events)
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Context:
    """What one command works with."""

    call: Call
    site: Site

    @property
    def fleet(self) -> LiveFleet:
        """The fleet that is commanded."""
        return self.site.fleet


HUB_LIMIT = 5.0
"""Seconds for the hub to accept a connection."""

# Telescope software sends negative numbers, which look like options.
SETTINGS = {"ignore_unknown_options": True, "terminal_width": 80}


class _Seconds(click.ParamType[float]):
    """A time that can pass: more than nothing, and finite."""

    name = "float"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            seconds = float(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a valid float.", param, ctx)
        if not 0 < seconds < math.inf:
            self.fail(f"{value!r} is not a number of seconds above 0.", param, ctx)
        return seconds


SECONDS = _Seconds()


# No help text: the list of the commands is all there is to say.
commands = click.Group("commands", context_settings=SETTINGS)


def selection(what: str, *, short: bool = True) -> Callable[[F], F]:
    """Add the options that say which nodes are meant.

    Without ``short``, ``-x`` is left to a camera's command.
    """
    exclude = ["--exclude", "-x"] if short else ["--exclude"]
    options = (
        click.option("--names", "-n", help=f"Comma-separated {what}."),
        click.option("--category", "-c", help="Category of nodes (gfa, fvc)."),
        click.option(*exclude, help="Comma-separated names to leave out."),
    )

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@commands.command(context_settings=SETTINGS)
async def ping(context: Context) -> None:
    """Pings the actor."""
    context.call.finish(text="Pong.")


@commands.command(context_settings=SETTINGS)
async def version(context: Context) -> None:
    """Reports the version."""
    context.call.finish(version=context.site.version)


@commands.command(name="help", context_settings=SETTINGS)
@click.argument("PARSER-COMMAND", nargs=-1)
async def help_(context: Context, parser_command: tuple[str, ...]) -> None:
    """Shows the help."""
    await show_help(context, parser_command)


async def show_help(context: Context, parser_command: tuple[str, ...]) -> None:
    """Answer with the help of a command, or of all."""
    names = parser_command
    outer = click.Context(commands, info_name=context.site.name, **_width())
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
async def status(
    context: Context,
    names: str | None,
    category: str | None,
    exclude: str | None,
    *,
    detail: bool,
) -> None:
    """Outputs the status of the nodes and containers."""
    nodes = context.fleet.select(names, category, exclude, none_will_do=True)
    context.call.info(enabledNodes=[node.node.name for node in nodes])
    await _report(context, nodes, detail=detail)
    context.call.finish()


async def _report(
    context: Context, nodes: list[LiveNode], *, detail: bool = False
) -> None:
    for found in await context.fleet.status(nodes, detail=detail):
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
    if found.certificate_ends is not None:
        left = (found.certificate_ends - datetime.now(UTC)).days
        day = found.certificate_ends.date().isoformat()
        if left < CERTIFICATE_DAYS:
            when = f"in {left} days, on {day}" if left >= 0 else f"on {day}"
            text = (
                f"A certificate between the controller and {node.name} ends {when}:"
                " fliswarm provision renews it."
            )
            call.warning(text=text)
        if detail:
            call.info(certificate=[node.name, day, left])
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
    failed = _report_errors(call, await fleet.apply(nodes, call.write, force=force))
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
    failed = _report_errors(call, await context.fleet.remove(nodes, call.write))
    if failed:
        call.fail(error="Failed to clear one or more nodes.", failed=failed)
    else:
        call.finish()


@commands.command(context_settings=SETTINGS)
@click.argument("CAMERA-COMMAND", nargs=-1)
@selection("cameras to command", short=False)
@click.option("--timeout", type=SECONDS, help="Seconds to wait for each camera.")
@click.option("--strict", is_flag=True, help="Fails when any camera does.")
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
        call.fail(error="No camera command was given.")
        return
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


@commands.command(context_settings=SETTINGS)
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
@click.argument("NODE")
@click.option("--lines", type=click.IntRange(1, 10000), default=100, show_default=True)
async def logs(context: Context, node: str, lines: int) -> None:
    """Shows what a camera's program printed last."""
    for live in context.fleet.select(node):
        for line in (await context.fleet.logs(live, lines)).splitlines():
            context.call.info(log=[live.node.name, line])
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


@commands.command(context_settings=SETTINGS)
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
    failed = _report_errors(call, results)
    call.info(enabledNodes=context.fleet.enabled)
    await _report(context, nodes)
    if failed:
        call.fail(error="Failed to reboot one or more nodes.", failed=failed)
    else:
        call.finish()


def _report_errors(call: Call, results: list[ApplyResult]) -> list[str]:
    """Tell what went wrong on which nodes; return their names."""
    failed = [result for result in results if result.error is not None]
    for result in failed:
        call.error(error=str(result.error))
    return [result.node for result in failed]


def _claim(context: Context, name: str, *, stop: bool) -> bool:
    """Take the place of the one running command of a name, or stop who has it.

    Returns whether the command is to go on.
    """
    call, running = context.call, context.site.running
    path = f"{context.site.name}-command-parser_{name}"
    other = running.get(name)
    if stop and other is None:
        call.fail(error=f"Cannot find running command {path}.")
    elif stop and other is not None:
        other.cancel()
        call.finish(text="Command has been scheduled for cancellation.")
    elif other is not None:
        call.fail(error=f"Another command {path} is already running.")
    elif (task := asyncio.current_task()) is not None:
        running[name] = task
        task.add_done_callback(lambda _: running.pop(name, None))
        return True
    return False


@commands.command(context_settings=SETTINGS)
@click.argument("GLOB", required=False)
@click.option(
    "--delay", type=SECONDS, default=5.0, help="Delay between outputting images."
)
@click.option("--random", is_flag=True, help="Randomise images.")
@click.option("--stop", is_flag=True, help="Stops the execution of the command.")
async def simulate(
    context: Context, glob: str | None, delay: float, *, random: bool, stop: bool
) -> None:
    """Simulate images being written to disk."""
    call = context.call
    if not _claim(context, "simulate", stop=stop):
        return
    if glob is None:
        call.fail(error="A valid path pattern is required to start the simulation.")
        return
    images = await asyncio.to_thread(globbing.glob, glob)
    if not images:
        call.fail(error="No images found.")
        return
    if random:
        chance.shuffle(images)
    cycle = itertools.cycle(images)
    while not call.abandoned:
        for name in context.fleet.enabled:
            call.info(filename=[name, name, next(cycle)])
        await asyncio.sleep(max(delay, 0.01))


@commands.command(context_settings=SETTINGS)
async def events(context: Context) -> None:
    """Tells what happens, until its client leaves."""
    with context.site.events.heard_by(_Heard(context.call)):
        while not context.call.abandoned:
            await asyncio.sleep(1)


class _Heard(Sink):
    """Passes events on as replies to a command."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def write(self, code: str, keywords: Mapping[str, object]) -> None:
        # An event that ends something does not end the command that tells of it.
        self._call.write("i" if code == ":" else "w" if code == "f" else code, keywords)

    def relay(self, code: str, sender: str, keywords: Mapping[str, object]) -> None:
        self._call.relay(Reply(None, code, sender, keywords))

    @property
    def closed(self) -> bool:
        return self._call.abandoned


@commands.command(name="get_schema", context_settings=SETTINGS)
async def get_schema(context: Context) -> None:
    """Returns the schema of the actor as a JSON schema."""
    context.call.finish(schema=json.dumps(schema()))


@commands.command(context_settings=SETTINGS)
@click.argument("KEYWORD")
async def keyword(context: Context, keyword: str) -> None:
    """Prints human-readable information about a keyword."""
    found = keyword_schema(keyword)
    if found is None:
        problem = f"Keyword {keyword!r} is not part of the data model."
        context.call.fail(error=problem)
        return
    lines = json.dumps(found, indent=2).splitlines()[1:]
    width = max(map(len, lines))
    context.call.info(text=f"{keyword} = {{".ljust(width))
    for line in lines:
        context.call.info(text=line.replace('"', "").ljust(width))
    context.call.finish()


@commands.command(name="get-command-model", context_settings=SETTINGS)
@click.argument("COMMAND-NAME", required=False)
async def get_command_model(context: Context, command_name: str | None) -> None:
    """Returns a dictionary representation of the command."""
    command = commands.commands.get(command_name) if command_name else commands
    if command is None:
        context.call.fail(error=f"Cannot find command {command_name}.")
        return
    model = command.to_info_dict(click.Context(command, info_name=context.site.name))
    context.call.finish(command_model=json.dumps(model, default=str))


@commands.command(name="tron-reconnect", context_settings=SETTINGS)
async def tron_reconnect(context: Context) -> None:
    """Reconnects to tron/hub."""
    hub = context.site.hub
    if hub is None:
        context.call.fail(error="Tron instance not set.")
        return
    hub.drop("asked to reconnect")
    try:
        async with asyncio.timeout(HUB_LIMIT):
            await asyncio.sleep(0)
            await hub.wait_up()
    except TimeoutError:
        context.call.fail(error=f"Tron is not connected: {hub.problem}.")
    else:
        context.call.finish()
