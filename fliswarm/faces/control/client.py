"""The control socket's client: here, or on another computer through ssh."""

from __future__ import annotations

import os
import select
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from fliswarm.errors import (
    ConfigError,
    ControlError,
    NotInstalledError,
    NotRunningError,
)
from fliswarm.faces.control import peer
from fliswarm.faces.control.join import NOT_RUNNING
from fliswarm.faces.control.stream import StreamControl, ready
from fliswarm.net import ssh

CONNECT_LIMIT = 15
"""Seconds for ssh to connect."""

LOGIN_LIMIT = 150.0
"""Seconds for a person to log in by ssh, with a password perhaps, and for the answer.

sshd ends a login that takes longer than two minutes by itself.
"""

ALIVE_PERIOD = 10
"""Seconds of silence after which ssh asks for a sign of life. It gives up when there
was none twice."""

SAID_LIMIT = 4096
"""Bytes that are kept of what ssh said last."""

END_LIMIT = 5.0
"""Seconds for ssh to end when there is nothing left to say."""

NO_PROGRAM = 127
"""How a shell ends that finds no program of the name."""

GROUP = "fliswarm"
"""Users in it may speak to the service; the role ``controller`` makes it."""


def connect(host: str | None, path: Callable[[], Path]) -> StreamControl:
    """Connect to a controller.

    Parameters
    ----------
    host
        ``ssh://[user@]host[:port]``, ``unix:///path``, or ``None`` for ``path``.
    path
        Tells the control socket on this computer; not asked for another computer.

    Raises
    ------
    NotRunningError
        When nothing listens there.
    """
    if host is None:
        return LocalControl(path())
    address = controller(host)
    if address.scheme == "unix":
        return LocalControl(Path(address.path))
    return SshControl([*ssh.command(), *ssh.target(address)])


def controller(host: str) -> SplitResult:
    """Return the address of a controller, ``ssh://...`` or ``unix://...``."""
    problem = f"must be ssh://[user@]host[:port] or unix:///path, not '{host}'"
    try:
        address = urlsplit(host)
        port = address.port
    except ValueError as error:
        raise ConfigError("FLISWARM_HOST", problem) from error
    # ssh would take a leading hyphen for an option.
    names = (address.hostname or "-", address.username or "")
    far = address.scheme == "ssh" and port != 0
    far = far and not any(name.startswith("-") for name in names)
    here = address.scheme == "unix" and not address.netloc and address.path
    if not (far or here):
        raise ConfigError("FLISWARM_HOST", problem)
    return address


def connect_here(path: Path) -> StreamControl:
    """Connect to the service of this computer.

    A user who was let into its group a moment ago has not got that group in the
    programs that run already; ``sg`` starts one that has.

    Parameters
    ----------
    path
        Its control socket.

    Raises
    ------
    NotRunningError
        When nothing listens there.
    """
    try:
        return LocalControl(path)
    except ControlError as error:
        if not isinstance(error.__cause__, PermissionError):
            raise
    dial = [sys.executable, "-m", "fliswarm.faces.control.join", str(path)]
    return ProgramControl(["sg", GROUP, "-c", shlex.join(dial)], str(path))


class LocalControl(StreamControl):
    """A connection to the control socket of this computer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = peer.dial(path)
        number = self._socket.fileno()
        super().__init__(number, number, self.silence)

    @property
    def pid(self) -> int:
        """Process id of the controller, as the kernel knows it; 0 when it has none."""
        return peer.peer(self._socket).pid

    def wait_end(self, limit: float) -> bool:
        """Return whether the controller lets go of the connection in time."""
        if not ready(self._source, select.POLLIN, limit):
            return False
        try:
            return not os.read(self._source, 1)
        except ConnectionError:
            return True

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _frozen(self) -> ControlError:
        return ControlError(f"{self._path}: {peer.FROZEN}")


class ProgramControl(StreamControl):
    """A connection through a program that runs ``fliswarm dial-stdio``.

    Parameters
    ----------
    command
        The program and its words.
    target
        What it reaches, for messages.
    """

    def __init__(self, command: Sequence[str], target: str) -> None:
        self._name = target
        self._said = b""
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
            )
        except OSError as error:
            raise ControlError(f"{command[0]}: {error.strerror}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        into, outof = self._process.stdin.fileno(), self._process.stdout.fileno()
        super().__init__(outof, into, LOGIN_LIMIT)
        # What it says is read all the time: a program whose words nobody reads stops.
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def close(self) -> None:
        """Close the connection, and end the program."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        try:
            process.wait(END_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._listening.join(END_LIMIT)

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            while data := stream.read(4096):
                self._said = (self._said + data)[-SAID_LIMIT:]

    def _frozen(self) -> ControlError:
        return ControlError(f"{self._name}: {peer.FROZEN}")

    def _ended(self) -> ControlError | NotRunningError:
        self.close()
        if self._process.returncode == NOT_RUNNING:
            return NotRunningError(f"fliswarm -- not running on {self._name}")
        words = self._said.decode("utf-8", "replace").strip()
        if self._process.returncode == NO_PROGRAM:
            return NotInstalledError(f"{self._name}: {words or 'there is no fliswarm'}")
        return ControlError(f"{self._name}: {words or 'the connection ended'}")


class SshControl(ProgramControl):
    """A connection through ``ssh HOST fliswarm dial-stdio``.

    A session of its own: one that is shared has the groups of the time when it began,
    and a user who was given access since then would be refused.
    """

    def __init__(self, command: Sequence[str]) -> None:
        head, *rest = command
        options = ["-T", "-o", f"ConnectTimeout={CONNECT_LIMIT}"]
        options += ["-o", f"ServerAliveInterval={ALIVE_PERIOD}"]
        options += ["-o", "ServerAliveCountMax=2"]
        options += ["-o", "ControlMaster=no", "-o", "ControlPath=none"]
        super().__init__(
            [head, *options, *rest, "fliswarm", "dial-stdio"],
            rest[-1] if rest else head,
        )
