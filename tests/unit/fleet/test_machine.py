"""Commands, reloads, faults and restarts in any order: the board is what is there."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from fliswarm.change.world import Patience
from fliswarm.errors import SelectionError
from fliswarm.fleet.live import LiveFleet
from fliswarm.model import Container, Node
from tests.unit.support.camera import RawCamera
from tests.unit.support.live import Computer, Site
from tests.unit.support.wait import until

NAMES = ("gfa1", "gfa2", "gfa3")

WHICH = st.sampled_from(range(len(NAMES)))

STATES = st.sampled_from(["paused", "exited", "restarting", "dead"])

PATIENCE = Patience(answer=0.4, settle=0.2, look=0.02, power=0.01, undo=2)


class Killed(BaseException):
    """The controller is killed."""


class Fleets(RuleBasedStateMachine):
    """Three computers, one controller, and all that happens to them."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.run = self.runner.run

    @initialize()
    def begin(self) -> None:
        """Start with computers that have nothing."""

        async def make() -> Site:
            cameras = {name: await RawCamera().start() for name in NAMES}
            site = Site(self.folder / "state", cameras, PATIENCE)
            site.fleet.start()
            return site

        self.site = self.run(make())
        self.every = list(self.site.computers.values())
        self.disabled: set[str] = set()

    def teardown(self) -> None:
        """End all of it."""

        async def end() -> None:
            await self.site.fleet.close()
            for computer in self.every:
                await computer.camera.close()

        if hasattr(self, "site"):
            self.run(end())
        self.runner.close()
        shutil.rmtree(self.folder)

    # Commands

    @rule(force=st.booleans())
    def reconnect(self, force: bool) -> None:
        """Make all as wanted; where that is said, it is so."""
        problems = self.run(self._reconnect(force))
        for name, problem in problems.items():
            computer = self.site.computer(name)
            if problem is None:
                assert computer.up
                assert computer.names == {f"flicamera-{name}": "running"}, (
                    computer.names
                )
            else:
                assert not computer.up or self.site.fleet.journal.of(name), problem

    async def _reconnect(self, force: bool) -> dict[str, str | None]:
        try:
            return await self.site.reconnect(force=force)
        except SelectionError:
            assert not self.site.fleet.enabled
            return {}

    @rule(which=WHICH)
    def remove(self, which: int) -> None:
        """Clear one node; where that is said, nothing of it is left."""
        nodes = self.site.fleet.nodes
        live_node = nodes[which % len(nodes)]
        (result,) = self.run(self.site.fleet.remove([live_node], lambda _: None))
        if result.error is None:
            assert self.site.computer(result.node).names == {}

    @rule(which=WHICH, enabled=st.booleans())
    def enable(self, which: int, enabled: bool) -> None:
        """Say whether a node is to be commanded."""
        nodes = self.site.fleet.nodes
        name = nodes[which % len(nodes)].node.name

        async def say() -> None:
            if enabled:
                self.site.fleet.enable(name, "a test")
                self.disabled.discard(name)
            else:
                self.site.fleet.disable(name, "a test", "why not")
                self.disabled.add(name)

        self.run(say())

    # Reloads

    @rule(which=WHICH)
    def rename(self, which: int) -> None:
        """Give a node another name."""

        def change(nodes: dict[str, Node]) -> None:
            name = list(nodes)[which % len(nodes)]
            nodes[f"x{name}"[-6:]] = nodes.pop(name)

        self._reload(change)

    @rule()
    def swap(self) -> None:
        """Let two nodes change places."""

        def change(nodes: dict[str, Node]) -> None:
            first, second, *_ = [*nodes, *nodes]
            nodes[first], nodes[second] = nodes[second], nodes[first]

        self._reload(change)

    def _reload(self, change: object) -> None:
        before = set(self.site.desired.nodes)
        self.site.configure(change)  # type: ignore[arg-type]
        self.disabled &= set(self.site.desired.nodes) & before
        self.run(self.site.fleet.reload(self.site.desired))

    # Faults

    @rule(which=WHICH)
    def engine_goes(self, which: int) -> None:
        """Let an engine answer no more."""
        self.every[which].up = False

    @rule()
    def engines_come_back(self) -> None:
        """Let all engines answer, and what was cut off be settled."""
        for computer in self.every:
            computer.up = True

        async def settled() -> None:
            await until(lambda: not self.site.fleet.journal.entries, "an empty journal")

        self.run(settled())

    @rule(which=WHICH, state=STATES)
    def container_is(self, which: int, state: str) -> None:
        """Let something happen to a container."""
        for container in list(self.every[which].daemon.containers.values()):
            changed = replace(container, state=state)
            self.every[which].daemon.containers[container.id] = changed

    @precondition(lambda self: all(computer.up for computer in self.every))
    @rule(which=WHICH, after=st.integers(1, 12))
    def killed(self, which: int, after: int) -> None:
        """Kill the controller in the middle of a change, and start it again."""
        left = after
        node = self.site.fleet.nodes[which % len(self.site.fleet.nodes)]

        def count(_: str) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                raise Killed

        old = self.site.fleet
        old._settling.start = lambda: None  # type: ignore[method-assign]
        for computer in self.every:
            computer.on_call = count

        async def cut() -> LiveFleet:
            try:
                await old.apply([node], lambda _: None, "a test", force=True)
            except Killed:
                pass
            finally:
                for computer in self.every:
                    computer.on_call = None
            fleet = self.site.start()
            await old.close()
            await until(lambda: not fleet.journal.entries, "an empty journal")
            return fleet

        self.run(cut())

    # What holds

    @invariant()
    def board_is_what_engines_hold(self) -> None:
        """Compare what is known with what is there."""
        if not hasattr(self, "site"):
            return
        fleet = self.site.fleet

        async def look() -> None:
            # One that is known to be away is not asked, but watched.
            up = [n for n in fleet.nodes if self.site.computer(n.node.name).up]
            await until(lambda: all(n._watch.away is None for n in up), "engines seen")
            await fleet.status(fleet.nodes)

        self.run(look())
        assert set(fleet.enabled) == set(self.site.desired.nodes) - self.disabled
        for node in fleet.nodes:
            name = node.node.name
            state, computer = fleet.board.state(name), self.site.computer(name)
            assert state.engine.good is computer.up, (name, state, computer.up)
            if computer.up:
                assert state.status is not None
                assert state.status.found == _own(computer, name)
                strangers = {c.id for c in state.status.strangers}
                ours = computer.daemon.containers.values()
                assert strangers == {c.id for c in ours if c.node != name}


def _own(computer: Computer, name: str) -> Container | None:
    every = computer.daemon.containers.values()
    return next((c for c in every if c.name == f"flicamera-{name}"), None)


TestFleets = Fleets.TestCase
TestFleets.settings = settings(
    max_examples=40,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
