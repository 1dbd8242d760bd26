"""What systemd is told of us: that we serve, that we are alive, that we end.

Nothing is told when nobody asks for it: systemd says by ``$NOTIFY_SOCKET`` where, and
by ``$WATCHDOG_USEC`` how often.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress

READY = "READY=1"


def tell(*states: str, environment: Mapping[str, str] = os.environ) -> None:
    """Tell systemd a state, if it wants to hear."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    # An at-sign stands for the zero that begins a name outside of the file system.
    address = address.replace("@", "\0", 1) if address[0] == "@" else address
    with (
        suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as way,
    ):
        way.sendto("\n".join(states).encode(), address)


def period(environment: Mapping[str, str] = os.environ) -> float | None:
    """Return the seconds between two signs of life; ``None`` when none is wanted."""
    written = environment.get("WATCHDOG_USEC", "")
    whose = environment.get("WATCHDOG_PID", str(os.getpid()))
    if not written.isdecimal() or int(written) == 0 or whose != str(os.getpid()):
        return None
    return int(written) / 1e6 / 3


@asynccontextmanager
async def serving() -> AsyncIterator[None]:
    """Tell that we serve; and that we are alive, as long as the event loop turns."""
    tell(READY)
    pause = period()
    alive = None if pause is None else asyncio.create_task(_keep_alive(pause))
    try:
        yield
    finally:
        tell("STOPPING=1")
        if alive is not None:
            alive.cancel()


@contextmanager
def reloading() -> Iterator[None]:
    """Tell that the configuration is read anew, and that this has ended."""
    # The clock is the one that systemd compares it with.
    tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
    try:
        yield
    finally:
        tell(READY)


async def _keep_alive(pause: float) -> None:
    while True:
        tell("WATCHDOG=1")
        await asyncio.sleep(pause)
