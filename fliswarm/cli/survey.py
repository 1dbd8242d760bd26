"""Looks at a whole site for its plan: hosts, inventory and the running controller."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from fliswarm import config
from fliswarm.commands.plan import packed
from fliswarm.errors import (
    EXIT_USAGE,
    CommandError,
    ControlError,
    NotInstalledError,
    NotRunningError,
)
from fliswarm.faces.connection import LINE_LIMIT
from fliswarm.faces.control.stream import StreamControl
from fliswarm.plan.whole import Item, Whole, digest, of_nobody, settled, with_new_image
from fliswarm.site import outlook
from fliswarm.site.provision import Event, Site
from fliswarm.site.render import render

Say = Callable[[str], None]


@contextmanager
def saying() -> Iterator[Say]:
    """Yield what tells people how far it is: on one line, or in a pipe on some."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: print(f"fliswarm: {text}", file=sys.stderr, flush=True)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        shown = progress.add_task("", total=None)
        yield lambda text: progress.update(shown, description=text)


def survey(site: Site, control: Callable[[Site], StreamControl]) -> Whole:
    """Look at a site and return its plan; nothing is changed.

    Parameters
    ----------
    site
        Which one.
    control
        Connects to its controller.

    Raises
    ------
    FliswarmError
        When the inventory is wrong, or the controller cannot tell.
    """
    with saying() as say:
        say(f"reading {site.inventory}")
        text = render(site)
        wanted = config.read_text(text, environment={})
        say(f"looking at the hosts of {site.inventory}")
        hosts, found = outlook.look(site, _tasks(say))
        say("asking the controller")
        nodes = ask(lambda: control(site), text)
    items = of_nobody(wanted) if nodes is None else nodes
    every = [*hosts, *(with_new_image(items) if found.image else items)]
    return Whole(digest(text), settled(every, site.manager))


def _tasks(say: Say) -> Callable[[Event], None]:
    told = sys.stderr.isatty()

    def on_event(event: Event) -> None:
        # A pipe is told once that it is being looked at.
        if told and event.kind == "task":
            say(f"looking: {event.task}")

    return on_event


def ask(control: Callable[[], StreamControl], text: str) -> list[Item] | None:
    """Ask a controller for its plan of a configuration; ``None`` when none runs.

    Raises
    ------
    ControlError
        When it cannot be asked.
    CommandError
        When it cannot tell.
    """
    word = packed(text)
    if len(word) > LINE_LIMIT - 100:
        raise ControlError("the configuration is too long for the controller to take")
    items: list[Item] = []
    try:
        with control() as connection:
            for message in connection.command(["plan", word]):
                if "planned" in message.data:
                    items.append(_item(message.data["planned"]))
                if message.code == "f":
                    raise CommandError(*_failed(message.data, message.exit_code))
    except (NotRunningError, NotInstalledError):
        return None
    return items


def _item(planned: object) -> Item:
    problem = "the controller's plan is not understood"
    if not isinstance(planned, dict):
        raise ControlError(problem)
    try:
        return Item.read(planned)
    except ValueError as error:
        raise ControlError(f"{problem}: {error}") from error


def _failed(data: dict[str, object], exit_code: int) -> tuple[str, int]:
    why = str(data.get("error") or "it does not say why")
    if exit_code == EXIT_USAGE and "does not exist" in why:
        why = (
            "it is an older one, which makes no plans. Remedy: fliswarm provision "
            "brings it this version; its cameras go on"
        )
    return f"the controller cannot tell its plan: {why}", exit_code


def names(items: Sequence[Item]) -> str:
    """Return the names of items as options take them."""
    return ",".join(item.name for item in items)
