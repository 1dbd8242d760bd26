"""What a command works with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fliswarm.commands.call import Call
from fliswarm.fleet.live import LiveFleet
from fliswarm.fleet.spool import Spool
from fliswarm.fleet.visit import TIMES, Times
from fliswarm.hub.tron import TronLink
from fliswarm.model import Fleet
from fliswarm.net.apart import Apart
from fliswarm.record.record import Record

LOOK_LIMIT = 30.0
"""Seconds to look for files, which may be on a disk of another computer."""


@dataclass(frozen=True, slots=True)
class Site:
    """What all commands work with.

    ``name`` and ``version`` are the actor's; ``reload`` reads the configuration again
    and returns the names of the nodes that changed; ``stale`` only tells what is not
    as the configuration has it; ``running`` holds the commands that go on until they
    are stopped, by name; ``read`` makes a fleet of a configuration's text; ``record``
    is of what is changed; ``looking`` looks for files, beside the event loop; ``spool``
    holds files on their way to nodes and back; ``times`` is how long a doctor waits for
    answers.
    """

    fleet: LiveFleet
    name: str
    version: str
    reload: Callable[[], Awaitable[list[str]]]
    stale: Callable[[], Awaitable[list[str]]]
    hub: TronLink | None = None
    read: Callable[[str], Fleet] | None = None
    record: Record = field(default_factory=lambda: Record(None))
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    looking: Apart = field(default_factory=lambda: Apart("looking for", LOOK_LIMIT))
    spool: Spool = field(default_factory=lambda: Spool(None))
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
