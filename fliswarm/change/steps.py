"""The steps that changes are made of: data, each with what undoes it.

A step that was begun may have been done, in part or not at all, when the controller
was killed. So each way back looks at the world first, and may be gone twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from fliswarm.change.world import NO_ANSWER, STOP_GRACE, World, current
from fliswarm.errors import (
    CameraError,
    EngineError,
    EngineUnreachableError,
    HostError,
)
from fliswarm.model.facts import NothingToAwait, VolumeStays


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
                last = await _last_words(world, found.id)
                raise CameraError(world.node.name, f"the container ended: {last}")
            if why is None:
                return
            if loop.time() >= deadline:
                more = "" if why == NO_ANSWER else f": {why}"
                text = f"the camera did not answer in {limit:g} s{more}"
                raise CameraError(world.node.name, text)


async def _last_words(world: World, container: str) -> str:
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


@dataclass(frozen=True, slots=True)
class PowerOff(Step):
    """Switch the power of the computer off."""

    vital: ClassVar[bool] = True

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        await world.power.switch(world.node, on=False)
        await asyncio.sleep(world.patience.power)

    async def undo(self, world: World) -> None:
        """See `Step.undo`."""
        await world.power.switch(world.node, on=True)


@dataclass(frozen=True, slots=True)
class AwaitDown(Step):
    """Wait until the computer is seen to be down: its engine does not answer."""

    acts: ClassVar[bool] = False

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        world.camera.drop("the node is rebooting")
        while await _answers(world):
            await asyncio.sleep(min(1.0, world.patience.look))


@dataclass(frozen=True, slots=True)
class PowerOn(Step):
    """Switch the power of the computer on."""

    final: ClassVar[bool] = True

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        await world.power.switch(world.node, on=True)


@dataclass(frozen=True, slots=True)
class Reboot(Step):
    """Ask the computer to start anew."""

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        await world.host.reboot()


@dataclass(frozen=True, slots=True)
class AwaitHost(Step):
    """Wait until the computer has started anew since ``before``."""

    before: str
    host: str
    acts: ClassVar[bool] = False

    @property
    def what(self) -> str:
        """See `Step.what`."""
        return self.host

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        world.camera.drop("the node is rebooting")
        while not await self._started(world):
            await asyncio.sleep(min(1.0, world.patience.look))

    async def _started(self, world: World) -> bool:
        try:
            return await world.host.mark() != self.before
        except HostError:
            return False


@dataclass(frozen=True, slots=True)
class AwaitEngine(Step):
    """Wait until the Docker Engine answers."""

    acts: ClassVar[bool] = False

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        while not await _answers(world):
            await asyncio.sleep(min(1.0, world.patience.look))


@dataclass(frozen=True, slots=True)
class AwaitReturn(Step):
    """Wait for the camera of a computer that is back, if it has a container."""

    acts: ClassVar[bool] = False

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        if current(world.wanted, await world.seen()) is None:
            world.tell(NothingToAwait(node=world.node.name))
            return
        while await world.silence(world.patience.look) is not None:
            pass


async def _answers(world: World) -> bool:
    try:
        await world.engine.ping()
    except EngineError:
        return False
    return True


KINDS: Mapping[str, type[Step]] = {
    kind.__name__: kind
    for kind in (
        MakeVolume,
        SetAside,
        Stop,
        Run,
        Start,
        AwaitCamera,
        Remove,
        RemoveVolume,
        PowerOff,
        AwaitDown,
        PowerOn,
        Reboot,
        AwaitHost,
        AwaitEngine,
        AwaitReturn,
    )
}
"""All kinds of steps, by the name that the journal has for them."""


def written(step: Step) -> dict[str, Any]:
    """Return a step as JSON values."""
    return {"step": type(step).__name__, **asdict(step)}


def read(noted: Mapping[str, Any]) -> Step:
    """Return the step that `written` made these values of.

    Raises
    ------
    ValueError
        When they are none of a step.
    """
    kind = KINDS.get(noted.get("step", ""))
    if kind is None:
        raise ValueError(f"no step: {noted}")
    values = {f.name: noted[f.name] for f in fields(kind) if f.name in noted}
    if "before" in values and isinstance(values["before"], list):
        values["before"] = tuple(values["before"])
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"no step: {noted}") from error
