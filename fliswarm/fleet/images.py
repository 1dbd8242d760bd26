"""Images on the nodes' engines: looked at, brought there from archives, taken away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fliswarm.engine import Engine
from fliswarm.engine.archive import Archive, Archived
from fliswarm.errors import EngineError, FliswarmError, ImageUnavailableError
from fliswarm.fleet.fan import ApplyResult, change, fan
from fliswarm.fleet.live import LiveFleet
from fliswarm.fleet.node import LiveNode
from fliswarm.model import ContainerSpec, StoredImage, facts
from fliswarm.model.facts import Tell
from fliswarm.plan.images import of_cameras, unneeded

AT_ONCE = 4
"""Nodes to which an archive is given beside each other: it comes from one disk."""


@dataclass(frozen=True, slots=True)
class NodeImages:
    """The images of cameras on one node; ``users`` are containers by image id.

    ``wanted`` is the id of the image that the node's camera should run, if it is there.
    """

    images: tuple[StoredImage, ...]
    users: dict[str, list[str]]
    wanted: str | None


async def listed(
    fleet: LiveFleet, nodes: Sequence[LiveNode]
) -> list[NodeImages | FliswarmError]:
    """Return the images of cameras on nodes, all at once, in their order."""

    async def one(live: LiveNode) -> NodeImages:
        wanted = fleet.desired.container(live.node)
        with live.asking() as engine:
            return await _listed(engine, wanted)

    return await fan(nodes, one)


async def _listed(engine: Engine, wanted: ContainerSpec) -> NodeImages:
    seen = await engine.observe(wanted)
    own = (seen.original,) if seen.original else ()
    users: dict[str, list[str]] = {}
    for container in (*seen.containers, *seen.others, *own):
        users.setdefault(container.image_id, []).append(container.name)
    images = of_cameras(await engine.images(), wanted.image, users)
    return NodeImages(tuple(images), users, seen.image.id if seen.image else None)


async def load(
    nodes: Sequence[LiveNode],
    path: Path,
    archive: Archive,
    tell: Tell,
    tag: str | None = None,
) -> list[ApplyResult]:
    """Bring the images of an archive to nodes; each ends by itself.

    A node that has them already, under their names, is given nothing. Afterwards each
    engine is asked whether it has exactly these.
    """
    turns = asyncio.Semaphore(AT_ONCE)
    what = ", ".join(_name(image) for image in archive.images)

    async def one(live: LiveNode) -> bool:
        name = live.node.name

        def moved(done: int, total: int) -> None:
            tell(facts.ImageMoved(node=name, image=what, done=done, total=total))

        async with turns:
            with live.asking() as engine:
                new = _missing(archive, await engine.images())
                if new:
                    await engine.load(path, moved)
                    if lost := _missing(archive, await engine.images()):
                        problem = f"{_name(lost[0])} is not there after it was loaded"
                        raise EngineError(name, problem)
                changed = bool(new)
                if tag is not None:
                    changed |= await _tagged(engine, archive.images[0], tag)
        tell(facts.ImageLoaded(node=name, image=what, new=changed))
        return changed

    return await change(nodes, one)


def _name(image: Archived) -> str:
    return ", ".join(image.names) or image.id


def _missing(archive: Archive, there: Sequence[StoredImage]) -> list[Archived]:
    """Return the images of an archive that an engine has not, under all their names."""
    return [
        image
        for image in archive.images
        if not any(image.is_(s.id) and {*image.names} <= {*s.names} for s in there)
    ]


async def _tagged(engine: Engine, image: Archived, tag: str) -> bool:
    """Give an image that is there another name; return whether it had it not."""
    there = next(one for one in await engine.images() if image.is_(one.id))
    if tag in there.names:
        return False
    await engine.tag_image(there.names[0] if there.names else there.id, tag)
    return True


async def save(
    nodes: Sequence[LiveNode], image: str, room: Callable[[int], Awaitable[Path]]
) -> tuple[str, Path]:
    """Write an image that some node has into a file; return whose it was, and the file.

    Parameters
    ----------
    nodes
        Who may have it; the first one that does gives it.
    image
        Its name, or its id.
    room
        Makes a file for some number of bytes.

    Raises
    ------
    ImageUnavailableError
        When nobody has it, with what each node said.
    """
    problems: list[str] = []
    for live in nodes:
        try:
            with live.asking() as engine:
                found = [i for i in await engine.images() if image in (i.id, *i.names)]
                if not found:
                    problems.append(f"{live.node.name} has not got it")
                    continue
                path = await room(found[0].size)
                await engine.save(image, path)
        except EngineError as error:
            problems.append(str(error))
            continue
        return live.node.name, path
    raise ImageUnavailableError(image, "; ".join(problems))


async def prune(
    fleet: LiveFleet, nodes: Sequence[LiveNode], tell: Tell, *, dry_run: bool
) -> list[list[str] | FliswarmError]:
    """Remove the cameras' images that nothing needs; return their names, by node."""

    async def one(live: LiveNode) -> list[str]:
        wanted = fleet.desired.container(live.node)
        with live.asking() as engine:
            found = await _listed(engine, wanted)
            needed = {*found.users, *({found.wanted} if found.wanted else ())}
            names = unneeded(found.images, wanted.image, needed)
            if dry_run:
                return names
            for image in names:
                # One that a stranger's container uses stays, and is told.
                await engine.remove_image(image)
                tell(facts.ImagePruned(node=live.node.name, image=image))
            return names

    return await fan(nodes, one)
