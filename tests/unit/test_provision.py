from __future__ import annotations

from pathlib import Path

import pytest

from fliswarm.errors import ConfigError, ProvisionError
from fliswarm.provision import Event, Site, _result, read_site, run_playbook

GOOD = """\
manager:
  hosts:
    hub: {ansible_host: 10.0.0.1, ansible_user: me, ansible_port: 2222}
nodes:
  children:
    gfa: {hosts: {gfa1: {}, gfa2: {}}}
    fvc: {hosts: {fvc: {}}}
"""


def inventory(folder: Path, text: str) -> Path:
    file = folder / "hosts.yml"
    file.write_text(text, "utf-8")
    return file


def test_a_site(tmp_path: Path) -> None:
    file = inventory(tmp_path, GOOD)
    site = read_site(file)
    assert site.manager == "hub"
    assert list(site.nodes) == ["gfa1", "gfa2", "fvc"]
    assert list(site.manager_ssh)[-3:] == ["-p", "2222", "me@10.0.0.1"]


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        (
            GOOD.replace("manager:", "managers:"),
            ": group 'manager'",
            "must have exactly one host; it has none",
        ),
        (
            GOOD.replace("nodes:\n", "    two: {}\nnodes:\n", 1),
            ": group 'manager'",
            "must have exactly one host; it has hub, two",
        ),
        (
            GOOD[: GOOD.index("nodes:")],
            ": group 'nodes'",
            "must have a host; it has none",
        ),
    ],
)
def test_an_inventory_that_is_no_fleet(
    tmp_path: Path, text: str, where: str, problem: str
) -> None:
    file = inventory(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        read_site(file)
    assert str(error.value) == f"{file}{where}: {problem}"
    assert error.value.exit_code == 3


def test_an_inventory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such inventory"):
        read_site(tmp_path / "missing")


def test_an_inventory_that_is_not_yaml(tmp_path: Path) -> None:
    file = inventory(tmp_path, GOOD + "nodes: [1\n")
    with pytest.raises(ConfigError) as error:
        read_site(file)
    assert str(error.value).startswith(f"{file}")
    # It says that the file cannot be read, not merely that a group is missing.
    assert "pars" in str(error.value).lower()


def test_a_playbook_that_is_not_there(tmp_path: Path) -> None:
    events: list[Event] = []
    site = Site(inventory(tmp_path, GOOD), "hub", ["gfa1"], ["ssh", "hub"])
    with pytest.raises(ProvisionError, match=r"^nothing\.yml: ") as error:
        run_playbook("nothing", site, events.append)
    assert error.value.exit_code == 5
    assert events == []


def test_a_failure_without_a_reason_does_not_repeat_its_task() -> None:
    told = {"failed": True, "invocation": {"module_args": {"token": "SECRET"}}}
    found = _result("failed", {"task": "Write", "host": "gfa1", "res": told})
    assert found == Event("failed", "Write", "gfa1", "it gives no reason")
