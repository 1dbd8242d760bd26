"""Commanding the fleet: the actor's commands, given to a controller here or far."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

import click
from rich.console import Console

from fliswarm.cli.app import Options
from fliswarm.cli.show import message_json, print_message
from fliswarm.cli.table import print_fleet, view
from fliswarm.commands.group import selection
from fliswarm.commands.verbs import commands
from fliswarm.errors import EXIT_DONE, EXIT_FAILED
from fliswarm.faces.control.client import connect
from fliswarm.faces.control.stream import StreamControl

LOCK = "FLISWARM_LOCK"
"""The variable of the environment that has the key of the lock which one holds."""


def dial(options: Options) -> StreamControl:
    """Connect to the controller that the options mean, with the key of our lock."""
    control = connect(options.host, options.socket)
    if key := os.environ.get(LOCK):
        control.introduce(lock=key)
    return control


def give(control: StreamControl, words: Sequence[str], *, as_json: bool) -> int:
    """Give a command, print its replies, return its exit code.

    A command that some nodes failed is done for telescope software, which goes on with
    the others. A person's script is to notice.
    """
    console = Console()
    exit_code, failed = EXIT_FAILED, False
    for message in control.command(words):
        failed = failed or "failed" in message.data
        if as_json:
            print(message_json(message), flush=True)
        else:
            print_message(console, message)
        exit_code = message.exit_code
    return EXIT_FAILED if failed and exit_code == EXIT_DONE else exit_code


def _forward(name: str) -> click.Command:
    """Return a command that gives the actor's command of the same name."""
    actual = commands.commands[name]

    def callback(words: tuple[str, ...], *, as_json: bool) -> None:
        context = click.get_current_context()
        options = context.find_object(Options)
        assert options is not None
        with dial(options) as control:
            context.exit(give(control, [name, *words], as_json=as_json))

    return _Forwarded(
        name,
        actual,
        callback=callback,
        params=[
            click.Argument(["words"], nargs=-1, type=click.UNPROCESSED),
            click.Option(["--json", "as_json"], is_flag=True),
        ],
        context_settings={
            "ignore_unknown_options": True,
            "allow_interspersed_args": False,
        },
    )


class _Forwarded(click.Command):
    """A command whose words the controller parses, and whose help is known here."""

    def __init__(self, name: str, actual: click.Command, **settings: object) -> None:
        super().__init__(name, **settings)  # type: ignore[arg-type]
        self._actual = actual

    def get_help(self, ctx: click.Context) -> str:
        shown = click.Context(self._actual, ctx.parent, info_name=self.name)
        note = "  --json prints replies as JSON lines; give it first."
        return f"{self._actual.get_help(shown)}\n{note}"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Everything but our own flag in front goes on as it was written.
        as_json = bool(args) and args[0] == "--json"
        ours = args[: args.index("--") if "--" in args else None]
        if not set(ours).isdisjoint(ctx.help_option_names):
            click.echo(self.get_help(ctx))
            ctx.exit()
        ctx.params = {"words": tuple(args[as_json:]), "as_json": as_json}
        return []


talk = _forward("talk")
reconnect = _forward("reconnect")
remove = _forward("remove")
enable = _forward("enable")
disable = _forward("disable")
logs = _forward("logs")
reload = _forward("reload")
reboot = _forward("reboot")
events = _forward("events")


@click.command()
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
@click.pass_context
def send(context: click.Context, command: tuple[str, ...], *, as_json: bool) -> None:
    """Send any actor command, as telescope software does.

    A single word is taken as the whole command: fliswarm send 'talk -n gfa1 status'.
    """
    try:
        words = shlex.split(command[0]) if len(command) == 1 else list(command)
    except ValueError as error:
        raise click.UsageError(f"{error}: {command[0]}") from error
    with dial(context.obj) as control:
        context.exit(give(control, words, as_json=as_json))
