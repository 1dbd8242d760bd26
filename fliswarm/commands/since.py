"""Moments as people write them: how long ago, a time of day, a day, or both."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta

import click

from fliswarm.model.facts import now

AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)")

UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}

FORMS = "such as 90s, 15m, 2h, 3d, 10:30, 2026-12-01 or 2026-12-01T10:30"


def moment(text: str, now: datetime) -> datetime:
    """Return the moment that a text means.

    Parameters
    ----------
    text
        How long ago (``90s``, ``15m``, ``2h``, ``3d``, ``1w``), a time of day that was
        last (``10:30``), a day, or a day and a time as ISO 8601 has them.
    now
        The present moment; what is written without a time zone is in that of ``now``.

    Raises
    ------
    ValueError
        When it means none, or one that is still to come.
    """
    word = text.strip()
    found = _ago(word, now) or _today(word, now) or _written(word, now)
    if found is None:
        raise ValueError(f"{text!r} is no moment; write one {FORMS}")
    if found > now:
        raise ValueError(f"{text!r} is still to come")
    return found


def _ago(word: str, now: datetime) -> datetime | None:
    match = AGO.fullmatch(word)
    if match is None:
        return None
    try:
        return now - float(match[1]) * UNITS[match[2]]
    except OverflowError:
        return None


def _today(word: str, now: datetime) -> datetime | None:
    """Return the last time at which a clock showed this."""
    if ":" not in word or len(word) > len("00:00:00"):
        return None
    try:
        found = datetime.combine(now, time.fromisoformat(word), now.tzinfo)
    except ValueError:
        return None
    return found if found <= now else found - timedelta(days=1)


def _written(word: str, now: datetime) -> datetime | None:
    if not re.match(r"\d{4}-\d\d-\d\d", word):
        return None
    try:
        found = datetime.fromisoformat(word)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)


class Moment(click.ParamType[datetime]):
    """A moment that has been; see `moment`."""

    name = "moment"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the moment, or end the command with a sentence."""
        if isinstance(value, datetime):
            return value
        try:
            return moment(str(value), now())
        except ValueError as error:
            self.fail(str(error), param, ctx)


MOMENT = Moment()
