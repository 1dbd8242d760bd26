"""A site's plan as a value: what it comes to, what moved since, how it is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from fliswarm.model import Fleet, Node
from fliswarm.plan.whole import (
    Item,
    Whole,
    moved,
    of_nobody,
    settled,
    summary,
    with_new_image,
)

SEEN = {"containers": "a", "image": "b", "published": "c", "configuration": "d"}

GFA1 = Item("node", "gfa1", "change", ("image: x",), SEEN, reconnect=True)

HUB = Item("host", "hub", "change", ("Write (copy): /etc/x",), {"tasks": "t"})

PLAN = Whole("says", (HUB, Item("host", "gfa1", seen={"tasks": "u"}), GFA1))


def without(whole: Whole, name: str) -> Whole:
    return replace(whole, items=tuple(i for i in whole.items if i.name != name))


def other(item: Item, **changes: Any) -> Whole:  # noqa: ANN401  fields of an item
    """Return the plan with an item that is not as it was."""
    items = tuple(replace(i, **changes) if i == item else i for i in PLAN.items)
    return replace(PLAN, items=items)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (PLAN, []),
        (
            replace(PLAN, rendering="other"),
            ["the inventory says something else than it did"],
        ),
        (
            other(GFA1, seen={**SEEN, "containers": "z"}),
            ["gfa1: its containers changed since"],
        ),
        (
            other(GFA1, seen={**SEEN, "published": "z", "image": "z"}),
            ["gfa1: its image, the image in the registry changed since"],
        ),
        (
            other(GFA1, seen={**SEEN, "camera": "z"}),
            ["gfa1: its camera changed since"],
        ),
        (
            other(HUB, seen={"tasks": "z"}),
            ["hub: what Ansible would change changed since"],
        ),
        (other(GFA1, kind="keep"), ["gfa1: its plan changed since"]),
        (
            other(GFA1, problem="the engine does not answer"),
            ["gfa1: what is known of it changed since"],
        ),
        (without(PLAN, "hub"), ["hub: it is not there any more (host)"]),
    ],
)
def test_what_moved_is_named(now: Whole, words: list[str]) -> None:
    assert moved(PLAN, now) == words


def test_what_came_is_named() -> None:
    assert moved(without(PLAN, "hub"), PLAN) == ["hub: it was not there (host)"]


@pytest.mark.parametrize("aspect", SEEN)
def test_each_aspect_is_in_the_fingerprint(aspect: str) -> None:
    assert other(GFA1, seen={**SEEN, aspect: "z"}).fingerprint != PLAN.fingerprint


def node(kind: str, name: str = "gfa1") -> Item:
    return Item("node", name, kind)


@pytest.mark.parametrize(
    ("items", "line"),
    [
        (
            [Item("host", "hub"), node("keep"), node("keep", "gfa2")],
            "Nothing to do: 1 host and 2 nodes are as wanted.",
        ),
        (
            [HUB, replace(HUB, name="gfa4"), node("add"), *[node("keep")] * 3],
            "2 hosts change, 1 node is added, 3 stay as they are.",
        ),
        (
            [node("add"), node("add"), node("remove"), node("rename"), node("move")],
            "2 nodes are added, 1 node is removed, 1 node is renamed, 1 node is moved.",
        ),
        ([node("swap"), node("swap", "gfa2")], "2 nodes change place."),
        ([node("change"), node("keep")], "1 node changes, 1 stays as it is."),
        (
            [Item("host", "gfa4", "leave"), Item("left", "gfa4", "remove")],
            "1 host leaves, what is left on 1 engine is removed.",
        ),
        (
            [Item("controller", "fliswarm", "change")],
            "the settings of the controller change.",
        ),
        (
            [replace(node("keep"), problem="it is off"), node("keep")],
            "1 stays as it is, 1 cannot be told.",
        ),
    ],
)
def test_one_line_sums_it_up(items: list[Item], line: str) -> None:
    assert summary(Whole("", tuple(items))) == line


def test_a_saved_plan_is_read_again() -> None:
    noted = json.loads(json.dumps(PLAN.noted()))
    assert Whole.read(noted) == PLAN
    assert len(PLAN.short) == 12
    assert PLAN.fingerprint.startswith(PLAN.short)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": 2}, "is no plan of format 1"),
        ({"items": [{"what": "node"}]}, "is no plan: "),
        ({"items": [{"what": 1, "name": "a"}]}, "is no plan: "),
        ({"items": None}, "is no plan: "),
        ({"rendering": "other"}, "was changed since it was saved"),
        ({"fingerprint": "0"}, "was changed since it was saved"),
    ],
)
def test_what_is_no_plan_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Whole.read({**PLAN.noted(), **change})


@pytest.mark.parametrize("value", [None, [], "plan", {}])
def test_what_is_something_else_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is no plan"):
        Whole.read(value)


@pytest.mark.parametrize(
    ("needs", "pending", "problem"),
    [
        ("host", "gfa4", None),
        ("host", "hub", "its engine: away"),
        ("manager", "hub", None),
        ("manager", "gfa4", "its engine: away"),
        ("host", None, "its engine: away"),
    ],
)
def test_what_a_node_waits_for_is_provisioned_or_trouble(
    needs: str, pending: str | None, problem: str | None
) -> None:
    waits = Item("node", "gfa4", "add", needs=needs, unready="its engine: away")
    hosts = [replace(HUB, name=pending)] if pending else []
    (*_, found) = settled([*hosts, waits], "hub")
    assert found.problem == problem


def test_an_engine_that_is_away_may_come_with_its_host() -> None:
    waits = replace(node("keep"), needs="host", unready="its engine: away")
    (*_, found) = settled([replace(HUB, name="gfa1"), waits], "hub")
    assert (found.kind, found.problem) == ("change", None)
    (*_, found) = settled([HUB, waits], "hub")
    assert (found.kind, found.problem) == ("keep", "its engine: away")


def test_all_is_new_where_no_controller_runs() -> None:
    nodes = {n: Node(n, n, f"tcp://{n}:2375") for n in ("gfa1", "gfa2")}
    items = of_nobody(Fleet("APO", nodes, ("gfa1",), "image"))
    assert [(i.name, i.kind, i.reconnect) for i in items] == [
        ("fliswarm", "add", False),
        ("gfa1", "add", True),
        ("gfa2", "add", False),
    ]


def test_an_image_that_is_made_anew_changes_all_nodes_that_are_used() -> None:
    off = replace(node("keep", "gfa2"), enabled=False)
    found = with_new_image([HUB, node("keep"), off, node("remove", "gfa3")])
    assert [item.kind for item in found] == ["change", "change", "keep", "remove"]
    assert [item.reconnect for item in found] == [False, True, False, False]
