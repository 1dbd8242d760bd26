"""Waiting for a condition, never for a time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

LIMIT = float(os.environ.get("FLISWARM_TEST_LIMIT", "60"))
"""Seconds after which a condition counts as not met, on a machine however busy."""


async def until(condition: Callable[[], object], what: str = "condition") -> None:
    """Return as soon as a condition holds."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"not within {LIMIT:g} s: {what}"
        await asyncio.sleep(0.002)


def wait_until(condition: Callable[[], object], what: str = "condition") -> None:
    """Return as soon as a condition holds, without a loop of events."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"not within {LIMIT:g} s: {what}"
        time.sleep(0.02)
