"""The group of all commands, and the options that many of them share."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from fliswarm.commands.scope import Scoping
from fliswarm.model.terms import Terms

F = TypeVar("F", bound=Callable[..., Any])


# Telescope software sends negative numbers, which look like options.
SETTINGS = {"ignore_unknown_options": True, "terminal_width": 80}


class _Seconds(click.ParamType[float]):
    """A time that can pass: more than nothing, and finite."""

    name = "float"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            seconds = float(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a valid float.", param, ctx)
        if not 0 < seconds < math.inf:
            self.fail(f"{value!r} is not a number of seconds above 0.", param, ctx)
        return seconds


SECONDS = _Seconds()


class Verb(click.Command):
    """A command of the actor.

    Parameters
    ----------
    everywhere
        Whether telescope software may give it at any site: it is one of the original's,
        or changes nothing. Others it may give where the configuration says so.
    control
        Whether it is for the control socket alone. Its words are written down nowhere:
        they may hold secrets.
    changing
        Returns which nodes it may change, for one that changes the fleet: it is
        recorded then.
    """

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401  click's own
        everywhere: bool = False,
        control: bool = False,
        changing: Scoping | None = None,
        **settings: Any,  # noqa: ANN401  click's own
    ) -> None:
        super().__init__(*arguments, **settings)
        self.everywhere = everywhere
        self.control = control
        self.changing = changing


class _Verbs(click.Group):
    command_class = Verb


# No help text: the list of the commands is all there is to say.
commands = _Verbs("commands", context_settings=SETTINGS)


class _Fingerprint(click.ParamType[str]):
    """What a plan is known by."""

    name = "fingerprint"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        if not re.fullmatch("[0-9a-f]{12,64}", str(value)):
            self.fail(f"{value!r} is not the fingerprint of a plan.", param, ctx)
        return str(value)


def of_plan(function: F) -> F:
    """Add the option that says of which plan a change is a part.

    ``fliswarm apply`` gives it, so that what is noted of a change names its plan.
    """
    option = click.option("--plan", type=_Fingerprint(), hidden=True)
    return option(function)


def selection(what: str, *, short: bool = True) -> Callable[[F], F]:
    """Add the options that say which nodes are meant.

    Without ``short``, ``-x`` is left to a camera's command.
    """
    exclude = ["--exclude", "-x"] if short else ["--exclude"]
    options = (
        click.option("--names", "-n", help=f"Comma-separated {what}."),
        click.option("--category", "-c", help="Category of nodes (gfa, fvc)."),
        click.option(*exclude, help="Comma-separated names to leave out."),
    )

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def terms(function: F) -> F:
    """Add the options that say what is done about an exposure that is in the way.

    The function gets both as its ``terms``.
    """

    @functools.wraps(function)
    def given(*values: Any, now: bool, wait: float | None, **more: Any) -> Any:  # noqa: ANN401
        return function(*values, terms=Terms(now=now, wait=wait or 0.0), **more)

    decorated: Any = given
    for option in (
        click.option(
            "--wait",
            type=SECONDS,
            help="Seconds to wait for exposures to end.",
        ),
        click.option(
            "--now", is_flag=True, help="Goes on during exposures, and loses them."
        ),
    ):
        decorated = option(decorated)
    result: F = decorated
    return result
