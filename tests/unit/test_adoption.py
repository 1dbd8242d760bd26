"""Which containers are sdss-fliswarm's, and how far they are as wanted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from fliswarm.model import ContainerSpec, Foreign, ForeignVolume, Observation
from fliswarm.plan.adoption import adopting, recognised, with_originals
from fliswarm.plan.difference import ReplaceContainer, plan
from tests.unit.support.live import original_of
from tests.unit.support.site import PULLED, fleet

CASES = sorted((Path(__file__).parents[1] / "cases" / "adoption").glob("*.yaml"))


def container_spec(port: int = 19995) -> ContainerSpec:
    desired = fleet({"gfa1": port})
    return desired.container(desired.nodes["gfa1"])


def foreign(wanted: ContainerSpec, changes: dict[str, Any]) -> Foreign:
    if "volumes" in changes:
        volumes = changes["volumes"].items()
        changes["volumes"] = {at: ForeignVolume("local", its) for at, its in volumes}
    return replace(original_of(wanted), id="f" * 64, made={"made": "of"}, **changes)


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_case(file: Path) -> None:
    case = yaml.safe_load(file.read_text("utf-8"))
    wanted = container_spec(case.get("port", 19995))
    one = foreign(wanted, case["foreign"])
    assert recognised(wanted, one) is case.get("recognised", True)
    by_name = one.id if one.name == wanted.name else None
    seen = Observation("gfa1", image=PULLED, foreign=by_name)
    found = with_originals(wanted, seen, [one], {})
    if not case.get("recognised", True):
        assert found == seen
        assert adopting(found) == seen
        return
    assert plan(wanted, found).actions == ()
    todo = plan(wanted, adopting(found))
    fields = [difference.field for difference in todo.differences]
    replaced = any(isinstance(action, ReplaceContainer) for action in todo.actions)
    # What it mounts is not ours, and goes with it.
    assert ("volumes/data" in fields) is replaced
    assert [f for f in fields if f != "volumes/data"] == case["differences"]
    assert todo.empty is (case["differences"] == [])
    # What was adopted is the node's own without being asked for.
    assert with_originals(wanted, seen, [one], {one.id: "gfa1"}) == adopting(found)


def test_there_are_cases() -> None:
    assert len(CASES) > 20


def test_one_that_was_adopted_for_another_node_is_that_one_s() -> None:
    wanted = container_spec()
    one = foreign(wanted, {})
    seen = with_originals(
        wanted, Observation("gfa1", foreign=one.id), [one], {one.id: "gfa9"}
    )
    assert seen.foreign is None
    assert [container.node for container in seen.others] == ["gfa9"]
