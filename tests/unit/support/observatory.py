"""A whole controller in this process: the real service, with engines in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from fliswarm.engine.memory import MemoryEngine
from fliswarm.host.memory import MemoryHost
from fliswarm.model import ActorSettings, Fleet, Node
from fliswarm.service import Service
from tests.unit.support.site import engine, fleet, free_port
from tests.unit.support.wait import until


class Observatory:
    """What runs, and what it should be; ``desired`` may be changed before a reload."""

    def __init__(
        self, desired: Fleet, commands: str = "all", state: Path | None = None
    ) -> None:
        self.port = free_port()
        actor = ActorSettings(host="127.0.0.1", port=self.port, commands=commands)
        self.desired = replace(desired, actor=actor)
        self.engines: dict[str, MemoryEngine] = {}
        self.hosts: dict[str, MemoryHost] = {}
        self.service = Service(lambda: self.desired, self._connect, self._reach, state)

    def _connect(self, node: Node) -> MemoryEngine:
        return self.engines.setdefault(node.name, engine(node.name))

    def _reach(self, node: Node) -> MemoryHost:
        return self.hosts.setdefault(node.name, MemoryHost(node.name))


@asynccontextmanager
async def observatory(
    ports: Mapping[str, int],
    socket: Path,
    *,
    categories: Mapping[str, str] = {},
    commands: str = "all",
    state: Path | None = None,
) -> AsyncIterator[Observatory]:
    """Run a controller of cameras that listen on these ports, by name of node.

    Its users may give ``all`` commands, or those of the ``original`` alone; what it has
    to know after a start is in ``state``.
    """
    running = Observatory(fleet(ports, categories=categories), commands, state)
    task = asyncio.create_task(running.service.run(socket))
    try:
        control = running.service._control
        await until(lambda: task.done() or control.listens, "the controller")
        yield running
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
