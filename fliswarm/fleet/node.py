"""One live node: its engine, its camera link, and how a plan is carried out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from fliswarm.camera import CameraLink, Outcome
from fliswarm.engine import Engine
from fliswarm.errors import (
    CameraError,
    EngineError,
    EngineUnreachableError,
    FliswarmError,
    HostError,
)
from fliswarm.host import Host
from fliswarm.hub.power import PowerSwitch
from fliswarm.model import Container, ContainerSpec, Node, NodeStatus, Observation
from fliswarm.plan.difference import (
    CreateVolume,
    Plan,
    RemoveContainer,
    RemoveVolume,
    ReplaceContainer,
    StartContainer,
    plan,
    removal,
)

Report = Callable[[str, Mapping[str, object]], None]
"""Tells whoever gave a command how it goes: a message code and keywords."""

STOP_GRACE = 5.0
"""Seconds for a camera to end its exposure and let go of its device."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a camera is waited for, in seconds.

    ``answer`` for the camera of a new container: its program's start and its NFS
    mounts; ``settle`` for that of a container which runs already; ``look`` between two
    looks at the container meanwhile; ``power`` without power, for a computer to notice;
    ``heartbeat`` and ``silence`` as for `fliswarm.net.link.Link`.
    """

    answer: float = 60.0
    settle: float = 10.0
    look: float = 2.0
    power: float = 3.0
    heartbeat: float = 5.0
    silence: float = 15.0


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
    patience
        How long its camera is waited for.
    on_engine
        Called with ``True`` when an engine that did not answer does so again, with
        ``False`` and the reason when it does not.
    """

    def __init__(
        self,
        node: Node,
        engine: Engine,
        link: CameraLink,
        host: Host,
        patience: Patience = Patience(),
        on_engine: Callable[[bool, str], None] = lambda _, __: None,
    ) -> None:
        self.node = node
        self.link = link
        self._patience = patience
        self._engine = engine
        self._host = host
        self._on_engine = on_engine
        self._busy: str | None = None
        self._away: EngineUnreachableError | None = None
        self._watch: asyncio.Task[None] | None = None

    async def close(self, *, link: bool = True) -> None:
        """Give back connections; what runs on the node keeps running.

        Without ``link``, that to its camera stays, for the node that takes its place.
        """
        if self._watch is not None:
            self._watch.cancel()
        if link:
            await self.link.close()
        self._engine.close()

    async def status(
        self, wanted: ContainerSpec, *, detail: bool = False
    ) -> NodeStatus:
        """Look at the node; never fails, and takes as long as its engine's limits.

        An engine that is known to be silent is not asked, but watched: nodes that are
        switched off cost the others no time. ``detail`` looks up the image's digest.
        """
        if self._away is not None and not self._away.refused:
            return self._without_engine(self._away)
        try:
            seen = await self._engine.observe(wanted, image=detail)
        except EngineUnreachableError as error:
            self._went_away(error)
            return self._without_engine(error)
        except EngineError as error:
            return self._without_engine(error)
        self._came_back()
        container = _current(wanted, seen)
        digest = None
        if container and seen.image and seen.image.id == container.image_id:
            digest = seen.image.digest
        return NodeStatus(
            self.node,
            host_alive=True,
            engine_alive=True,
            camera_up=self.link.up,
            container=container if container and container.running else None,
            volumes={v.name: v.docker_name in seen.volumes for v in wanted.volumes},
            digest=digest,
            certificate_ends=self._engine.certificate_ends,
        )

    def _without_engine(self, error: EngineError) -> NodeStatus:
        silent = isinstance(error, EngineUnreachableError) and not error.host_alive
        return NodeStatus(
            self.node,
            host_alive=not silent or self.link.up,
            engine_alive=False,
            camera_up=self.link.up,
            problem=error.problem,
            certificate_ends=self._engine.certificate_ends,
        )

    def _went_away(self, error: EngineUnreachableError) -> None:
        known, self._away = self._away, error
        if known is None:
            self._on_engine(False, error.problem)
            if self._watch is not None:
                self._watch.cancel()
            self._watch = asyncio.create_task(self._await_engine())

    async def _await_engine(self) -> None:
        """Ask again and again, with a pause that grows, until the engine answers."""
        pause = self._patience.look / 2
        while not await self._engine_answers():
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._patience.settle)
        self._came_back()

    def _came_back(self) -> None:
        if self._away is not None:
            self._away = None
            self._on_engine(True, "")

    async def plan(self, wanted: ContainerSpec, *, force: bool = False) -> Plan:
        """Return what `apply` would do, without the image's news from the registry."""
        return plan(wanted, await self._engine.observe(wanted), force=force)

    async def apply(
        self, wanted: ContainerSpec, report: Report, *, force: bool = False
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
            With the old container put back, if there was one that ran.
        """
        with _Busy(self, "reconnect"):
            # A pull may take long, so it has no say in whether the engine answers.
            await self._engine.ping()
            report("d", {"text": f"{self.node.name}: pulling {wanted.image}."})
            await self._engine.pull(wanted.image)
            seen = await self._engine.observe(wanted)
            steps = plan(wanted, seen, force=force)
            kept = not any(
                isinstance(action, ReplaceContainer | StartContainer)
                for action in steps.actions
            )
            if (
                kept
                and steps.blocked is None
                and not await self._answers(self._patience.settle)
            ):
                text = f"{self.node.name}: the camera does not answer; replacing."
                report("w", {"text": text})
                steps = plan(wanted, seen, force=True)
            if steps.blocked is not None:
                raise EngineError(self.node.name, steps.blocked)
            await self._carry_out(steps, wanted, report)
            return not steps.empty

    async def remove(self, wanted: ContainerSpec, report: Report) -> bool:
        """Leave nothing of ours on the node; return whether there was anything."""
        with _Busy(self, "remove"):
            steps = removal(await self._engine.observe(wanted))
            await self._carry_out(steps, wanted, report)
            return not steps.empty

    async def reboot(
        self,
        wanted: ContainerSpec,
        report: Report,
        power: PowerSwitch | None,
        limit: float,
    ) -> bool:
        """Start the host anew and return when its camera answers again.

        Parameters
        ----------
        wanted
            The container whose camera is waited for.
        report
            Is told of each step.
        power
            Switches the power off and on; ``None`` asks the host itself.
        limit
            Seconds for all of it.

        Raises
        ------
        FliswarmError
            Naming the step that failed or was not over in time.
        """
        with _Busy(self, "reboot"):
            before = None
            if power is None:
                before = await self._host.mark()
                await self._host.reboot()
            else:
                await self._cycle(power, report)
            report("i", {"text": f"Restarting {self.node.host}."})
            self.link.drop("the node is rebooting")
            step = "host"
            try:
                async with asyncio.timeout(limit):
                    while before and not await self._started_since(before):
                        await asyncio.sleep(1)
                    step = "Docker Engine"
                    while not await self._engine_answers():
                        await asyncio.sleep(1)
                    step = "camera"
                    if _current(wanted, await self._engine.observe(wanted)) is None:
                        text = f"{self.node.name}: there is no container to wait for."
                        report("w", {"text": text})
                        return True
                    await self._answers(limit)
            except TimeoutError:
                problem = f"its {step} was not back in {limit:g} s"
                raise HostError(self.node.name, problem) from None
            return True

    async def _cycle(self, power: PowerSwitch, report: Report) -> None:
        report("i", {"text": f"{self.node.name}: powering off."})
        await power.switch(self.node, on=False)
        await asyncio.sleep(self._patience.power)
        report("i", {"text": f"{self.node.name}: powering on."})
        await power.switch(self.node, on=True)

    async def _started_since(self, before: str) -> bool:
        try:
            return await self._host.mark() != before
        except HostError:
            return False

    async def _engine_answers(self) -> bool:
        try:
            await self._engine.ping()
        except EngineError:
            return False
        return True

    async def logs(self, wanted: ContainerSpec, lines: int) -> str:
        """Return the last lines that the camera's program printed."""
        container = _current(wanted, await self._engine.observe(wanted))
        if container is None:
            raise EngineError(self.node.name, f"there is no container {wanted.name}")
        return await self._engine.logs(container.id, lines)

    async def _carry_out(
        self, steps: Plan, wanted: ContainerSpec, report: Report
    ) -> None:
        for action in steps.actions:
            match action:
                case CreateVolume(volume):
                    report("d", {"text": f"{self.node.name}: creating {volume.name}."})
                    await self._engine.create_volume(volume)
                case ReplaceContainer(old):
                    await self._replace(old, wanted, report)
                case StartContainer(container):
                    report("i", {"text": f"{self.node.name}: starting {wanted.name}."})
                    await self._engine.start(container.id)
                    await self._await_camera(wanted, container.id)
                case RemoveContainer(container):
                    report(
                        "i", {"text": f"{self.node.name}: removing {container.name}."}
                    )
                    if container.running:
                        await self._engine.stop(container.id, STOP_GRACE)
                    await self._engine.remove(container.id)
                case RemoveVolume(docker_name):
                    await self._remove_volume(docker_name, report)

    async def _remove_volume(self, docker_name: str, report: Report) -> None:
        """Remove a volume, or say why it stays: what is in it is not on the node.

        Another's container may use it. An engine before 23 that was started anew
        beneath a camera takes it for mounted until its next start.
        """
        try:
            await self._engine.remove_volume(docker_name)
        except EngineUnreachableError:
            raise
        except EngineError as error:
            text = f"{self.node.name}: volume {docker_name} stays: {error.problem}"
            report("w", {"text": text})

    async def _replace(
        self, old: tuple[Container, ...], wanted: ContainerSpec, report: Report
    ) -> None:
        text = f"{self.node.name}: running {wanted.name} from {wanted.image}."
        report("i", {"text": text})
        try:
            for container in old:
                aside = f"{wanted.name}-old-{container.short_id}"
                if container.name != aside:
                    await self._engine.rename(container.id, aside)
                if container.running:
                    await self._engine.stop(container.id, STOP_GRACE)
            self.link.drop("the container is being replaced")
            new = await self._engine.run(wanted)
            await self._await_camera(wanted, new)
        except FliswarmError as error:
            if not old or not old[0].running:
                raise
            await self._put_back(old[0], wanted)
            answers = await self._answers(self._patience.settle)
            camera = "answers" if answers else "does not answer"
            raise EngineError(
                self.node.name,
                f"{_problem(error)}; the previous container runs again, "
                f"its camera {camera}",
            ) from error
        for container in old:
            await self._engine.remove(container.id)

    async def _put_back(self, old: Container, wanted: ContainerSpec) -> None:
        seen = await self._engine.observe(wanted)
        name = old.name
        for container in seen.containers:
            if container.id == old.id:
                name = container.name
            elif container.name == wanted.name:
                await self._engine.remove(container.id)
        if name != wanted.name:
            await self._engine.rename(old.id, wanted.name)
        await self._engine.start(old.id)

    async def _await_camera(self, wanted: ContainerSpec, container: str) -> None:
        """Return when the camera answers; give up early when its container ends."""
        loop = asyncio.get_running_loop()
        limit = self._patience.answer
        deadline = loop.time() + limit
        while not await self._answers(min(self._patience.look, deadline - loop.time())):
            if loop.time() >= deadline:
                raise CameraError(
                    self.node.name, f"the camera did not answer in {limit:g} s"
                )
            seen = await self._engine.observe(wanted)
            if not any(c.id == container and c.running for c in seen.containers):
                last = await self._last_words(container)
                raise CameraError(self.node.name, f"the container ended: {last}")

    async def _last_words(self, container: str) -> str:
        """Return the end of a container's log, or that it cannot be read."""
        try:
            return repr((await self._engine.logs(container, 1)).strip())
        except EngineUnreachableError:
            raise
        except EngineError as error:
            # Log drivers such as none let nobody read what was said.
            return f"why, its log does not tell ({error.problem})"

    async def _answers(self, limit: float) -> bool:
        """Return whether the camera answers a ping within ``limit`` seconds."""
        with suppress(TimeoutError, CameraError):
            async with asyncio.timeout(limit):
                while True:
                    await self.link.wait_up()
                    exchange = self.link.send("ping", lambda _: None)
                    if await exchange.ended is not Outcome.LOST:
                        return True
        return False


class _Busy:
    """One hand at a time on a node: a second one is refused, and told of the first."""

    def __init__(self, node: LiveNode, what: str) -> None:
        self._node = node
        self._what = what

    def __enter__(self) -> None:
        if self._node._busy is not None:
            raise EngineError(
                self._node.node.name, f"another {self._node._busy} is under way"
            )
        self._node._busy = self._what

    def __exit__(self, *_: object) -> None:
        self._node._busy = None


def _current(wanted: ContainerSpec, seen: Observation) -> Container | None:
    return next((c for c in seen.containers if c.name == wanted.name), None)


def _problem(error: FliswarmError) -> str:
    if isinstance(error, EngineError | CameraError):
        return error.problem
    return str(error)
