"""One command in the record: how it began, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

UNDER_WAY = "under way"
CUT_OFF = "cut off (controller ended)"
UNKNOWN = "its end could not be written down"


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is known of a command before it changes anything.

    ``who`` gave it by which ``door``; ``verb`` and ``words`` are the command; ``nodes``
    are those that it may change, ``before`` is how each was; ``plan`` is the
    fingerprint of the plan that it carries out, if it has one.
    """

    who: str
    door: str
    verb: str
    words: str
    nodes: Sequence[str] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    plan: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended, after some ``seconds``.

    ``done`` is whether it counts as done; ``problem`` says why it does not;
    ``outcomes`` are those of its nodes, in words, and ``after`` is how each is now.
    """

    seconds: float
    done: bool
    exit_code: int = 0
    problem: str = ""
    outcomes: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One command of the record; ``at`` is when it began, in ISO form, in UTC.

    ``lacking`` says why there is no ``ending``.
    """

    number: int
    at: str
    beginning: Beginning
    ending: Ending | None
    lacking: str = ""

    @property
    def outcome(self) -> str:
        """How it ended, in a few words."""
        if self.ending is None:
            return self.lacking
        if not self.ending.done:
            return f"failed: {self.ending.problem}" if self.ending.problem else "failed"
        bad = [node for node, how in self.ending.outcomes.items() if how not in GOOD]
        return f"done, but {', '.join(bad)}" if bad else "done"


GOOD = ("changed", "as it was")
"""Outcomes of a node that are no failure."""
