"""What the real engine tells of what is printed in containers, and runs there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from fliswarm.engine import acts, streams
from fliswarm.engine.calls import Call, Calls
from fliswarm.engine.images import LOOK_LIMIT
from fliswarm.engine.protocol import OnPrinted
from fliswarm.engine.sdk import Client
from fliswarm.errors import EngineError
from fliswarm.model import Executed, Node

T = TypeVar("T")

LOG_LIMIT = 15.0
"""Seconds in which a log that is read says nothing: a slow disk."""


class Output:
    """The part of `fliswarm.engine.docker.DockerEngine` that is about output."""

    _node: Node
    _long: Calls

    async def _call(self, limit: float, act: Callable[[Client], T]) -> T:
        raise NotImplementedError

    async def _ask(
        self,
        limit: float,
        act: Callable[[Client, Call], T],
        *,
        calls: Calls | None = None,
    ) -> T:
        raise NotImplementedError

    async def logs(self, container: str, lines: int) -> str:
        """See `Engine.logs`."""
        name = self._node.name
        return await self._call(
            LOOK_LIMIT, lambda api: acts.logs(api, container, lines, name)
        )

    async def printed(
        self,
        container: str,
        take: OnPrinted,
        *,
        lines: int | None = None,
        since: str | None = None,
        follow: bool = False,
    ) -> None:
        """See `Engine.printed`."""
        asked = streams.query(lines, since, follow=follow)
        read = partial(streams.read_log, self._node.name, container, take, asked)
        limit = math.inf if follow else LOG_LIMIT
        await self._at_length(limit, read, f"its log said nothing for {limit:g} s")

    async def execute(
        self, container: str, words: Sequence[str], limit: float
    ) -> Executed:
        """See `Engine.execute`."""
        late = f"{words[0]} did not end in {limit:g} s; it may run on in {container}"
        return await self._at_length(
            limit, lambda api, _: streams.execute(api, container, words), late
        )

    async def _at_length(
        self, limit: float, act: Callable[[Client, Call], T], late: str
    ) -> T:
        """Do what takes long, with turns of its own, so that it is in nobody's way."""
        if self._long.full:
            problem = "its engine is asked for as many logs and programs as it may be"
            raise EngineError(self._node.name, problem)
        try:
            return await self._ask(limit, act, calls=self._long)
        except TimeoutError:
            raise EngineError(self._node.name, late) from None
