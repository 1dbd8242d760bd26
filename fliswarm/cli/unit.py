"""The controller as a service of systemd's: who runs it stops and starts it."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

from fliswarm import config
from fliswarm.errors import FliswarmError

UNIT = "fliswarm"
"""Name of the service that the role ``controller`` makes."""

ASK_LIMIT = 10.0
"""Seconds for systemd to tell a property."""


def runs(pid: int) -> bool:
    """Return whether a process is the service's."""
    return pid > 0 and _property("MainPID") == str(pid)


def is_for(file: Path) -> bool:
    """Return whether there is a service, and it is the one of a configuration."""
    if file.resolve() != config.SYSTEM_CONFIG.resolve():
        return False
    return _property("LoadState") == "loaded"


def known() -> bool:
    """Return whether there is such a service."""
    return _property("LoadState") == "loaded"


def state() -> str:
    """Return how the service is, in systemd's words, and what its program ended by."""
    words = (_property(name) for name in ("ActiveState", "SubState", "Result"))
    return ", ".join(word for word in words if word)


def order(verb: str) -> None:
    """Let systemd ``start``, ``stop`` or ``restart`` the service.

    Raises
    ------
    FliswarmError
        When it refuses or fails; its own words are on standard error then.
    """
    words = ["systemctl", verb, UNIT]
    if subprocess.run(words, check=False).returncode != 0:
        remedy = f"Remedy: sudo {' '.join(words)}"
        raise FliswarmError(
            f"systemd runs fliswarm here and did not {verb} it. {remedy}"
        )


def _property(name: str) -> str:
    """Return what systemd knows of the service; nothing where there is no systemd."""
    words = ["systemctl", "show", f"--property={name}", "--value", UNIT]
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=ASK_LIMIT, check=False
        )
        return done.stdout.strip()
    return ""
