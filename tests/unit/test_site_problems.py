"""What is refused of an inventory before any host is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.sdss.fliswarm.plugins.filter.site_categories import (
    site_categories,
)
from ansible_collections.sdss.fliswarm.plugins.filter.site_problems import (
    site_problems,
)

CASES = sorted((Path(__file__).parents[1] / "cases" / "site").glob("*.yaml"))


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_problems(file: Path) -> None:
    case: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    hostvars = {"hub": {}, **case["hosts"]}
    nodes = [host for host in hostvars if host != "hub"]
    groups = {"manager": ["hub"], "nodes": nodes, "ungrouped": []}
    groups |= case.get("groups", {})
    found = site_problems(hostvars, {**groups, "all": list(hostvars)})
    assert len(found) == len(case["problems"]), found
    for problem, said in zip(found, case["problems"], strict=True):
        assert said in problem


def test_categories_are_groups_of_nodes_alone() -> None:
    groups = {
        "all": ["hub", "a", "b"],
        "ungrouped": [],
        "manager": ["hub"],
        "nodes": ["a", "b"],
        "gfa-cams": ["a"],
        "servers": ["hub", "b"],
        "fliswarm_serial_2": ["b"],
    }
    assert site_categories(groups) == {"gfa-cams": ["a"]}
    # The manager of one computer is no category.
    assert site_categories({"manager": ["a"], "nodes": ["a"]}) == {}
