"""What happens: each fact is told once, and heard by whoever wants to.

A fact says what happened, to which node, when and why. It is no sentence and no code of
a protocol: faces have words of their own for it (`fliswarm.commands.words`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fliswarm.model.observed import NodeStatus


def now() -> datetime:
    """Return the time of day, in UTC: for people, who read when a thing happened."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened to ``node``; of no node when that is empty."""

    node: str
    at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraUp(Fact):
    """The camera is connected, and says that it is this node's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraDown(Fact):
    """The camera is not connected any more."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraConfused(Fact):
    """The camera sent what cannot be understood."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told(Fact):
    """The camera said something that answers no command.

    ``code`` and ``keywords`` are the camera's own, ``sender`` is who it says it is.
    """

    code: str
    sender: str
    keywords: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineUp(Fact):
    """The Docker Engine answers again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAway(Fact):
    """The Docker Engine does not answer."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked(Fact):
    """Somebody looked at the node, and ``status`` is what was seen."""

    status: NodeStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Enabled(Fact):
    """Commands reach the node. ``by`` is who wanted it."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disabled(Fact):
    """Commands leave the node out. ``by`` is who wanted it, ``reason`` why."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeBegan(Fact):
    """A change of the node began; ``change`` is its verb, ``by`` who gave it."""

    change: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeEnded(Fact):
    """A change of the node ended; ``problem`` says why it failed."""

    change: str
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBegan(Fact):
    """A step of a change is about to be done.

    ``step`` is its kind (``Run``), ``what`` the thing that it is done to.
    """

    change: str
    step: str
    what: str = ""
    image: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullProgressed(Fact):
    """An image is on its way: ``done`` of ``total`` bytes, as far as they are known."""

    image: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalImageTaken(Fact):
    """The image did not come from its registry: the node's own copy is used."""

    image: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSilent(Fact):
    """The container runs and its camera does not answer: it will be replaced."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureAwaited(Fact):
    """A change waits for an exposure to end, for ``limit`` seconds at most.

    ``exposure`` is what is under way, in words.
    """

    exposure: str
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureLost(Fact):
    """A change ends an exposure, as it was told to; ``exposure`` as above."""

    exposure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeStays(Fact):
    """A volume that nothing wants any more could not be removed."""

    volume: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingToAwait(Fact):
    """A computer is back and has no container whose camera could be waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished(Fact):
    """A change was cut off at ``step``, and could not be finished or undone yet."""

    change: str
    step: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Fact):
    """A change that was cut off is over.

    ``how`` is ``finished``, ``undone``, ``left as it is`` when what was done has no way
    back, as a start, or ``forgotten`` with its engine.
    """

    change: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind(Fact):
    """Containers of ours may run on an engine that no node has any more."""

    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared(Fact):
    """Nothing of ours is left on an engine that no node has any more."""

    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked(Fact):
    """Somebody keeps changes of others away from ``nodes``; ``reason`` says why."""

    by: str
    reason: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlocked(Fact):
    """Nobody keeps changes away from ``nodes`` any more.

    ``by`` has let go of the lock, or broken it, and then ``reason`` says why.
    """

    by: str
    reason: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HubUp(Fact):
    """The hub is connected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubDown(Fact):
    """The hub is not connected any more."""

    reason: str


Tell = Callable[[Fact], None]
"""Takes a fact."""
