"""The way of a fleet from one release to another: pure, in turns, and back."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from fliswarm.errors import SelectionError, UsageError
from fliswarm.model.imagename import split
from fliswarm.model.release import Known, Release, Rollout

KEPT = 3
"""Releases whose images stay on nodes, besides those that a node is to have."""

REMEMBERED = 20
"""Releases that are remembered, whether their images are on nodes or not."""

Turns = tuple[tuple[str, ...], ...]

_PART = re.compile(r"([0-9]{1,3}(?:\.[0-9]+)?)%")


def turns(
    names: Sequence[str], canary: str | None, at_once: int, among: Collection[str] = ()
) -> Turns:
    """Return who is replaced together, one turn after the other; canaries first.

    Parameters
    ----------
    names
        The nodes, in their order.
    canary
        Names of nodes in a comma-separated list, or how many of them in percent,
        rounded up; the first one when it is ``None``.
    at_once
        How many nodes the later turns have at most.
    among
        Nodes that may be named as canaries though nothing is to be done on them.

    Raises
    ------
    SelectionError
        When a canary is none of these nodes.
    UsageError
        When the part is no part.
    """
    first = _canaries(names, canary, {*names, *among})
    if not names:
        return ()
    first = first or (names[0],)
    rest = [name for name in names if name not in first]
    batches = (rest[i : i + at_once] for i in range(0, len(rest), at_once))
    return (first, *map(tuple, batches))


def _canaries(
    names: Sequence[str], canary: str | None, known: Collection[str]
) -> tuple[str, ...]:
    if canary is None:
        return ()
    if canary.endswith("%"):
        match = _PART.fullmatch(canary)
        part = float(match[1]) if match else 0.0
        if not 0 < part <= 100:
            raise UsageError(f"--canary {canary}: a part is from 1% to 100%")
        # What a product of decimals has too much is no node.
        number = math.ceil(round(len(names) * part / 100, 9))
        return tuple(names[:number])
    asked = [name.strip() for name in canary.split(",") if name.strip()]
    for name in asked:
        if name not in known:
            there = ", ".join(sorted(known))
            raise SelectionError(f"--canary {name}: not among the nodes ({there})")
    if not asked:
        raise SelectionError("--canary names nobody")
    return tuple(name for name in names if name in asked)


def back(rollout: Rollout, *, everything: bool) -> list[str]:
    """Return the nodes that go back when a turn fails: those of it, or all so far."""
    begun = rollout.turns[: rollout.turn + 1] if everything else ()
    turn = rollout.turns[rollout.turn]
    return [name for one in begun for name in one] if everything else list(turn)


def made(
    known: Known, image: str, digest: str, configured: str, by: str, at: str
) -> tuple[Known, Release]:
    """Return what is known with the release of an image, the one there is or a new one.

    One that there is holds by the configuration of now again.
    """
    for release in reversed(known.releases):
        if (release.image, release.digest) == (image, digest):
            return with_release(known, replace(release, configured=configured))
    number = max((release.number for release in known.releases), default=0) + 1
    return with_release(known, Release(number, image, digest, configured, at, by))


def with_release(known: Known, release: Release) -> tuple[Known, Release]:
    """Return what is known with a release, in the place of that of its number."""
    rest = [r for r in known.releases if r.number != release.number]
    every = tuple(sorted((*rest, release), key=lambda r: r.number))
    return replace(known, releases=every), release


def usual(known: Known) -> int | None:
    """Return the release that most nodes are to have: so is a node that comes."""
    if not known.wanted:
        return None
    return Counter(known.wanted.values()).most_common(1)[0][0] or None


def begun(
    known: Known, rollout: Rollout, every: Iterable[str], configured: str
) -> Known:
    """Return what is known when a rollout begins: nothing is given out yet.

    What nodes had is wanted of them from now on, until they are judged good with
    another release, whatever the configuration says; so nothing moves while it is not
    sure. ``every`` are all nodes.
    """
    had = {name: known.wanted.get(name, usual(known) or 0) for name in every}
    had |= {n: number for n, number in rollout.before.items() if not had.get(n)}
    held = {*had.values(), *rollout.targets.values(), *rollout.before.values()}
    releases = tuple(
        replace(release, configured=configured) if release.number in held else release
        for release in known.releases
    )
    return replace(known, releases=releases, wanted=had, rollout=rollout)


def turning(known: Known, rollout: Rollout) -> Known:
    """Return what is known when a turn is about to be begun."""
    return replace(known, rollout=rollout)


def turned(known: Known, rollout: Rollout, names: Iterable[str]) -> Known:
    """Return what is known when the nodes of a turn were judged good."""
    given = {name: rollout.targets[name] for name in names}
    return replace(known, wanted={**known.wanted, **given}, rollout=rollout)


def going_back(known: Known, rollout: Rollout, names: Collection[str]) -> Known:
    """Return what is known when nodes are to go back: what they had is wanted again."""
    given = {name: rollout.before.get(name, 0) for name in names}
    done = tuple(name for name in rollout.done if name not in names)
    wanted = {**known.wanted, **given}
    return replace(known, wanted=wanted, rollout=replace(rollout, done=done))


def gone_back(known: Known) -> Known:
    """Return what is known when they are back: it stays while others are not."""
    rollout = known.rollout
    if rollout is None or rollout.done:
        return known
    return replace(known, rollout=None, undone=max(rollout.targets.values()))


def ended(known: Known, rollout: Rollout) -> Known:
    """Return what is known when all turns are over: the rest is given out as well."""
    wanted = {**known.wanted, **rollout.targets}
    behind = {n: why for n, why in known.behind.items() if n not in rollout.targets}
    behind |= dict.fromkeys(rollout.off, "")
    current = Counter(rollout.targets.values()).most_common(1)[0][0]
    undone = known.undone
    if rollout.verb == "rollback":
        undone = known.current if known.current != current else known.undone or 0
    else:
        undone = None
    release = known.release(current)
    if release is not None and rollout.verb == "update":
        known, _ = with_release(known, replace(release, before=rollout.before))
    return replace(
        known,
        wanted=wanted,
        behind=behind,
        current=current,
        undone=undone,
        rollout=None,
    )


def earlier(
    known: Known, seen: Mapping[str, int], unseen: Collection[str]
) -> dict[str, int]:
    """Return what nodes had before, by what they were seen to have.

    What an update that was cut off found counts more than what it left. Of nodes that
    could not be seen, it is what they were to have, or else what most had.
    """
    rollout = known.rollout
    cut_off = rollout.before if rollout is not None and rollout.verb == "update" else {}
    most = Counter(seen.values()).most_common(1)
    default = most[0][0] if most else 0
    assumed = {name: known.wanted.get(name) or default for name in unseen}
    return {**{n: number for n, number in assumed.items() if number}, **seen, **cut_off}


def holds(release: Release | None, configured: str) -> bool:
    """Return whether a release is wanted, or the configuration's own image is.

    What an operator gave out holds until the configuration names another image.
    """
    return release is not None and release.configured == configured


def goal(known: Known, number: int | None, names: Iterable[str]) -> dict[str, Release]:
    """Return the release that each node goes back to.

    Parameters
    ----------
    known
        What is known of releases.
    number
        The release that all are to have; ``None`` is what each had before the last
        update. Nodes of which that is not known are left out.
    names
        The nodes.

    Raises
    ------
    UsageError
        When there is no such release, or none before.
    """
    if number is not None:
        release = known.release(number)
        if release is None:
            there = ", ".join(str(r.number) for r in known.releases) or "none yet"
            text = f"there is no release {number}; there is {there}"
            raise UsageError(text)
        return dict.fromkeys(names, release)
    before = _before(known)
    found = {name: known.release(before.get(name)) for name in names}
    goals = {name: release for name, release in found.items() if release is not None}
    if not goals:
        raise UsageError(
            "it is not known what these nodes had before; name a release, as in "
            "fliswarm rollback 1"
        )
    return goals


def _before(known: Known) -> Mapping[str, int]:
    """Return what each node had before the last update."""
    if (rollout := known.rollout) is not None:
        # What goes back already goes on so.
        return rollout.targets if rollout.verb == "rollback" else rollout.before
    if known.undone is not None:
        return known.wanted
    current = known.release(known.current)
    if current is None:
        raise UsageError("no update was made: there is no release to go back to")
    return current.before


def surplus(known: Known) -> list[Release]:
    """Return the releases whose images need not stay on nodes any more."""
    wanted = set(known.wanted.values()) | {known.current}
    last = sorted((r.number for r in known.releases), reverse=True)[:KEPT]
    staying = [r for r in known.releases if r.number in (*wanted, *last)]
    digests = {(split(r.image)[0], r.digest) for r in staying}
    return [
        release
        for release in known.releases
        if release not in staying
        and (split(release.image)[0], release.digest) not in digests
    ]


def remembered(known: Known) -> tuple[Release, ...]:
    """Return the releases that are worth a line: the last ones, and what is wanted."""
    needed = {*known.wanted.values(), known.current}
    last = {r.number for r in known.releases[-REMEMBERED:]}
    return tuple(r for r in known.releases if r.number in needed | last)


def full_name(image: str, configured: str, registry: str | None) -> str:
    """Return the full name of an image that a person wrote.

    ``:2.1`` and ``@sha256:...`` are of the configuration's repository; a name without
    a registry is of the configuration's, as it is in the configuration.
    """
    if image.startswith((":", "@")):
        return f"{split(configured)[0]}{image}"
    first, slash, _ = image.partition("/")
    names_one = slash and (first == "localhost" or set(".:") & set(first))
    return image if names_one or registry is None else f"{registry}/{image}"


def grouped(has: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the nodes of each thing that nodes have."""
    found: dict[str, list[str]] = {}
    for name, what in has.items():
        found.setdefault(what, []).append(name)
    return found


def named(names: Collection[str]) -> str:
    """Return names as people read them."""
    return ", ".join(names) or "none"
