"""What has to be known, and brought to a node, before anything on it is touched."""

from __future__ import annotations

from collections.abc import Collection

from fliswarm.change.world import World
from fliswarm.errors import ImageUnavailableError
from fliswarm.model import Observation, PullProgress, facts
from fliswarm.model.imagename import digest_of
from fliswarm.plan.difference import Plan, ReplaceContainer, StartContainer, plan


async def pull(world: World, change: str = "reconnect") -> None:
    """Bring the wanted image to the node; tell when its own copy has to do.

    One that is wanted by its digest and is there is that one: no registry is asked.
    """
    name, image, tell = world.node.name, world.wanted.image, world.tell
    if digest_of(image) and (await world.engine.observe(world.wanted)).image:
        return

    def progressed(so_far: PullProgress) -> None:
        done, total = so_far.done_bytes, so_far.total_bytes
        tell(facts.PullProgressed(node=name, image=image, done=done, total=total))

    tell(facts.StepBegan(node=name, change=change, step="Pull", image=image))
    try:
        pulled = await world.engine.pull(image, progressed)
    except ImageUnavailableError as error:
        raise _unavailable(error) from error
    if pulled.problem is not None:
        tell(facts.LocalImageTaken(node=name, image=image, reason=pulled.problem))


def _unavailable(error: ImageUnavailableError) -> ImageUnavailableError:
    name = error.node
    remedy = f"remedy: fliswarm image load FILE -n {name}"
    return ImageUnavailableError(name, f"{error.problem}; {remedy}")


async def published(world: World, seen: Observation) -> str | None:
    """Return the digest that the registry has for the wanted image.

    When it cannot tell, a node that has the image does without, as it does in a pull.
    """
    image = world.wanted.image
    try:
        return await world.engine.digest(image)
    except ImageUnavailableError as error:
        if seen.image is None:
            raise _unavailable(error) from error
        reason = error.problem
    name = world.node.name
    world.tell(facts.LocalImageTaken(node=name, image=image, reason=reason))
    return None


async def planned(
    world: World,
    seen: Observation,
    neighbours: Collection[str],
    limit: float,
    digest: str | None = None,
    *,
    force: bool,
) -> Plan:
    """Return the plan; the camera is asked when only that is left to be known.

    ``limit`` is how many seconds it has to answer.
    """

    def made(silent: str | None) -> Plan:
        return plan(
            world.wanted,
            seen,
            force=force,
            published=digest,
            silent=silent,
            neighbours=neighbours,
        )

    todo = made(None)
    if todo.blocked is not None or any(
        isinstance(action, ReplaceContainer | StartContainer) for action in todo.actions
    ):
        return todo
    silent = await world.silence(limit)
    return todo if silent is None else made(silent)
