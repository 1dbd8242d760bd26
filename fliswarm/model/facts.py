"""What happens: each fact is told once, and heard by whoever wants to.

A fact says what happened, to which node, when and why. It is no sentence and no code of
a protocol: faces have words of their own for it (`fliswarm.commands.words`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fliswarm.model.fact import Fact as Fact
from fliswarm.model.fact import Tell as Tell
from fliswarm.model.fact import now as now
from fliswarm.model.observed import NodeStatus
from fliswarm.model.rollout_facts import Followed as Followed
from fliswarm.model.rollout_facts import Follows as Follows
from fliswarm.model.rollout_facts import ImageGone as ImageGone
from fliswarm.model.rollout_facts import Judged as Judged
from fliswarm.model.rollout_facts import RolloutBegan as RolloutBegan
from fliswarm.model.rollout_facts import RolloutEnded as RolloutEnded
from fliswarm.model.rollout_facts import TurnBegan as TurnBegan
from fliswarm.model.rollout_facts import WentBack as WentBack


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
class ImageMoved(Fact):
    """An image comes from an archive, or goes into one: ``done`` bytes of ``total``."""

    image: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLoaded(Fact):
    """The image of an archive is on the node; ``new`` if it was not before."""

    image: str
    new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePruned(Fact):
    """An image that nothing needs is gone from the node, by this name."""

    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalImageTaken(Fact):
    """The image did not come from its registry: the node's own copy is used."""

    image: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted(Fact):
    """A container that sdss-fliswarm made is the node's own from now on."""

    container: str


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
    back, as a start, or was done on an engine that is not the node's any more, or
    ``forgotten`` with its engine.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NotReloaded(Fact):
    """A reload that a signal asked for failed; all goes on as before."""

    reason: str
