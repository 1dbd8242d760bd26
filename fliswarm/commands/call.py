"""One command that one client gave, and where its replies go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from fliswarm.camera import Reply
from fliswarm.errors import EXIT_DONE, EXIT_FAILED

RELAYED = {">": "d", ":": "i", "f": "w", "e": "w", "!": "w"}
"""Message codes of a camera as its relay sends them on.

Only the relay's own command may end for the client, so a camera's end is information
and its failure a warning.
"""


class Sink(Protocol):
    """Where the replies to one command go, in the format of its face."""

    def write(self, code: str, keywords: Mapping[str, object]) -> None:
        """Send a reply of our own."""

    def relay(self, code: str, sender: str, keywords: Mapping[str, object]) -> None:
        """Send a reply of a camera."""

    async def ready(self) -> None:
        """Return when there is room for more replies, or nobody there to read them."""

    def end(self, code: str, keywords: Mapping[str, object], exit_code: int) -> None:
        """Send the reply that ends the command.

        The exit code is for whoever gave it from a shell; the actor protocol has no
        place for it.
        """
        self.write(code, keywords)

    @property
    def quiet(self) -> float:
        """Seconds without a word of who gave the command, where there are to be some.

        Behind a network, a client that is gone may leave no other sign.
        """
        return 0.0

    @property
    def closed(self) -> bool:
        """Whether nobody is there any more to read a reply."""


class Call:
    """A command under way. It ends exactly once, whatever happens.

    Parameters
    ----------
    body
        What was asked, without the header.
    sink
        Where the replies go.
    who
        Who asked, in words; empty when nobody did.
    door
        By which of our doors.
    key
        Of the lock under which it was asked.

    Attributes
    ----------
    plan
        The fingerprint of the plan that it is a part of; empty where there is none.
    outcomes
        How the command ended on which node, in words.
    verdict
        Its end: the code, the keywords and the exit code.
    """

    def __init__(
        self, body: str, sink: Sink, who: str = "", door: str = "", key: str = ""
    ) -> None:
        self.body = body
        self.who = who
        self.plan = ""
        self.door = door
        self.key = key
        self.ended = False
        self.outcomes: dict[str, str] = {}
        self.verdict: tuple[str, Mapping[str, object], int] | None = None
        self._held = False
        self._sink = sink
        self._faults: set[int] = set()

    @property
    def abandoned(self) -> bool:
        """Whether the client that gave the command is gone."""
        return self._sink.closed

    @property
    def quiet(self) -> float:
        """See `Sink.quiet`."""
        return self._sink.quiet

    def write(self, code: str, keywords: Mapping[str, object]) -> None:
        """Send a reply; after the end there is nobody to read one."""
        if not self.ended:
            self._sink.write(code, keywords)

    async def ready(self) -> None:
        """Return when there is room for more; for commands with long answers."""
        await self._sink.ready()

    def debug(self, **keywords: object) -> None:
        """Send a detail."""
        self.write("d", keywords)

    def info(self, **keywords: object) -> None:
        """Send information."""
        self.write("i", keywords)

    def warning(self, **keywords: object) -> None:
        """Send a warning."""
        self.write("w", keywords)

    def error(self, **keywords: object) -> None:
        """Send an error that does not end the command."""
        self.write("e", keywords)

    def note(self, exit_code: int) -> None:
        """Note of what kind a fault was, by its exit code, though the command go on."""
        self._faults.add(exit_code)

    def finish(self, **keywords: object) -> None:
        """End the command: done."""
        self._end(":", keywords)

    def fail(self, **keywords: object) -> None:
        """End the command: failed."""
        self._end("f", keywords)

    def _end(self, code: str, keywords: Mapping[str, object]) -> None:
        if self.ended:
            return
        self.ended = True
        kinds = self._faults or {EXIT_FAILED if code == "f" else EXIT_DONE}
        # Faults of several kinds have no exit code of their own.
        exit_code = min(kinds) if len(kinds) == 1 else EXIT_FAILED
        self.verdict = code, keywords, exit_code
        if not self._held:
            self._sink.end(code, keywords, exit_code)

    def hold(self) -> None:
        """Keep the end back until `let_go`: something is to be done before it."""
        self._held = True

    def let_go(self, warning: str | None = None) -> None:
        """Send the end that was kept back, if there is one, after a warning."""
        self._held = False
        if self.verdict is not None:
            if warning is not None:
                self._sink.write("w", {"text": warning})
            self._sink.end(*self.verdict)

    def relay(self, reply: Reply) -> None:
        """Send a camera's reply on; one that says nothing is kept back."""
        if self.ended or not reply.data:
            return
        code = RELAYED.get(reply.code, reply.code)
        helps = reply.data.get("help")
        if helps is not None:
            for line in (
                reply.sender,
                *(helps if isinstance(helps, list) else [helps]),
            ):
                self._sink.write(code, {"help": line})
        else:
            self._sink.relay(code, reply.sender, reply.data)
