"""The steps that start a computer anew; see `fliswarm.change.steps`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from fliswarm.change.exposing import spare
from fliswarm.change.steps import Step
from fliswarm.change.world import World, current
from fliswarm.errors import EngineError, HostError
from fliswarm.model.facts import NothingToAwait


@dataclass(frozen=True, slots=True)
class PowerOff(Step):
    """Switch the power of the computer off."""

    vital: ClassVar[bool] = True

    async def do(self, world: World) -> None:
        """See `Step.do`."""
        await spare(world, whole=True, again=True)
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
        await spare(world, whole=True, again=True)
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
