"""What a camera's program prints, and what comes of a program run beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True, order=True)
class Printed:
    """One line of a container's log.

    ``at`` is the moment by the clock of its engine, in UTC, to the nanosecond:
    ``2026-12-01T10:30:00.000000000Z``, so that later ones are greater. It is empty
    when the engine does not tell it.
    """

    at: str
    text: str


@dataclass(frozen=True, slots=True)
class Executed:
    """How a program ended that was run in a container, and what it printed.

    Standard output and standard error are in ``output`` as they came.
    """

    exit_code: int
    output: str


def stamp(moment: datetime) -> str:
    """Return a moment as `Printed.at` has it; ``moment`` knows its time zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def is_stamp(text: str) -> bool:
    """Return whether a text is a moment as `stamp` writes it."""
    try:
        datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return False
    fraction = text[19:].removesuffix("Z").removeprefix(".")
    return text.endswith("Z") and (not fraction or fraction.isdecimal())


def since_epoch(at: str) -> str:
    """Return a stamp as seconds since 1970, to the nanosecond, as engines take it."""
    whole = datetime.strptime(at[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    fraction = at[19:].removesuffix("Z").removeprefix(".")
    return f"{int(whole.timestamp())}.{fraction[:9].ljust(9, '0')}"
