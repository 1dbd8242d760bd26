"""The other end of a control socket: how it is reached, and who it is."""

from __future__ import annotations

import pwd
import socket
import struct
import time
from pathlib import Path
from typing import NamedTuple

from fliswarm.errors import ControlError, NotRunningError

SILENCE_LIMIT = 10.0
"""Seconds for a controller to take a connection, and to answer what it is asked.

Its slowest turn takes a second or two; one that is stopped or frozen takes for ever.
"""

FROZEN = f"fliswarm is there, but has not answered for {SILENCE_LIMIT:g} s"


NOBODY = 2**32 - 1
"""What the kernel has for the login of a process that no login has started."""


class Peer(NamedTuple):
    """A process and its user; ``pid`` is 0 for one that has no number here.

    That is so when it is in another PID namespace: in a container, or outside of ours.
    """

    pid: int
    uid: int


def peer(connection: socket.socket) -> Peer:
    """Return who is at the other end, as the kernel knows it."""
    form = "iII"
    size = struct.calcsize(form)
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    pid, uid, _ = struct.unpack(form, found)
    return Peer(pid, uid)


def person(other: Peer) -> str:
    """Return the name of whoever is at the other end; it may take a directory's time.

    Who has become another user, as by sudo, is still who has logged in.
    """
    name, login = _name(other.uid), _login(other.pid)
    if login is None or login == other.uid:
        return name
    return f"{_name(login)} as {name}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError):
        return f"uid {uid}"


def _login(pid: int) -> int | None:
    """Return as whom the user of a process has logged in; ``None`` if nobody knows."""
    try:
        found = int(Path(f"/proc/{pid}/loginuid").read_text("ascii"))
    except (OSError, ValueError):
        return None
    return None if found == NOBODY else found


def dial(path: Path) -> socket.socket:
    """Connect to a control socket.

    Raises
    ------
    NotRunningError
        When nobody listens there.
    ControlError
        When the controller does not take the connection, or the path cannot be used.
    """
    connection = socket.socket(socket.AF_UNIX)
    # A controller that is frozen has a queue of connections, and the queue an end.
    connection.setblocking(False)
    deadline = time.monotonic() + SILENCE_LIMIT
    try:
        while True:
            try:
                connection.connect(str(path))
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise ControlError(f"{path}: {FROZEN}") from error
                time.sleep(0.05)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        connection.close()
        said = f"fliswarm -- not running\nnobody listens on {path}"
        raise NotRunningError(said) from error
    except OSError as error:
        connection.close()
        raise ControlError(f"{path}: {error.strerror or error}") from error
    except ControlError:
        connection.close()
        raise
    connection.setblocking(True)
    return connection
