"""The images on a node: what runs, what is kept by a name, what is taken away."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from fliswarm.change.world import World, current
from fliswarm.engine import Engine
from fliswarm.errors import EngineError, EngineUnreachableError
from fliswarm.model import ContainerSpec, Image, Observation, facts
from fliswarm.model.release import Release


async def running(
    engine: Engine, wanted: ContainerSpec, seen: Observation
) -> Image | None:
    """Return the image that a node's container runs, by the name it was made from.

    ``None`` when that name means another image by now.
    """
    found, image = current(wanted, seen), seen.image or seen.running
    if found is None:
        return None
    if image is None or image.id != found.image_id:
        name = str(found.spec.get("image", wanted.image))
        image = (await engine.observe(replace(wanted, image=name))).image
    return image if image is not None and image.id == found.image_id else None


async def keep(world: World, release: Release, former: Release | None) -> None:
    """Give the image of a release a name that keeps it, and that of the one before."""
    await world.engine.tag_image(release.pinned, release.kept)
    if former is not None:
        # What it runs from may have been pulled long ago, and be gone by now.
        with suppress(EngineError):
            await world.engine.tag_image(former.pinned, former.kept)


async def prune(world: World, releases: Iterable[Release]) -> None:
    """Take the images of old releases away; one that a container uses stays."""
    for release in releases:
        there = await _there(world, release)
        if not there:
            continue
        try:
            await world.engine.remove_image(release.kept)
            await world.engine.remove_image(release.pinned)
        except EngineUnreachableError:
            raise
        except EngineError:
            continue
        name = world.node.name
        told = facts.ImageGone(node=name, image=release.pinned, release=release.number)
        world.tell(told)


async def _there(world: World, release: Release) -> bool:
    """Return whether the engine has the image by the name that keeps it."""
    wanted = replace(world.wanted, image=release.kept)
    return (await world.engine.observe(wanted)).image is not None
