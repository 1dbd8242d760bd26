"""Logs and events for people, and programs run in the cameras' containers."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

import click
from rich.text import Text

from fliswarm.cli.app import Options
from fliswarm.cli.complete import NodeNames
from fliswarm.cli.console import colour, console, say
from fliswarm.cli.fleet import completing, dial
from fliswarm.cli.sentences import Sentence, sentences
from fliswarm.cli.show import message_json, print_message
from fliswarm.commands.group import SECONDS, selection
from fliswarm.commands.since import AGO, moment
from fliswarm.faces.control.stream import Message
from fliswarm.model.fact import now


class _Moment(click.ParamType[str]):
    """A moment, as the controller understands it."""

    name = "moment"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        text = str(value).strip()
        try:
            found = moment(text, now().astimezone())
        except ValueError as error:
            self.fail(str(error), param, ctx)
        # How long ago something was is reckoned by the controller's own clock.
        return text if AGO.fullmatch(text) else found.isoformat()


class _Expression(click.ParamType[re.Pattern[str]]):
    """A regular expression."""

    name = "RE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> re.Pattern[str]:
        if isinstance(value, re.Pattern):
            return value
        try:
            return re.compile(str(value))
        except re.error as error:
            self.fail(f"{value!r} is no regular expression: {error}", param, ctx)


since_option = click.option(
    "--since",
    type=_Moment(),
    help="Begin with a moment: 90s, 15m, 2h, 3d, 10:30, 2026-12-01, or as ISO.",
)
grep_option = click.option(
    "--grep", type=_Expression(), help="Only lines in which this is found."
)
json_option = click.option("--json", "as_json", is_flag=True, help="As JSON lines.")
raw_option = click.option("--raw", is_flag=True, help="Keywords as they come.")


@click.command()
@click.argument("nodes", nargs=-1, type=NodeNames())
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@since_option
@grep_option
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(1, 10000),
    help="Last lines of each node. Default: 100; all of them with --since.",
)
@json_option
@raw_option
@click.pass_context
def logs(
    context: click.Context,
    nodes: tuple[str, ...],
    since: str | None,
    grep: re.Pattern[str] | None,
    lines: int | None,
    *,
    follow: bool,
    as_json: bool,
    raw: bool,
) -> None:
    """Show what the cameras' programs printed, of all nodes or of some.

    The lines of several nodes are in the order of time. With -f, new lines follow until
    you interrupt it; a container that is replaced, and an engine that goes away, are
    told and waited for. -n counts lines before --grep leaves any out.
    """
    words = ["logs", "--times", *nodes]
    words += ["--follow"] if follow else []
    words += ["--since", since] if since is not None else []
    words += ["--lines", str(lines)] if lines is not None else []
    _listen(context, words, _log_line(grep), as_json=as_json, raw=raw)


@click.command()
@since_option
@grep_option
@json_option
@raw_option
@click.pass_context
def events(
    context: click.Context,
    since: str | None,
    grep: re.Pattern[str] | None,
    *,
    as_json: bool,
    raw: bool,
) -> None:
    """Tell what happens in the fleet, until interrupted.

    Cameras and engines that come and go, changes with their steps, what cameras say by
    themselves. The controller keeps the last few thousand for --since, as long as it
    runs.
    """
    words = ["events", "--times"] + (["--since", since] if since is not None else [])
    _listen(context, words, _event_line(grep), as_json=as_json, raw=raw)


@click.command(
    name="exec",
    context_settings={"allow_interspersed_args": False},
)
@completing
@selection("nodes to run it on")
@click.option(
    "--timeout",
    type=SECONDS,
    default=60.0,
    show_default=True,
    help="Seconds that it may take.",
)
@json_option
@raw_option
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def exec_(
    context: click.Context,
    program: tuple[str, ...],
    names: str | None,
    category: str | None,
    exclude: str | None,
    timeout: float,
    *,
    as_json: bool,
    raw: bool,
) -> None:
    """Run a program in the cameras' containers, in all of them at once.

    What it prints has the node's name before each line. The exit code is the greatest
    one of all nodes. A program that takes longer than --timeout is not waited for any
    more, and may go on; no shell reads the words, nor is there any input.
    """
    asked = {"--names": names, "--category": category, "--exclude": exclude}
    words = ["exec", "--timeout", f"{timeout:g}"]
    words += [word for pair in asked.items() if pair[1] for word in pair if word]
    words += ["--", *program]
    _listen(context, words, _output_line, as_json=as_json, raw=raw)


Lines = list[tuple[Text, bool]]
"""Lines that a reply is shown as, and whether each is about a fault."""

Line = Callable[[Message, str], Lines | None]
"""Returns how a reply is shown; ``None`` of one that nobody wants to see."""


def _listen(
    context: click.Context, words: list[str], line: Line, *, as_json: bool, raw: bool
) -> None:
    """Give a command and show its replies one by one, as they come."""
    options = context.find_object(Options)
    assert options is not None
    out, faults = console(), console(stderr=True)
    own, code = "", 1
    with dial(options) as control:
        for message in control.command(words):
            own, code = own or message.sender, message.exit_code
            shown = line(message, own)
            if shown is None:
                continue
            if as_json:
                print(message_json(message), flush=True)
            elif raw:
                print_message(out, message)
            else:
                for text, fault in shown:
                    say(faults if fault else out, text)
    context.exit(code)


def _log_line(grep: re.Pattern[str] | None) -> Line:
    def shown(message: Message, own: str) -> Lines | None:
        match message.data.get("log"):
            case [str(node), str(text), *at]:
                line = Text.from_ansi(text)
                if grep is not None and not grep.search(line.plain):
                    return None
                if grep is not None:
                    line.highlight_regex(grep, "bold")
                return [(_prefixed(node, _clock(*at[:1])).append_text(line), False)]
        return _faults(message, own)

    return shown


def _event_line(grep: re.Pattern[str] | None) -> Line:
    def shown(message: Message, own: str) -> Lines | None:
        at, node = message.data.get("at", (None, ""))
        rest = {key: item for key, item in message.data.items() if key != "at"}
        if at is None:
            return _faults(message, own)
        said = Message(message.code, message.sender, rest)
        found = list(sentences(said, own))
        if grep is not None and not any(grep.search(one.plain) for one in found):
            return None
        clock = _clock(at)
        return [
            (
                _prefixed(one.node or node, clock).append_text(
                    Sentence("", one.text, one.code).rich()
                ),
                False,
            )
            for one in found
        ]

    return shown


def _output_line(message: Message, own: str) -> Lines:
    match message.data:
        case {"output": [str(node), str(line)]}:
            return [(_prefixed(node).append_text(Text.from_ansi(line)), False)]
        case {"exit": _}:
            return []
    return _faults(message, own)


def _faults(message: Message, own: str) -> Lines:
    """Return what is no line of what was asked for."""
    rest = {key: item for key, item in message.data.items() if key != "failed"}
    said = sentences(Message(message.code, message.sender, rest), own)
    return [(one.rich(), True) for one in said]


def _prefixed(node: str, clock: str = "") -> Text:
    line = Text()
    if clock:
        line.append(f"{clock} ", "dim")
    return line.append(f"{node or '-':<6} ", colour(node))


def _clock(at: str = "") -> str:
    """Return a moment as a clock here shows it, with its day when that is not today."""
    try:
        # Of the engine's nanoseconds, this much is understood.
        found = datetime.fromisoformat(at[:26] + at[-1:] if len(at) == 30 else at)
    except ValueError:
        return at
    here = found.astimezone()
    day = "" if here.date() == now().astimezone().date() else f"{here:%F} "
    return f"{day}{here:%T}"
