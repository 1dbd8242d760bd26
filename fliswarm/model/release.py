"""What a fleet runs, by number: releases, and the way from one to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fliswarm.model import imagename


@dataclass(frozen=True, slots=True)
class Release:
    """An image that the fleet had, or was to have, pinned by its digest.

    ``image`` is the name that it was asked for by, ``configured`` the one that the
    configuration had then: a release holds until the configuration names another one.
    ``at`` is in ISO form, ``outcome`` how the last update to it went, in a word or
    two; ``before`` the release that each node had before it.
    """

    number: int
    image: str
    digest: str
    configured: str
    at: str
    by: str
    outcome: str = ""
    before: Mapping[str, int] = field(default_factory=dict)

    @property
    def pinned(self) -> str:
        """The image's name with its digest: the same one on every node, for ever."""
        return imagename.pinned(self.image, self.digest)

    @property
    def kept(self) -> str:
        """The name that keeps the image on a node: those without are taken for rubbish.

        ``docker image prune`` takes what has a digest and no tag.
        """
        return f"{imagename.split(self.image)[0]}:fliswarm-{self.number}"


@dataclass(frozen=True, slots=True)
class Rollout:
    """The way of nodes to other releases, turn by turn; the first is the canary's.

    ``targets`` is the release that each node is to have, ``before`` the one that it
    had, where that is known. ``turn`` is the one that was begun last, from 0 on, and
    ``done`` are the nodes that were judged good. ``command`` is what goes on with it.
    """

    verb: str
    command: str
    by: str
    at: str
    targets: Mapping[str, int]
    before: Mapping[str, int]
    turns: tuple[tuple[str, ...], ...]
    off: tuple[str, ...] = ()
    turn: int = 0
    done: tuple[str, ...] = ()

    @property
    def numbers(self) -> list[int]:
        """The releases that nodes are to have, each once."""
        return sorted(set(self.targets.values()))


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known of releases.

    ``wanted`` is the release that a node is to have, 0 for the configuration's own
    image; ``behind`` the nodes that were
    away when theirs was given out, with why they could not follow, if they tried;
    ``current`` the release that the fleet was given last, ``undone`` the one that it
    was taken back from then; ``rollout`` one that is under way, or was cut off.
    """

    releases: tuple[Release, ...] = ()
    wanted: Mapping[str, int] = field(default_factory=dict)
    behind: Mapping[str, str] = field(default_factory=dict)
    current: int | None = None
    undone: int | None = None
    rollout: Rollout | None = None

    def release(self, number: int | None) -> Release | None:
        """Return a release by its number."""
        return next((r for r in self.releases if r.number == number), None)

    def by_digest(self, digest: str | None) -> Release | None:
        """Return the last release of a digest."""
        found = (r for r in reversed(self.releases) if r.digest == digest)
        return next(found, None)
