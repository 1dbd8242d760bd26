"""A plan to steps; steps to deeds, and the way back when one of them fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from fliswarm.change.adoption import Relieve
from fliswarm.change.computer import (
    AwaitDown,
    AwaitEngine,
    AwaitHost,
    AwaitReturn,
    PowerOff,
    PowerOn,
    Reboot,
)
from fliswarm.change.journal import Entry, Journal
from fliswarm.change.steps import (
    AwaitCamera,
    AwaitExposure,
    MakeVolume,
    Remove,
    RemoveVolume,
    Run,
    SetAside,
    Start,
    Step,
    Stop,
)
from fliswarm.change.world import World
from fliswarm.errors import (
    EngineError,
    ExposingError,
    FliswarmError,
    HostError,
    NodeError,
    UnsureHostError,
)
from fliswarm.model import Container
from fliswarm.model.facts import Settled, StepBegan
from fliswarm.plan.difference import (
    CreateVolume,
    Plan,
    RemoveContainer,
    ReplaceContainer,
    StartContainer,
)
from fliswarm.plan.difference import RemoveVolume as DropVolume


def steps(plan: Plan, name: str) -> tuple[Step, ...]:
    """Return the steps that a plan takes; ``name`` is the wanted container's."""
    return tuple(_steps(plan, name))


def _steps(plan: Plan, name: str) -> Iterator[Step]:
    # What is removed goes when all else is done: until then there is a way back.
    last: list[Step] = []
    if may_expose(plan):
        yield AwaitExposure()
    for action in plan.actions:
        match action:
            case CreateVolume(volume):
                yield MakeVolume(volume.docker_name)
            case ReplaceContainer(old):
                for container in old:
                    aside = f"{name}-old-{container.short_id}"
                    yield SetAside(container.id, container.name, aside)
                    if not container.at_rest:
                        yield _stop(container)
                    last.append(Remove(container.id, container.name))
                yield Run(tuple(container.id for container in old))
                yield AwaitCamera()
            case StartContainer(container):
                yield Start(container.id)
                yield AwaitCamera()
            case RemoveContainer(container):
                if not container.at_rest:
                    yield _stop(container)
                last.append(Remove(container.id, container.name))
            case DropVolume(volume):
                last.append(RemoveVolume(volume))
    yield from last


def may_expose(plan: Plan) -> bool:
    """Return whether a plan stops a container whose camera may expose."""
    if any(difference.field == "camera" for difference in plan.differences):
        # It has been asked, for long enough, and does not answer.
        return False
    for action in plan.actions:
        match action:
            case ReplaceContainer(old) if not all(c.at_rest for c in old):
                return True
            case RemoveContainer(container) if not container.at_rest:
                return True
    return False


def _stop(container: Container) -> Step:
    if container.made is None:
        return Stop(container.id, container.name)
    return Relieve(container.id, container.name, container.made)


def restart(host: str, before: str) -> tuple[Step, ...]:
    """Return the steps that ask a computer to start anew.

    ``before`` is the mark of its last start.
    """
    return (Reboot(), AwaitHost(before, host), AwaitEngine(), AwaitReturn())


POWER_CYCLE: tuple[Step, ...] = (
    PowerOff(),
    AwaitDown(),
    PowerOn(),
    AwaitEngine(),
    AwaitReturn(),
)
"""The steps that switch a computer off and on."""


@dataclass(frozen=True, slots=True)
class Work:
    """Carries changes of one node out, with the journal open beside it."""

    world: World
    journal: Journal

    async def carry_out(self, change: str, by: str, todo: Sequence[Step]) -> None:
        """Do steps one after the other; when one fails, undo what was done.

        Raises
        ------
        FliswarmError
            Saying which, and what is on the node now.
        """
        wanted, node = self.world.wanted, self.world.node
        actor = wanted.environment.get("ACTOR_NAME", node.name)
        # A computer that is to be started anew may have no engine that answers.
        asks = change != "reboot" and todo
        identity = await self.world.engine.identity() if asks else ""
        entry = Entry(
            change, by, node, wanted.name, actor, tuple(todo), identity=identity
        )
        try:
            for number, step in enumerate(todo):
                entry = await self.journal.begin(entry, number)
                self._tell(change, step)
                await step.do(self.world)
        except FliswarmError as error:
            await self._failed(entry, error)
            raise
        except asyncio.CancelledError:
            # What was being noted then is noted; what is noted is how far it is.
            noted = self.journal.of(entry.key)
            if noted is not None:
                # Whoever ends the controller waits for it, but not for long.
                with suppress(FliswarmError, TimeoutError):
                    async with asyncio.timeout(self.world.patience.undo):
                        await self.settle(noted)
            raise
        await self.journal.end(entry.key)

    async def resume(self, key: str, *, leave: bool = False) -> bool:
        """Settle what was cut off before, if anything was; tell it, and return whether.

        Parameters
        ----------
        key
            What it is noted under; see `Entry.key`.
        leave
            What was cut off on an engine that is not the node's any more is let be
            there, with whatever else the node left.

        Raises
        ------
        FliswarmError
            When it is not possible now: the engine is away, or another one answers.
        """
        entry = self.journal.of(key)
        if entry is None:
            return False
        name, where = self.world.node.name, entry.node.engine
        there = replace(self.world, wanted=entry.wanted, node=entry.node)
        if entry.change == "reboot" or await self._is_here(entry):
            how = await Work(there, self.journal).settle(entry)
        elif leave:
            await self.journal.end(key)
            how = f"left as it is on {where}"
        else:
            remedy = f"fliswarm reconnect -n {name}, or remove --forget {name}"
            text = f"another engine answers at {where}; remedy: {remedy}"
            raise EngineError(name, text)
        self.world.tell(Settled(node=name, change=entry.change, how=how))
        return True

    async def _is_here(self, entry: Entry) -> bool:
        """Return whether a change was cut off on the engine that we ask."""
        if not entry.identity:
            return entry.node.engine == self.world.node.engine
        return entry.identity == await self.world.engine.identity()

    async def settle(self, entry: Entry) -> str:
        """Finish a change that was cut off, or undo it.

        Returns
        -------
        how
            See `fliswarm.model.facts.Settled`.
        """
        how = "finished"
        if entry.final:
            for step in entry.steps[entry.begun - 1 :]:
                if step.acts:
                    await step.do(self.world)
        else:
            begun = entry.steps[: entry.begun]
            ways_back = [s for s in begun if type(s).undo is not Step.undo]
            how = "undone" if ways_back else "left as it is"
            for step in reversed(ways_back):
                await step.undo(self.world)
        await self.journal.end(entry.key)
        return how

    async def _failed(self, entry: Entry, error: FliswarmError) -> None:
        """Go back after a failure, if there is anything to go back to."""
        name = self.world.node.name
        if isinstance(error, HostError) and not isinstance(error, UnsureHostError):
            # What the computer or its switch refused is not done.
            entry = replace(entry, begun=entry.begun - 1)
        spared = False
        if isinstance(error, ExposingError):
            # Who asks before a deed has not begun with it.
            entry = replace(entry, begun=entry.begun - 1)
            spared = not any(step.vital for step in entry.steps[: entry.begun])
        if entry.final:
            # What is left to do is done by the next change of this node, or start.
            return
        if not any(step.vital for step in entry.steps):
            # A first container whose camera does not answer stays, to be looked at.
            await self.journal.end(entry.key)
            return
        try:
            await self.settle(entry)
        except FliswarmError as second:
            raise EngineError(
                name,
                f"{problem(error)}; and what was done before could not be undone: "
                f"{problem(second)}. It is undone as soon as that is possible.",
            ) from error
        if not spared and any(isinstance(step, Run) for step in entry.steps):
            if not await self._again(entry):
                text = "what ran before is not seen to run again"
                raise EngineError(name, f"{problem(error)}; {text}") from error
            # It has as long as any that was just started.
            silent = await self.world.silence(self.world.patience.answer)
            camera = "does not answer" if silent else "answers"
            raise EngineError(
                name,
                f"{problem(error)}; the previous container runs again, "
                f"its camera {camera}",
            ) from error

    async def _again(self, entry: Entry) -> bool:
        """Return whether anything that was stopped is seen to run."""
        stopped = {s.container for s in entry.steps if isinstance(s, Stop)}
        try:
            seen = await self.world.seen()
        except EngineError:
            return False
        if any(isinstance(s, Relieve) for s in entry.steps) and seen.original:
            return seen.original.running
        every = (*seen.containers, *seen.others)
        return any(c.running for c in every if c.id in stopped)

    def _tell(self, change: str, step: Step) -> None:
        self.world.tell(
            StepBegan(
                node=self.world.node.name,
                change=change,
                step=type(step).__name__,
                what=step.what or self.world.wanted.name,
                image=self.world.wanted.image,
            )
        )


def problem(error: FliswarmError) -> str:
    """Return what went wrong, without the name of the node."""
    if isinstance(error, NodeError):
        return error.problem
    return str(error)
