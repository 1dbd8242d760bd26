"""Looks at one node for `fliswarm.fleet.doctor`: its computer, engine, camera."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fliswarm.camera import Reply
from fliswarm.errors import (
    CameraError,
    EngineError,
    EngineUnreachableError,
    HostError,
    ImageUnavailableError,
)
from fliswarm.fleet import inside
from fliswarm.fleet.live import LiveFleet
from fliswarm.fleet.node import LiveNode
from fliswarm.model.facts import Unfinished
from fliswarm.model.signs import Away, CameraSigns, NodeSigns
from fliswarm.net.dial import dial, dialling, reason
from fliswarm.plan.container_checks import current

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Times:
    """How long is waited for answers, in seconds: somebody waits for all of them.

    ``whole`` is for one computer; ``engine`` for its engine to say who it is, as the
    rest is asked only then; ``answer`` for a registry, a camera, or a program in a
    container; ``dial`` for a computer to accept a connection, and for a name to be
    found; ``link`` for a link that is down to come up, as after a moment's break.
    """

    whole: float = 4.5
    engine: float = 3.5
    answer: float = 2.5
    dial: float = 2.0
    link: float = 1.0


TIMES = Times()


async def ask_all(
    who: str, limit: float, *questions: Coroutine[Any, Any, None]
) -> None:
    """Ask questions beside each other, for a while; each notes its own answer."""
    tasks = [asyncio.create_task(question) for question in questions]
    try:
        await asyncio.wait(tasks, timeout=limit)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        # One oddity is unknown, and the rest of the answer stands.
        if isinstance(end, Exception) and not isinstance(end, TimeoutError):
            log.error("%s", who, exc_info=end)


def _told(cut_off: Unfinished) -> str:
    step = f" at {cut_off.step}" if cut_off.step else ""
    return f"{cut_off.change} was cut off{step}: {cut_off.reason}"


class Visit:
    """Looks at one node."""

    def __init__(
        self, fleet: LiveFleet, live: LiveNode, times: Times, *, logs_in: bool
    ) -> None:
        node, desired = live.node, fleet.desired
        wanted = desired.container(node)
        self._world = live.world(wanted)
        self._link = live.link
        self._logs_in = logs_in
        self._times = times
        standing = fleet.roster.standing(node.name)
        cut_off = fleet.board.state(node.name).unfinished
        unfinished = "; ".join(map(_told, cut_off)) or None
        self._signs = NodeSigns(
            node,
            wanted,
            enabled=standing.enabled,
            disabled_by=standing.by,
            disabled_since=standing.since,
            disabled_reason=standing.reason,
            neighbours=desired.neighbours(node),
            change=fleet.journal.busy(node.name),
            unfinished=unfinished,
        )

    def _note(self, **seen: Any) -> None:  # noqa: ANN401  fields of the signs
        self._signs = replace(self._signs, **seen)

    async def signs(self) -> NodeSigns:
        """Return what is seen of the node; of a disabled one, that it is."""
        if self._signs.enabled:
            login = [self._login()] if self._logs_in else []
            questions = (self._name(), self._host(), self._engine(), self._camera())
            who, limit = self._signs.node.name, self._times.whole
            await ask_all(who, limit, *questions, *login)
        return self._signs

    async def _name(self) -> None:
        host, loop = self._signs.node.host, asyncio.get_running_loop()
        try:
            with dialling(host):
                async with asyncio.timeout(self._times.dial):
                    await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except TimeoutError:
            problem = f"no name server answers in {self._times.dial:g} s"
            self._note(name_problem=problem, nobody_to_ask=True)
        except OSError as error:
            again = error.errno == socket.EAI_AGAIN
            self._note(name_problem=reason(error), nobody_to_ask=again)

    async def _host(self) -> None:
        node = self._signs.node
        try:
            writer = await dial(node.host, node.ssh_port, self._times.dial)
            writer.transport.abort()
        except ConnectionRefusedError:
            self._note(ssh_alive=True)
        except OSError:
            self._note(ssh_alive=False)
        else:
            self._note(ssh_alive=True)

    async def _login(self) -> None:
        try:
            async with asyncio.timeout(self._times.engine):
                await self._world.host.mark()
            self._note(ssh_problem="", ssh_alive=True)
        except HostError as error:
            self._note(ssh_problem=error.problem)
        except TimeoutError:
            # One that has taken a connection may have much to do.
            if not self._signs.ssh_alive:
                text = f"ssh does not answer in {self._times.engine:g} s"
                self._note(ssh_problem=text)

    # The engine

    async def _engine(self) -> None:
        node, engine = self._signs.node, self._world.engine
        try:
            async with asyncio.timeout(self._times.engine):
                self._note(engine=await engine.info())
        except TimeoutError:
            problem = f"{node.engine} did not answer in {self._times.engine:g} s"
            self._note(engine_away=Away(problem, host_alive=True))
            return
        except EngineUnreachableError as error:
            self._note(engine_away=Away(error.problem, error.host_alive))
            return
        except EngineError as error:
            self._note(engine_problem=error.problem)
            return
        finally:
            self._note(certificate_ends=engine.certificate_ends)
        await asyncio.gather(self._registry(), self._container())

    async def _registry(self) -> None:
        try:
            async with asyncio.timeout(self._times.answer):
                digest = await self._world.engine.digest(self._signs.wanted.image)
            self._note(registry_asked=True, digest=digest)
        except ImageUnavailableError as error:
            self._note(registry_asked=True, registry_problem=error.problem)
        except (EngineError, TimeoutError):
            # A registry far away may take its time.
            return

    async def _container(self) -> None:
        engine = self._world.engine
        try:
            self._note(observed=await engine.observe(self._signs.wanted))
        except EngineError as error:
            self._note(engine_problem=error.problem)
            return
        try:
            found = current(self._signs)
            if found is None:
                return
            self._note(detail=await engine.detail(found.id))
            if found.running:
                await self._inside(found.id)
        except EngineError as error:
            log.debug("%s", error)

    async def _inside(self, container: str) -> None:
        volumes = [volume.target for volume in self._signs.wanted.volumes]
        words = inside.words(volumes, self._times.answer * inside.SHARE)
        engine, limit = self._world.engine, self._times.answer
        done = await engine.execute(container, words, limit)
        self._note(inside=inside.read(done.output, volumes))

    # The camera

    async def _camera(self) -> None:
        link = self._link
        if not link.up:
            try:
                async with asyncio.timeout(self._times.link):
                    await link.wait_up()
            except TimeoutError:
                down = CameraSigns(up=False, problem=link.problem)
                self._note(camera=replace(down, stranger=link.stranger))
                return
        signs = CameraSigns(up=True, busy=link.busy)
        self._note(camera=signs)
        told: dict[str, object] = {}

        def hear(reply: Reply) -> None:
            told.update(reply.data)

        try:
            exchange = link.send("status", hear)
        except CameraError:
            return
        try:
            async with asyncio.timeout(self._times.answer):
                ended = (await exchange.ended).value
        except TimeoutError:
            ended = "silent"
        finally:
            if not exchange.ended.done():
                link.forget(exchange)
        status = told.get("status")
        problem = told.get("error") or told.get("text") or ""
        self._note(
            camera=replace(
                signs,
                ended=ended,
                problem=str(problem),
                told=status if isinstance(status, Mapping) else None,
            )
        )
