"""Nodes that follow do so by a command: locked and recorded as that of a person."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping

from fliswarm.commands.call import Sink
from fliswarm.commands.dispatch import Dispatcher
from fliswarm.errors import EXIT_BUSY, EXIT_DONE, EXIT_UNREACHABLE
from fliswarm.fleet.following import Bring, Brought

DOOR = "the controller itself"


class _Heard(Sink):
    """Keeps how a command ended, and what went wrong."""

    closed = False

    def __init__(self) -> None:
        self.exit_code = EXIT_BUSY
        self.errors: list[str] = []

    def write(self, code: str, keywords: Mapping[str, object]) -> None:
        """See `Sink.write`."""
        if code == "e" and "error" in keywords:
            self.errors.append(str(keywords["error"]))

    def relay(self, code: str, sender: str, keywords: Mapping[str, object]) -> None:
        """See `Sink.relay`."""

    async def ready(self) -> None:
        """See `Sink.ready`."""

    def end(self, code: str, keywords: Mapping[str, object], exit_code: int) -> None:
        """See `Sink.end`."""
        self.exit_code = exit_code
        if code == "f" and not self.errors:
            self.errors.append(str(keywords.get("error", "")))


def by_command(dispatcher: Dispatcher) -> Bring:
    """Return what brings a node to its release by a ``reconnect``."""

    async def bring(name: str, by: str) -> Brought:
        heard = _Heard()
        body = shlex.join(["reconnect", "-n", name])
        task = dispatcher.give(body, heard, by, door=DOOR)
        if task is not None:
            await asyncio.wait([task])
        if task is None or task.cancelled():
            # The controller ends; the next one tries it.
            return Brought("the controller is ending", again=True)
        if heard.exit_code == EXIT_DONE:
            return Brought()
        problem = "; ".join(heard.errors).removeprefix(f"{name}: ")
        again = heard.exit_code in (EXIT_BUSY, EXIT_UNREACHABLE)
        return Brought(problem, again=again)

    return bring
