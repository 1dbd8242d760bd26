"""One live node: its engine and its camera, watched; its changes, carried out."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from fliswarm.camera import CameraLink
from fliswarm.change.carry import Work, may_expose, problem, steps
from fliswarm.change.exposing import spare
from fliswarm.change.images import running
from fliswarm.change.journal import Entry, Journal
from fliswarm.change.prepare import planned, published, pull
from fliswarm.change.restart import start_anew
from fliswarm.change.world import Camera, Patience, World, current
from fliswarm.engine import Engine
from fliswarm.errors import (
    BusyError,
    EngineError,
    EngineUnreachableError,
    FliswarmError,
)
from fliswarm.fleet.watch import EngineWatch, without_engine
from fliswarm.host import Host
from fliswarm.hub.power import PowerSwitch
from fliswarm.model import ContainerSpec, Node, NodeStatus, facts
from fliswarm.model.facts import Tell
from fliswarm.model.terms import Terms
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
        self._back = -math.inf

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
                found = current(wanted, seen)
                image = detail and await running(self._engine, wanted, seen)
        except EngineError as error:
            return self._without_engine(error)
        has = seen.volumes | (found.stand_ins if found else frozenset())
        return NodeStatus(
            self.node,
            host_alive=True,
            engine_alive=True,
            camera_up=self.link.up,
            found=found,
            strangers=tuple(c for c in seen.others if c.node not in neighbours),
            volumes={v.name: v.docker_name in has for v in wanted.volumes},
            digest=image.digest if image else None,
            camera_problem=None if self.link.up else self.link.problem,
            certificate_ends=self._engine.certificate_ends,
            original=seen.original,
        )

    def _without_engine(self, error: EngineError) -> NodeStatus:
        ends = self._engine.certificate_ends
        return without_engine(self.node, error, self.link, ends)

    async def identity(self) -> str:
        """Return what the node's engine calls itself."""
        with self._watch.noticing():
            return await self._engine.identity()

    @contextmanager
    def asking(self) -> Iterator[Engine]:
        """Lend its engine for a question, and notice whether that answers."""
        with self._watch.noticing():
            yield self._engine

    async def plan(
        self,
        wanted: ContainerSpec,
        neighbours: Collection[str] = (),
        tell: Tell = lambda _: None,
        *,
        force: bool = False,
        terms: Terms = Terms(),
        adopt: bool = False,
    ) -> Plan:
        """Return what `apply` would do; fail where it would.

        With ``adopt``, after an adoption. The registry is asked for its image, which is
        not pulled, and the camera whether it answers, and whether it exposes.
        """
        if (change := self._journal.busy(self.node.name)) is not None:
            raise BusyError(self.node.name, change)
        world = self.world(wanted, tell)
        with self._watch.noticing():
            seen = await self._engine.observe(wanted)
            digest = await published(world, seen)
        limit = self._silence
        seen = adopting(seen) if adopt else seen
        todo = await planned(world, seen, neighbours, limit, digest, force=force)
        if may_expose(todo) and not (terms.now or terms.wait):
            await spare(world)
        return todo

    # Changing

    async def apply(
        self,
        wanted: ContainerSpec,
        tell: Tell,
        neighbours: Collection[str] = (),
        by: str = "",
        *,
        force: bool = False,
        terms: Terms = Terms(),
    ) -> bool:
        """Make the node as wanted, with a camera that answers.

        Nothing is stopped before the image is on the node, nor while its camera exposes
        unless ``terms`` say so, and no container is removed before the camera of its
        replacement answers.

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
            world = self.world(wanted, tell, terms)
            work = Work(world, self._journal)
            await self._settle(work, self.node.name, leave=True)
            await pull(world)
            seen = await self._engine.observe(wanted)
            limit = self._silence
            todo = await planned(world, seen, neighbours, limit, force=force)
            if todo.blocked is not None:
                raise EngineError(self.node.name, todo.blocked)
            for difference in todo.differences:
                if difference.field == "camera":
                    name, reason = self.node.name, str(difference.found)
                    tell(facts.CameraSilent(node=name, reason=reason))
            await work.carry_out("reconnect", by, steps(todo, wanted.name))
            return not todo.empty

    async def remove(
        self,
        wanted: ContainerSpec,
        tell: Tell,
        neighbours: Collection[str] = (),
        by: str = "",
        *,
        terms: Terms = Terms(),
    ) -> bool:
        """Leave nothing of ours on the node; return whether there was anything."""
        with self._changing("remove", by, tell):
            work = Work(self.world(wanted, tell, terms), self._journal)
            await self._settle(work, self.node.name, leave=True)
            todo = removal(await self._engine.observe(wanted), neighbours, wanted)
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
        terms: Terms = Terms(),
        beside: Mapping[str, Camera] = {},
    ) -> bool:
        """Start the host anew and return when its camera answers again.

        See `start_anew`; ``beside`` are the cameras of the others on the same host.
        """
        with self._changing("reboot", by, tell):
            world = replace(self.world(wanted, tell, terms), beside=beside)
            await start_anew(world, self._journal, by, limit, hard=hard)
            return True

    async def settle(self, entry: Entry) -> None:
        """Finish or undo a change that was cut off.

        Raises
        ------
        FliswarmError
            When that is not possible now; the entry stays.
        """
        work = Work(self.world(entry.wanted, self._tell), self._journal)
        with self._journal.hand(self.node.name, entry.change), self._watch.noticing():
            await self._settle(work, entry.key)

    async def _settle(self, work: Work, key: str, *, leave: bool = False) -> None:
        if await work.resume(key, leave=leave):
            self._back = asyncio.get_running_loop().time()

    @property
    def _silence(self) -> float:
        """Seconds after which a camera counts as silent: more, where it just began."""
        begun = asyncio.get_running_loop().time() - self._back
        return max(self._patience.settle, self._patience.answer - begun)

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
                # Whatever changes a node has asked its engine in the end.
                self._watch.answered()
            except FliswarmError as error:
                if isinstance(error, EngineUnreachableError):
                    self._watch.lost(error)
                ended = replace(ended, problem=problem(error))
                raise
            finally:
                tell(replace(ended, at=facts.now()))

    def world(
        self,
        wanted: ContainerSpec,
        tell: Tell = lambda _: None,
        terms: Terms = Terms(),
    ) -> World:
        """Return what changes of the node act on, and what can be asked of it."""
        parts = self._engine, self.link, self._host, self._power, self._patience
        return World(self.node, wanted, *parts, tell, terms)
