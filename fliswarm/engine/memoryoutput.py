"""What the twin of an engine tells of what is printed in containers, and runs there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fliswarm.engine.memoryimages import MemoryDaemon
from fliswarm.engine.protocol import OnPrinted
from fliswarm.errors import EngineError, EngineUnreachableError
from fliswarm.model import Container, Executed

STEP = 0.01
"""Seconds between two looks at a log that is followed."""


class MemoryOutput:
    """The part of `fliswarm.engine.memory.MemoryEngine` that is about output."""

    node: str
    up: bool
    daemon: MemoryDaemon

    def _begin(self, call: str) -> str:
        raise NotImplementedError

    def _get(self, container: str) -> Container:
        raise NotImplementedError

    async def logs(self, container: str, lines: int) -> str:
        """See `Engine.logs`."""
        self._begin("logs")
        self._get(container)
        log = self.daemon.logs.get(container, [])
        return "".join(f"{one.text}\n" for one in log[-lines:])

    async def printed(
        self,
        container: str,
        take: OnPrinted,
        *,
        lines: int | None = None,
        since: str | None = None,
        follow: bool = False,
    ) -> None:
        """See `Engine.printed`."""
        self._begin("printed")
        self._get(container)
        log = self.daemon.logs.setdefault(container, [])
        begin = 0 if lines is None else max(0, len(log) - lines)
        while True:
            found = [one for one in log[begin:] if one.at >= (since or "")]
            begin = len(log)
            if found:
                await take(found)
            elif not follow or container not in self._running():
                return
            if not self.up:
                raise EngineUnreachableError(self.node, "the engine does not answer")
            await asyncio.sleep(STEP)

    async def execute(
        self, container: str, words: Sequence[str], limit: float
    ) -> Executed:
        """See `Engine.execute`."""
        self._begin(f"execute {words[0]}")
        self._get(container)
        if container not in self._running():
            raise EngineError(self.node, f"container {container[:12]} is not running")
        unknown = Executed(127, f"{words[0]}: no such file or directory\n")
        done = self.daemon.programs.get(words[0], unknown)
        if done is None:
            await asyncio.sleep(limit)
            raise EngineError(
                self.node, f"{words[0]} did not end in {limit:g} s; it may run on"
            )
        return done

    def _running(self) -> set[str]:
        return {c.id for c in self.daemon.containers.values() if c.running}
