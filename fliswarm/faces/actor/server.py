"""The TCP server of the actor protocol: users, their lines, what is told to all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from fliswarm.commands.call import Sink
from fliswarm.commands.dispatch import Dispatcher
from fliswarm.faces.actor import wire
from fliswarm.faces.connection import Client

log = logging.getLogger(__name__)

DOOR = "actor protocol"
"""What this face is called, for those who read what was done."""


class ActorServer:
    """Serves the actor protocol to any number of users.

    Parameters
    ----------
    dispatcher
        Runs the commands.
    version
        Told to each new user.
    commands
        Which commands are taken: those of the ``original`` and whatever changes
        nothing, or ``all``.
    """

    def __init__(
        self, dispatcher: Dispatcher, version: str, commands: str = "original"
    ) -> None:
        self._dispatcher = dispatcher
        self._version = version
        self._everything = commands == "all"
        self._users: dict[int, _User] = {}
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Begin to listen; on ``::``, at all addresses of both families."""
        loop = asyncio.get_running_loop()
        # asyncio's own :: is IPv6 alone.
        where = ["0.0.0.0", "::"] if host == "::" else host
        self._server = await loop.create_server(lambda: _User(self), where, port)

    @property
    def port(self) -> int:
        """The port that is served."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Stop listening and let all users go."""
        if self._server is not None:
            self._server.close()
        for user in list(self._users.values()):
            user.close()

    def broadcast(self, code: str, keywords: Mapping[str, object]) -> None:
        """Tell all users something that answers no command."""
        self.write_all(wire.reply(0, 0, code, wire.keywords(keywords)))

    def relay_all(self, code: str, sender: str, keywords: Mapping[str, object]) -> None:
        """Tell all users what a camera said by itself."""
        self.write_all(wire.reply(0, 0, code, wire.relayed(sender, keywords)))

    def write_all(self, line: str) -> None:
        """Send a line to all users."""
        for user in list(self._users.values()):
            user.write(line)

    def arrived(self, user: _User) -> None:
        """Give a new user a number, and tell everybody of it, and it of everybody."""
        number = max(self._users, default=0) + 1
        self._users[number] = user
        user.number = number
        # A hub takes its own number from the first line it reads.
        self.write_all(
            wire.reply(
                number,
                0,
                "i",
                wire.keywords({"yourUserID": number, "num_users": len(self._users)}),
            )
        )
        for other, known in sorted(self._users.items()):
            text = wire.keywords({"UserInfo": [other, known.address]})
            if known is user:
                self.write_all(wire.reply(0, 0, "i", text))
            else:
                user.write(wire.reply(0, 0, "i", text))
        self.write_all(wire.reply(number, 0, "i", f"version={self._version!r}"))

    def left(self, user: _User) -> None:
        """Forget a user."""
        self._users.pop(user.number, None)

    def give(self, user: _User, line: str) -> asyncio.Task[None] | None:
        """Run a command line of a user."""
        command = wire.parse(line)
        if command is None:
            self.broadcast("f", {"error": f"Could not parse command {line!r}"})
            return None
        log.info(
            "New command received: %.1000r (commander_id=%r, command_id=%r) from %s",
            *(command.body, command.commander, command.number, user.who),
        )
        sink = _LegacySink(user, command.number)
        who = f"{command.commander}, {user.who}" if command.commander else user.who
        return self._dispatcher.give(
            command.body, sink, who, door=DOOR, everything=self._everything
        )


class _LegacySink(Sink):
    """Replies to one command of one user."""

    def __init__(self, user: _User, command: int) -> None:
        self._user = user
        self._command = command

    def write(self, code: str, keywords: Mapping[str, object]) -> None:
        user = self._user
        text = wire.keywords(keywords)
        line = wire.reply(user.number, self._command, code, text)
        user.write(line, last=code in ":f")

    def relay(self, code: str, sender: str, keywords: Mapping[str, object]) -> None:
        user = self._user
        text = wire.relayed(sender, keywords)
        user.write(wire.reply(user.number, self._command, code, text))

    async def ready(self) -> None:
        await self._user.ready()

    @property
    def closed(self) -> bool:
        return not self._user.there


class BroadcastSink(Sink):
    """Replies to a command that nobody gave: they go to all users."""

    def __init__(self, server: ActorServer) -> None:
        self._server = server

    def write(self, code: str, keywords: Mapping[str, object]) -> None:
        """Send a reply of our own; that the command began interests nobody."""
        if code != ">":
            self._server.broadcast(code, keywords)

    def relay(self, code: str, sender: str, keywords: Mapping[str, object]) -> None:
        """Send a camera's reply."""
        self._server.relay_all(code, sender, keywords)

    async def ready(self) -> None:
        """See `Sink.ready`."""

    @property
    def closed(self) -> bool:
        """See `Sink.closed`."""
        return False


class _User(Client):
    """One user."""

    def __init__(self, server: ActorServer) -> None:
        super().__init__()
        self.number = 0
        self.address = ""
        self._server = server

    def __str__(self) -> str:
        return f"user {self.number}"

    @property
    def who(self) -> str:
        """Who this is, for those who read what was done."""
        return f"user {self.number} at {self.address}"

    def _arrived(self) -> None:
        assert self._transport is not None
        self.address = self._transport.get_extra_info("peername")[0]
        self._server.arrived(self)
        log.info("%s connected from %s", self, self.address)

    def _left(self) -> None:
        self._server.left(self)
        log.info("%s left", self)

    def _give(self, line: str) -> asyncio.Task[None] | None:
        return self._server.give(self, line)

    def _refuse(self, problem: str) -> None:
        text = wire.keywords({"error": problem})
        self.write(wire.reply(self.number, 0, "f", text))
