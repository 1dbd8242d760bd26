"""What nodes have and what they would get, before anything of an update is done."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fliswarm.errors import (
    EngineError,
    EngineUnreachableError,
    FliswarmError,
    ImageUnavailableError,
)
from fliswarm.fleet.fan import fan
from fliswarm.fleet.live import LiveFleet
from fliswarm.fleet.node import LiveNode
from fliswarm.model.facts import now
from fliswarm.model.release import Known, Release
from fliswarm.model.terms import Terms
from fliswarm.plan import rollout
from fliswarm.plan.difference import Plan


@dataclass(frozen=True, slots=True)
class Seen:
    """Nodes that were looked at.

    ``has`` is the release of each that answers, where it is known; ``off`` are those
    whose engines do not answer, and why; ``known`` has the releases that were met.
    """

    on: tuple[LiveNode, ...]
    off: Mapping[str, str]
    has: Mapping[str, Release]
    known: Known


@dataclass(frozen=True, slots=True)
class Way:
    """Where nodes are to go: ``todo`` are those of which something is replaced.

    ``targets`` has all that get a release, disabled ones included; ``left`` those of
    which nobody knows what they had.
    """

    seen: Seen
    targets: Mapping[str, Release]
    todo: tuple[LiveNode, ...]
    plans: Mapping[str, Plan] = field(default_factory=dict)
    left: tuple[str, ...] = ()


async def look(fleet: LiveFleet, nodes: Sequence[LiveNode]) -> Seen:
    """Look at nodes, all at once, and learn of the releases that they have.

    What runs and is no release becomes one: there is a way back to it then.
    """
    answers = await fan(nodes, _identity)
    off = {
        live.node.name: answer.problem
        for live, answer in zip(nodes, answers, strict=True)
        if isinstance(answer, EngineUnreachableError)
    }
    for answer in answers:
        if isinstance(answer, FliswarmError) and not isinstance(
            answer, EngineUnreachableError
        ):
            raise answer
    on = tuple(live for live in nodes if live.node.name not in off)
    known, has = fleet.releases.known, {}
    configured = fleet.desired.image_reference
    for status in await fleet.status(on, detail=True):
        name, release = status.node.name, fleet.releases.has(status)
        found = status.found
        if release is None and found is not None and status.digest is not None:
            image = str(found.spec.get("image") or configured)
            at = now().isoformat(timespec="seconds")
            known, release = rollout.made(
                known, image, status.digest, configured, "found", at
            )
        if release is not None:
            has[name] = release
    return Seen(on, off, has, known)


async def _identity(live: LiveNode) -> str:
    return await live.identity()


async def ask(fleet: LiveFleet, seen: Seen, image: str) -> str:
    """Ask the registry, once, for the digest of an image; a node's engine does it.

    Raises
    ------
    FliswarmError
        When it does not tell one.
    """
    problem: FliswarmError | None = None
    for live in seen.on:
        world = live.world(fleet.desired.container(live.node))
        try:
            digest = await world.engine.digest(image)
        except EngineUnreachableError as error:
            problem = error
            continue
        if digest is None:
            text = f"its registry tells no digest of {image}, so it cannot be pinned"
            raise ImageUnavailableError(live.node.name, text)
        return digest
    names = rollout.named(list(seen.off))
    raise problem or EngineUnreachableError(
        names, "no Docker Engine answers that could ask the registry"
    )


async def way(
    fleet: LiveFleet,
    seen: Seen,
    targets: Mapping[str, Release],
    terms: Terms,
    left: Sequence[str] = (),
) -> Way:
    """Return what it takes to bring nodes to releases.

    Raises
    ------
    FliswarmError
        When one that answers cannot be made so: nothing was touched.
    """
    going = [live for live in seen.on if live.node.name in targets]

    def one(live: LiveNode) -> Awaitable[Plan]:
        node = live.node
        wanted = replace(fleet.desired.container(node), image=targets[node.name].pinned)
        return live.plan(wanted, fleet.desired.neighbours(node), terms=terms)

    found = await fan(going, one)
    plans, gone = {}, dict(seen.off)
    for live, result in zip(going, found, strict=True):
        name = live.node.name
        if isinstance(result, EngineUnreachableError):
            gone[name] = result.problem
        elif isinstance(result, FliswarmError):
            raise result
        elif result.blocked is not None:
            raise EngineError(name, result.blocked)
        else:
            plans[name] = result
    todo = tuple(
        n for n in going if n.node.name in plans and not plans[n.node.name].empty
    )
    return Way(replace(seen, off=gone), targets, todo, plans, tuple(left))
