"""The steps that changes are made of: data, each with what undoes it.

A step that was begun may have been done, in part or not at all, when the controller
was killed. So each way back looks at the world first, and may be gone twice.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from fliswarm.change.exposing import spare
from fliswarm.change.world import NO_ANSWER, STOP_GRACE, World, current
from fliswarm.errors import (
    CameraError,
    EngineError,
    EngineUnreachableError,
)
from fliswarm.model.facts import VolumeStays


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the world.

    Once a ``final`` step is begun, a change can only be finished. ``vital`` is one that
    has to be undone when a change with it fails; ``acts`` is false for one that only
    waits.
    """

    final: ClassVar[bool] = False
    vital: ClassVar[bool] = False
    acts: ClassVar[bool] = True

    @property
    def what(self) -> str:
        """The thing that it is done to, for people."""
        return ""

    async def do(self, world: World) -> None:
        """Do it; when it is done already, do nothing."""
        raise NotImplementedError

    async def undo(self, world: World) -> None:
        """Undo what of it has been done."""


@dataclass(frozen=True, slots=True)
class MakeVolume(Step):
    """Make a wanted volume, by its Docker name."""

    volume: str

    @property
    def what(self) -> str:
        """See `Step.what`."""
        return self.volume

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        for volume in world.wanted.volumes:
            if volume.docker_name == self.volume:
                await world.engine.create_volume(volume)


@dataclass(frozen=True, slots=True)
class AwaitExposure(Step):
    """Wait until the camera that is about to be stopped exposes no more.

    What stops it asks again: an exposure may have begun meanwhile.
    """

    acts: ClassVar[bool] = False

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        if not world.terms.now:
            await spare(world)


@dataclass(frozen=True, slots=True)
class SetAside(Step):
    """Give a container a name that is in nobody's way."""

    container: str
    name: str
    aside: str

    @property
    def what(self) -> str:
        """See `Step.what`."""
        return self.name

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        if self.name != self.aside:
            await world.engine.rename(self.container, self.aside)

    async def undo(self, world: World) -> None:
        """See `Step.undo`."""
        found = await world.container(self.container)
        if found is not None and found.name != self.name:
            await world.engine.rename(self.container, self.name)


@dataclass(frozen=True, slots=True)
class Stop(Step):
    """Stop a container in which something was alive."""

    container: str
    name: str
    vital: ClassVar[bool] = True

    @property
    def what(self) -> str:
        """See `Step.what`."""
        return self.name

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        await spare(world, again=True)
        await world.engine.stop(self.container, STOP_GRACE)

    async def undo(self, world: World) -> None:
        """See `Step.undo`."""
        found = await world.container(self.container)
        if found is not None and found.at_rest:
            await world.engine.start(self.container)


@dataclass(frozen=True, slots=True)
class Run(Step):
    """Make and start the wanted container; ``before`` are those that were there."""

    before: tuple[str, ...] = ()

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        world.camera.drop("the container is being replaced")
        await world.engine.run(world.wanted)

    async def undo(self, world: World) -> None:
        """See `Step.undo`."""
        seen = await world.seen()
        for container in seen.containers:
            if container.name == world.wanted.name and container.id not in self.before:
                await world.engine.remove(container.id)


@dataclass(frozen=True, slots=True)
class Start(Step):
    """Start a container that is there."""

    container: str

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        await world.engine.start(self.container)


@dataclass(frozen=True, slots=True)
class AwaitCamera(Step):
    """Wait until the node's camera answers; give up early when its container ends."""

    acts: ClassVar[bool] = False

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        loop = asyncio.get_running_loop()
        limit = world.patience.answer
        deadline = loop.time() + limit
        while True:
            left = max(deadline - loop.time(), 0.0)
            why = await world.silence(min(world.patience.look, left))
            found = current(world.wanted, await world.seen())
            if found is None:
                raise CameraError(world.node.name, "the container is gone")
            if not found.running:
                last = await last_words(world, found.id)
                raise CameraError(world.node.name, f"the container ended: {last}")
            if why is None:
                return
            if loop.time() >= deadline:
                more = "" if why == NO_ANSWER else f": {why}"
                said = await last_words(world, found.id)
                last = f"; the last line of its log: {said}" if said != "''" else ""
                text = f"the camera did not answer in {limit:g} s{more}{last}"
                raise CameraError(world.node.name, text)


async def last_words(world: World, container: str) -> str:
    """Return the end of a container's log, or that it cannot be read."""
    try:
        return repr((await world.engine.logs(container, 1)).strip())
    except EngineUnreachableError:
        raise
    except EngineError as error:
        # Log drivers such as none let nobody read what was said.
        return f"why, its log does not tell ({error.problem})"


@dataclass(frozen=True, slots=True)
class Remove(Step):
    """Remove a container."""

    container: str
    name: str
    final: ClassVar[bool] = True

    @property
    def what(self) -> str:
        """See `Step.what`."""
        return self.name

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        if await world.container(self.container) is not None:
            await world.engine.remove(self.container)


@dataclass(frozen=True, slots=True)
class RemoveVolume(Step):
    """Remove a volume, or tell why it stays: what is in it is not on the node.

    Another's container may use it. An engine before 23 that was started anew beneath a
    camera takes it for mounted until its next start.
    """

    volume: str
    final: ClassVar[bool] = True

    @property
    def what(self) -> str:
        """See `Step.what`."""
        return self.volume

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        try:
            await world.engine.remove_volume(self.volume)
        except EngineUnreachableError:
            raise
        except EngineError as error:
            name = world.node.name
            world.tell(VolumeStays(node=name, volume=self.volume, reason=error.problem))
