"""Carries nodes from release to release: images first, then turn by turn, or back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from fliswarm.change import images
from fliswarm.change.carry import problem
from fliswarm.change.prepare import pull
from fliswarm.change.world import World
from fliswarm.errors import CameraError, EngineUnreachableError, FliswarmError
from fliswarm.fleet.fan import ApplyResult, change, fan
from fliswarm.fleet.judge import judge
from fliswarm.fleet.live import LiveFleet
from fliswarm.fleet.node import LiveNode
from fliswarm.fleet.survey import Way
from fliswarm.model import facts
from fliswarm.model.facts import Tell, now
from fliswarm.model.release import Known, Release, Rollout
from fliswarm.model.terms import Terms
from fliswarm.plan import rollout as turns


@dataclass(frozen=True, slots=True)
class Order:
    """How an update, or the way back from one, is to go.

    ``canary`` and ``at_once`` as for `fliswarm.plan.rollout.turns`; ``monitor`` in
    seconds and ``expose`` as for `fliswarm.fleet.judge.judge`; ``everything`` lets all
    nodes go back when one fails, not its turn alone; ``command`` is what was typed.
    """

    verb: str
    command: str
    by: str
    canary: str | None = None
    at_once: int = 4
    monitor: float = 10.0
    everything: bool = False
    expose: bool = False
    terms: Terms = field(default_factory=Terms)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went: what failed, by node; who went back; who could not."""

    failed: Mapping[str, FliswarmError] = field(default_factory=dict)
    back: tuple[str, ...] = ()
    stuck: Mapping[str, FliswarmError] = field(default_factory=dict)


class Rolling:
    """One rollout.

    Parameters
    ----------
    fleet
        The fleet.
    order
        How it is to go.
    tell
        Is told of each step; all who listen to the fleet are told as well.
    """

    def __init__(self, fleet: LiveFleet, order: Order, tell: Tell) -> None:
        self._fleet = fleet
        self._releases = fleet.releases
        self._order = order
        self._tell_caller = tell
        self._tell = fleet.news.and_to(tell)

    async def pull(self, way: Way) -> list[ApplyResult]:
        """Bring the images to all nodes, at once; no container is touched."""

        async def one(live: LiveNode) -> bool:
            release = way.targets[live.node.name]
            world = self._world(live, release)
            await pull(world, self._order.verb)
            await images.keep(world, release, way.seen.has.get(live.node.name))
            return True

        return await change(way.todo, one)

    async def roll(self, way: Way, known: Known) -> Outcome:
        """Replace the containers, turn by turn; go back when one is not good.

        Each turn is written down before it is begun.

        Parameters
        ----------
        way
            Where nodes go; their images are there.
        known
            What is known of releases by now.

        Raises
        ------
        StoreError
            When what comes next cannot be written down; it is not begun then.
        """
        order, verb = self._order, self._order.verb
        names = tuple(live.node.name for live in way.todo)
        targets = {name: release.number for name, release in way.targets.items()}
        has = {name: release.number for name, release in way.seen.has.items()}
        on = {live.node.name for live in way.seen.on}
        rollout = Rollout(
            verb,
            order.command,
            order.by,
            now().isoformat(timespec="seconds"),
            targets,
            turns.earlier(known, has, [name for name in targets if name not in on]),
            turns.turns(names, order.canary, order.at_once, targets),
            tuple(name for name in way.seen.off if name in targets),
        )
        desired = self._fleet.desired
        configured = desired.image_reference
        begun = turns.begun(known, rollout, desired.nodes, configured)
        numbers = tuple(rollout.numbers)
        self._tell(
            facts.RolloutBegan(
                node="", verb=verb, by=order.by, releases=numbers, nodes=names
            )
        )
        await self._releases.note(lambda now: replace(begun, behind=now.behind))
        for number, turn in enumerate(rollout.turns):
            rollout = replace(rollout, turn=number)
            await self._releases.note(partial(turns.turning, rollout=rollout))
            failed = await self._turn(way, rollout, turn)
            if failed:
                return await self._back(way, rollout, failed)
            rollout = replace(rollout, done=(*rollout.done, *turn))
            await self._releases.note(
                partial(turns.turned, rollout=rollout, names=turn)
            )
        await self._releases.note(
            lambda now: _marked(turns.ended(now, rollout), rollout, "done")
        )
        self._fleet.follow()
        self._tell(facts.RolloutEnded(node="", verb=verb))
        return Outcome()

    async def prune(self, way: Way) -> None:
        """Take images of old releases from the nodes that answer."""
        old = turns.surplus(self._releases.known)

        async def one(live: LiveNode) -> bool:
            wanted = self._fleet.desired.container(live.node)
            await images.prune(live.world(wanted, self._tell), old)
            return True

        on = [live for live in way.seen.on if live.node.name not in way.seen.off]
        if old:
            await change(on, one)

    # Turns

    async def _turn(
        self, way: Way, rollout: Rollout, turn: Sequence[str]
    ) -> dict[str, FliswarmError]:
        """Replace nodes, and judge them; return what went wrong, by node."""
        nodes = [live for live in way.todo if live.node.name in turn]
        self._tell(
            facts.TurnBegan(
                node="",
                verb=rollout.verb,
                turn=rollout.turn + 1,
                turns=len(rollout.turns),
                nodes=tuple(turn),
            )
        )
        with self._releases.trying({name: way.targets[name] for name in turn}):
            results = await self._apply(nodes)
            failed = {r.node: r.error for r in results if r.error is not None}
            # A turn that failed goes back, so its good ones are not watched for long.
            good = [live for live in nodes if live.node.name not in failed]
            if not failed:
                failed = await self._judge(good, way.targets)
        return failed

    async def _judge(
        self, nodes: Sequence[LiveNode], targets: Mapping[str, Release]
    ) -> dict[str, FliswarmError]:
        order = self._order

        async def one(live: LiveNode) -> None:
            release = targets[live.node.name]
            world = self._world(live, release)
            cold = await judge(live, world, monitor=order.monitor, expose=order.expose)
            name, number = live.node.name, release.number
            self._tell(facts.Judged(node=name, release=number, temperature=cold))

        found = await fan(nodes, one)
        return {
            live.node.name: error
            for live, error in zip(nodes, found, strict=True)
            if error is not None
        }

    async def _apply(self, nodes: Sequence[LiveNode]) -> list[ApplyResult]:
        """Make nodes as wanted, on the terms of the order."""
        order = self._order
        return await self._fleet.apply(
            nodes, self._tell_caller, order.by, terms=order.terms
        )

    def _world(self, live: LiveNode, release: Release) -> World:
        """Return what acts on a node for a release."""
        spec = self._fleet.desired.container(live.node)
        return live.world(replace(spec, image=release.pinned), self._tell)

    # Back

    async def _back(
        self, way: Way, rollout: Rollout, failed: Mapping[str, FliswarmError]
    ) -> Outcome:
        """Give nodes what they had before; return who has it."""
        names = turns.back(rollout, everything=self._order.everything)
        # First what is wanted, so that who is cut off now goes back when it is here.
        await self._releases.note(lambda now: turns.going_back(now, rollout, names))
        known = self._releases.known
        nodes = [live for live in way.todo if live.node.name in names]
        had = {n: known.release(rollout.before.get(n)) for n in names}
        releases = {n: release for n, release in had.items() if release is not None}
        going = [live for live in nodes if live.node.name in releases]
        with self._releases.trying(releases):
            results = await self._given_back(going, releases)
        stuck = {r.node: r.error for r in results if r.error is not None}
        for result in results:
            number = releases[result.node].number
            why = None if result.error is None else problem(result.error)
            self._tell(facts.WentBack(node=result.node, release=number, problem=why))
            if isinstance(result.error, EngineUnreachableError):
                await self._releases.behind(result.node, "")
                self._fleet.follow()
        for name in names:
            if name not in releases:
                self._tell(facts.WentBack(node=name, release=None))
        why = "; ".join(map(str, failed.values()))
        outcome = f"failed at {turns.named(list(failed))}"
        await self._releases.note(
            lambda now: _marked(turns.gone_back(now), rollout, outcome)
        )
        self._tell(facts.RolloutEnded(node="", verb=rollout.verb, problem=why))
        again = tuple(n for n in names if n in releases and n not in stuck)
        return Outcome(failed, again, stuck)

    async def _given_back(
        self, nodes: Sequence[LiveNode], releases: Mapping[str, Release]
    ) -> list[ApplyResult]:
        """Give nodes what they had; wait for the cameras of those that have it again.

        What ran before runs again where its replacement failed.
        """
        seen = await self._fleet.status(nodes, detail=True)
        have = {
            status.node.name
            for status in seen
            if status.container is not None
            and self._releases.has(status) == releases[status.node.name]
        }

        async def await_camera(live: LiveNode) -> bool:
            world = self._world(live, releases[live.node.name])
            silent = await world.silence(world.patience.answer)
            if silent is not None:
                raise CameraError(live.node.name, f"its camera is not back: {silent}")
            return False

        again = [live for live in nodes if live.node.name in have]
        others = [live for live in nodes if live.node.name not in have]
        waited, applied = await asyncio.gather(
            change(again, await_camera), self._apply(others)
        )
        return [*waited, *applied]


def _marked(known: Known, rollout: Rollout, outcome: str) -> Known:
    """Return what is known with how a rollout to its releases went."""
    for number in rollout.numbers:
        release = known.release(number)
        if release is not None:
            went = replace(release, outcome=f"{rollout.verb} {outcome}")
            known, _ = turns.with_release(known, went)
    return known
