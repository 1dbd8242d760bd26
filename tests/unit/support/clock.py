"""An event loop whose time passes at once, as far as the next thing to happen."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any


class _Selector(selectors.BaseSelector):
    """Waits for nothing: the time of a wait is over at once."""

    def __init__(self, loop: ClockLoop) -> None:
        self._real = selectors.DefaultSelector()
        self._loop = loop

    def register(self, fileobj: Any, events: int, data: Any = None) -> Any:  # noqa: ANN401
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> Any:  # noqa: ANN401
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def select(self, timeout: float | None = None) -> Any:  # noqa: ANN401
        assert timeout is not None, "nothing will ever happen"
        self._loop.now += max(timeout, 0)
        return self._real.select(0)

    def close(self) -> None:
        self._real.close()


class ClockLoop(asyncio.SelectorEventLoop):
    """For code that waits for time alone, not for other programs."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now
