"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from fliswarm.commands.since import moment

CHILE = timezone(timedelta(hours=-3))
NOW = datetime(2026, 12, 1, 10, 0, 30, tzinfo=CHILE)


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        (" 15 min ", timedelta(minutes=15)),
        ("1.5h", timedelta(hours=1.5)),
        ("2d", timedelta(days=2)),
        ("1w", timedelta(weeks=1)),
        ("0s", timedelta(0)),
    ],
)
def test_how_long_ago(text: str, before: timedelta) -> None:
    assert moment(text, NOW) == NOW - before


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("09:30", datetime(2026, 12, 1, 9, 30, tzinfo=CHILE)),
        ("10:00:29", datetime(2026, 12, 1, 10, 0, 29, tzinfo=CHILE)),
        ("10:00:30", NOW),
        # Not yet today: it was yesterday.
        ("22:15", datetime(2026, 11, 30, 22, 15, tzinfo=CHILE)),
        ("2026-11-30", datetime(2026, 11, 30, tzinfo=CHILE)),
        ("2026-11-30T22:00", datetime(2026, 11, 30, 22, tzinfo=CHILE)),
        ("2026-11-30 22:00:05", datetime(2026, 11, 30, 22, 0, 5, tzinfo=CHILE)),
        ("2026-12-01T12:00:00+00:00", datetime(2026, 12, 1, 12, tzinfo=UTC)),
        ("2026-12-01T12:00:00Z", datetime(2026, 12, 1, 12, tzinfo=UTC)),
    ],
)
def test_when_it_was(text: str, meant: datetime) -> None:
    assert moment(text, NOW) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday?",
        "5",
        "10",
        "1030",
        "2h30",
        "25:00",
        "2026-13-01",
        "-2h",
        "9" * 400 + "w",
    ],
)
def test_what_means_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="is no moment; write one such as 90s"):
        moment(text, NOW)


def test_a_moment_that_is_still_to_come() -> None:
    with pytest.raises(ValueError, match="'2026-12-02' is still to come"):
        moment("2026-12-02", NOW)
