"""Files on their way from people to nodes and back: bounded by the disk's room."""

from __future__ import annotations

import math
import os
import secrets
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from fliswarm.errors import FliswarmError, StoreError

RESERVE = 1 << 30
"""Bytes that stay free on the controller's disk, for what it has to write down."""

IDLE = 600.0
"""Seconds after which a file that nothing is written to is nobody's."""


class Spool:
    """Files by tokens; those that a former controller left are taken away.

    Its methods block for as long as the disk does. They may be called in threads.

    Parameters
    ----------
    folder
        Where they are; ``None`` for a folder that the system gives.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._sizes: dict[str, int] = {}
        self._written: dict[str, int] = {}
        self._touched: dict[str, float] = {}
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Take away whatever is there."""
        with self._lock:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
            self._sizes.clear()
            self._written.clear()
            self._touched.clear()

    def begin(self, size: int, *, held: bool = False) -> str:
        """Return the token of a new file that is to have ``size`` bytes.

        One that is ``held`` stays until it is removed.

        Raises
        ------
        FliswarmError
            When the disk has not the room for it.
        """
        with self._lock:
            for token in [t for t in self._sizes if self._idle(t)]:
                self._drop(token)
            try:
                if self._folder is None:
                    self._folder = Path(tempfile.mkdtemp(prefix="fliswarm-"))
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                free = shutil.disk_usage(self._folder).free
                promised = sum(self._sizes[t] - self._written[t] for t in self._sizes)
                if size > free - promised - RESERVE:
                    raise FliswarmError(
                        f"{self._folder} has {_mib(free)} MiB free, of which "
                        f"{_mib(promised + RESERVE)} are needed, and {_mib(size)} more "
                        "would be. Remedy: fliswarm image prune, or a larger disk"
                    )
                token = secrets.token_hex(8)
                path = self._folder / token
                path.touch(mode=0o600)
            except OSError as error:
                where = self._folder or Path(tempfile.gettempdir())
                raise StoreError(where, error.strerror or str(error)) from error
            self._sizes[token], self._written[token] = size, 0
            self._touched[token] = math.inf if held else time.monotonic()
        return token

    def write(self, token: str, offset: int, data: bytes) -> None:
        """Write a part of a file; parts may come in any order.

        Raises
        ------
        FliswarmError
            When there is no such file, or no such part of it.
        """
        path = self.path(token)
        if not 0 <= offset <= offset + len(data) <= self._sizes[token]:
            raise FliswarmError(f"{offset} and {len(data)} bytes more are too many")
        try:
            with path.open("r+b") as file:
                os.pwrite(file.fileno(), data, offset)
        except OSError as error:
            raise StoreError(path, error.strerror or str(error)) from error
        with self._lock:
            self._written[token] = self._written.get(token, 0) + len(data)
            self._touched[token] = time.monotonic()

    def path(self, token: str) -> Path:
        """Return the path of a file; `FliswarmError` when there is none."""
        if token not in self._sizes or self._folder is None:
            raise FliswarmError(f"no file is on its way as {token[:32]!r}")
        return self._folder / token

    def whole(self, token: str) -> Path:
        """Return the path of a file all of which has come; it is held from now on."""
        path = self.path(token)
        if self._written[token] != self._sizes[token]:
            missing = self._sizes[token] - self._written[token]
            raise FliswarmError(f"{missing} bytes of the file have not come")
        self._touched[token] = math.inf
        return path

    def remove(self, token: str) -> None:
        """Take a file away, if it is there."""
        with self._lock:
            self._drop(token)

    def _idle(self, token: str) -> bool:
        return time.monotonic() - self._touched[token] > IDLE

    def _drop(self, token: str) -> None:
        for known in (self._sizes, self._written, self._touched):
            known.pop(token, None)
        if self._folder is not None:
            with suppress(OSError):
                (self._folder / token).unlink()


def _mib(size: int) -> int:
    return size >> 20
