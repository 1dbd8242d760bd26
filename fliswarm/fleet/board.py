"""What is known of the fleet, and since when: facts in, states out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from fliswarm.model import NodeStatus, facts
from fliswarm.model.facts import Fact, Tell


@dataclass(frozen=True, slots=True)
class Known:
    """One thing that is known: ``good``, bad, or ``None`` when nobody knows.

    ``reason`` says why it is bad; ``since`` is when it became so, by the clock of the
    event loop, in seconds.
    """

    good: bool | None = None
    reason: str = ""
    since: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What is known of one node.

    ``looked`` is when its engine was last seen, by the clock of the event loop, and
    ``status`` what was seen then; ``change`` and ``step`` are under way; ``unfinished``
    were cut off and are not settled: a change, and perhaps a reboot beside it.
    """

    camera: Known = Known()
    engine: Known = Known()
    status: NodeStatus | None = None
    looked: float | None = None
    change: str | None = None
    step: str | None = None
    unfinished: tuple[facts.Unfinished, ...] = ()


def fold(state: State, fact: Fact, at: float) -> State:
    """Return what is known of a node after a fact that was told at ``at``."""
    match fact:
        case facts.CameraUp():
            return replace(state, camera=Known(good=True, since=at))
        case facts.CameraDown(reason=reason):
            return replace(state, camera=Known(good=False, reason=reason, since=at))
        case facts.EngineUp():
            return replace(state, engine=Known(good=True, since=at))
        case facts.EngineAway(reason=reason):
            return replace(state, engine=Known(good=False, reason=reason, since=at))
        case facts.Looked(status=status):
            return _looked(state, status, at)
        case facts.ChangeBegan(change=change):
            return replace(state, change=change, step=None)
        case facts.StepBegan(step=step):
            return replace(state, step=step)
        case facts.ChangeEnded():
            return replace(state, change=None, step=None)
        case facts.Unfinished(change=change):
            return replace(state, unfinished=(*_others(state, change), fact))
        case facts.Settled(change=change):
            return replace(state, unfinished=_others(state, change))
    return state


def _others(state: State, change: str) -> tuple[facts.Unfinished, ...]:
    """Return what was cut off but for one change."""
    return tuple(fact for fact in state.unfinished if fact.change != change)


def _looked(state: State, status: NodeStatus, at: float) -> State:
    engine = state.engine
    if engine.good is not status.engine_alive:
        engine = Known(status.engine_alive, status.problem or "", at)
    # What an engine that does not answer has, nobody knows: the last look stays.
    seen = status if status.engine_alive or state.status is None else state.status
    looked = at if status.engine_alive else state.looked
    return replace(state, engine=engine, status=seen, looked=looked)


class Board:
    """The states of all nodes, by name."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}

    def hear(self, fact: Fact) -> None:
        """Take a fact."""
        if fact.node:
            at = asyncio.get_running_loop().time()
            before = self._states.get(fact.node, State())
            self._states[fact.node] = fold(before, fact, at)

    def state(self, node: str) -> State:
        """Return what is known of a node; nothing, of one that nobody told of."""
        return self._states.get(node, State())

    def forget(self, node: str, *, camera: bool = True) -> None:
        """Forget what is known of a node: its name may be another computer's now.

        What was cut off stays so until it is settled, wherever that is; so does its
        ``camera``, unless that is to be forgotten as well.
        """
        before = self._states.pop(node, State())
        kept = State(unfinished=before.unfinished)
        if not camera:
            kept = replace(kept, camera=before.camera)
        if kept != State():
            self._states[node] = kept


PAST = 4000
"""Facts that are kept for who comes later; of cameras' own words there are fewer."""

PASSING = (facts.Looked, facts.PullProgressed)
"""Facts that interest nobody later."""

WORDS_LIMIT = 2000
"""Characters of a camera's words that are kept."""


class News:
    """Tells each fact to all who listen, in the order in which they came."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Fact], None]] = []
        self._past: deque[Fact] = deque(maxlen=PAST)
        # One camera that talks without pause takes no other fact's place.
        self._told: deque[facts.Told] = deque(maxlen=PAST // 4)

    def since(self, moment: datetime) -> list[Fact]:
        """Return the facts from a moment on, as far as they are kept."""
        kept = (fact for fact in (*self._past, *self._told) if fact.at >= moment)
        return sorted(kept, key=lambda fact: fact.at)

    def listen(self, listener: Callable[[Fact], None]) -> Callable[[], None]:
        """Let somebody hear all facts; return what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, fact: Fact) -> None:
        """Tell a fact."""
        if isinstance(fact, facts.Told):
            if len(repr(fact.keywords)) <= WORDS_LIMIT:
                self._told.append(fact)
        elif not isinstance(fact, PASSING):
            self._past.append(fact)
        for listener in list(self._listeners):
            listener(fact)

    def and_to(self, tell: Tell) -> Tell:
        """Return what tells a fact to all, and to somebody who asked for it."""

        def both(fact: Fact) -> None:
            self.tell(fact)
            tell(fact)

        return both
