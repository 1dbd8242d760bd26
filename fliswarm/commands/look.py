"""Looking at the fleet: nothing here changes anything."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import click

from fliswarm.camera import Reply
from fliswarm.commands.call import Call, Sink
from fliswarm.commands.context import Context
from fliswarm.commands.group import SETTINGS, commands, selection
from fliswarm.fleet.node import LiveNode
from fliswarm.model import CERTIFICATE_DAYS, NodeStatus


@commands.command(everywhere=True, context_settings=SETTINGS)
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
    await report(context, nodes, detail=detail)
    context.call.finish()


async def report(
    context: Context, nodes: list[LiveNode], *, detail: bool = False
) -> None:
    """Tell how nodes are, one after the other."""
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


@commands.command(everywhere=True, context_settings=SETTINGS)
@click.argument("NODE")
@click.option("--lines", type=click.IntRange(1, 10000), default=100, show_default=True)
async def logs(context: Context, node: str, lines: int) -> None:
    """Shows what a camera's program printed last."""
    for live in context.fleet.select(node):
        for line in (await context.fleet.logs(live, lines)).splitlines():
            context.call.info(log=[live.node.name, line])
    context.call.finish()


@commands.command(everywhere=True, context_settings=SETTINGS)
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
