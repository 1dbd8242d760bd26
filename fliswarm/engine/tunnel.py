"""A socket here that is a Docker Engine's on another computer, joined by ``ssh``.

The program ends with this one, however this one ends: it runs ``cat`` on the node,
which ends when nobody holds the other end of its standard input any more. The same
``cat`` gives back what it is told, and so tells whether the way is whole.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from fliswarm.errors import EngineUnreachableError
from fliswarm.model import Node
from fliswarm.net import ssh
from fliswarm.net.lines import LineReader

ENGINE_SOCKET = "/var/run/docker.sock"
"""Where an engine listens on its own computer."""

CONNECT_LIMIT = 2
"""Seconds for a node to accept a connection and greet."""

START_LIMIT = 10.0
"""Seconds for all that ssh does until the way is whole; programs on the node that are
asked who the user is take most of it."""

ALIVE_PERIOD = 2
"""Seconds of silence after which ssh asks for a sign of life. It gives up when there
was none twice."""

LINE_LIMIT = 4096
"""Bytes of the longest line that is read from ssh."""

OPTIONS = {
    "BatchMode": "yes",
    "ClearAllForwardings": "no",
    "ConnectTimeout": CONNECT_LIMIT,
    "ControlMaster": "no",
    "ControlPath": "none",
    "ExitOnForwardFailure": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "LogLevel": "INFO",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "ServerAliveCountMax": 2,
    "ServerAliveInterval": ALIVE_PERIOD,
    "StreamLocalBindUnlink": "yes",
    "StrictHostKeyChecking": "yes",
}
"""Options of ssh. Those of the user's own configuration have no say in them."""


class Tunnel:
    """The way to one node's engine, made when it is first needed and whenever it broke.

    Parameters
    ----------
    node
        The node; its engine's address is ``ssh://[USER@]HOST[:PORT]``.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._command = ssh.command()
        self._closed = False
        self._folder: TemporaryDirectory[str] | None = None
        self._ssh: _Ssh | None = None
        self._attempt: asyncio.Task[EngineUnreachableError | None] | None = None

    @property
    def socket(self) -> Path:
        """The socket, in a folder that is nobody else's."""
        if self._folder is None:
            # Of several folders, systemd names the first one first.
            runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
            self._folder = TemporaryDirectory(prefix="engine-", dir=runtime or None)
        return Path(self._folder.name) / "docker.sock"

    @property
    def said(self) -> str:
        """What ssh said last."""
        return self._ssh.said if self._ssh else ""

    async def knock(self, limit: float) -> None:
        """Return when the way is whole.

        Parameters
        ----------
        limit
            Seconds for the node to give a sign of life. A new ssh has longer.

        Raises
        ------
        EngineUnreachableError
            With the reason, in the words of ssh.
        """
        if self._attempt is None and self._ssh is not None:
            if await self._ssh.echo(limit):
                return
            if not self._ssh.ended:
                raise self._error("")
        if self._attempt is None:
            self._attempt = asyncio.create_task(self._start())
        problem = await asyncio.shield(self._attempt)
        if problem is not None:
            raise problem

    def close(self) -> None:
        """End ssh, and take the socket away."""
        self._closed = True
        # An attempt that is under way fails by that.
        if self._ssh is not None:
            self._ssh.close()
        if self._folder is not None:
            self._folder.cleanup()

    async def _start(self) -> EngineUnreachableError | None:
        """Return why there is no way, if so; not as an exception: several may wait."""
        try:
            if self._closed:
                return self._error("")
            self._ssh = _Ssh(self._words())
            await self._ssh.connect()
            if await self._ssh.echo(START_LIMIT):
                return None
            self._ssh.close()
            return self._error(self._ssh.said)
        except OSError as error:
            # ssh, or a folder for the socket, is not to be had here.
            return EngineUnreachableError(
                self._node.name,
                f"{self._node.engine}: {error.filename}: {error.strerror}",
            )
        finally:
            self._attempt = None

    def _words(self) -> list[str]:
        head, *rest = self._command
        options = [
            word for key, value in OPTIONS.items() for word in ("-o", f"{key}={value}")
        ]
        forward = ["-L", f"{self.socket}:{ENGINE_SOCKET}"]
        where = ssh.target(urlsplit(self._node.engine), self._node.user)
        return [head, *options, *rest, *forward, *where, "exec cat"]

    def _error(self, said: str) -> EngineUnreachableError:
        # ssh begins with its own name when it could not even connect.
        refused = "Connection refused" in said
        alive = bool(said) and (refused or not said.startswith("ssh: "))
        if said == "Host key verification failed.":
            said = ssh.OTHER_HOST_KEY
        return EngineUnreachableError(
            self._node.name,
            f"{self._node.engine}: {said or 'does not answer'}",
            host_alive=alive,
            refused=refused,
        )


class _Ssh(asyncio.Protocol):
    """A running ssh whose far end gives each line back."""

    def __init__(self, words: Sequence[str]) -> None:
        self.said = ""
        self.ended = False
        self._lines = LineReader(LINE_LIMIT)
        self._numbers = itertools.count(1)
        self._echoes: dict[str, asyncio.Future[bool]] = {}
        self._transport: asyncio.ReadTransport | None = None
        self._process = subprocess.Popen(
            words,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)

    async def connect(self) -> None:
        """Begin to read what the program says, and what comes from afar."""
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: self, self._process.stdout)

    async def echo(self, limit: float) -> bool:
        """Return whether the far end gives a line back within ``limit`` seconds."""
        if self.ended:
            return False
        number = str(next(self._numbers))
        answer = asyncio.get_running_loop().create_future()
        self._echoes[number] = answer
        self._write(f"{number}\n".encode())
        try:
            async with asyncio.timeout(limit):
                return bool(await answer)
        except TimeoutError:
            return False
        finally:
            del self._echoes[number]

    def close(self) -> None:
        """End the program, and ask it how: one that nobody asks stays in the table."""
        if self.ended:
            return
        self.ended = True
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._transport is not None:
            self._transport.close()
        for answer in self._echoes.values():
            if not answer.done():
                answer.set_result(False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        assert isinstance(transport, asyncio.ReadTransport)
        self._transport = transport
        if self.ended:
            transport.close()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        for line in self._lines.feed(data):
            answer = self._echoes.get(line)
            if answer is None:
                self.said = line.strip() or self.said
            elif not answer.done():
                answer.set_result(True)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self.close()

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        # A program that has ended has left its reasons, which are still to be read.
        with suppress(OSError):
            self._process.stdin.write(data)
