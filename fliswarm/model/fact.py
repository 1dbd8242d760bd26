"""What every fact says: of which node, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime


def now() -> datetime:
    """Return the time of day, in UTC: for people, who read when a thing happened."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened to ``node``; of no node when that is empty."""

    node: str
    at: datetime = field(default_factory=now)


Tell = Callable[[Fact], None]
"""Takes a fact."""
