"""From a command's text to its end: parsed, run as a task, ended whatever happens."""

from __future__ import annotations

import asyncio
import functools
import logging
import shlex
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import click

from fliswarm.commands.about import show_help
from fliswarm.commands.call import Call, Sink
from fliswarm.commands.context import Context, Site
from fliswarm.commands.deed import carry_out
from fliswarm.commands.group import SETTINGS, Verb
from fliswarm.commands.scope import Scoping
from fliswarm.commands.verbs import commands
from fliswarm.errors import EXIT_USAGE, FliswarmError

log = logging.getLogger(__name__)

KNOWN_LENGTH = 256
"""Characters of the longest command whose meaning is kept."""

REFUSED = (
    "This command changes the fleet and the original has none like it, so it is not "
    "taken here. Remedy: give it by the program fliswarm on the manager, or set "
    "actor.commands: all in the controller's configuration."
)
"""What telescope software is told of a command that is not open to it."""

Callback = Callable[..., Awaitable[None]]


class Given(NamedTuple):
    """What a command's text means: a function, its arguments, and who may have it.

    ``verb`` is its name; ``changing`` returns what it may change, if that is anything.
    """

    callback: Callback
    values: Mapping[str, Any]
    everywhere: bool = True
    control: bool = False
    verb: str = ""
    changing: Scoping | None = None


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
        self._closed = False

    def give(
        self,
        body: str,
        sink: Sink,
        who: str = "",
        *,
        door: str = "",
        key: str = "",
        everything: bool = True,
        control: bool = False,
    ) -> asyncio.Task[None] | None:
        """Start a command; its replies, and its end, go to ``sink``.

        Parameters
        ----------
        body
            What is asked, without the header of its face.
        sink
            Where the replies go.
        who
            Who asks, in words.
        door
            By which of our doors.
        key
            Of the lock under which it is asked.
        everything
            Whether who asks may give commands that the original has not and that
            change something.
        control
            Whether who asks may write to the control socket.

        Returns
        -------
        task
            The command under way; ``None`` when its text meant nothing, and it has
            ended already.
        """
        call = Call(told(body), sink, who, door, key)
        call.write(">", {})
        try:
            given = parse(body)
        except click.ClickException as error:
            call.note(EXIT_USAGE)
            call.warning(help=f"{type(error).__name__}: {error.format_message()}")
            problem = f"Command {call.body!r} does not exist or cannot be parsed."
            call.fail(error=problem)
            return None
        if not (given.everywhere or everything):
            call.fail(error=REFUSED)
            return None
        if given.control and not control:
            call.fail(error="This command is for the control socket alone.")
            return None
        if self._closed:
            # What is under way takes its time to go back; nobody waits for more.
            call.fail(error="The controller is ending.")
            return None
        task = asyncio.create_task(_run(given, Context(call, self._site)))
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._ended, call))
        return task

    async def close(self) -> None:
        """End the commands under way, each is told so, and take no more."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

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


async def _run(given: Given, context: Context) -> None:
    try:
        scope = given.changing and given.changing(context, given.values)
        if scope is None:
            await given.callback(context, **given.values)
        else:
            await carry_out(
                context,
                given.verb,
                scope,
                given.values,
                lambda: given.callback(context, **given.values),
            )
    except FliswarmError as error:
        context.call.note(error.exit_code)
        context.call.fail(error=str(error))


def told(body: str) -> str:
    """Return what may be written down of a command: its words may hold secrets."""
    name, space, _ = body.partition(" ")
    verb = commands.commands.get(name)
    hides = space and isinstance(verb, Verb) and verb.control
    return f"{name} ..." if hides else body


def split(body: str) -> list[str]:
    """Return the words of a command; a quote that is not closed is a usage error."""
    try:
        return shlex.split(body)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def parse(body: str) -> Given:
    """Return what a command's text means.

    Raises
    ------
    click.ClickException
        When the text means nothing.
    """
    return _known(body) if len(body) <= KNOWN_LENGTH else _parse(body)


@functools.lru_cache(maxsize=1024)
def _known(body: str) -> Given:
    # Telescope software says the same few things all night, and click takes longer to
    # read one of them than a camera to answer it.
    return _parse(body)


def _parse(body: str) -> Given:
    words = split(body)
    ours = words[: words.index("--")] if "--" in words else words
    if "--help" in ours:
        names = tuple(word for word in ours if not word.startswith("-"))
        return Given(show_help, {"parser_command": names})
    parent = click.Context(commands, terminal_width=80)
    name, command, rest = commands.resolve_command(parent, words)
    if name is None or command is None or command.callback is None:
        raise click.UsageError(f"No such command {name!r}.")
    with command.make_context(name, rest, parent, **SETTINGS) as context:
        assert isinstance(command, Verb)
        return Given(
            command.callback,
            context.params,
            command.everywhere,
            command.control,
            name,
            command.changing,
        )
