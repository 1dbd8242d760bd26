"""The images of cameras: which there are, and their way by archives."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from pathlib import Path

import click

from fliswarm.commands import scope
from fliswarm.commands.change import report_errors, telling
from fliswarm.commands.context import Context
from fliswarm.commands.group import SETTINGS, commands, selection
from fliswarm.engine import archive
from fliswarm.errors import ConfigError, FliswarmError, UsageError
from fliswarm.fleet import images
from fliswarm.model.imagename import split
from fliswarm.plan.images import whole

PIECE = 45_000
"""Bytes of a file in one reply: as text, less than the longest line."""


@commands.command(name="image-list", everywhere=True, context_settings=SETTINGS)
@selection("nodes to look at")
async def image_list(
    context: Context, names: str | None, category: str | None, exclude: str | None
) -> None:
    """Lists the images of cameras on the nodes and in the registry."""
    call, fleet = context.call, context.fleet
    nodes = fleet.select(names, category, exclude)
    failed = []
    for live, found in zip(nodes, await images.listed(fleet, nodes), strict=True):
        node = live.node.name
        if isinstance(found, FliswarmError):
            failed.append(node)
            call.note(found.exit_code)
            call.error(error=str(found))
            continue
        for image in found.images:
            digests = (split(name)[1] for name in image.digests)
            call.info(
                stored=[node, image.id, next(digests, "NA"), image.created, image.size],
                names=list(image.names),
                used_by=found.users.get(image.id, []),
                wanted=image.id == found.wanted,
            )
        if found.wanted is None:
            call.warning(text=f"{node}: {_none(fleet.desired.image_reference)}")
    await _registry(context)
    if failed:
        call.fail(error="One or more nodes could not be asked.", failed=failed)
    else:
        call.finish()


def _none(image: str) -> str:
    return f"it has no {image}; remedy: fliswarm image load FILE, or pull by reconnect"


async def _registry(context: Context) -> None:
    """Tell what the site's registry has for the wanted image, by whoever can ask it."""
    fleet = context.fleet
    if fleet.desired.registry is None:
        return
    wanted, problem = fleet.desired.image_reference, "no node can ask it"
    for live in fleet.select(none_will_do=True):
        try:
            with live.asking() as engine:
                digest = await engine.digest(wanted)
        except FliswarmError as error:
            problem = str(error)
            continue
        context.call.info(registry=[wanted, digest or "NA"])
        return
    context.call.warning(text=f"The registry does not tell of {wanted}: {problem}")


@commands.command(
    name="image-begin", control=True, hidden=True, context_settings=SETTINGS
)
@click.argument("SIZE", type=click.IntRange(1, 1 << 44))
@selection("nodes that it is for")
async def image_begin(
    context: Context,
    size: int,
    names: str | None,
    category: str | None,
    exclude: str | None,
) -> None:
    """Makes room for a file that is to be sent, and names it."""
    # A long way for nobody is refused before it begins.
    context.fleet.select(names, category, exclude)
    token = await asyncio.to_thread(context.site.spool.begin, size)
    context.call.finish(token=token)


@commands.command(name="image-load", changing=scope.touched, context_settings=SETTINGS)
@click.argument("TOKEN")
@selection("nodes to load it on")
@click.option("--tag", "-t", help="Another name that the image is to have.")
@click.option("--dry-run", is_flag=True, help="Only says what is in the archive.")
async def image_load(
    context: Context,
    token: str,
    names: str | None,
    category: str | None,
    exclude: str | None,
    tag: str | None,
    *,
    dry_run: bool,
) -> None:
    """Loads an archive that was sent on nodes, and takes it away here."""
    call, fleet, spool = context.call, context.fleet, context.site.spool
    try:
        path = spool.whole(token)
        nodes = fleet.select(names, category, exclude)
        try:
            found = await asyncio.to_thread(archive.read, path)
        except ConfigError as error:
            raise UsageError(f"the file {error.problem}") from error
        if tag is not None and len(found.images) != 1:
            raise UsageError(f"the archive has {len(found.images)} images: no --tag")
        tag = None if tag is None else whole(tag)
        for image in found.images:
            called = ", ".join(image.names) or "an image without a name"
            call.info(text=f"The archive has {called} ({image.id[7:19]}).")
        if dry_run:
            call.finish()
            return
        results = await images.load(nodes, path, found, telling(call), tag)
    finally:
        await asyncio.to_thread(spool.remove, token)
    failed = report_errors(call, results)
    wanted = fleet.desired.image_reference
    known = {tag, *(name for image in found.images for name in image.names)}
    if whole(wanted) not in known:
        call.warning(
            text=f"The configuration wants {wanted}, which it has not; remedy: "
            f"--tag {wanted}, or fliswarm_image in the inventory"
        )
    if failed:
        call.fail(error="Failed to load it on one or more nodes.", failed=failed)
    else:
        call.finish()


@commands.command(
    name="image-save", control=True, hidden=True, context_settings=SETTINGS
)
@click.argument("REF")
@selection("nodes that may have it")
async def image_save(
    context: Context,
    ref: str,
    names: str | None,
    category: str | None,
    exclude: str | None,
) -> None:
    """Sends an image that a node has, as an archive."""
    call, spool = context.call, context.site.spool
    tokens: list[str] = []

    async def room(size: int) -> Path:
        tokens.append(await asyncio.to_thread(spool.begin, max(size, 1), held=True))
        return spool.path(tokens[-1])

    try:
        nodes = context.fleet.select(names, category, exclude)
        node, path = await images.save(nodes, ref, room)
        await asyncio.to_thread(archive.read, path)
        call.info(saved=[node, ref, path.stat().st_size])
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, PIECE):
                digest.update(piece)
                await call.ready()
                if call.abandoned:
                    return
                call.info(piece=base64.b64encode(piece).decode())
        call.finish(sha256=digest.hexdigest())
    finally:
        for token in tokens:
            await asyncio.to_thread(spool.remove, token)


@commands.command(
    name="image-prune", changing=scope.selected, context_settings=SETTINGS
)
@selection("nodes to tidy up")
@click.option("--yes", is_flag=True, help="Removes them; without, they are named.")
async def image_prune(
    context: Context,
    names: str | None,
    category: str | None,
    exclude: str | None,
    *,
    yes: bool,
) -> None:
    """Removes images of cameras that no container uses and nobody wants."""
    call, fleet = context.call, context.fleet
    nodes = fleet.select(names, category, exclude)
    failed = []
    found = await images.prune(fleet, nodes, telling(call), dry_run=not yes)
    for live, result in zip(nodes, found, strict=True):
        if isinstance(result, FliswarmError):
            failed.append(live.node.name)
            call.note(result.exit_code)
            call.error(error=str(result))
        elif not result:
            call.outcomes[live.node.name] = "as it was"
            call.info(text=f"{live.node.name}: nothing to remove")
        elif not yes:
            for image in result:
                call.info(text=f"{live.node.name}: {image} would be removed")
        else:
            call.outcomes[live.node.name] = "changed"
    if failed:
        call.fail(error="One or more nodes could not be tidied up.", failed=failed)
    else:
        call.finish()
