"""What was cut off is finished or undone, as soon as that is possible."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from fliswarm.change.carry import problem
from fliswarm.change.journal import Entry, Journal
from fliswarm.change.world import Patience
from fliswarm.errors import BusyError, FliswarmError
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
            name = entry.node.name
            if name not in self._tasks and self._journal.busy(name) is None:
                self._tasks[name] = asyncio.create_task(self._settle(name))

    async def close(self) -> None:
        """Stop trying; the journal keeps what is left."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def forget(self, node: Node) -> None:
        """Settle nothing any more on the engine of a node: it is gone for good."""
        name = node.name
        entry = self._journal.of(name)
        if entry is not None and entry.node.engine == node.engine:
            await self._journal.end(name)
            self._tell(facts.Settled(node=name, change=entry.change, how="forgotten"))

    async def _settle(self, name: str) -> None:
        try:
            await self._settle_all(name)
        finally:
            del self._tasks[name]

    async def _settle_all(self, name: str) -> None:
        pause = self._patience.look / 2
        told = ""
        while (entry := self._journal.of(name)) is not None:
            why = await self._attempt(entry)
            if why is None:
                return
            if why != told:
                told = why
                change, step = entry.change, entry.step
                self._tell(
                    facts.Unfinished(node=name, change=change, step=step, reason=why)
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._patience.settle)

    async def _attempt(self, entry: Entry) -> str | None:
        """Try once; return why it did not work, ``None`` when nothing is left to do."""
        live, visits = self._live(entry)
        try:
            await live.settle(entry)
        except BusyError:
            # Whoever has the node settles what was cut off before anything else.
            return None
        except FliswarmError as error:
            return problem(error)
        except Exception as error:
            log.error("%s", entry.node.name, exc_info=error)  # noqa: TRY400
            return repr(error)
        finally:
            if visits:
                await live.close()
        return None
