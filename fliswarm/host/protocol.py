"""What the fleet asks of a node's operating system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fliswarm.model import Node


class Host(Protocol):
    """The operating system of one node. Each call ends within its time limit.

    Every method raises `fliswarm.errors.HostError` when it cannot.
    """

    async def mark(self) -> str:
        """Return a text that changes with each start of the host."""

    async def reboot(self) -> None:
        """Ask the host to start anew; return when it has heard."""


Reach = Callable[[Node], Host]
"""Makes the host of a node; contacts nobody yet."""
