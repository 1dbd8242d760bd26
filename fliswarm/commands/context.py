"""What a command works with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fliswarm.commands.call import Call
from fliswarm.fleet.live import LiveFleet
from fliswarm.fleet.visit import TIMES, Times
from fliswarm.hub.tron import TronLink


@dataclass(frozen=True, slots=True)
class Site:
    """What all commands work with.

    ``name`` and ``version`` are the actor's; ``reload`` reads the configuration again
    and returns the names of the nodes that changed; ``stale`` only tells what is not
    as the configuration has it; ``running`` holds the commands that go on until they
    are stopped, by name; ``times`` is how long a doctor waits for answers.
    """

    fleet: LiveFleet
    name: str
    version: str
    reload: Callable[[], Awaitable[list[str]]]
    stale: Callable[[], list[str]]
    hub: TronLink | None = None
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    times: Times = TIMES


@dataclass(frozen=True, slots=True)
class Context:
    """What one command works with."""

    call: Call
    site: Site

    @property
    def fleet(self) -> LiveFleet:
        """The fleet that is commanded."""
        return self.site.fleet
