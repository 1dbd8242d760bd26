"""Systemd units: whether they run with the files that are there."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Iterable

from ansible_collections.sdss.fliswarm.plugins.module_utils import sockets

PROPERTIES = (
    "UnitFileState",
    "ActiveState",
    "NeedDaemonReload",
    "ActiveEnterTimestampMonotonic",
    "MainPID",
)


def why_not(name: str, files: Iterable[str], port: int | None = None) -> str:
    """Return why a unit is not as its files say, empty when it is.

    Parameters
    ----------
    name
        Of the unit.
    files
        What it reads when it starts.
    port
        TCP port on which it has to listen; others may on other addresses.
    """
    seen = _show(name)
    if seen.get("UnitFileState") in ("disabled", "masked", ""):
        state = seen["UnitFileState"] or "not there"
        return f"{name} is {state}: it does not start with the host"
    if seen.get("ActiveState") != "active":
        return f"{name} does not run: it is {seen.get('ActiveState', 'unknown')}"
    problem = _stale(name, seen, files)
    if problem:
        return problem
    if port is not None and not _listens(seen.get("MainPID", "0"), port):
        return f"{name} does not listen on port {port}"
    return ""


def stale(name: str, files: Iterable[str]) -> str:
    """Return what a unit that runs has not read of its files, empty when it has all."""
    return _stale(name, _show(name), files)


def _stale(name: str, seen: dict[str, str], files: Iterable[str]) -> str:
    if seen.get("NeedDaemonReload") == "yes":
        return f"systemd has not read the unit of {name}"
    newer = _newer(int(seen.get("ActiveEnterTimestampMonotonic") or 0), files)
    return f"{name} started before {newer} was written" if newer else ""


def _show(name: str) -> dict[str, str]:
    done = subprocess.run(
        ["systemctl", "show", f"--property={','.join(PROPERTIES)}", name],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    lines = done.stdout.decode(errors="replace").splitlines()
    found = dict(line.partition("=")[::2] for line in lines)
    return {"UnitFileState": "", **found}


def _newer(started: int, files: Iterable[str]) -> str:
    """Return a file that was written after a start, or put in its place.

    Parameters
    ----------
    started
        Microseconds from the start of the host on. The clock may have been set since.
    files
        Their paths.
    """
    now = time.time()
    start = now - time.monotonic() + started / 1e6
    for path in files:
        try:
            about = Path(path).stat()
        except OSError:
            continue
        # A copy that was put back may say that it is older than it is, its inode not.
        # What is from the future was written before the clock was set back.
        if any(start < moment < now for moment in (about.st_mtime, about.st_ctime)):
            return path
    return ""


def _listens(process: str, port: int) -> bool:
    """Tell whether a process has a listening socket of a port."""
    own = sockets.held(Path("/proc", process))
    return any(one.port == port and one.handle in own for one in sockets.listeners())
