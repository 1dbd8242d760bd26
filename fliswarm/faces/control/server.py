"""The control socket's server. The socket's permissions say who may command."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from fliswarm.commands.call import Sink
from fliswarm.commands.dispatch import Dispatcher, told
from fliswarm.errors import EXIT_DONE, EXIT_USAGE, ConfigError, FliswarmError
from fliswarm.faces.connection import Client
from fliswarm.faces.control.peer import Peer, peer, person
from fliswarm.fleet.spool import Spool
from fliswarm.net.apart import Apart

log = logging.getLogger(__name__)

DOOR = "control socket"
"""What this face is called, for those who read what was done."""

MEETING_LIMIT = 5.0
"""Seconds to look up the name of who came; by then, the number has to do."""

NAME_LIMIT = 100
"""Characters of what a client may say of itself."""


class ControlServer:
    """Serves ``<number> <command>`` lines; answers in flicamera's JSON lines.

    Parameters
    ----------
    dispatcher
        Runs the commands.
    name
        The sender of our own replies; a camera's replies carry the camera's name.
    name_of
        Tells the name of whoever is at the other end. It may take its time: who waits
        for it is whoever came by that number, and nobody else.
    spool
        Takes the parts of files that clients send.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        name: str,
        name_of: Callable[[Peer], str] = person,
        spool: Spool | None = None,
    ) -> None:
        self.dispatcher = dispatcher
        self.name = name
        self.spool = spool
        self._name_of = name_of
        self._names = Apart("name of", MEETING_LIMIT)
        self._server: asyncio.Server | None = None
        self._clients: set[_Client] = set()

    async def start(self, path: Path) -> None:
        """Begin to listen on a socket that its owner and group may use.

        Raises
        ------
        FliswarmError
            When another controller listens there already, or the path cannot be used.
        """
        claim(path)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_unix_server(lambda: _Client(self), path)
            path.chmod(0o660)
        except OSError as error:
            raise ConfigError(f"control socket {path}", str(error)) from error

    @property
    def listens(self) -> bool:
        """Whether anybody can come."""
        return self._server is not None

    async def close(self) -> None:
        """Stop listening and let all clients go."""
        if self._server is not None:
            self._server.close()
        for client in list(self._clients):
            client.close()

    async def who(self, other: Peer) -> str:
        """Return the name of who came, asked anew for each: names change."""
        number = f"uid {other.uid}"
        try:
            return await self._names.ask(number, lambda: self._name_of(other))
        except (TimeoutError, OSError):
            return number

    def arrived(self, client: _Client) -> None:
        """Remember a client."""
        self._clients.add(client)

    def left(self, client: _Client) -> None:
        """Forget a client."""
        self._clients.discard(client)


def claim(path: Path) -> None:
    """Take a path over from a controller that is gone, never from one that runs.

    Raises
    ------
    FliswarmError
        As `ControlServer.start`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        if not path.is_socket():
            raise ConfigError(f"control socket {path}", "is something else") from None
        path.unlink()
    except OSError as error:
        raise ConfigError(f"control socket {path}", str(error)) from error
    else:
        raise FliswarmError(f"fliswarm is running already, on {path}")


class _Client(Client):
    """One connection."""

    def __init__(self, server: ControlServer) -> None:
        super().__init__()
        self._server = server
        self._name: str | None = None
        self._host = ""
        self._asking: asyncio.Task[None] | None = None
        self._key = ""

    def __str__(self) -> str:
        return f"a client of the {DOOR}, {self._who}"

    @property
    def quiet(self) -> float:
        """Seconds without a word from another computer; see `Sink.quiet`.

        Of a client here, the kernel tells when it is gone.
        """
        return asyncio.get_running_loop().time() - self._heard if self._host else 0.0

    @property
    def _who(self) -> str:
        name = self._name or "somebody"
        return f"{name} from {self._host}" if self._host else name

    def _arrived(self) -> None:
        assert self._transport is not None
        self._server.arrived(self)
        other = peer(self._transport.get_extra_info("socket"))
        # Nothing is done for somebody who has no name yet.
        self.hold()
        self._asking = asyncio.create_task(self._ask(other))

    async def _ask(self, other: Peer) -> None:
        try:
            self._name = await self._server.who(other)
        finally:
            self.resume()

    def _left(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
        self._server.left(self)

    def _give(self, line: str) -> asyncio.Task[None] | None:
        number, _, body = line.partition(" ")
        if not (number.isdecimal() and len(number) < 19 and body.strip()):
            self._refuse(f"not of the form '<number> <command>': {line[:80]!r}")
            return None
        body = body.strip()
        if number == "0" and body.startswith("as "):
            self._introduced(body.removeprefix("as "))
            return None
        sink = _JsonSink(self, int(number), self._server.name)
        if body.startswith("part ") and self._server.spool is not None:
            return asyncio.create_task(_take(self._server.spool, body, sink))
        # By a ping, who waits for a long command asks whether we are there.
        if body != "ping":
            log.info(
                "New command received: %.1000r (command_id=%s) from %s, %s",
                *(told(body), number, self._who, DOOR),
            )
        dispatcher = self._server.dispatcher
        return dispatcher.give(
            body, sink, self._who, door=DOOR, key=self._key, control=True
        )

    def _introduced(self, said: str) -> None:
        """Take what a client says of itself; it has no answer."""
        try:
            more = json.loads(said)
            self._host = str(more.get("from", self._host))[:NAME_LIMIT]
            self._key = str(more.get("lock", self._key))[:NAME_LIMIT]
        except (ValueError, AttributeError):
            log.warning("%s says what is not understood: %.80r", self, said)

    def _refuse(self, problem: str) -> None:
        sink = _JsonSink(self, 0, self._server.name)
        sink.end("f", {"error": problem}, EXIT_USAGE)


async def _take(spool: Spool, body: str, sink: Sink) -> None:
    """Take a part of a file: no command, which would be parsed and written down."""
    try:
        _, token, offset, data = body.split(" ")
        part = base64.b64decode(data, validate=True)
        await asyncio.to_thread(spool.write, token, int(offset), part)
    except ValueError:
        sink.end("f", {"error": "no part of a file"}, EXIT_USAGE)
    except FliswarmError as error:
        sink.end("f", {"error": str(error)}, error.exit_code)
    else:
        sink.end(":", {}, EXIT_DONE)


class _JsonSink(Sink):
    """Replies to one command."""

    def __init__(self, client: _Client, command: int, name: str) -> None:
        self._client = client
        self._command = command
        self._name = name

    def write(self, code: str, keywords: Mapping[str, object]) -> None:
        self._send(code, self._name, keywords)

    def relay(self, code: str, sender: str, keywords: Mapping[str, object]) -> None:
        self._send(code, sender, keywords)

    async def ready(self) -> None:
        await self._client.ready()

    def end(self, code: str, keywords: Mapping[str, object], exit_code: int) -> None:
        self._send(code, self._name, keywords, exit_code=exit_code)

    @property
    def quiet(self) -> float:
        return self._client.quiet

    @property
    def closed(self) -> bool:
        return not self._client.there

    def _send(
        self, code: str, sender: str, keywords: Mapping[str, object], **more: int
    ) -> None:
        header = {
            "command_id": self._command,
            "commander_id": None,
            "message_code": code,
            "internal": False,
            "sender": sender,
            **more,
        }
        self._client.write(json.dumps({"header": header, "data": keywords}) + "\n")
