"""What happens in an update of the fleet; part of `fliswarm.model.facts`."""

from __future__ import annotations

from dataclasses import dataclass

from fliswarm.model.fact import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutBegan(Fact):
    """Nodes begin to go to other releases, by turns; of no node.

    ``verb`` is ``update`` or ``rollback``; ``releases`` are the numbers.
    """

    verb: str
    by: str
    releases: tuple[int, ...]
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnBegan(Fact):
    """Nodes are about to be replaced together; ``turn`` counts from 1."""

    verb: str
    turn: int
    turns: int
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged(Fact):
    """The node was replaced, and its camera is good; ``temperature`` in Celsius."""

    release: int
    temperature: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WentBack(Fact):
    """The node has what it had before again; ``problem`` says why it has not."""

    release: int | None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEnded(Fact):
    """It is over; ``problem`` says why it stopped."""

    verb: str
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Follows(Fact):
    """A node that was away when its release was given out is back, and gets it.

    ``release`` is ``None`` for the configuration's own image.
    """

    release: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed(Fact):
    """It has it; ``problem`` says why it has not, and is not tried again."""

    release: int | None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageGone(Fact):
    """The image of an old release is not on the node any more."""

    image: str
    release: int
