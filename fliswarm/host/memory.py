"""A host in memory: the twin of the real one."""

from __future__ import annotations

from dataclasses import dataclass

from fliswarm.errors import HostError


@dataclass
class MemoryHost:
    """A host that exists only in this process; ``up`` may be changed at any time."""

    node: str
    up: bool = True
    starts: int = 1

    async def mark(self) -> str:
        """See `Host.mark`."""
        self._reach()
        return str(self.starts)

    async def reboot(self) -> None:
        """See `Host.reboot`."""
        self._reach()
        self.starts += 1

    def _reach(self) -> None:
        if not self.up:
            raise HostError(self.node, "the host does not answer")
