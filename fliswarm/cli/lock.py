"""Keeping the fleet to oneself: until interrupted, or for the time of a program."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence

import click

from fliswarm.cli.app import Options
from fliswarm.cli.fleet import LOCK, dial, give
from fliswarm.commands.group import SECONDS, selection
from fliswarm.errors import CommandError, ControlError, UsageError
from fliswarm.faces.control.stream import Message

SIGNALLED = 128
"""With the signal's number, the exit code of a program that a signal ended."""


@click.command()
@click.argument(
    "words", nargs=-1, type=click.UNPROCESSED, metavar="[break | -- PROGRAM...]"
)
@selection("nodes to lock")
@click.option("--reason", required=True, help="Why, for others to read.")
@click.option("--wait", type=SECONDS, help="Seconds to wait for others to end.")
@click.pass_context
def lock(
    context: click.Context,
    words: tuple[str, ...],
    names: str | None,
    category: str | None,
    exclude: str | None,
    reason: str,
    wait: float | None,
) -> None:
    """Keep changes of others away from the fleet, or from some nodes.

    Until it is interrupted, or for the time of a program, whose exit code it has then:

    \b
    fliswarm lock --reason "new cables"
    fliswarm lock -n gfa1 --reason "a trial" -- ./trial.sh

    In the program, $FLISWARM_LOCK lets fliswarm pass. Whatever ends this ends the lock
    at once. With break, the locks that others keep are taken away, and that is
    recorded. Cameras take commands all the time.
    """  # noqa: D301  click's own sign for lines that stay as they are
    options: Options = context.obj
    asked = {"--names": names, "--category": category, "--exclude": exclude}
    asked |= {"--reason": reason, "--wait": None if wait is None else f"{wait:g}"}
    given = [word for pair in asked.items() if pair[1] for word in pair if word]
    if words == ("break",):
        with dial(options) as control:
            context.exit(give(control, ["lock", "break", *given], as_json=False))
    if words and shutil.which(words[0]) is None:
        raise UsageError(f"there is no program {words[0]}")
    with dial(options) as control:
        replies = control.command(["lock", *given])
        held = _held(replies)
        key, nodes = str(held.data["lock_key"]), ", ".join(held.data["locked"])
        if words:
            context.exit(_run(words, key, replies))
        try:
            click.echo(f"Locked: {nodes}. Ctrl-C unlocks.")
            click.echo(f"To change them from another terminal: export {LOCK}={key}")
            _until_the_end(replies)
        except KeyboardInterrupt:
            click.echo("Unlocked.")


def _held(replies: Iterator[Message]) -> Message:
    """Return the reply which says that the lock is held; tell of what it waits for."""
    for message in replies:
        if "lock_key" in message.data:
            return message
        _check(message)
        if text := message.data.get("text"):
            click.echo(text, err=True)
    raise ControlError("the controller did not say whether the lock is held")


def _until_the_end(replies: Iterator[Message]) -> None:
    for message in replies:
        _check(message)


def _check(message: Message) -> None:
    if message.code == "f":
        why = message.data.get("error", "it does not say why")
        raise CommandError(str(why), message.exit_code)


def _run(words: Sequence[str], key: str, replies: Iterator[Message]) -> int:
    """Run a program with the lock held; return its exit code."""
    environment = {**os.environ, LOCK: key}

    def watch() -> None:
        try:
            _until_the_end(replies)
        except (CommandError, ControlError, OSError, ValueError) as error:
            if process.poll() is None:
                text = f"fliswarm: {error}; {words[0]} goes on without the lock"
                click.echo(text, err=True)

    process = subprocess.Popen(words, env=environment)
    # What is typed to end the program is for it; we end after it.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        threading.Thread(target=watch, daemon=True).start()
        code = process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return code if code >= 0 else SIGNALLED - code
