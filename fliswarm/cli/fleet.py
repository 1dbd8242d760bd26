"""Commanding the fleet: the actor's commands, given to a controller here or far."""

from __future__ import annotations

import copy
import itertools
import os
import shlex
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from fliswarm.cli.app import Options
from fliswarm.cli.complete import NodeNames
from fliswarm.cli.console import console
from fliswarm.cli.people import People
from fliswarm.cli.show import message_json, print_message
from fliswarm.cli.table import print_fleet, view
from fliswarm.commands.group import selection
from fliswarm.commands.verbs import commands
from fliswarm.errors import EXIT_DONE, EXIT_FAILED
from fliswarm.faces.control.client import connect
from fliswarm.faces.control.stream import StreamControl

F = TypeVar("F", bound=Callable[..., Any])
LOCK = "FLISWARM_LOCK"
"""The variable of the environment that has the key of the lock which one holds."""


def dial(options: Options) -> StreamControl:
    """Connect to the controller that the options mean, with the key of our lock."""
    control = connect(options.host, options.socket)
    if key := os.environ.get(LOCK):
        control.introduce(lock=key)
    return control


def give(
    control: StreamControl,
    words: Sequence[str],
    *,
    as_json: bool = False,
    raw: bool = False,
) -> int:
    """Give a command, show its replies, return its exit code.

    A command that some nodes failed is done for telescope software, which goes on with
    the others. A person's script is to notice.
    """
    exit_code, failed, out = EXIT_FAILED, False, console()
    with People() as people:
        for message in control.command(words):
            failed = failed or "failed" in message.data
            if as_json:
                print(message_json(message), flush=True)
            elif raw:
                print_message(out, message)
            else:
                people.show(message)
            exit_code = message.exit_code
    return EXIT_FAILED if failed and exit_code == EXIT_DONE else exit_code


def _forward(name: str) -> click.Command:
    """Return a command that gives the actor's command of the same name."""
    actual = commands.commands[name]

    def callback(words: tuple[str, ...], *, as_json: bool, raw: bool) -> None:
        context = click.get_current_context()
        options = context.find_object(Options)
        assert options is not None
        with dial(options) as control:
            context.exit(give(control, [name, *words], as_json=as_json, raw=raw))

    return _Forwarded(
        name,
        actual,
        callback=callback,
        params=[
            click.Argument(["words"], nargs=-1, type=click.UNPROCESSED),
            *(click.Option([flag, key], is_flag=True) for flag, key in FLAGS.items()),
        ],
        context_settings={
            "ignore_unknown_options": True,
            "allow_interspersed_args": False,
        },
    )


FLAGS = {"--json": "as_json", "--raw": "raw"}
"""Our own flags of a command that the controller parses."""

NOTE = "  --json prints replies as JSON lines, --raw as keywords; give them first."

NODE_WORDS = ("names", "exclude", "nodes", "node", "forget")
"""Parameters of the actor's commands that name nodes."""


class _Forwarded(click.Command):
    """A command whose words the controller parses, and whose help is known here."""

    def __init__(self, name: str, actual: click.Command, **settings: object) -> None:
        super().__init__(name, **settings)  # type: ignore[arg-type]
        self._actual = actual

    def get_help(self, ctx: click.Context) -> str:
        shown = click.Context(self._actual, ctx.parent, info_name=self.name)
        parts = [self._actual.get_help(shown), NOTE]
        if self.epilog:
            parts += ["", self.epilog.removeprefix("\b\n")]
        return "\n".join(parts)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401  click's own
    ) -> click.Context:
        if extra.get("resilient_parsing"):
            # A shell completes what the controller would parse.
            return _completed(self._actual, self.params[1:]).make_context(
                info_name, args, parent, **extra
            )
        return super().make_context(info_name, args, parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Everything but our own flags in front goes on as it was written.
        rest = list(itertools.dropwhile(FLAGS.__contains__, args))
        flags = args[: len(args) - len(rest)]
        ours = rest[: rest.index("--") if "--" in rest else None]
        if not set(ours).isdisjoint(ctx.help_option_names):
            click.echo(self.get_help(ctx))
            ctx.exit()
        ctx.params = {key: flag in flags for flag, key in FLAGS.items()}
        ctx.params["words"] = tuple(rest)
        return []


def _completed(actual: click.Command, ours: list[click.Parameter]) -> click.Command:
    """Return a command of the same words as the actor's, with nodes to complete."""
    params = [copy.copy(param) for param in actual.params]
    for param in params:
        if param.name in NODE_WORDS:
            param.type = NodeNames()
    return click.Command(
        actual.name,
        params=[*params, *ours],
        context_settings=actual.context_settings,
    )


talk = _forward("talk")
reconnect = _forward("reconnect")
remove = _forward("remove")
enable = _forward("enable")
disable = _forward("disable")
reload = _forward("reload")
reboot = _forward("reboot")
update = _forward("update")
rollback = _forward("rollback")


def completing(function: F) -> F:
    """Let a shell complete the nodes of a selection."""
    for param in getattr(function, "__click_params__", ()):
        if param.name in NODE_WORDS:
            param.type = NodeNames()
    return function


@click.command()
@completing
@selection("nodes to show")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a node.")
@click.pass_obj
def status(
    options: Options,
    names: str | None,
    category: str | None,
    exclude: str | None,
    *,
    as_json: bool,
) -> None:
    """Show the fleet.

    Exits with 0 when all enabled nodes are as they should be, with 4 when an engine
    does not answer, with 1 when something else is wrong, or fliswarm is not running.
    """
    asked = {"--names": names, "--category": category, "--exclude": exclude}
    words = [word for pair in asked.items() if pair[1] for word in pair if word]
    with dial(options) as control:
        fleet = view(control, words)
    print_fleet(fleet, as_json=as_json)
    click.get_current_context().exit(fleet.exit_code)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
@click.option("--json", "as_json", is_flag=True, help="Replies as JSON lines.")
@click.option("--raw", is_flag=True, hidden=True, expose_value=False)
@click.pass_context
def send(context: click.Context, command: tuple[str, ...], *, as_json: bool) -> None:
    """Send any actor command, as telescope software does, and show its keywords.

    A single word is taken as the whole command: fliswarm send 'talk -n gfa1 status'.
    """
    try:
        words = shlex.split(command[0]) if len(command) == 1 else list(command)
    except ValueError as error:
        raise click.UsageError(f"{error}: {command[0]}") from error
    with dial(context.obj) as control:
        context.exit(give(control, words, as_json=as_json, raw=True))
