"""The link to Tron, the hub that joins the telescope's programs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from fliswarm.errors import HubError, HubSilentError
from fliswarm.net.link import Link

_REPLY = re.compile(
    r"\S*\.(?P<user>\S+)\s+(?P<number>\d+)\s+(?P<actor>\S+)\s+(?P<code>\S)"
)
"""``program.user number actor code keywords``"""

NUMBERS = 2**32
"""Command numbers are 32 bits wide in Tron."""


class TronLink(Link):
    """A connection to the hub; asks it to connect back whenever it comes up.

    Parameters
    ----------
    actor
        Our name, as the hub knows it.
    host, port
        Where the hub listens.
    on_change
        Called with ``True`` when the link is up, ``False`` when it is down.
    """

    def __init__(
        self,
        actor: str,
        host: str,
        port: int,
        *,
        on_change: Callable[[bool], None] = lambda _: None,
        retry: float = 30.0,
    ) -> None:
        # The hub says nothing for as long as nobody does: TCP keep-alive alone tells.
        never = float("inf")
        super().__init__("Tron", host, port, heartbeat=60.0, silence=never, retry=retry)
        self._actor = actor
        self._on_change = on_change
        self._number = 0
        self._waiting: dict[int, asyncio.Future[bool | None]] = {}

    async def command(self, target: str, text: str, limit: float) -> None:
        """Give another actor a command and wait for its end.

        Parameters
        ----------
        target
            The actor's name.
        text
            The command.
        limit
            Seconds to wait.

        Raises
        ------
        HubError
            When the hub is away, or the command fails.
        HubSilentError
            When nobody says how it ended.
        """
        number = self._send(target, text)
        ended = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(limit):
                done = await ended
        except TimeoutError:
            problem = f"{target} {text}: no answer in {limit:g} s"
            raise HubSilentError(problem) from None
        finally:
            self._waiting.pop(number, None)
        if done is None:
            raise HubSilentError(f"{target} {text}: {self.problem}")
        if not done:
            raise HubError(f"{target} {text}: failed")

    def _send(self, target: str, text: str) -> int:
        if self._transport is None:
            raise HubError(f"Tron is not connected: {self.problem}")
        self._number = (self._number + 1) % NUMBERS
        sender = f"{self._actor}.{self._actor}"
        line = f"{sender} {self._number} {target} {' '.join(text.splitlines())}\n"
        self._transport.write(line.encode())
        return self._number

    # Link

    def _connected(self) -> None:
        self._send("hub", f"startNubs {self._actor}")
        self._on_change(True)

    def _disconnected(self, *, was_up: bool) -> None:
        for ended in self._waiting.values():
            if not ended.done():
                ended.set_result(None)
        if was_up:
            self._on_change(False)

    def _line(self, line: bytes) -> None:
        match = _REPLY.match(line.decode("utf-8", "replace"))
        if match is None or match["user"] != self._actor:
            return
        ended = self._waiting.get(int(match["number"]))
        if ended is not None and not ended.done() and match["code"] in ":fF!":
            ended.set_result(match["code"] == ":")
