"""The step that makes room where a container of sdss-fliswarm runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fliswarm.change.steps import Stop
from fliswarm.change.world import World
from fliswarm.model import Container


@dataclass(frozen=True, slots=True)
class Relieve(Stop):
    """Stop a container that sdss-fliswarm made; its engine removes it by that.

    There is no other way to the camera and to its port. So the way back makes it once
    more, of what it was ``made`` of.
    """

    made: Mapping[str, Any]

    async def undo(self, world: World) -> None:
        """See `Step.undo`."""
        found = await self._left(world)
        if found is None:
            seen = await world.seen()
            if seen.original is None:
                await world.engine.again(self.name, self.made)
                return
            found = seen.original
        if found.at_rest:
            await world.engine.start(found.id)

    async def _left(self, world: World) -> Container | None:
        """Return what is left of it, when its engine has done with it."""
        for _ in range(int(world.patience.settle / world.patience.look * 10)):
            found = await world.container(self.container)
            if found is None or not (found.at_rest or found.state == "removing"):
                return found
            if not self.made.get("HostConfig", {}).get("AutoRemove"):
                return found
            await asyncio.sleep(world.patience.look / 10)
        return await world.container(self.container)
