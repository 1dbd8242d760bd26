"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fliswarm.commands.since import moment

NOW = datetime(2026, 12, 1, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2h", "2026-12-01T12:30"),
        ("90s", "2026-12-01T14:28:30"),
        ("1h30m", "2026-12-01T13:00"),
        ("1d", "2026-11-30T14:30"),
        ("1w", "2026-11-24T14:30"),
        (" 0s ", "2026-12-01T14:30"),
        ("10:30", "2026-12-01T10:30"),
        ("14:30", "2026-12-01T14:30"),
        # The last time that a clock showed it.
        ("22:15", "2026-11-30T22:15"),
        ("10:30:15", "2026-12-01T10:30:15"),
        ("2026-12-01", "2026-12-01"),
        ("2026-11-30T22:15", "2026-11-30T22:15"),
        ("2026-11-30 22:15:10", "2026-11-30T22:15:10"),
        ("2026-12-01T10:30+01:00", "2026-12-01T09:30"),
        ("2026-12-01T10:30Z", "2026-12-01T10:30"),
    ],
)
def test_moments(text: str, found: str) -> None:
    assert moment(text, NOW) == datetime.fromisoformat(found).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "now", "2", "-2h", "25:00", "2026-13-01", "h"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no moment; such are 2h, 1h30m, 10:30"):
        moment(text, NOW)


@pytest.mark.parametrize("text", ["2026-12-02", "2026-12-01T14:31", "2999-01-01"])
def test_what_is_still_to_come(text: str) -> None:
    with pytest.raises(ValueError, match="is still to come"):
        moment(text, NOW)


@pytest.mark.parametrize("text", ["99999999999d", "9999999999999999999999999s"])
def test_what_is_too_long_ago(text: str) -> None:
    with pytest.raises(ValueError, match="is too long ago"):
        moment(text, NOW)


def test_a_clock_of_another_zone() -> None:
    at = NOW.astimezone().astimezone(UTC)
    assert moment("10:30", at) == NOW - timedelta(hours=4)
