"""One live node: its engine and its camera, watched; its changes, carried out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

from fliswarm.camera import CameraLink
from fliswarm.change.carry import POWER_CYCLE, Work, problem, restart, steps
from fliswarm.change.journal import Entry, Journal
from fliswarm.change.prepare import planned, published, pull
from fliswarm.change.world import Patience, World, current
from fliswarm.engine import Engine
from fliswarm.errors import (
    BusyError,
    EngineError,
    EngineUnreachableError,
    FliswarmError,
    HostError,
)
from fliswarm.fleet.watch import EngineWatch
from fliswarm.host import Host
from fliswarm.hub.power import PowerSwitch
from fliswarm.model import ContainerSpec, Node, NodeStatus, facts
from fliswarm.model.facts import Fact, Tell
from fliswarm.plan.adoption import adopting
from fliswarm.plan.difference import Plan, removal


class LiveNode:
    """A node that is being run.

    Parameters
    ----------
    node
        The node, as wanted.
    engine
        Its Docker Engine.
    link
        The link to its camera.
    host
        Its operating system.
    power
        Switches its power.
    journal
        Where its changes are noted.
    tell
        Is told what happens to it.
    patience
        How long its camera is waited for.
    """

    def __init__(
        self,
        node: Node,
        engine: Engine,
        link: CameraLink,
        host: Host,
        power: PowerSwitch,
        journal: Journal,
        tell: Tell,
        patience: Patience = Patience(),
    ) -> None:
        self.node = node
        self.link = link
        self._patience = patience
        self._engine = engine
        self._host = host
        self._power = power
        self._journal = journal
        self._tell = tell
        self._watch = EngineWatch(node.name, engine, tell, patience)
        self._closed = False

    async def close(
        self, *, link: bool = True, after: Awaitable[None] | None = None
    ) -> None:
        """Give back connections, ``after`` a change; what it sees is no news any more.

        Without ``link``, that to its camera stays, for the node that takes its place.
        """
        self._closed = True
        self._watch.close()
        await (after or asyncio.sleep(0))
        if link:
            await self.link.close()
        self._engine.close()

    # Looking

    async def status(
        self,
        wanted: ContainerSpec,
        neighbours: Collection[str] = (),
        *,
        detail: bool = False,
    ) -> NodeStatus:
        """Look at the node; never fails, and takes as long as its engine's limits.

        An engine that is known to be silent is not asked, but watched: nodes that are
        switched off cost the others no time. ``detail`` looks up the image's digest.
        """
        status = await self._look(wanted, neighbours, detail=detail)
        # A look that began before the node left the configuration is nobody's news.
        if not self._closed:
            self._tell(facts.Looked(node=self.node.name, status=status))
        return status

    async def _look(
        self, wanted: ContainerSpec, neighbours: Collection[str], *, detail: bool
    ) -> NodeStatus:
        if self._watch.away is not None and not self._watch.away.refused:
            return self._without_engine(self._watch.away)
        try:
            with self._watch.noticing():
                seen = await self._engine.observe(wanted, image=detail)
        except EngineError as error:
            return self._without_engine(error)
        found = current(wanted, seen)
        has = seen.volumes | (found.stand_ins if found else frozenset())
        digest = None
        if found and seen.image and seen.image.id == found.image_id:
            digest = seen.image.digest
        return NodeStatus(
            self.node,
            host_alive=True,
            engine_alive=True,
            camera_up=self.link.up,
            found=found,
            strangers=tuple(c for c in seen.others if c.node not in neighbours),
            volumes={v.name: v.docker_name in has for v in wanted.volumes},
            digest=digest,
            camera_problem=None if self.link.up else self.link.problem,
            certificate_ends=self._engine.certificate_ends,
            original=seen.original,
        )

    def _without_engine(self, error: EngineError) -> NodeStatus:
        silent = isinstance(error, EngineUnreachableError) and not error.host_alive
        return NodeStatus(
            self.node,
            host_alive=not silent or self.link.up,
            engine_alive=False,
            camera_up=self.link.up,
            problem=error.problem,
            camera_problem=None if self.link.up else self.link.problem,
            certificate_ends=self._engine.certificate_ends,
        )

    async def identity(self) -> str:
        """Return what the node's engine calls itself."""
        with self._watch.noticing():
            return await self._engine.identity()

    @contextmanager
    def asking(self) -> Iterator[Engine]:
        """Lend its engine for a question, and notice whether that answers."""
        with self._watch.noticing():
            yield self._engine

    async def logs(self, wanted: ContainerSpec, lines: int) -> str:
        """Return the last lines that the camera's program printed."""
        with self._watch.noticing():
            container = current(wanted, await self._engine.observe(wanted))
            if container is None:
                name = self.node.name
                raise EngineError(name, f"there is no container {wanted.name}")
            return await self._engine.logs(container.id, lines)

    async def plan(
        self,
        wanted: ContainerSpec,
        neighbours: Collection[str] = (),
        tell: Tell = lambda _: None,
        *,
        force: bool = False,
        adopt: bool = False,
    ) -> Plan:
        """Return what `apply` would do, with ``adopt`` after an adoption.

        The registry is asked for its image, and nothing is pulled.
        """
        if (change := self._journal.busy(self.node.name)) is not None:
            raise BusyError(self.node.name, change)
        world = self._world(wanted, tell)
        with self._watch.noticing():
            seen = await self._engine.observe(wanted)
            digest = await published(world, seen)
        seen = adopting(seen) if adopt else seen
        return await planned(world, seen, neighbours, digest, force=force)

    # Changing

    async def apply(
        self,
        wanted: ContainerSpec,
        tell: Tell,
        neighbours: Collection[str] = (),
        by: str = "",
        *,
        force: bool = False,
    ) -> bool:
        """Make the node as wanted, with a camera that answers.

        Nothing is stopped before the image is on the node, and no container is removed
        before the camera of its replacement answers.

        Returns
        -------
        changed
            Whether anything had to be done.

        Raises
        ------
        FliswarmError
            With what ran before put back, if anything did.
        """
        with self._changing("reconnect", by, tell):
            # A pull may take long, so it has no say in whether the engine answers.
            await self._engine.ping()
            self._watch.answered()
            world = self._world(wanted, tell)
            await self._settle(world)
            await pull(world)
            seen = await self._engine.observe(wanted)
            todo = await planned(world, seen, neighbours, force=force)
            if todo.blocked is not None:
                raise EngineError(self.node.name, todo.blocked)
            for difference in todo.differences:
                if difference.field == "camera":
                    name, reason = self.node.name, str(difference.found)
                    tell(facts.CameraSilent(node=name, reason=reason))
            work = Work(world, self._journal)
            await work.carry_out("reconnect", by, steps(todo, wanted.name))
            return not todo.empty

    async def remove(
        self,
        wanted: ContainerSpec,
        tell: Tell,
        neighbours: Collection[str] = (),
        by: str = "",
    ) -> bool:
        """Leave nothing of ours on the node; return whether there was anything."""
        with self._changing("remove", by, tell):
            world = self._world(wanted, tell)
            await self._settle(world)
            todo = removal(await self._engine.observe(wanted), neighbours)
            self._watch.answered()
            work = Work(world, self._journal)
            await work.carry_out("remove", by, steps(todo, wanted.name))
            return not todo.empty

    async def reboot(
        self,
        wanted: ContainerSpec,
        tell: Tell,
        limit: float,
        by: str = "",
        *,
        hard: bool,
    ) -> bool:
        """Start the host anew and return when its camera answers again.

        Parameters
        ----------
        wanted
            The container whose camera is waited for.
        limit
            Seconds for all of it.
        hard
            Switch the power off and on instead of asking the host itself.

        Raises
        ------
        FliswarmError
            Naming the step that failed or was not over in time.
        """
        waits = {
            "AwaitDown": "host was not down",
            "AwaitEngine": "Docker Engine was not back",
            "AwaitReturn": "camera was not back",
        }
        with self._changing("reboot", by, tell):
            last = ""

            def note(fact: Fact) -> None:
                nonlocal last
                last = fact.step if isinstance(fact, facts.StepBegan) else last
                tell(fact)

            world = self._world(wanted, note)
            try:
                async with asyncio.timeout(limit):
                    todo = POWER_CYCLE
                    if not hard:
                        todo = restart(self.node.host, await self._host.mark())
                    await Work(world, self._journal).carry_out("reboot", by, todo)
            except TimeoutError:
                text = f"its {waits.get(last, 'host was not back')} in {limit:g} s"
                raise HostError(self.node.name, text) from None
            return True

    async def settle(self, entry: Entry) -> None:
        """Finish or undo a change that was cut off.

        Raises
        ------
        FliswarmError
            When that is not possible now; the entry stays.
        """
        with self._journal.hand(self.node.name, entry.change), self._watch.noticing():
            await self._settle(self._world(entry.wanted, self._tell), entry.key)

    async def _settle(self, world: World, key: str | None = None) -> None:
        entry = self._journal.of(key or self.node.name)
        if entry is None:
            return
        there = replace(world, wanted=entry.wanted, node=entry.node)
        how = await Work(there, self._journal).settle(entry)
        name = self.node.name
        self._tell(facts.Settled(node=name, change=entry.change, how=how))

    @contextmanager
    def _changing(self, change: str, by: str, tell: Tell) -> Iterator[None]:
        """Have the only hand on the node, and tell when it begins and how it ends."""
        name = self.node.name
        with self._journal.hand(name, change):
            tell(facts.ChangeBegan(node=name, change=change, by=by))
            ended = facts.ChangeEnded(node=name, change=change, problem="cut off")
            try:
                yield
                ended = replace(ended, problem=None)
            except EngineUnreachableError as error:
                self._watch.lost(error)
                ended = replace(ended, problem=error.problem)
                raise
            except FliswarmError as error:
                ended = replace(ended, problem=problem(error))
                raise
            finally:
                tell(ended)

    def _world(self, wanted: ContainerSpec, tell: Tell) -> World:
        parts = (self._engine, self.link, self._host, self._power, self._patience)
        return World(self.node, wanted, *parts, tell)
