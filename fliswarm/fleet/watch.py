"""Whether a node's engine answers: noticed by whatever is asked of it, then watched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from fliswarm.camera import CameraLink
from fliswarm.change.world import Patience
from fliswarm.engine import Engine
from fliswarm.errors import EngineError, EngineUnreachableError
from fliswarm.model import Node, NodeStatus, facts
from fliswarm.model.facts import Tell

log = logging.getLogger(__name__)


def without_engine(
    node: Node, error: EngineError, link: CameraLink, ends: datetime | None
) -> NodeStatus:
    """Return how a node is whose engine does not answer; ``ends`` is a certificate."""
    silent = isinstance(error, EngineUnreachableError) and not error.host_alive
    return NodeStatus(
        node,
        host_alive=not silent or link.up,
        engine_alive=False,
        camera_up=link.up,
        problem=error.problem,
        camera_problem=None if link.up else link.problem,
        certificate_ends=ends,
    )


class EngineWatch:
    """Knows whether an engine answers, and waits for one that does not.

    Parameters
    ----------
    node
        Name of its node.
    engine
        The engine.
    tell
        Is told when it goes away, and when it is back.
    patience
        Its ``look`` and ``settle`` bound the pauses between two questions.
    """

    def __init__(
        self, node: str, engine: Engine, tell: Tell, patience: Patience
    ) -> None:
        self._node = node
        self._engine = engine
        self._tell = tell
        self._patience = patience
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.away: EngineUnreachableError | None = None

    @contextmanager
    def noticing(self) -> Iterator[None]:
        """Notice by what is asked in a ``with`` block whether the engine answers."""
        try:
            yield
        except EngineUnreachableError as error:
            self.lost(error)
            raise
        self.answered()

    def lost(self, error: EngineUnreachableError) -> None:
        """Take the news that it does not answer, and wait until it does."""
        known, self.away = self.away, error
        if known is None and not self._closed:
            self._tell(facts.EngineAway(node=self._node, reason=error.problem))
            if self._task is not None:
                self._task.cancel()
            self._task = asyncio.create_task(self._wait())

    def answered(self) -> None:
        """Take the news that it answers."""
        if self.away is not None:
            self.away = None
            if not self._closed:
                self._tell(facts.EngineUp(node=self._node))

    def close(self) -> None:
        """Wait no longer, and tell nothing any more."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    async def _wait(self) -> None:
        """Ask again and again, with a pause that grows, until the engine answers."""
        pause = self._patience.look / 2
        while not await self._answers():
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._patience.settle)
        self.answered()

    async def _answers(self) -> bool:
        try:
            await self._engine.ping()
        except EngineError:
            return False
        except Exception:
            # Nobody would ask it again if this ended.
            log.exception("%s", self._node)
            return False
        return True
