"""What happens without a command, for all who want to hear of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fliswarm.commands.call import Sink


class Events:
    """Passes what happens on to any number of sinks; is a sink itself."""

    def __init__(self) -> None:
        self._sinks: list[Sink] = []

    @contextmanager
    def heard_by(self, sink: Sink) -> Iterator[None]:
        """Let a sink hear what happens, for the time of a ``with`` block."""
        self._sinks.append(sink)
        try:
            yield
        finally:
            self._sinks.remove(sink)

    def write(self, code: str, keywords: Mapping[str, object]) -> None:
        """Pass on what we have to say."""
        for sink in list(self._sinks):
            sink.write(code, keywords)

    def relay(self, code: str, sender: str, keywords: Mapping[str, object]) -> None:
        """Pass on what a camera says by itself."""
        for sink in list(self._sinks):
            sink.relay(code, sender, keywords)

    @property
    def closed(self) -> bool:
        """See `Sink.closed`: there is always somebody who may come."""
        return False
