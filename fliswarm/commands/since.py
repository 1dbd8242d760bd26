"""Moments as people write them: ``2h``, ``10:30``, ``2026-12-01``."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

import click

from fliswarm.model.facts import now

_AGO = re.compile(r"(?:[0-9]+[smhdw])+")

_PART = re.compile(r"([0-9]+)([smhdw])")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

FORMS = "2h, 1h30m, 10:30, 2026-12-01, 2026-12-01T10:30"
"""Examples of all that is understood."""


def moment(text: str, at: datetime) -> datetime:
    """Return the moment that a text means, at a time ``at``.

    So many seconds, minutes, hours, days or weeks ago (``90s``, ``1h30m``); the last
    time that a clock showed ``10:30``; a day, or a time of it, in ISO form. All are in
    UTC, as in the log, but for one with another zone (``2026-12-01T10:30+01:00``).

    Raises
    ------
    ValueError
        When it means none, or one that is still to come.
    """
    found = _moment(text.strip(), at.astimezone(UTC))
    if found > at:
        raise ValueError(f"{text} is still to come")
    return found


def _moment(text: str, at: datetime) -> datetime:
    if _AGO.fullmatch(text):
        ago = timedelta()
        for number, unit in _PART.findall(text):
            try:
                ago += timedelta(**{_UNITS[unit]: int(number)})
                earliest = at - ago
            except OverflowError as error:
                raise ValueError(f"{text} is too long ago") from error
        return earliest
    for read in (_clock, _day, _whole):
        try:
            return read(text, at)
        except ValueError:
            continue
    raise ValueError(f"{text!r} is no moment; such are {FORMS}")


def _clock(text: str, at: datetime) -> datetime:
    found = datetime.combine(at.date(), time.fromisoformat(text))
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return found if found <= at else found - timedelta(days=1)


def _day(text: str, _: datetime) -> datetime:
    return datetime.combine(date.fromisoformat(text), time(), UTC)


def _whole(text: str, _: datetime) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


class Moment(click.ParamType[datetime]):
    """A moment that has been; see `moment`."""

    name = "moment"

    def __init__(self, clock: Callable[[], datetime] = now) -> None:
        self._clock = clock

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the moment, or end the command with a sentence."""
        if isinstance(value, datetime):
            return value
        try:
            return moment(str(value), self._clock())
        except ValueError as error:
            self.fail(str(error), param, ctx)


MOMENT = Moment()
