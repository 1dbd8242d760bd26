"""What would become of the fleet with a configuration that is not in force."""

from __future__ import annotations

import asyncio
import base64
import binascii
import zlib
from dataclasses import asdict

import click

from fliswarm.commands.context import Context
from fliswarm.commands.group import SETTINGS, commands
from fliswarm.errors import UsageError

CONFIGURATION_LIMIT = 4 * 1024 * 1024
"""Bytes of the largest configuration that is looked at."""


def packed(text: str) -> str:
    """Return a configuration as one word, short enough for a command line.

    That of five hundred nodes is a few kilobytes long.
    """
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpacked(word: str) -> str:
    """Return the configuration that a word holds.

    Raises
    ------
    UsageError
        When it holds none, or one that is too long.
    """
    try:
        content = base64.b64decode(word.encode("ascii"), validate=True)
        stream = zlib.decompressobj()
        text = stream.decompress(content, CONFIGURATION_LIMIT)
        if not stream.eof:
            limit = CONFIGURATION_LIMIT // 1024
            raise UsageError(f"the configuration is cut off, or over {limit} KiB")
        return text.decode()
    except (ValueError, binascii.Error, zlib.error) as error:
        raise UsageError(f"what follows plan is no configuration: {error}") from error


@commands.command(control=True, hidden=True, context_settings=SETTINGS)
@click.argument("CONFIGURATION")
async def plan(context: Context, configuration: str) -> None:
    """Tells what would become of the fleet with another configuration."""
    site, fleet = context.site, context.fleet
    if site.read is None:
        context.call.fail(error="This controller reads no other configuration.")
        return
    wanted = await asyncio.to_thread(site.read, unpacked(configuration))
    wanted = fleet.releases.pin(wanted)
    items = await fleet.outlook.look(fleet.nodes, fleet.desired, wanted)
    for item in items:
        await context.call.ready()
        context.call.info(planned=asdict(item))
    context.call.finish()
