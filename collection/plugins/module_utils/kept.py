"""Files that are written whole or not at all, and a record of what was there before."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple, Optional

from ansible_collections.sdss.fliswarm.plugins.module_utils.quiet import masked

STORE = "/var/lib/fliswarm-provision"
"""Folder of the records, for root alone: they hold whole files."""


LOCK = "/run/fliswarm-provision.lock"
"""Held by whoever changes this host."""


class File(NamedTuple):
    """A regular file: its text, its permissions, its owner."""

    content: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


Files = Dict[str, Optional[File]]
"""Files by path; None where there is, or is to be, no file."""


def read(path: str) -> File | None:
    """Return a file, or None when there is none at this path."""
    file = Path(path)
    if not file.is_file():
        return None
    about = file.stat()
    # Whatever bytes there are come back as they were.
    text = file.read_bytes().decode("utf-8", "surrogateescape")
    return File(text, about.st_mode & 0o7777, about.st_uid, about.st_gid)


def write(path: str, file: File | None, *, follow: bool = False) -> None:
    """Put a file in the place of what is there; a power cut leaves the old or the new.

    Parameters
    ----------
    path
        Folders that are missing are made. A link gives way to the file.
    file
        What is to be there; None removes it.
    follow
        Whether a link is followed: where others may keep the file elsewhere.
    """
    target = Path(path).resolve() if follow else Path(path)
    if file is None:
        with suppress(FileNotFoundError):
            target.unlink()
        return
    # A link can lead to a device, such as that of a unit which is masked.
    if follow and target.is_symlink():
        raise OSError(errno.ELOOP, "It is a link that leads to itself", path)
    if target.exists() and not target.is_file() and not target.is_symlink():
        raise OSError(errno.EINVAL, "It is not a regular file", str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    data = file.content.encode("utf-8", "surrogateescape")
    # One name for each file, so that what an interrupted run has left is used up.
    new = target.with_name(f".{target.name}.fliswarm")
    with suppress(FileNotFoundError):
        new.unlink()
    # Of a mode that lets nobody else in, until its own is set.
    handle = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "wb") as fresh:
            fresh.write(data)
            fresh.flush()
            os.fchown(handle, file.uid, file.gid)
            os.fchmod(handle, file.mode)
            os.fsync(handle)
        new.replace(target)
    except OSError as error:
        new.unlink()
        # In a container /etc/hosts is a mount, which nothing can be renamed over.
        if error.errno != errno.EBUSY:
            raise
        target.write_bytes(data)


def missing_folders(paths: list[str]) -> list[str]:
    """Return the folders above these paths that do not exist, the uppermost first."""
    found = set()
    for path in paths:
        for folder in Path(path).parents:
            if folder.is_dir():
                break
            found.add(str(folder))
    return sorted(found)


def remove_folders(folders: list[str]) -> None:
    """Remove those of these folders that are empty, the lowest first."""
    for folder in sorted(folders, reverse=True):
        with suppress(OSError):
            Path(folder).rmdir()


def pack(files: Files) -> dict[str, list[Any] | None]:
    """Return files as plain JSON values."""
    return {path: None if file is None else list(file) for path, file in files.items()}


def unpack(packed: dict[str, list[Any] | None]) -> Files:
    """Return the files that `pack` has packed."""
    return {
        path: None if file is None else File(*file) for path, file in packed.items()
    }


def show(
    path: str,
    before: File | None,
    after: File | None,
    *,
    secret: bool,
    hide: str | None = None,
) -> dict[str, str]:
    """Return a difference as Ansible shows it; of a secret, only that there is one.

    Parameters
    ----------
    path
        Its name for people.
    before, after
        The file as it is, and as it is to be.
    secret
        Whether the whole file is.
    hide
        Regular expression of secret parts, see `masked`.
    """
    if secret:
        what = "is replaced" if before and after else "is new" if after else "goes"
        return {"prepared": f"{path} {what}\n"}
    old, new = (_shown(file, hide) if file else "" for file in (before, after))
    if before and after and old == new and before.content != after.content:
        new += "(what is hidden differs)\n"
    return {
        "before": old,
        "after": new,
        "before_header": _header(path, before),
        "after_header": _header(path, after),
    }


def _shown(file: File, hide: str | None) -> str:
    """Return the text of a file without its secrets; of a program, how long it is."""
    data = file.content.encode("utf-8", "surrogateescape")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return f"({len(data)} bytes, which are no text)\n"
    return str(masked(file.content, hide))


def _header(path: str, file: File | None) -> str:
    return f"{path} (mode {file.mode:04o})" if file else f"{path} (absent)"


@contextmanager
def locked(path: str = LOCK) -> Iterator[None]:
    """Wait until no other run changes this host.

    The module of a run that was killed goes on until it ends.
    """
    with Path(path).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def records(store: str = STORE) -> list[str]:
    """Return the names of the records there are."""
    return sorted(path.stem for path in Path(store).glob("*.json"))


class Record:
    """What is known of a host from an earlier run: one JSON file.

    Parameters
    ----------
    name
        Whose record it is, a word.
    store
        Folder of the records.
    """

    def __init__(self, name: str, store: str = STORE) -> None:
        self._store = Path(store)
        self._path = self._store / f"{name}.json"

    def load(self) -> dict[str, Any]:
        """Return the record, empty when there is none."""
        try:
            return dict(json.loads(self._path.read_text("utf-8")))
        except FileNotFoundError:
            return {}

    def save(self, values: dict[str, Any]) -> None:
        """Replace the record."""
        if not self._store.is_dir():
            self._store.mkdir(parents=True)
            self._store.chmod(0o700)
        text = json.dumps(values, indent=1, sort_keys=True) + "\n"
        write(str(self._path), File(text, 0o600, os.geteuid(), os.getegid()))

    def remove(self) -> None:
        """Forget; the last record takes the folder with it."""
        write(str(self._path), None)
        remove_folders([str(self._store)])
