"""The link to one camera: every command given to it ends, whatever it does."""

from __future__ import annotations

import asyncio
import enum
import heapq
import logging
from collections.abc import Callable
from dataclasses import dataclass

from fliswarm.camera.message import FINAL, Reply, parse
from fliswarm.errors import CameraError
from fliswarm.net.link import LINE_LIMIT, Link

log = logging.getLogger(__name__)

COMPLAINT_PAUSE = 1.0
"""Seconds between two complaints about what a camera sends."""

UNSENT_LIMIT = 256 * 1024
"""Bytes of commands that wait for a camera which does not read."""


class Outcome(enum.Enum):
    """How a camera command ended."""

    DONE = "done"
    FAILED = "failed"
    LOST = "lost"


@dataclass(slots=True, eq=False)
class Exchange:
    """One command on its way.

    ``message`` is the command; ``on_reply`` gets each line, ``ended`` the outcome;
    ``on_end`` is called then.
    """

    number: int
    message: str
    on_reply: Callable[[Reply], None]
    on_end: Callable[[], None]
    ended: asyncio.Future[Outcome]
    problem: str | None = None

    def end(self, outcome: Outcome) -> None:
        """Tell who waits how it ended; only the first end counts."""
        if not self.ended.done():
            self.ended.set_result(outcome)
            self.on_end()


class CameraLink(Link):
    """A link that stays up as long as there is a camera at the other end.

    Liveness, not a limit on commands, tells a camera that works on a long exposure
    from one that is gone: end of file, TCP keep-alive, and a ``ping`` whenever the
    camera has been silent for a while, which flicamera answers during an exposure.

    Parameters
    ----------
    node
        Name of the camera's node, for messages.
    host, port
        Where the camera listens.
    actor
        The name that the camera has to have for itself before it counts as connected:
        whatever else holds the port may answer there. ``None`` takes any.
    on_broadcast
        Gets each reply that belongs to no command of ours.
    on_change
        Called with ``True`` when the link is up, ``False`` when it is down.
    on_problem
        Gets a sentence about each line that cannot be understood.
    heartbeat, silence, retry
        See `fliswarm.net.link.Link`.

    Attributes
    ----------
    stranger
        Who else answers in the camera's place, in words; ``None`` when nobody does.
    """

    def __init__(
        self,
        node: str,
        host: str,
        port: int,
        *,
        actor: str | None = None,
        on_broadcast: Callable[[Reply], None] = lambda _: None,
        on_change: Callable[[bool], None] = lambda _: None,
        on_problem: Callable[[str], None] = lambda _: None,
        heartbeat: float = 5.0,
        silence: float = 15.0,
        retry: float = 5.0,
    ) -> None:
        super().__init__(
            node,
            host,
            port,
            heartbeat=heartbeat,
            silence=silence,
            retry=retry,
            wary=actor is not None,
        )
        self.actor = actor
        self.stranger: str | None = None
        self._on_broadcast = on_broadcast
        self._on_change = on_change
        self._on_problem = on_problem
        self._exchanges: dict[int | None, Exchange] = {}
        self._free: list[int] = []
        self._complained = -COMPLAINT_PAUSE
        self._unsaid = 0
        self._highest = 0

    @property
    def busy(self) -> bool:
        """Whether a command is under way whose replies somebody waits for."""
        return any(one.on_reply is not _ignore for one in self._exchanges.values())

    def send(
        self,
        message: str,
        on_reply: Callable[[Reply], None],
        on_end: Callable[[], None] = lambda: None,
    ) -> Exchange:
        """Send a command to the camera.

        Parameters
        ----------
        message
            The command, one line.
        on_reply
            Gets each reply to it, the final one included.
        on_end
            Called when the command has ended, or is lost.

        Raises
        ------
        CameraError
            When the link is down, or the camera does not read what it is sent.
        """
        if not self.up:
            raise CameraError(self.name, f"camera not connected: {self.problem}")
        return self._send(message, on_reply, on_end)

    def _send(
        self,
        message: str,
        on_reply: Callable[[Reply], None],
        on_end: Callable[[], None],
    ) -> Exchange:
        transport = self._transport
        assert transport is not None
        if transport.get_write_buffer_size() > UNSENT_LIMIT:
            raise CameraError(self.name, "the camera does not read its commands")
        number = self._take_number()
        ended = asyncio.get_running_loop().create_future()
        text = " ".join(message.splitlines())
        exchange = Exchange(number, text, on_reply, on_end, ended)
        self._exchanges[number] = exchange
        transport.write(f"{number} {text}\n".encode())
        return exchange

    def forget(self, exchange: Exchange) -> None:
        """Stop waiting for a command; its number stays taken until the camera ends it.

        A late reply to it must not be taken for the reply to another command.
        """
        exchange.on_reply = _ignore
        exchange.end(Outcome.LOST)

    def under_way(self, word: str) -> list[Exchange]:
        """Return the commands that begin with a word and that the camera has not ended.

        Those that nobody waits for any more are among them: the camera works on them.
        """
        every = self._exchanges.values()
        return [e for e in every if e.message.split(maxsplit=1)[:1] == [word]]

    def _take_number(self) -> int:
        if self._free:
            return heapq.heappop(self._free)
        self._highest += 1
        return self._highest

    # Link

    def _ask(self) -> None:
        try:
            self._send("ping", _ignore, lambda: None)
        except CameraError as error:
            log.debug("%s", error)

    def _connected(self) -> None:
        self.stranger = None
        self._on_change(True)

    def _disconnected(self, *, was_up: bool) -> None:
        """Tell everyone that waits that nothing more will come."""
        self.stranger = None
        exchanges = list(self._exchanges.values())
        self._exchanges.clear()
        self._free.clear()
        self._highest = 0
        for exchange in exchanges:
            exchange.problem = self.problem
            exchange.end(Outcome.LOST)
        if was_up:
            self._on_change(False)

    def _dropped(self) -> None:
        self._complain(f"line of over {LINE_LIMIT} bytes from the camera dropped")

    def _complain(self, problem: str) -> None:
        """Tell of what cannot be understood; of a flood of it, once in a while."""
        if self._heard - self._complained < COMPLAINT_PAUSE:
            self._unsaid += 1
            return
        self._complained = self._heard
        more = f" (and {self._unsaid} lines before)" if self._unsaid else ""
        self._unsaid = 0
        self._on_problem(f"{problem}{more}")

    def _believes(self, line: bytes) -> bool:
        try:
            reply = parse(line)
        except ValueError:
            return self.actor is None
        if reply is None or self.actor is None or reply.sender == self.actor:
            return reply is not None
        self.stranger = f"what answers there says that it is {reply.sender}"
        self.problem = self.stranger
        return False

    def _line(self, line: bytes) -> None:
        try:
            reply = parse(line)
        except ValueError:
            shown = line.decode("utf-8", "replace")[:80]
            self._complain(f"not understood from the camera: {shown!r}")
            return
        if reply is None:
            return
        exchange = self._exchanges.get(reply.command)
        if exchange is None:
            if self.up:
                self._on_broadcast(reply)
            return
        exchange.on_reply(reply)
        if reply.code in FINAL:
            del self._exchanges[exchange.number]
            heapq.heappush(self._free, exchange.number)
            exchange.end(Outcome.DONE if reply.code == ":" else Outcome.FAILED)


def _ignore(_: Reply) -> None:
    """Do nothing with a reply that nobody waits for."""
