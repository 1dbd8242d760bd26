"""Small files that survive a power cut: whole, or as they were before."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from fliswarm.errors import StoreError

log = logging.getLogger(__name__)

ASIDE = ".unreadable"
"""What the name of a file ends with that was kept aside."""


def folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where a controller keeps what it has to know after a start.

    systemd's folder for the service, that of the system for root, else the user's own.
    """
    given = environment.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    if os.geteuid() == 0:
        return Path("/var/lib/fliswarm")
    home = environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "fliswarm"


def write(path: Path, content: object) -> None:
    """Put JSON into a file, on the disk before this returns; its owner alone reads it.

    Raises
    ------
    StoreError
        When the disk does not take it; the file is as before.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(new, "w", encoding="utf-8", opener=_private) as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise StoreError(path, error.strerror or str(error)) from error


def read(path: Path) -> object:
    """Return what a file holds, ``None`` when there is none.

    Raises
    ------
    StoreError
        When it cannot be read, or is no JSON.
    """
    try:
        found: object = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(path, error.strerror or str(error)) from error
    except ValueError as error:
        raise StoreError(path, f"is not JSON: {error}") from error
    return found


def keep_aside(path: Path, why: Exception) -> None:
    """Give a file that is not understood another name: nothing is written over it.

    What it said is lost to us; whoever can tell finds it there.
    """
    aside = path.with_name(path.name + ASIDE)
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.{number}{ASIDE}")
    try:
        path.rename(aside)
        log.error("%s: not understood, and kept as %s: %s", path, aside.name, why)
    except OSError as error:
        log.error("%s: not understood: %s; %s", path, why, error)  # noqa: TRY400


def kept_aside(folder: Path) -> list[Path]:
    """Return the files in a folder, and in those within, that were kept aside."""
    return sorted(folder.rglob(f"*{ASIDE}"))


def remove(path: Path) -> None:
    """Remove a file, if it is there.

    Raises
    ------
    StoreError
        When it stays.
    """
    try:
        path.unlink(missing_ok=True)
        if path.parent.exists():
            _sync(path.parent)
    except OSError as error:
        raise StoreError(path, error.strerror or str(error)) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(folder: Path) -> None:
    """Bring a folder's own entries, a new name among them, to the disk."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
