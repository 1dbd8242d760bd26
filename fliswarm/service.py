"""The running controller: a live fleet with its two faces, until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

from fliswarm import __version__, notify
from fliswarm.change.world import Patience
from fliswarm.commands.bring import by_command
from fliswarm.commands.call import RELAYED, Sink
from fliswarm.commands.context import Site
from fliswarm.commands.dispatch import Dispatcher
from fliswarm.commands.words import PUBLIC, words
from fliswarm.config import read_text
from fliswarm.engine import Connect
from fliswarm.errors import ConfigError
from fliswarm.faces.actor.server import ActorServer, BroadcastSink
from fliswarm.faces.control.server import ControlServer, claim
from fliswarm.fleet.live import LiveFleet
from fliswarm.fleet.spool import Spool
from fliswarm.host import Reach
from fliswarm.hub.power import SitePower
from fliswarm.hub.tron import TronLink
from fliswarm.model import Fleet, facts
from fliswarm.model.desired import AT_START
from fliswarm.model.facts import Fact, Tell
from fliswarm.net.apart import Apart
from fliswarm.record.record import Record

log = logging.getLogger(__name__)

READ_LIMIT = 60.0
"""Seconds to read the configuration again. A file system of another computer that is
away holds whoever reads from it for ever."""

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
    read_limit
        Seconds to read the configuration at a reload.
    patience
        How long cameras are waited for.
    read
        Makes a fleet of the text of a configuration that is not in force.
    """

    def __init__(
        self,
        load: Callable[[], Fleet],
        connect: Connect,
        reach: Reach,
        state: Path | None = None,
        read_limit: float = READ_LIMIT,
        patience: Patience = Patience(),
        read: Callable[[str], Fleet] = read_text,
    ) -> None:
        self._load = load
        self._files = Apart("reading", read_limit)
        self._turn = asyncio.Lock()
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
        power = SitePower(self._hub)
        self._fleet = LiveFleet(desired, connect, reach, power, state, patience)
        self._spool = Spool(state and state / "spool")
        self._dispatcher = Dispatcher(
            Site(
                self._fleet,
                actor.name,
                __version__,
                self.reload,
                self.stale,
                self._hub,
                read,
                Record(state and state / "record.sqlite"),
                spool=self._spool,
            )
        )
        self._fleet.following.bring = by_command(self._dispatcher)
        self.actor = ActorServer(self._dispatcher, __version__, actor.commands)
        self._fleet.news.listen(self._hear)
        self._control = ControlServer(self._dispatcher, actor.name, spool=self._spool)
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
        claim(socket)
        await asyncio.to_thread(self._spool.clear)
        try:
            try:
                await self.actor.start(settings.host, settings.port)
            except OSError as error:
                where = f"actor {settings.host}:{settings.port}"
                raise ConfigError(where, error.strerror or str(error)) from error
            # Who starts a controller takes it for started when this is there.
            await self._control.start(socket)
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
            if self._control.listens:
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
        # What was read first is followed first.
        async with self._turn:
            desired = await self._read()
            if late := self._late(desired):
                log.warning("%s: in force from the next start", ", ".join(late))
            changed = self._different(desired)
            with notify.reloading():
                await self._fleet.reload(desired)
            return changed

    async def stale(self) -> list[str]:
        """Return the nodes and the settings that are not as the file has them.

        A wrong file is an error, as it is for a reload.
        """
        wanted = await self._read()
        return [*self._different(wanted), *self._late(wanted)]

    async def _read(self) -> Fleet:
        """Read the configuration, beside the event loop: files may be far away."""
        try:
            return await self._files.ask("the configuration", self._load)
        except TimeoutError as error:
            problem = (
                f"it could not be read in {self._files.limit:g} s; nothing is changed. "
                "Remedy: see that the file system of fliswarm.yaml and of the "
                "certificates answers, then reload again"
            )
            raise ConfigError("the configuration", problem) from error

    def _different(self, wanted: Fleet) -> list[str]:
        """Return the nodes and the settings that a reload changes."""
        running = self._fleet.desired
        every = {**running.nodes, **wanted.nodes}
        nodes = [n for n in every if running.nodes.get(n) != wanted.nodes.get(n)]
        others = [
            field.name
            for field in fields(Fleet)
            if field.name not in ("nodes", "pinned", *AT_START)
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
        sink = _LogSink(self._fleet.news.tell)
        self._dispatcher.give("reload", sink, "SIGHUP", door="signal")


class _LogSink(Sink):
    """Replies to a reload that no client gave: its end is in the log."""

    closed = False

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def write(self, code: str, keywords: Mapping[str, object]) -> None:
        if code == ":":
            log.info("reloaded; %s", keywords.get("text"))
        elif code == "f":
            reason = str(keywords.get("error"))
            self._tell(facts.NotReloaded(node="", reason=reason))

    def relay(self, code: str, sender: str, keywords: Mapping[str, object]) -> None:
        """Do nothing: no camera has a part in it."""

    async def ready(self) -> None:
        """See `Sink.ready`."""
