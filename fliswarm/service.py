"""The running controller: a live fleet with its two faces, until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from fliswarm import __version__, notify
from fliswarm.commands.call import RELAYED
from fliswarm.commands.context import Site
from fliswarm.commands.dispatch import Dispatcher
from fliswarm.commands.words import PUBLIC, words
from fliswarm.engine import Connect
from fliswarm.errors import ConfigError, FliswarmError
from fliswarm.faces.actor.server import ActorServer, BroadcastSink
from fliswarm.faces.control.server import ControlServer
from fliswarm.fleet.live import LiveFleet
from fliswarm.fleet.spool import Spool
from fliswarm.host import Reach
from fliswarm.hub.power import SitePower
from fliswarm.hub.tron import TronLink
from fliswarm.model import Fleet, facts
from fliswarm.model.facts import Fact

log = logging.getLogger(__name__)

AT_START = ("actor", "control_socket", "ping_timeout")
"""What a controller takes from its file once, when it starts."""

STATUS_PERIOD = 300.0
"""Seconds between two reports to all users, as the telescope's displays expect them."""


class Service:
    """Runs a fleet and serves it.

    Parameters
    ----------
    load
        Reads the configuration; called at the start and at each reload.
    connect
        Makes the engine of a node.
    reach
        Makes the host of a node.
    state
        The folder of what has to be known after a start; ``None`` keeps it in memory.
    """

    def __init__(
        self,
        load: Callable[[], Fleet],
        connect: Connect,
        reach: Reach,
        state: Path | None = None,
    ) -> None:
        self._load = load
        desired = load()
        actor = desired.actor
        self._started = desired
        self._hub = (
            TronLink(
                actor.name,
                actor.tron_host,
                actor.tron_port,
                on_change=self._hub_changed,
            )
            if actor.tron_host
            else None
        )
        self._fleet = LiveFleet(desired, connect, reach, SitePower(self._hub), state)
        self._spool = Spool(state and state / "spool")
        self._dispatcher = Dispatcher(
            Site(
                self._fleet,
                actor.name,
                __version__,
                self.reload,
                self.stale,
                self._hub,
                spool=self._spool,
            )
        )
        self.actor = ActorServer(self._dispatcher, __version__, actor.commands)
        self._fleet.news.listen(self._hear)
        self._control = ControlServer(self._dispatcher, actor.name, self._spool)
        self._stop = asyncio.Event()

    async def run(self, socket: Path) -> None:
        """Serve until a signal asks for the end.

        Parameters
        ----------
        socket
            Path of the control socket.
        """
        settings = self._started.actor
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload_on_signal)
        await self._control.start(socket)
        await asyncio.to_thread(self._spool.clear)
        try:
            try:
                await self.actor.start(settings.host, settings.port)
            except OSError as error:
                where = f"actor {settings.host}:{settings.port}"
                raise ConfigError(where, error.strerror or str(error)) from error
            self._fleet.start()
            if self._hub is not None:
                self._hub.start()
            log.info(
                "fliswarm %s serves %s:%d", __version__, settings.host, self.actor.port
            )
            async with notify.serving():
                timed = asyncio.create_task(self._report_status())
                await self._stop.wait()
                timed.cancel()
        finally:
            await self._dispatcher.close()
            await self.actor.close()
            # Before its clients are told: who waits for our end may start the next one.
            socket.unlink(missing_ok=True)
            await self._control.close()
            await self._fleet.close()
            if self._hub is not None:
                await self._hub.close()
            await asyncio.to_thread(self._spool.clear)

    async def reload(self) -> list[str]:
        """Read the configuration again; a wrong one changes nothing.

        Returns
        -------
        names
            The nodes and the settings that changed.
        """
        desired = self._load()
        if late := self._late(desired):
            log.warning("%s: in force from the next start", ", ".join(late))
        changed = self._different(desired)
        with notify.reloading():
            await self._fleet.reload(desired)
        return changed

    def stale(self) -> list[str]:
        """Return the nodes and the settings that are not as the file has them.

        A wrong file is an error, as it is for a reload.
        """
        wanted = self._load()
        return [*self._different(wanted), *self._late(wanted)]

    def _different(self, wanted: Fleet) -> list[str]:
        """Return the nodes and the settings that a reload changes."""
        running = self._fleet.desired
        every = {**running.nodes, **wanted.nodes}
        nodes = [n for n in every if running.nodes.get(n) != wanted.nodes.get(n)]
        others = [
            field.name
            for field in fields(Fleet)
            if field.name not in ("nodes", *AT_START)
            and getattr(wanted, field.name) != getattr(running, field.name)
        ]
        return [*nodes, *others]

    def _late(self, wanted: Fleet) -> list[str]:
        return [n for n in AT_START if getattr(wanted, n) != getattr(self._started, n)]

    # Internals

    def _hear(self, fact: Fact) -> None:
        """Tell all users, and the log, what is for all."""
        if isinstance(fact, facts.Told):
            if fact.keywords:
                code = RELAYED.get(fact.code, fact.code)
                self.actor.relay_all(code, fact.sender, fact.keywords)
        elif isinstance(fact, PUBLIC) and (said := words(fact)) is not None:
            code, keywords = said
            level = logging.WARNING if code == "w" else logging.INFO
            log.log(level, "%s", keywords["text"])
            self.actor.broadcast(code, keywords)

    def _hub_changed(self, up: bool) -> None:
        problem = "" if self._hub is None else self._hub.problem
        fact = facts.HubUp(node="") if up else facts.HubDown(node="", reason=problem)
        self._fleet.news.tell(fact)

    async def _report_status(self) -> None:
        while True:
            task = self._dispatcher.give("status", BroadcastSink(self.actor))
            if task is not None:
                await asyncio.wait([task])
            await asyncio.sleep(STATUS_PERIOD)

    def _reload_on_signal(self) -> None:
        async def reload() -> None:
            try:
                changed = await self.reload()
                log.info("reloaded; changed: %s", ", ".join(changed) or "nothing")
            except FliswarmError as error:
                log.error("not reloaded: %s", error)  # noqa: TRY400

        self._reloading = asyncio.create_task(reload())
