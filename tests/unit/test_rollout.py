"""Turns, and the way back: pure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fliswarm.errors import FliswarmError, SelectionError, UsageError
from fliswarm.model.release import Known, Release, Rollout
from fliswarm.plan.rollout import (
    KEPT,
    REMEMBERED,
    back,
    begun,
    earlier,
    ended,
    full_name,
    goal,
    going_back,
    gone_back,
    made,
    remembered,
    surplus,
    turned,
    turns,
    usual,
)

CONFIGURED = "hub:5000/sdss/flicamera:latest"

NAMES = ("a", "b", "c", "d", "e")


def release(number: int, **more: object) -> Release:
    values: dict[str, object] = {"configured": CONFIGURED, "at": "", "by": "us", **more}
    digest = f"sha256:{number}"
    return Release(number, CONFIGURED, digest, **values)  # type: ignore[arg-type]


def known(*numbers: int, **more: object) -> Known:
    releases = tuple(release(number) for number in numbers)
    return Known(releases, **more)  # type: ignore[arg-type]


def rollout(**more: object) -> Rollout:
    made = Rollout(
        "update",
        "fliswarm update",
        "us",
        "",
        targets=dict.fromkeys("abc", 2),
        before=dict.fromkeys("abc", 1),
        turns=(("a",), ("b", "c")),
    )
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("canary", "at_once", "wanted"),
    [
        (None, 4, "a bcde"),
        (None, 2, "a bc de"),
        (None, 1, "a b c d e"),
        ("c", 3, "c abd e"),
        ("d, b", 4, "bd ace"),
        ("1%", 2, "a bc de"),
        ("20%", 9, "a bcde"),
        ("21%", 9, "ab cde"),
        ("40%", 9, "ab cde"),
        ("100%", 1, "abcde"),
    ],
)
def test_turns(canary: str | None, at_once: int, wanted: str) -> None:
    found = turns(NAMES, canary, at_once)
    assert [list(turn) for turn in found] == [list(turn) for turn in wanted.split()]


@pytest.mark.parametrize(
    ("canary", "problem", "error"),
    [
        ("f", r"--canary f: not among the nodes \(a, b, c, d, e\)", SelectionError),
        (",", "names nobody", SelectionError),
        ("0%", "a part is from 1% to 100%", UsageError),
        ("101%", "a part is from 1% to 100%", UsageError),
        ("x%", "a part is from 1% to 100%", UsageError),
    ],
)
def test_canaries_that_are_none(
    canary: str, problem: str, error: type[FliswarmError]
) -> None:
    with pytest.raises(error, match=problem):
        turns(NAMES, canary, 4)
    with pytest.raises(error, match=problem):
        # Whether there is anything to be done or not.
        turns((), canary, 4, NAMES)


def test_a_canary_that_is_done_already() -> None:
    assert turns(("b", "c"), "a", 4, NAMES) == (("b",), ("c",))
    assert turns((), None, 4, NAMES) == ()


@given(
    st.lists(st.text("abc123", min_size=1), unique=True),
    st.integers(1, 9),
    st.integers(1, 100),
)
def test_each_has_one_turn(names: list[str], at_once: int, part: int) -> None:
    found = turns(names, f"{part}%", at_once)
    assert [name for turn in found for name in turn] == names
    assert all(found)
    assert all(len(turn) <= at_once for turn in found[1:])
    assert not found or len(found[0]) * 100 >= part * len(names)


@pytest.mark.parametrize(
    ("turn", "everything", "wanted"),
    [(0, False, "a"), (1, False, "bc"), (0, True, "a"), (1, True, "abc")],
)
def test_who_goes_back(turn: int, everything: bool, wanted: str) -> None:
    assert back(rollout(turn=turn), everything=everything) == list(wanted)


def test_nothing_is_given_out_before_it_is_judged() -> None:
    first = begun(known(1, 2), rollout(), "abcd", CONFIGURED)
    assert first.wanted == {"a": 1, "b": 1, "c": 1, "d": 0}
    assert first.rollout is not None
    second = turned(first, replace(first.rollout, done=("a",)), ("a",))
    assert second.wanted == {"a": 2, "b": 1, "c": 1, "d": 0}
    assert second.rollout is not None
    last = ended(second, second.rollout)
    assert last.wanted == {"a": 2, "b": 2, "c": 2, "d": 0}
    assert (last.current, last.rollout, last.undone) == (2, None, None)
    assert last.releases[-1].before == {"a": 1, "b": 1, "c": 1}


def test_what_nodes_had_holds_by_the_configuration_of_now() -> None:
    before = replace(
        known(1, 2, 3), releases=(release(1, configured="old"), release(2))
    )
    first = begun(before, rollout(), "abc", CONFIGURED)
    assert [r.configured for r in first.releases] == [CONFIGURED] * 2


def test_back_and_done_with() -> None:
    first = begun(known(1, 2), rollout(), "abc", CONFIGURED)
    assert first.rollout is not None
    going = going_back(first, first.rollout, ["a"])
    assert going.wanted["a"] == 1
    assert going.rollout is not None
    gone = gone_back(going)
    assert (gone.rollout, gone.undone) == (None, 2)
    # Whoever is good stays, and so does the way back from there.
    on = turned(first, replace(first.rollout, done=("a",)), ["a"])
    assert on.rollout is not None
    kept = gone_back(going_back(on, replace(on.rollout, turn=1), ["b", "c"]))
    assert kept.rollout is not None
    assert (kept.wanted, kept.rollout.done) == ({"a": 2, "b": 1, "c": 1}, ("a",))


def test_who_is_off_is_behind() -> None:
    first = begun(known(1, 2), rollout(off=("c",)), "abc", CONFIGURED)
    assert first.rollout is not None
    last = ended(
        replace(first, behind={"c": "did not come up", "d": ""}), first.rollout
    )
    assert last.behind == {"c": "", "d": ""}


GOALS = [
    # what is known, the number asked for, and where a, b, c go
    (known(1, 2, 3), 1, {"a": 1, "b": 1, "c": 1}),
    (known(1, 2, current=2, undone=3, wanted={"a": 2, "b": 1}), None, {"a": 2, "b": 1}),
    (known(1, 2, rollout=rollout()), None, {"a": 1, "b": 1, "c": 1}),
    (known(1, 2, rollout=rollout(verb="rollback")), None, dict.fromkeys("abc", 2)),
    (known(1, 2, rollout=rollout(before={"b": 1})), None, {"b": 1}),
]


@pytest.mark.parametrize(("found", "number", "wanted"), GOALS)
def test_where_to(found: Known, number: int | None, wanted: dict[str, int]) -> None:
    assert {n: r.number for n, r in goal(found, number, "abc").items()} == wanted


def test_before_the_last_update() -> None:
    done = ended(begun(known(1, 2), rollout(), "abc", CONFIGURED), rollout())
    found = goal(done, None, "abcd")
    assert {name: r.number for name, r in found.items()} == dict.fromkeys("abc", 1)
    back_again = rollout(verb="rollback", targets=dict.fromkeys("abc", 1))
    again = ended(replace(done, rollout=back_again), back_again)
    assert (again.current, again.undone) == (1, 2)
    found = goal(again, None, "abc")
    assert {name: r.number for name, r in found.items()} == dict.fromkeys("abc", 1)


@pytest.mark.parametrize(
    ("found", "number"),
    [
        (known(1), 9),
        (known(1), None),
        # One of which nobody knows any more cannot be gone back to.
        (known(2, rollout=rollout()), None),
    ],
)
def test_nowhere_to_go(found: Known, number: int | None) -> None:
    with pytest.raises(UsageError):
        goal(found, number, "abc")


def test_what_nodes_had_before() -> None:
    assert earlier(known(1, 2), {"a": 1, "b": 2, "c": 1}, "de") == {
        **{"a": 1, "b": 2, "c": 1},
        **{"d": 1, "e": 1},
    }
    wanted = known(1, 2, wanted={"d": 2})
    assert earlier(wanted, {"a": 1}, "d") == {"a": 1, "d": 2}
    assert earlier(known(), {}, "d") == {}
    # What was met by an update that was cut off counts more than what it left.
    cut_off = known(1, 2, rollout=rollout())
    assert earlier(cut_off, {"a": 2, "b": 1}, ()) == dict.fromkeys("abc", 1)


def test_a_release_is_made_once() -> None:
    found, one = made(Known(), CONFIGURED, "sha256:1", CONFIGURED, "us", "now")
    assert (one.number, one.pinned) == (1, "hub:5000/sdss/flicamera@sha256:1")
    assert one.kept == "hub:5000/sdss/flicamera:fliswarm-1"
    again, same = made(found, CONFIGURED, "sha256:1", CONFIGURED, "them", "later")
    assert (again, same) == (found, one)
    third, other = made(again, CONFIGURED, "sha256:2", CONFIGURED, "us", "later")
    assert (other.number, len(third.releases)) == (2, 2)


@pytest.mark.parametrize(
    ("wanted", "number"),
    [({}, None), ({"a": 2, "b": 2, "c": 1}, 2), ({"a": 0, "b": 0, "c": 1}, None)],
)
def test_what_a_node_gets_that_comes(
    wanted: dict[str, int], number: int | None
) -> None:
    assert usual(known(1, 2, wanted=wanted)) == number


def test_which_images_are_old() -> None:
    every = known(*range(1, 8), wanted={"a": 7, "b": 2}, current=7)
    assert [r.number for r in surplus(every)] == [1, 3, 4]
    assert KEPT == 3
    # Its image is that of a release that stays.
    same = replace(every.releases[0], digest=every.releases[6].digest)
    every = replace(every, releases=(same, *every.releases[1:]))
    assert [r.number for r in surplus(every)] == [3, 4]


def test_what_is_remembered() -> None:
    every = known(*range(1, 41), wanted={"a": 3}, current=40)
    numbers = [r.number for r in remembered(every)]
    assert numbers == [3, *range(41 - REMEMBERED, 41)]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (":2.1", "hub:5000/sdss/flicamera:2.1"),
        ("@sha256:1", "hub:5000/sdss/flicamera@sha256:1"),
        ("sdss/flicamera:2.1", "hub:5000/sdss/flicamera:2.1"),
        ("flicamera", "hub:5000/flicamera"),
        ("ghcr.io/sdss/flicamera:1", "ghcr.io/sdss/flicamera:1"),
        ("localhost/x", "localhost/x"),
        ("hub2:5000/x:1", "hub2:5000/x:1"),
    ],
)
def test_what_a_person_writes(written: str, name: str) -> None:
    assert full_name(written, CONFIGURED, "hub:5000") == name


def test_without_a_registry_a_name_is_as_it_is() -> None:
    assert full_name("sdss/flicamera:1", "sdss/flicamera", None) == "sdss/flicamera:1"
