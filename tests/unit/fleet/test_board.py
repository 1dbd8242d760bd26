from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fliswarm.fleet.board import PAST, Board, Known, News, State, fold
from fliswarm.model import Container, Node, NodeStatus, facts
from fliswarm.model.facts import (
    CameraDown,
    CameraUp,
    ChangeBegan,
    ChangeEnded,
    EngineAway,
    EngineUp,
    Fact,
    HubUp,
    Looked,
    Settled,
    StepBegan,
    Told,
    Unfinished,
)

NODE = Node("gfa1", "gfa1", "tcp://gfa1:2375")

THERE = Container("c0ffee", "flicamera-gfa1", "running", "sha256:one")

UNFINISHED = Unfinished(node="gfa1", change="reconnect", step="Run", reason="away")


def seen(*, alive: bool, found: Container | None = None) -> Looked:
    problem = None if alive else "the engine does not answer"
    status = NodeStatus(
        NODE,
        host_alive=alive,
        engine_alive=alive,
        camera_up=False,
        found=found,
        problem=problem,
    )
    return Looked(node="gfa1", status=status)


def after(*facts: Fact) -> State:
    """Return what is known after facts that were told at 1, 2, 3 ... seconds."""
    state = State()
    for at, fact in enumerate(facts, 1):
        state = fold(state, fact, float(at))
    return state


def test_nothing_is_known_before_anything_is_told() -> None:
    assert after() == State()
    assert after().camera.good is None
    assert after(HubUp(node="")) == State()


def test_a_camera() -> None:
    up, down = CameraUp(node="gfa1"), CameraDown(node="gfa1", reason="lost")
    assert after(up).camera == Known(good=True, since=1)
    assert after(up, down).camera == Known(good=False, reason="lost", since=2)
    assert after(up, down, up).camera == Known(good=True, since=3)
    said = Told(node="gfa1", code="i", sender="gfa1", keywords={})
    assert after(up, said).camera == Known(good=True, since=1)


def test_an_engine() -> None:
    away, up = EngineAway(node="gfa1", reason="no route"), EngineUp(node="gfa1")
    assert after(away).engine == Known(good=False, reason="no route", since=1)
    assert after(away, up).engine == Known(good=True, since=2)


def test_what_was_seen_stays_when_nobody_can_look() -> None:
    state = after(seen(alive=True, found=THERE), seen(alive=False))
    assert state.engine == Known(
        good=False, reason="the engine does not answer", since=2
    )
    assert state.looked == 1
    assert state.status is not None
    assert state.status.found == THERE
    never = after(seen(alive=False))
    assert never.looked is None
    assert never.status is not None
    gone = after(seen(alive=True, found=THERE), seen(alive=True))
    assert gone.status is not None
    assert gone.status.found is None
    again = after(seen(alive=True), seen(alive=True))
    assert (again.looked, again.engine.since) == (2, 1)


def test_changes() -> None:
    began = ChangeBegan(node="gfa1", change="reconnect", by="ann")
    step = StepBegan(node="gfa1", change="reconnect", step="Run")
    ended = ChangeEnded(node="gfa1", change="reconnect")
    assert (after(began).change, after(began).step) == ("reconnect", None)
    assert after(began, step).step == "Run"
    assert after(began, step, ended) == State()
    assert after(began, step, began).step is None


def test_what_was_cut_off() -> None:
    settled = Settled(node="gfa1", change="reconnect", how="undone")
    assert after(UNFINISHED).unfinished == (UNFINISHED,)
    assert after(UNFINISHED, settled).unfinished == ()
    # A reboot of a computer on which a change was cut off may be so itself.
    reboot = replace(UNFINISHED, change="reboot", step="PowerOff")
    assert after(UNFINISHED, reboot).unfinished == (UNFINISHED, reboot)
    assert after(UNFINISHED, reboot, settled).unfinished == (reboot,)
    again = replace(UNFINISHED, reason="still away")
    assert after(UNFINISHED, reboot, again).unfinished == (reboot, again)


async def test_the_board_keeps_nodes_apart() -> None:
    board = Board()
    board.hear(CameraUp(node="gfa1"))
    board.hear(CameraDown(node="gfa2", reason="lost"))
    board.hear(HubUp(node=""))
    assert board.state("gfa1").camera.good is True
    assert board.state("gfa2").camera.good is False
    assert board.state("") == board.state("gfa3") == State()
    board.forget("gfa1")
    board.forget("gfa1")
    assert board.state("gfa1") == State()
    board.hear(UNFINISHED)
    board.hear(CameraUp(node="gfa1"))
    board.hear(seen(alive=True))
    board.forget("gfa1", camera=False)
    kept = board.state("gfa1")
    assert (kept.unfinished, kept.camera.good) == ((UNFINISHED,), True)
    assert (kept.engine, kept.status) == (Known(), None)
    board.forget("gfa1")
    assert board.state("gfa1") == State(unfinished=(UNFINISHED,))


def test_news_are_told_in_order_to_all_who_listen() -> None:
    news, first, second = News(), list[Fact](), list[Fact]()
    deaf = news.listen(first.append)
    news.listen(second.append)
    up, down = CameraUp(node="gfa1"), CameraDown(node="gfa1", reason="lost")
    news.tell(up)
    deaf()
    asked = list[Fact]()
    news.and_to(asked.append)(down)
    assert (first, second, asked) == ([up], [up, down], [down])


@pytest.mark.parametrize("fact", [CameraUp(node="gfa1"), UNFINISHED])
def test_a_fact_says_when(fact: Fact) -> None:
    assert fact.at.tzinfo is not None


def test_the_past_has_a_bound() -> None:
    news = News()
    began = datetime.now(UTC)
    for number in range(PAST + 10):
        news.tell(facts.CameraDown(node="gfa1", reason=str(number)))
        news.tell(facts.Told(node="gfa1", code="i", sender="x", keywords={"n": number}))
    news.tell(facts.PullProgressed(node="gfa1", image="x", done=1, total=2))
    huge = {"text": "x" * 10_000}
    news.tell(facts.Told(node="gfa1", code="i", sender="x", keywords=huge))
    kept = news.since(began)
    downs = [fact for fact in kept if isinstance(fact, facts.CameraDown)]
    # However much cameras say, what happens is kept.
    assert [fact.reason for fact in downs] == [str(n) for n in range(10, PAST + 10)]
    assert len(kept) == PAST + PAST // 4
    assert kept == sorted(kept, key=lambda fact: fact.at)
    assert news.since(datetime.now(UTC) + timedelta(seconds=1)) == []
