"""What the actor says of itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click

from fliswarm.commands.context import Context
from fliswarm.commands.group import SETTINGS, commands
from fliswarm.commands.schema import keyword_schema, schema

HUB_LIMIT = 5.0
"""Seconds for the hub to accept a connection."""


@commands.command(everywhere=True, context_settings=SETTINGS)
async def ping(context: Context) -> None:
    """Pings the actor."""
    context.call.finish(text="Pong.")


@commands.command(everywhere=True, context_settings=SETTINGS)
async def version(context: Context) -> None:
    """Reports the version."""
    context.call.finish(version=context.site.version)


@commands.command(name="help", everywhere=True, context_settings=SETTINGS)
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


@commands.command(name="get_schema", everywhere=True, context_settings=SETTINGS)
async def get_schema(context: Context) -> None:
    """Returns the schema of the actor as a JSON schema."""
    context.call.finish(schema=json.dumps(schema()))


@commands.command(everywhere=True, context_settings=SETTINGS)
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


@commands.command(name="get-command-model", everywhere=True, context_settings=SETTINGS)
@click.argument("COMMAND-NAME", required=False)
async def get_command_model(context: Context, command_name: str | None) -> None:
    """Returns a dictionary representation of the command."""
    command = commands.commands.get(command_name) if command_name else commands
    if command is None:
        context.call.fail(error=f"Cannot find command {command_name}.")
        return
    model = command.to_info_dict(click.Context(command, info_name=context.site.name))
    context.call.finish(command_model=json.dumps(model, default=str))


@commands.command(name="tron-reconnect", everywhere=True, context_settings=SETTINGS)
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
