"""The control socket's client: here, or on another computer through ssh."""

from __future__ import annotations

import json
import os
import selectors
import shlex
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from fliswarm.errors import ConfigError, ControlError, NotRunningError
from fliswarm.net import ssh

CONNECT_LIMIT = 15
"""Seconds for ssh to connect."""

GROUP = "fliswarm"
"""Users in it may speak to the service; the role ``controller`` makes it."""

NOT_RUNNING = 1
"""Exit code of ``fliswarm dial-stdio`` when nothing listens on its socket."""


@dataclass(frozen=True, slots=True)
class Message:
    """One reply: its code, who sent it (we or a camera), and its keywords."""

    code: str
    sender: str
    data: dict[str, Any]

    @property
    def final(self) -> bool:
        """Whether it ends the command."""
        return self.code in (":", "f")


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
    address = urlsplit(host)
    if address.scheme == "unix":
        return LocalControl(Path(address.path))
    if address.scheme == "ssh" and address.hostname:
        return SshControl([*ssh.command(), *ssh.target(address)])
    raise ConfigError("FLISWARM_HOST", f"must be ssh://... or unix://..., not '{host}'")


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
    dial = [sys.executable, "-m", "fliswarm.faces.control.client", str(path)]
    return ProgramControl(["sg", GROUP, "-c", shlex.join(dial)], str(path))


class StreamControl:
    """A control connection over a pair of byte streams."""

    def __init__(self) -> None:
        self._number = 0

    def command(self, words: Sequence[str]) -> Iterator[Message]:
        """Give a command, and yield its replies up to the one that ends it.

        Raises
        ------
        ControlError
            When the connection ends before the command does.
        """
        self._number += 1
        number = self._number
        self._write(f"{number} {shlex.join(words)}\n".encode())
        while line := self._readline():
            message = json.loads(line)
            if message["header"]["command_id"] != number:
                continue
            reply = Message(
                message["header"]["message_code"],
                message["header"]["sender"],
                message["data"],
            )
            yield reply
            if reply.final:
                return
        raise self._ended()

    def __enter__(self) -> Self:
        """Return the connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        raise NotImplementedError

    def _write(self, data: bytes) -> None:
        raise NotImplementedError

    def _readline(self) -> bytes:
        raise NotImplementedError

    def _ended(self) -> ControlError | NotRunningError:
        return ControlError("fliswarm ended before the command did")


class LocalControl(StreamControl):
    """A connection to the control socket of this computer."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._socket = _dial(path)
        self._file = self._socket.makefile("rb")

    @property
    def pid(self) -> int:
        """Process id of the controller, as the kernel knows it."""
        size = struct.calcsize("3i")
        credentials = self._socket.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, size
        )
        pid: int = struct.unpack("3i", credentials)[0]
        return pid

    def wait_end(self, limit: float) -> bool:
        """Return whether the controller lets go of the connection in time."""
        self._socket.settimeout(limit)
        try:
            return not self._socket.recv(1)
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except ConnectionError as error:
            raise self._ended() from error

    def _readline(self) -> bytes:
        try:
            return self._file.readline()
        except ConnectionError as error:
            raise self._ended() from error


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
        super().__init__()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise ControlError(f"{command[0]}: {error.strerror}") from error
        self._target = target

    def close(self) -> None:
        """Close the connection."""
        self._process.communicate()

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error

    def _readline(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def _ended(self) -> ControlError | NotRunningError:
        _, errors = self._process.communicate()
        words = errors.decode("utf-8", "replace").strip()
        if self._process.returncode == NOT_RUNNING:
            return NotRunningError(f"fliswarm -- not running on {self._target}")
        return ControlError(f"{self._target}: {words or 'the connection ended'}")


class SshControl(ProgramControl):
    """A connection through ``ssh HOST fliswarm dial-stdio``.

    A session of its own: one that is shared has the groups of the time when it began,
    and a user who was given access since then would be refused.
    """

    def __init__(self, command: Sequence[str]) -> None:
        head, *rest = command
        options = ["-T", "-o", f"ConnectTimeout={CONNECT_LIMIT}"]
        options += ["-o", "ControlMaster=no", "-o", "ControlPath=none"]
        super().__init__(
            [head, *options, *rest, "fliswarm", "dial-stdio"],
            rest[-1] if rest else head,
        )


def dial_stdio(path: Path, source: int = 0, target: int = 1) -> None:
    """Join standard input and output with the control socket, until either ends."""
    with _dial(path) as connection, selectors.DefaultSelector() as selector:
        selector.register(source, selectors.EVENT_READ)
        selector.register(connection, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is connection:
                    if not (data := connection.recv(65536)):
                        return
                    while data:
                        data = data[os.write(target, data) :]
                else:
                    if not (data := os.read(source, 65536)):
                        return
                    connection.sendall(data)


def _dial(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        connection.close()
        said = f"fliswarm -- not running\nnobody listens on {path}"
        raise NotRunningError(said) from error
    except OSError as error:
        connection.close()
        raise ControlError(f"{path}: {error.strerror or error}") from error
    return connection


if __name__ == "__main__":
    try:
        dial_stdio(Path(sys.argv[1]))
    except NotRunningError:
        sys.exit(NOT_RUNNING)
    except ControlError as problem:
        print(problem, file=sys.stderr)
        sys.exit(problem.exit_code)
