"""A control socket joined with standard input and output, for ``ssh``."""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from fliswarm.errors import ControlError, NotRunningError
from fliswarm.faces.control import peer

CHUNK = 65536

NOT_RUNNING = 1
"""Exit code when nothing listens on the socket."""


def dial_stdio(path: Path, source: int = 0, target: int = 1) -> None:
    """Join two descriptors with a control socket, until the controller has answered.

    The end of the input is passed on, and what was asked before it is answered.

    Raises
    ------
    NotRunningError
        When nobody listens on the socket.
    ControlError
        When the controller takes what it is told and says nothing.
    """
    source = _there(source)
    with peer.dial(path) as connection:
        # By ssh's own word, for those who read what was done.
        if came := os.environ.get("SSH_CONNECTION", "").partition(" ")[0]:
            with suppress(OSError):
                connection.sendall(b"0 as %s\n" % json.dumps({"from": came}).encode())
        asking = _Asking(source, connection)
        threading.Thread(target=asking.run, daemon=True).start()
        ready = select.poll()
        ready.register(connection, select.POLLIN)
        # Who reads our output may have had enough.
        with suppress(ConnectionError):
            while True:
                if not ready.poll(1000):
                    asking.check(path)
                    continue
                if not (data := connection.recv(CHUNK)):
                    return
                asking.since = None
                while data:
                    data = data[os.write(target, data) :]


def _there(source: int) -> int:
    """Return a descriptor to read from: of nothing, where there is none."""
    try:
        os.fstat(source)
    except OSError:
        return os.open(os.devnull, os.O_RDONLY)
    return source


class _Asking:
    """Passes on what is asked; ``since`` is when, as long as there is no answer."""

    def __init__(self, source: int, connection: socket.socket) -> None:
        self.since: float | None = None
        self._source = source
        self._connection = connection

    def run(self) -> None:
        """Pass on until the end of the input, or of the connection."""
        last = b"\n"
        with suppress(OSError):
            while data := os.read(self._source, CHUNK):
                last = data
                self._pass_on(data)
        with suppress(OSError):
            if not last.endswith(b"\n"):
                self._pass_on(b"\n")
            self._connection.shutdown(socket.SHUT_WR)

    def check(self, path: Path) -> None:
        """Refuse to wait for a controller that does not say that it begins."""
        since = self.since
        if since is not None and time.monotonic() - since > peer.SILENCE_LIMIT:
            raise ControlError(f"{path}: {peer.FROZEN}")

    def _pass_on(self, data: bytes) -> None:
        # A line without a word in it gets no answer.
        if b"\n" in data and data.strip() and self.since is None:
            self.since = time.monotonic()
        self._connection.sendall(data)


if __name__ == "__main__":
    try:
        dial_stdio(Path(sys.argv[1]))
    except NotRunningError:
        sys.exit(NOT_RUNNING)
    except ControlError as problem:
        print(problem, file=sys.stderr)
        sys.exit(problem.exit_code)
