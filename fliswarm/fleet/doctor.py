"""Looks at everything that can be wrong with a fleet, all at once; changes nothing.

Each computer, and each question to it, has a limit of its own, so one that is away or
hangs costs the others nothing. What the answers mean, `fliswarm.plan.checks` says.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fliswarm import store
from fliswarm.engine import registry, tls
from fliswarm.errors import FliswarmError, StoreError
from fliswarm.fleet.live import LiveFleet
from fliswarm.fleet.node import LiveNode
from fliswarm.fleet.visit import TIMES, Times, Visit, ask_all
from fliswarm.model import TlsFiles
from fliswarm.model.fact import now
from fliswarm.model.signs import Finding, ManagerSigns, NodeSigns, Space
from fliswarm.plan import checks

LOGINS = 16
"""Nodes up to which each is logged in to. It takes a tenth of a second of the
processor each time, so that more of them would hold up all else that is asked."""

PROBE = ".doctor"
"""Name of the file that tells whether notes can be written."""


async def examine(
    fleet: LiveFleet,
    nodes: Sequence[LiveNode],
    stale: Callable[[], Awaitable[list[str]]],
    hub_problem: str | None = None,
    times: Times = TIMES,
) -> list[Finding]:
    """Return what every check of the manager and of nodes comes to, in order.

    Parameters
    ----------
    fleet, nodes
        Whom to look at.
    stale
        Returns what is not as the configuration's file has it.
    hub_problem
        Why Tron is not connected, where it should be.
    times
        How long is waited for answers.
    """
    logs_in = len(nodes) <= LOGINS
    visits = [Visit(fleet, live, times, logs_in=logs_in) for live in nodes]
    manager, *signs = await asyncio.gather(
        _Manager(fleet, stale, hub_problem, times).signs(), *(v.signs() for v in visits)
    )
    assert isinstance(manager, ManagerSigns)
    return checks.examine(manager, [s for s in signs if isinstance(s, NodeSigns)])


class _Manager:
    """Looks at the manager."""

    def __init__(
        self,
        fleet: LiveFleet,
        stale: Callable[[], Awaitable[list[str]]],
        hub_problem: str | None,
        times: Times,
    ) -> None:
        self._fleet = fleet
        self._times = times
        self._stale = stale
        desired, journal = fleet.desired, fleet.journal
        cut_off = {
            entry.node.name
            for entry in journal.entries
            if entry.node.name not in desired.nodes
            and journal.busy(entry.node.name) is None
        }
        leavings = [leaving.node for leaving in fleet.leavings]
        self._signs = ManagerSigns(
            desired.observatory,
            now(),
            left=[(node.name, node.engine) for node in leavings],
            cut_off=sorted(cut_off - {node.name for node in leavings}),
            registry_name=desired.registry,
            image=desired.image,
            hub_problem=hub_problem,
        )

    def _note(self, **seen: Any) -> None:  # noqa: ANN401  fields of the signs
        self._signs = replace(self._signs, **seen)

    async def signs(self) -> ManagerSigns:
        """Return what is seen of the manager."""
        questions = (self._file(), self._state(), self._certificate(), self._images())
        await ask_all("manager", self._times.whole, *questions)
        return self._signs

    async def _file(self) -> None:
        try:
            self._note(stale=await self._stale())
        except FliswarmError as error:
            self._note(file_problem=str(error))

    async def _state(self) -> None:
        journal = self._fleet.journal.folder
        if journal is None:
            return
        folder = journal.parent
        self._note(state_folder=str(folder))
        try:
            self._note(space=await asyncio.to_thread(_try, folder))
            lost = await asyncio.to_thread(store.kept_aside, folder)
            self._note(lost=tuple(map(str, lost)))
        except StoreError as error:
            self._note(state_problem=str(error))
        except OSError as error:
            self._note(state_problem=f"{folder}: {error.strerror}")

    async def _certificate(self) -> None:
        files = next((n.tls for n in self._fleet.desired.nodes.values() if n.tls), None)
        if isinstance(files, TlsFiles):
            found = await asyncio.to_thread(tls.examine, files)
            self._note(
                certificate=str(files.cert),
                certificate_problem=found.problem,
                certificate_ends=found.ends,
                authority_ends=found.authority_ends,
            )

    async def _images(self) -> None:
        desired = self._fleet.desired
        if desired.registry is not None:
            limit = self._times.answer
            found = await registry.look(desired.registry, desired.image, limit)
            self._note(registry=found)


def _try(folder: Path) -> Space:
    """Write to a folder, and return what is left there."""
    store.write(folder / PROBE, {})
    store.remove(folder / PROBE)
    found = os.statvfs(folder)
    left = found.f_favail if found.f_files else None
    return Space(found.f_bavail * found.f_frsize, left)
