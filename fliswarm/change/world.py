"""What the changes of one node act on, and how its camera is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fliswarm.camera import Exchange, Outcome, Reply
from fliswarm.engine import Engine
from fliswarm.errors import CameraError
from fliswarm.host import Host
from fliswarm.hub.power import PowerSwitch
from fliswarm.model import Container, ContainerSpec, Node, Observation
from fliswarm.model.facts import Tell
from fliswarm.model.terms import Terms

STOP_GRACE = 5.0
"""Seconds for a camera to end its exposure and let go of its device."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a camera is waited for, in seconds.

    ``answer`` for the camera of a new container: its program's start and its NFS
    mounts; ``settle`` for that of a container which runs already; ``look`` between two
    looks at the container meanwhile; ``power`` without power, for a computer to notice;
    ``readout`` for the camera of an exposure that is over to read it out and write it;
    ``heartbeat`` and ``silence`` as for `fliswarm.net.link.Link`; ``undo`` for what is
    done to be undone when the controller is asked to end.
    """

    answer: float = 60.0
    settle: float = 10.0
    look: float = 2.0
    power: float = 3.0
    readout: float = 3.0
    heartbeat: float = 5.0
    silence: float = 15.0
    undo: float = 8.0


NO_ANSWER = "it does not answer"


class Camera(Protocol):
    """What changes want of the link to a camera; see `fliswarm.camera.CameraLink`."""

    stranger: str | None

    @property
    def up(self) -> bool:
        """Whether it is connected."""

    async def wait_up(self) -> None:
        """Return when it is connected."""

    def send(self, message: str, on_reply: Callable[[Reply], None]) -> Exchange:
        """Send a command; see `fliswarm.camera.CameraLink.send`."""

    def under_way(self, word: str) -> list[Exchange]:
        """Return the commands that it works on; see `CameraLink.under_way`."""

    def forget(self, exchange: Exchange) -> None:
        """Stop waiting for a command."""

    def drop(self, problem: str) -> None:
        """Break the connection; a new one is tried at once."""


@dataclass(frozen=True, slots=True)
class World:
    """One node, as far as changes reach.

    ``wanted`` is the container it should have; ``terms`` say what a change does about
    an exposure; ``beside`` are the cameras of the other nodes on its computer, by name.
    """

    node: Node
    wanted: ContainerSpec
    engine: Engine
    camera: Camera
    host: Host
    power: PowerSwitch
    patience: Patience
    tell: Tell
    terms: Terms = Terms()
    beside: Mapping[str, Camera] = field(default_factory=dict)

    async def seen(self) -> Observation:
        """Look at the engine, without the image."""
        return await self.engine.observe(self.wanted, image=False)

    async def container(self, identity: str) -> Container | None:
        """Return a container of ours by its id, whoever's name it has."""
        seen = await self.seen()
        every = (*seen.containers, *seen.others)
        return next((c for c in every if c.id == identity), None)

    async def silence(self, limit: float) -> str | None:
        """Ask the camera for a sign of life, for ``limit`` seconds.

        Whatever answers on the camera's port counts only when it says that it is this
        node's camera: another one may hold the port.

        Returns
        -------
        reason
            Why there is no camera; ``None`` when it answers.
        """
        reason: str | None = ""
        try:
            async with asyncio.timeout(limit):
                while True:
                    await self.camera.wait_up()
                    reason = await self._ask()
                    if reason is None:
                        return None
                    await asyncio.sleep(self.patience.look / 10)
        except TimeoutError:
            return reason or self.camera.stranger or NO_ANSWER

    async def _ask(self) -> str | None:
        """Return whose camera answered, nothing when none did, ``None`` for ours."""
        senders: list[str] = []

        def on_reply(reply: Reply) -> None:
            senders.append(reply.sender)

        try:
            exchange = self.camera.send("ping", on_reply)
        except CameraError:
            return ""
        try:
            if await exchange.ended is Outcome.LOST:
                return ""
        finally:
            if not exchange.ended.done():
                self.camera.forget(exchange)
        name = self.wanted.environment.get("ACTOR_NAME", self.node.name)
        if name in senders or not any(senders):
            return None
        return f"what answers there says that it is {senders[-1]}"


def current(wanted: ContainerSpec, seen: Observation) -> Container | None:
    """Return the node's container among what was seen."""
    return next((c for c in seen.containers if c.name == wanted.name), None)
