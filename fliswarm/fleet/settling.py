"""What was cut off is finished or undone, as soon as that is possible."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from fliswarm.change.carry import problem
from fliswarm.change.journal import Entry, Journal
from fliswarm.change.world import Patience
from fliswarm.errors import BusyError, FliswarmError, NodeError
from fliswarm.fleet.node import LiveNode
from fliswarm.model import Node, facts
from fliswarm.model.facts import Tell

log = logging.getLogger(__name__)


class Settling:
    """Settles the entries of a journal that nobody works on.

    Parameters
    ----------
    journal
        The journal.
    live
        Returns the node of an entry, at the address where the change was begun, and
        whether it is to be closed afterwards.
    tell
        Is told of what cannot be settled yet.
    patience
        Its ``look`` and ``settle`` bound the pauses between two attempts.
    """

    def __init__(
        self,
        journal: Journal,
        live: Callable[[Entry], tuple[LiveNode, bool]],
        tell: Tell,
        patience: Patience,
    ) -> None:
        self._journal = journal
        self._live = live
        self._tell = tell
        self._patience = patience
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Begin with all that is to be settled and is not begun yet."""
        for entry in self._journal.entries:
            key = entry.key
            if key not in self._tasks and self._journal.busy(entry.node.name) is None:
                self._tasks[key] = asyncio.create_task(self._settle(key))

    async def close(self) -> None:
        """Stop trying; the journal keeps what is left."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def mind(self, node: Node) -> None:
        """Let be an engine that a node left while its present one is to be settled.

        Raises
        ------
        NodeError
            When a change of it was cut off on another engine: there is one note.
        """
        entry = self._journal.of(node.name)
        if entry is not None and entry.node.engine != node.engine:
            where = entry.node.engine
            text = f"{entry.change} was cut off on {where} and is not undone yet"
            raise NodeError(node.name, text)

    async def former(self, node: Node, names: Collection[str]) -> None:
        """Settle what was cut off on a node's engine under a name that is no node's.

        Raises
        ------
        FliswarmError
            When that is not possible now: it would be done beside what comes next.
        """
        for entry in self._journal.entries:
            if entry.node.engine == node.engine and entry.node.name not in names:
                live, visits = self._live(entry)
                try:
                    await live.settle(entry)
                finally:
                    if visits:
                        await live.close()

    async def forget(self, node: Node) -> None:
        """Settle nothing any more on the engine of a node: it is gone for good."""
        name = node.name
        for entry in self._journal.entries:
            if (entry.node.name, entry.node.engine) == (name, node.engine):
                await self._journal.end(entry.key)
                change = entry.change
                self._tell(facts.Settled(node=name, change=change, how="forgotten"))

    async def _settle(self, key: str) -> None:
        try:
            await self._settle_all(key)
        finally:
            del self._tasks[key]

    async def _settle_all(self, key: str) -> None:
        pause = self._patience.look / 2
        told = ""
        while (entry := self._journal.of(key)) is not None:
            why = await self._attempt(entry)
            if why is None:
                return
            if why not in ("", told):
                told = why
                name, change, step = entry.node.name, entry.change, entry.step
                self._tell(
                    facts.Unfinished(node=name, change=change, step=step, reason=why)
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._patience.settle)

    async def _attempt(self, entry: Entry) -> str | None:
        """Try once; return why it did not work, ``None`` when nothing is left to do.

        Nothing is told of another hand that is on the node.
        """
        live, visits = self._live(entry)
        try:
            await live.settle(entry)
        except BusyError:
            return ""
        except FliswarmError as error:
            return problem(error)
        except Exception as error:
            log.error("%s", entry.node.name, exc_info=error)  # noqa: TRY400
            return repr(error)
        finally:
            if visits:
                await live.close()
        return None
