from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fliswarm import store
from fliswarm.errors import StoreError
from fliswarm.fleet.roster import Roster
from fliswarm.model import Fleet
from fliswarm.model.facts import Disabled, Enabled, Fact
from tests.unit.support.site import fleet

DESIRED = fleet({"gfa1": 1, "gfa2": 2, "gfa3": 3})


def roster(
    path: Path, desired: Fleet = DESIRED, told: list[Fact] | None = None
) -> Roster:
    return Roster(
        desired, path / "roster.json", (told if told is not None else []).append
    )


def test_who_disabled_a_node_why_and_when_is_kept(tmp_path: Path) -> None:
    told: list[Fact] = []
    roster(tmp_path, told=told).disable("gfa2", "ann", "its shutter is stuck")
    (fact,) = told
    assert isinstance(fact, Disabled)
    assert (fact.node, fact.by, fact.reason) == ("gfa2", "ann", "its shutter is stuck")
    again = roster(tmp_path)
    assert again.enabled == ["gfa1", "gfa3"]
    standing = again.standing("gfa2")
    assert (standing.by, standing.reason) == ("ann", "its shutter is stuck")
    assert standing.since is not None
    again.follow(DESIRED)
    assert again.enabled == ["gfa1", "gfa3"]


def test_enabled_again_it_is_as_the_configuration_says(tmp_path: Path) -> None:
    told: list[Fact] = []
    first = roster(tmp_path, told=told)
    first.disable("gfa2", "ann", "")
    first.enable("gfa2", "bob")
    assert isinstance(told[-1], Enabled)
    assert first.enabled == ["gfa1", "gfa2", "gfa3"]
    assert roster(tmp_path).standing("gfa2").by == "configuration"


def test_what_the_configuration_says_later_counts(tmp_path: Path) -> None:
    left_out = replace(DESIRED, enabled=("gfa1", "gfa3"))
    first = roster(tmp_path, left_out)
    first.enable("gfa2", "ann")
    assert first.enabled == ["gfa1", "gfa2", "gfa3"]
    first.follow(DESIRED)
    assert first.standing("gfa2").by == "configuration"
    first.follow(left_out)
    assert first.enabled == ["gfa1", "gfa3"]


def test_what_does_not_hold_any_more_does_not_after_a_start(tmp_path: Path) -> None:
    first = roster(tmp_path)
    first.disable("gfa2", "ann", "")
    first.follow(replace(DESIRED, enabled=("gfa1", "gfa3")))
    first.follow(DESIRED)
    assert first.enabled == ["gfa1", "gfa2", "gfa3"]
    assert roster(tmp_path).enabled == ["gfa1", "gfa2", "gfa3"]


def test_a_full_disk_keeps_no_configuration_from_being_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = roster(tmp_path)
    first.disable("gfa2", "ann", "")

    def full(path: Path, _: object) -> None:
        raise StoreError(path, "No space left on device")

    monkeypatch.setattr(store, "write", full)
    first.follow(fleet({"gfa1": 1, "gfa3": 3}))
    assert first.enabled == ["gfa1", "gfa3"]


def test_a_node_that_left_and_comes_back_is_a_new_one(tmp_path: Path) -> None:
    first = roster(tmp_path)
    first.disable("gfa2", "ann", "")
    first.follow(fleet({"gfa1": 1, "gfa3": 3}))
    first.follow(DESIRED)
    assert first.enabled == ["gfa1", "gfa2", "gfa3"]


def test_those_that_were_never_enabled_are_not_met(tmp_path: Path) -> None:
    first = roster(tmp_path, replace(DESIRED, enabled=("gfa1",)))
    assert first.met == ["gfa1"]
    first.enable("gfa3", "ann")
    assert first.met == ["gfa1", "gfa3"]
    first.disable("gfa3", "ann", "")
    assert first.met == ["gfa1", "gfa3"]
    # A new configuration enables one more, and has another no more.
    later = fleet({"gfa2": 2, "gfa3": 3})
    first.follow(replace(later, enabled=("gfa2",)))
    assert first.met == ["gfa2", "gfa3"]
    first.follow(replace(DESIRED, enabled=()))
    assert first.met == ["gfa2", "gfa3"]


@pytest.mark.parametrize("content", ["", "[]", '{"gfa1": 3}', '{"gfa1": {"x": 1}}'])
def test_a_file_that_is_not_understood_is_kept(tmp_path: Path, content: str) -> None:
    for number in (1, 2):
        (tmp_path / "roster.json").write_text(f"{content}{' ' * number}")
        found = roster(tmp_path)
        assert found.enabled == ["gfa1", "gfa2", "gfa3"]
        found.disable("gfa2", "ann", "")
        assert roster(tmp_path).enabled == ["gfa1", "gfa3"]
    kept = [path.read_text() for path in store.kept_aside(tmp_path)]
    assert sorted(kept) == [f"{content} ", f"{content}  "]


def test_what_cannot_be_kept_is_not_done(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    first = Roster(DESIRED, tmp_path / "file" / "roster.json", lambda _: None)
    with pytest.raises(StoreError):
        first.disable("gfa2", "ann", "")
    assert first.enabled == ["gfa1", "gfa2", "gfa3"]
