"""From a command's text to its end: parsed, run as a task, ended whatever happens."""

from __future__ import annotations

import asyncio
import functools
import logging
import shlex
from collections.abc import Coroutine

import click

from fliswarm.actor.call import Call, Sink
from fliswarm.actor.commands import SETTINGS, Context, Site, commands, show_help
from fliswarm.errors import FliswarmError

log = logging.getLogger(__name__)


class Dispatcher:
    """Runs commands.

    Parameters
    ----------
    site
        What the commands work with.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._tasks: set[asyncio.Task[None]] = set()

    def give(self, body: str, sink: Sink) -> asyncio.Task[None]:
        """Start a command; its replies, and its end, go to ``sink``."""
        call = Call(body, sink)
        call.write(">", {})
        task = asyncio.create_task(self._run(call), name=f"command {body[:40]}")
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._ended, call))
        return task

    async def close(self) -> None:
        """End the commands under way; each is told so."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, call: Call) -> None:
        context = Context(call, self._site)
        try:
            words = shlex.split(call.body)
            if "--help" in words[: words.index("--") if "--" in words else None]:
                names = tuple(word for word in words if not word.startswith("-"))
                show_help(context, names)
            else:
                await self._parse(words, context)
        except click.ClickException as error:
            text = f"{type(error).__name__}: {error.format_message()}"
            call.warning(help=text)
            problem = f"Command {call.body!r} does not exist or cannot be parsed."
            call.fail(error=problem)
        except ValueError as error:
            call.fail(error=f"Command {call.body!r} cannot be parsed: {error}.")
        except FliswarmError as error:
            call.fail(error=str(error))

    def _parse(self, words: list[str], context: Context) -> Coroutine[None, None, None]:
        parent = click.Context(
            commands, info_name=self._site.name, obj=context, terminal_width=80
        )
        if not words:
            raise click.UsageError("Missing command.")
        name, command, rest = commands.resolve_command(parent, words)
        if name is None or command is None:
            raise click.UsageError(f"No such command {words[0]!r}.")
        with command.make_context(name, rest, parent, **SETTINGS) as inner:
            coroutine: Coroutine[None, None, None] = command.invoke(inner)
        return coroutine

    def _ended(self, call: Call, task: asyncio.Task[None]) -> None:
        """End a command that its own code did not end."""
        self._tasks.discard(task)
        if task.cancelled():
            call.fail(error="This command has been cancelled.")
        elif (error := task.exception()) is not None:
            log.error("command %r", call.body, exc_info=error)
            problem = f"Command {call.body!r} failed: {error!r}. See the log."
            call.fail(error=problem)
        elif not call.ended:
            call.fail(error=f"Command {call.body!r} ended without a result.")
