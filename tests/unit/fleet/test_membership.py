"""Nodes are renamed, moved, swapped, removed: each engine has what is wanted."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from fliswarm.errors import EngineError, EngineUnreachableError
from fliswarm.model import Image, Node
from fliswarm.model.facts import Cleared, Fact, LeftBehind, Settled
from fliswarm.plan.difference import Plan
from tests.unit.support.camera import RawCamera, line
from tests.unit.support.live import Computer, Site
from tests.unit.support.site import IMAGE, PULLED
from tests.unit.support.wait import LIMIT, until


async def reload(site: Site) -> None:
    await site.fleet.reload(site.desired)


def rename(nodes: dict[str, Node]) -> None:
    """Give a node another name."""
    nodes["gfa7"] = nodes.pop("gfa1")


async def test_a_renamed_node_has_one_container(site: Site) -> None:
    await site.reconnect()

    computer = site.computer("gfa1")
    site.configure(rename)
    await reload(site)
    status = {s.node.name: s for s in await site.fleet.status(site.fleet.select())}
    assert [c.name for c in status["gfa7"].strangers] == ["flicamera-gfa1"]
    assert await site.reconnect() == {"gfa2": None, "gfa7": None}
    assert computer.names == {"flicamera-gfa7": "running"}
    assert site.fleet.leavings == []
    plans = await site.fleet.plan(site.fleet.select())
    assert all(not isinstance(p, Exception) and p.empty for p in plans)


async def test_another_camera_on_the_port_is_not_the_node_s(site: Site) -> None:
    """The old program goes on and has the port: the new one never becomes a camera."""
    await site.reconnect()

    computer = site.computer("gfa1")
    site.configure(rename)
    await reload(site)
    # What cannot be stopped answers for the new container, under its own name.
    old = computer.daemon.containers[next(iter(computer.daemon.containers))]
    computer.on_call = lambda call: (
        computer.daemon.containers.__setitem__(old.id, replace(old, name="x"))
        if call.startswith("done: stop")
        else None
    )
    fast = replace(site.fleet._maker.patience, answer=0.5)
    object.__setattr__(site.fleet._maker, "patience", fast)
    for live in site.fleet.nodes:
        live._patience = fast
    problems = await site.reconnect()
    assert problems["gfa2"] is None
    assert problems["gfa7"] is not None
    assert "what answers there says that it is gfa1" in problems["gfa7"]


async def test_another_camera_that_is_gone_is_not_the_reason_any_more(
    site: Site,
) -> None:
    await site.reconnect()
    camera = site.computer("gfa1").camera
    (live,) = site.fleet.select("gfa1")
    camera.answer = lambda made, number, _: made.send(line(number, ":", "gfa9"))
    live.link.drop("a test")
    await until(lambda: live.link.stranger)
    await camera.close()
    await until(lambda: live.link.problem == "Connection refused")
    (plan,) = await site.fleet.plan([live])
    assert isinstance(plan, Plan)
    assert [d.found for d in plan.differences] == ["it does not answer"]


async def test_two_nodes_change_places(site: Site) -> None:
    await site.reconnect()

    def swap(nodes: dict[str, Node]) -> None:
        nodes["gfa1"], nodes["gfa2"] = nodes["gfa2"], nodes["gfa1"]

    first, second = site.computer("gfa1"), site.computer("gfa2")
    site.configure(swap)
    await reload(site)
    assert await site.reconnect() == {"gfa1": None, "gfa2": None}
    assert first.names == {"flicamera-gfa2": "running"}
    assert second.names == {"flicamera-gfa1": "running"}


async def test_a_node_that_was_removed_is_named_until_it_is_cleared(
    site: Site,
) -> None:
    await site.reconnect()
    computer = site.computer("gfa2")
    site.configure(lambda nodes: nodes.pop("gfa2"))
    computer.up = False
    await reload(site)
    left = [fact for fact in site.facts if isinstance(fact, LeftBehind)]
    assert [(fact.node, fact.engine) for fact in left] == [("gfa2", "tcp://gfa2:2375")]
    # After a start it is known as well.
    await site.fleet.close()
    site.start()
    assert [leaving.node.name for leaving in site.fleet.leavings] == ["gfa2"]
    (result,) = await site.fleet.clear(site.fleet.leavings, lambda _: None)
    assert "does not answer" in str(result.error)
    assert len(site.fleet.leavings) == 1
    computer.up = True
    told: list[Fact] = []
    (result,) = await site.fleet.clear(site.fleet.leavings, told.append)
    assert (result.error, result.changed) == (None, True)
    assert computer.names == {}
    assert site.fleet.leavings == []
    assert any(isinstance(fact, Cleared) for fact in told)


async def test_a_computer_that_is_gone_for_good_can_be_forgotten(site: Site) -> None:
    await site.reconnect()
    site.configure(lambda nodes: nodes.pop("gfa2"))
    await reload(site)
    (leaving,) = site.fleet.leavings
    await site.fleet.forget(leaving)
    assert site.fleet.leavings == []


async def test_a_node_that_moved_twice_leaves_two_engines(site: Site) -> None:
    await site.reconnect()
    left = [site.computer("gfa1")]
    for address in ("tcp://b:2375", "tcp://c:2375"):
        await move(site, "gfa1", address)
        assert await site.reconnect() == {"gfa1": None, "gfa2": None}
        left.append(site.computer("gfa1"))
    results = await site.fleet.clear(site.fleet.leavings, lambda _: None)
    assert [(r.error, r.changed) for r in results] == [(None, True)] * 2
    assert [c.names for c in left] == [{}, {}, {"flicamera-gfa1": "running"}]
    assert site.fleet.leavings == []


async def move(site: Site, name: str, address: str) -> None:
    """Let a node have another computer, with its camera."""
    site.computers[address] = Computer(site.computer(name).camera, name)

    def change(nodes: dict[str, Node]) -> None:
        nodes[name] = replace(nodes[name], engine=address)

    site.configure(change)
    await reload(site)


async def test_what_is_left_waits_for_what_was_cut_off_elsewhere(site: Site) -> None:
    await site.reconnect()
    left = site.computer("gfa1")
    await move(site, "gfa1", "tcp://b:2375")
    await site.reconnect()
    computer = await cut_off(site)
    (result,) = await site.fleet.clear(site.fleet.leavings, lambda _: None)
    assert "cut off on tcp://b:2375 and is not undone yet" in str(result.error)
    assert left.names == {"flicamera-gfa1": "running"}
    computer.up = True
    await until(lambda: any(isinstance(fact, Settled) for fact in site.facts))
    await until(lambda: site.fleet.journal.busy("gfa1") is None)
    assert computer.names == {"flicamera-gfa1": "running"}
    (result,) = await site.fleet.clear(site.fleet.leavings, lambda _: None)
    assert (result.error, left.names) == (None, {})


async def test_a_node_that_was_renamed_after_it_was_cut_off(site: Site) -> None:
    """The old camera does not begin again while the new one is waited for."""
    await site.reconnect()
    computer = await cut_off(site)

    site.configure(rename)
    await reload(site)
    answers, computer.camera.answer = computer.camera.answer, lambda *_: None
    computer.calls.clear()
    computer.up = True
    change = asyncio.create_task(site.reconnect())
    run = "done: run flicamera-gfa7"
    await until(lambda: change.done() or run in computer.calls, run)
    await until(lambda: not site.fleet.journal.of("gfa1"), "settled")
    computer.camera.answer = answers
    # It may be settled by itself in the same moment.
    if (problem := (await change)["gfa7"]) is not None:
        assert problem == "gfa1: another reconnect is under way"
        assert (await site.reconnect())["gfa7"] is None
    assert computer.names == {"flicamera-gfa7": "running"}


async def cut_off(site: Site) -> Computer:
    """Let the engine of a node go away in a replacement; return its computer."""
    computer = site.computer("gfa1")

    def cut(call: str) -> None:
        if call == "run flicamera-gfa1":
            computer.up = False
            raise EngineUnreachableError("gfa1", "the engine does not answer")

    computer.on_call = cut
    await site.reconnect(force=True)
    computer.on_call = None
    return computer


async def test_two_nodes_on_one_engine_are_removed_with_what_both_mount(
    site: Site,
) -> None:
    await site.reconnect()
    computer = site.computer("gfa1")

    def share(nodes: dict[str, Node]) -> None:
        nodes["gfa2"] = replace(nodes["gfa2"], engine=nodes["gfa1"].engine)

    site.configure(share)
    await reload(site)
    (own,) = computer.daemon.containers.values()
    other = replace(own, id="other", name="flicamera-gfa2", node="gfa2")
    computer.daemon.containers[other.id] = other
    results = await site.fleet.remove(site.fleet.select(), lambda _: None)
    assert [(r.error, r.changed) for r in results] == [(None, True)] * 2
    assert (computer.names, computer.daemon.volumes) == ({}, set())


async def test_what_is_gone_is_not_said_to_run_again(site: Site) -> None:
    await site.reconnect()
    computer = site.computer("gfa1")
    (before,) = computer.daemon.containers

    def lose(call: str) -> None:
        if call == "run flicamera-gfa1":
            computer.daemon.containers.pop(before)
            raise EngineError("gfa1", "no room")

    computer.on_call = lose
    problems = await site.reconnect(force=True)
    text = "gfa1: no room; what ran before is not seen to run again"
    assert problems == {"gfa1": text, "gfa2": None}


async def test_an_engine_by_another_address_is_not_left(site: Site) -> None:
    await site.reconnect()
    computer = site.computer("gfa1")

    def readdress(nodes: dict[str, Node]) -> None:
        nodes["gfa1"] = replace(nodes["gfa1"], engine="https://gfa1:2376")

    site.computers["https://gfa1:2376"] = computer
    before = computer.names, list(computer.daemon.containers)
    site.configure(readdress)
    await reload(site)
    assert await site.reconnect() == {"gfa1": None, "gfa2": None}
    assert (computer.names, list(computer.daemon.containers)) == before
    assert site.fleet.leavings == []


async def test_another_engine_at_the_address_of_one_that_left_is_let_be(
    site: Site,
) -> None:
    await site.reconnect()
    left = site.computer("gfa2")
    site.configure(lambda nodes: nodes.pop("gfa2"))
    await reload(site)
    left.daemon.identity = "another"
    (result,) = await site.fleet.clear(site.fleet.leavings, lambda _: None)
    assert (result.error, result.changed) == (None, False)
    assert left.names == {"flicamera-gfa2": "running"}


async def test_a_reload_in_the_middle_of_a_change(site: Site) -> None:
    await site.reconnect()
    computer = site.computer("gfa1")
    (before,) = computer.daemon.containers
    answers = computer.camera.answer
    computer.camera.answer = lambda *_: None
    nodes = site.fleet.select("gfa1")
    change = asyncio.create_task(
        site.fleet.apply(nodes, lambda _: None, "first", force=True)
    )
    await until(lambda: len(computer.names) == 2)

    def readdress(every: dict[str, Node]) -> None:
        every["gfa1"] = replace(every["gfa1"], engine="https://gfa1:2376")

    site.computers["https://gfa1:2376"] = computer
    site.configure(readdress)
    await reload(site)
    again = await site.fleet.apply(site.fleet.select("gfa1"), lambda _: None, "second")
    assert str(again[0].error) == "gfa1: another reconnect is under way"
    computer.camera.answer = answers
    (result,) = await change
    assert result.error is None
    assert computer.names == {"flicamera-gfa1": "running"}
    assert before not in computer.daemon.containers


async def test_a_camera_that_stays_is_known_for_as_long_as_before(site: Site) -> None:
    await site.reconnect()
    await until(lambda: site.fleet.board.state("gfa1").camera.good)
    before = site.fleet.board.state("gfa1").camera

    def change(nodes: dict[str, Node]) -> None:
        nodes["gfa1"] = replace(nodes["gfa1"], category="fvc")

    site.configure(change)
    await reload(site)
    assert site.fleet.board.state("gfa1").camera == before


async def test_a_dry_run_fails_where_another_change_is_under_way(site: Site) -> None:
    nodes = site.fleet.select("gfa1")
    with site.fleet.journal.hand("gfa1", "remove"):
        (plan,) = await site.fleet.plan(nodes)
        (result,) = await site.fleet.apply(nodes, lambda _: None)
    assert str(plan) == str(result.error) == "gfa1: another remove is under way"


async def test_an_engine_that_breaks_when_it_is_asked_is_asked_again(
    site: Site,
) -> None:
    computer = site.computer("gfa1")
    computer.up = False
    nodes = site.fleet.select("gfa1")
    await site.fleet.status(nodes)
    asked = []

    def fail(call: str) -> None:
        asked.append(call)
        raise RuntimeError

    computer.on_call, computer.up = fail, True
    await until(lambda: "ping" in asked)
    computer.on_call = None
    await until(lambda: site.fleet.board.state("gfa1").engine.good)


async def test_a_look_under_way_at_a_node_that_leaves_is_nobody_s_news(
    site: Site,
) -> None:
    await site.reconnect()
    computer = site.computer("gfa2")
    nodes = site.fleet.select("gfa2")
    site.configure(lambda every: every.pop("gfa2"))
    computer.up = False
    await reload(site)
    await site.fleet.status(nodes)
    await site.fleet.close()
    assert not [t for t in asyncio.all_tasks() if "_wait" in repr(t.get_coro())]
    assert site.fleet.board.state("gfa2").status is None


async def test_a_node_that_makes_room_after_a_change_is_nobody_s_news(
    site: Site,
) -> None:
    await site.reconnect()
    nodes = site.fleet.select("gfa1")
    with site.fleet.journal.hand("gfa1", "reconnect"):
        await move(site, "gfa1", "tcp://b:2375")
        await asyncio.sleep(0)
        await site.fleet.status(nodes)
        assert site.fleet.board.state("gfa1").status is None
    await until(lambda: not site.fleet._parting.under_way)
    (status,) = await site.fleet.status(site.fleet.select("gfa1"))
    assert site.fleet.board.state("gfa1").status == status


@pytest.mark.parametrize("wrong", [RuntimeError("x"), OverflowError("y")])
async def test_one_node_s_trouble_is_its_own(site: Site, wrong: Exception) -> None:
    def fail(_: str) -> None:
        raise wrong

    site.computer("gfa1").on_call = fail
    problems = await site.reconnect()
    assert problems["gfa2"] is None
    assert problems["gfa1"] is not None
    assert repr(wrong) in problems["gfa1"]
    first, second = await site.fleet.status(site.fleet.select())
    assert not first.engine_alive
    assert second.container is not None


async def test_a_dry_run_sees_what_is_published_without_a_name_on_the_node(
    site: Site,
) -> None:
    await site.reconnect()
    computer = site.computer("gfa1")
    del computer.daemon.images[IMAGE]
    (plan,) = await site.fleet.plan(site.fleet.select("gfa1"))
    assert isinstance(plan, Plan)
    assert plan.empty
    (status,) = await site.fleet.status(site.fleet.select("gfa1"), detail=True)
    assert status.digest == PULLED.digest
    computer.registry[IMAGE] = Image("sha256:two", "sha256:digest-two")
    (plan,) = await site.fleet.plan(site.fleet.select("gfa1"))
    assert isinstance(plan, Plan)
    assert [d.field for d in plan.differences] == ["image_digest"]
    assert await site.reconnect() == {"gfa1": None, "gfa2": None}
    (own,) = computer.daemon.containers.values()
    assert own.image_id == "sha256:two"


async def share(site: Site) -> Computer:
    """Let both nodes have one computer, each with its container; return it."""

    def together(nodes: dict[str, Node]) -> None:
        nodes["gfa2"] = replace(nodes["gfa2"], engine=nodes["gfa1"].engine)

    computer, other = site.computer("gfa1"), site.computer("gfa2")
    site.configure(together)
    await reload(site)
    # Each camera answers on its own port, while its container runs.
    for made, port in ((computer.camera, "gfa1"), (other.camera, "gfa2")):
        node = site.desired.nodes[port]

        def answer(camera: RawCamera, number: int, _: str, node: Node = node) -> None:
            for container in computer.running:
                environment = container.spec["environment"]
                assert isinstance(environment, dict)
                if environment["FLICAMERA_ACTOR_PORT"] == str(node.port):
                    camera.send(line(number, ":", environment["ACTOR_NAME"]))
                    return

        made.answer = answer
    assert await site.reconnect() == {"gfa1": None, "gfa2": None}
    assert computer.names == {
        "flicamera-gfa1": "running",
        "flicamera-gfa2": "running",
    }
    return computer


async def test_a_neighbour_leaves_a_renamed_node_its_camera(site: Site) -> None:
    """It runs until the one under the new name does."""
    computer = await share(site)
    site.configure(rename)
    await reload(site)
    (neighbour,) = site.fleet.select("gfa2")
    (result,) = await site.fleet.apply([neighbour], lambda _: None)
    assert (result.error, result.changed) == (None, False)
    assert computer.names["flicamera-gfa1"] == "running"
    # All at once: what the renamed one has set aside, to be put back, is left alone.
    answers = computer.camera.answer
    computer.camera.answer = lambda *_: None
    patience = replace(site.fleet._maker.patience, answer=0.3)
    for live in site.fleet.nodes:
        live._patience = patience
    problems = await site.reconnect()
    assert problems["gfa2"] is None
    assert "the previous container runs again" in str(problems["gfa7"])
    assert computer.names == {
        "flicamera-gfa1": "running",
        "flicamera-gfa2": "running",
    }
    computer.camera.answer = answers
    for live in site.fleet.nodes:
        live._patience = site.fleet._maker.patience
    assert await site.reconnect() == {"gfa2": None, "gfa7": None}
    assert computer.names == {
        "flicamera-gfa2": "running",
        "flicamera-gfa7": "running",
    }


async def test_two_nodes_on_one_engine_get_other_names_at_once(site: Site) -> None:
    computer = await share(site)

    def rename_both(nodes: dict[str, Node]) -> None:
        nodes["gfa7"], nodes["gfa8"] = nodes.pop("gfa1"), nodes.pop("gfa2")

    site.configure(rename_both)
    await reload(site)
    assert await site.reconnect() == {"gfa7": None, "gfa8": None}
    assert computer.names == {
        "flicamera-gfa7": "running",
        "flicamera-gfa8": "running",
    }
    again = await site.fleet.apply(site.fleet.select(), lambda _: None)
    assert [(r.error, r.changed) for r in again] == [(None, False)] * 2


async def test_a_change_of_one_node_is_refused_while_another_is_under_way(
    site: Site,
) -> None:
    """Its neighbour waits for its turn instead."""
    computer = await share(site)
    async with site.fleet._turns.of(site.desired.nodes["gfa1"], ["gfa2"]):
        with site.fleet.journal.hand("gfa1", "remove"):
            async with asyncio.timeout(LIMIT):
                own = site.fleet.select("gfa1")
                (result,) = await site.fleet.apply(own, lambda _: None)
        assert str(result.error) == "gfa1: another remove is under way"
        nodes = site.fleet.select("gfa2")
        waiting = asyncio.create_task(
            site.fleet.apply(nodes, lambda _: None, force=True)
        )
        await asyncio.sleep(0)
        computer.calls.clear()
        await asyncio.sleep(0.05)
        assert computer.calls == []
    (result,) = await waiting
    assert result.error is None


def ways(site: Site) -> list[str]:
    """Return how what was cut off came to its end."""
    return [fact.how for fact in site.facts if isinstance(fact, Settled)]


async def test_a_node_that_moves_while_a_change_is_pending(site: Site) -> None:
    """Its old engine is away: nothing of it is undone, and that is what is said."""
    await site.reconnect()
    left = await cut_off(site)
    before = left.names
    await move(site, "gfa1", "tcp://b:2375")
    assert await site.reconnect() == {"gfa1": None, "gfa2": None}
    assert ways(site) == ["left as it is on tcp://gfa1:2375"]
    assert site.fleet.journal.entries == []
    assert left.names == before
    assert site.computer("gfa1").names == {"flicamera-gfa1": "running"}
    # What it left is cleared like any other engine, when that answers.
    left.up = True
    (result,) = await site.fleet.clear(site.fleet.leavings, lambda _: None)
    assert (result.error, left.names) == (None, {})


async def test_another_computer_by_the_address_of_a_pending_change(site: Site) -> None:
    """What was cut off is not said to be undone by an engine that never had it."""
    await site.reconnect()
    left = await cut_off(site)
    before = left.names
    node = site.desired.nodes["gfa1"]
    await site.fleet.close()
    site.computers[node.engine] = Computer(left.camera, "gfa1")
    site.start()
    await until(lambda: site.fleet.board.state("gfa1").unfinished, "told")
    (told,) = site.fleet.board.state("gfa1").unfinished
    assert told.reason.startswith("another engine answers at tcp://gfa1:2375; remedy: ")
    assert site.computer("gfa1").names == {}
    problems = await site.reconnect()
    if problems["gfa1"] is not None:
        # It may be looked at by itself in the same moment.
        assert "another reconnect is under way" in problems["gfa1"]
        await until(lambda: site.fleet.journal.busy("gfa1") is None)
        assert (await site.reconnect())["gfa1"] is None
    assert site.computer("gfa1").names == {"flicamera-gfa1": "running"}
    assert left.names == before
    assert ways(site) == ["left as it is on tcp://gfa1:2375"]
    assert site.fleet.board.state("gfa1").unfinished == ()


async def test_an_engine_by_another_address_has_what_was_cut_off_on_it(
    site: Site,
) -> None:
    await site.reconnect()
    computer = await cut_off(site)
    (before,) = computer.daemon.containers
    site.computers["https://gfa1:2376"] = computer
    await site.fleet._settling.close()

    def readdress(nodes: dict[str, Node]) -> None:
        nodes["gfa1"] = replace(nodes["gfa1"], engine="https://gfa1:2376")

    site.configure(readdress)
    await reload(site)
    await site.fleet._settling.close()
    computer.up = True
    assert await site.reconnect() == {"gfa1": None, "gfa2": None}
    assert ways(site) == ["undone"]
    assert list(computer.daemon.containers) == [before]
