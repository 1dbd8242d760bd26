"""Where people's words go: a terminal of any width, or a pipe, in which nothing is cut.

Colours are left out in a pipe, and where ``NO_COLOR`` is set.
"""

from __future__ import annotations

import sys
from zlib import crc32

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 100_000
"""Columns of a line in a pipe: whoever reads it wants it whole."""

NODE_COLOURS = (
    "cyan",
    "magenta",
    "green",
    "blue",
    "bright_cyan",
    "bright_magenta",
    "bright_green",
    "bright_blue",
)
"""Colours of nodes; red and yellow say something else."""


class _Console(Console):
    """A console that leaves a reader who has had enough to `fliswarm.cli.app.main`."""

    def on_broken_pipe(self) -> None:
        """See `Console.on_broken_pipe`."""
        raise BrokenPipeError


def terminal() -> bool:
    """Return whether somebody looks on who is served by movement."""
    return sys.stdout.isatty() and not Console().is_dumb_terminal


def console(*, stderr: bool = False) -> Console:
    """Return what prints for people; in a pipe no line is ever broken."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return _Console(
        stderr=stderr, highlight=False, markup=False, emoji=False, width=width
    )


def say(console: Console, text: Text) -> None:
    """Print a line; one that is longer than a terminal is wide goes on below."""
    console.print(text, soft_wrap=True)


def table(*columns: str) -> Table:
    """Return an empty table that is read in 80 columns, and by other programs."""
    return Table(*columns, box=None, pad_edge=False, header_style="bold")


def tabulate(console: Console, shown: Table) -> None:
    """Print a table; in a pipe without the blanks at the ends of its lines."""
    if sys.stdout.isatty():
        console.print(shown)
        return
    with console.capture() as captured:
        console.print(shown)
    for line in captured.get().splitlines():
        print(line.rstrip(), flush=True)


def colour(node: str) -> str:
    """Return the colour of a node; it is the same in each command."""
    return NODE_COLOURS[crc32(node.encode()) % len(NODE_COLOURS)]
