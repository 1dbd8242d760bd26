"""Waiting for a condition, never for a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LIMIT = 10.0
"""Seconds after which a condition counts as not met."""


async def until(condition: Callable[[], object], what: str = "condition") -> None:
    """Return as soon as a condition holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LIMIT
    while not condition():
        assert loop.time() < deadline, f"not within {LIMIT:g} s: {what}"
        await asyncio.sleep(0.002)
