"""Completion in the shell, with the names of nodes."""

from __future__ import annotations

import threading
from contextlib import suppress

import click
from click.shell_completion import CompletionItem, get_completion_class

from fliswarm import config
from fliswarm.cli.app import Options
from fliswarm.errors import FliswarmError
from fliswarm.faces.control.client import connect

VARIABLE = "_FLISWARM_COMPLETE"
"""Environment variable by which a shell asks for completions."""

LIMIT = 0.5
"""Seconds that a person waits for the controller after the key is pressed."""


class NodeNames(click.ParamType[str]):
    """Names of nodes, in a list with commas."""

    name = "text"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return what the last name of the list may become."""
        before, comma, begun = incomplete.rpartition(",")
        there = before.split(",")
        return [
            CompletionItem(f"{before}{comma}{name}")
            for name in nodes(ctx)
            if name.startswith(begun) and name not in there
        ]


def nodes(ctx: click.Context) -> list[str]:
    """Return the names of all nodes, as far as they are found out quickly.

    The controller knows them best; without an answer in time, the configuration does.
    A shell in the middle of a line is told of no error.
    """
    options = ctx.find_object(Options)
    if options is None:
        # Nothing is parsed but for its words; the group's options are.
        params = ctx.find_root().params
        options = Options(params.get("config"), params.get("host"), None)
    answered: list[str] = []
    asking = threading.Thread(target=_ask, args=(options, answered), daemon=True)
    asking.start()
    asking.join(LIMIT)
    return list(answered) or _configured(options)


def _ask(options: Options, answered: list[str]) -> None:
    with (
        suppress(FliswarmError, OSError),
        connect(options.host, options.socket) as control,
    ):
        for message in control.command(["nodes"]):
            answered += message.data.get("nodes", [])


def _configured(options: Options) -> list[str]:
    with suppress(FliswarmError, OSError):
        file = config.find(options.config)
        return list(config.load(file, warn=lambda _: None).nodes)
    return []


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands, options and names of nodes."""
    found = get_completion_class(shell)
    assert found is not None
    root = context.find_root().command
    click.echo(found(root, {}, "fliswarm", VARIABLE).source())
