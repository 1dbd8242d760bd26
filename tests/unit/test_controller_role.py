"""What the role controller writes, from inventories as people have them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from fliswarm import config
from fliswarm.model import Fleet
from fliswarm.notify import period
from tests.unit.support.modules import ROOT

ROLE = ROOT / "collection/roles/controller"

PLAYBOOK = f"""\
- hosts: manager
  gather_facts: false
  connection: local
  vars_files:
    - {ROLE}/vars/main.yml
  tasks:
    - ansible.builtin.copy:
        content: "{{{{ lookup('ansible.builtin.template', template) }}}}"
        dest: "{{{{ result }}}}"
        mode: "0600"
      vars:
        template: {ROLE}/templates/fliswarm.yaml.j2
        ansible_python_interpreter: {sys.executable}
"""


def render(
    folder: Path,
    nodes: dict[str, dict[str, Any]],
    *options: str,
    **site: Any,  # noqa: ANN401  what an inventory holds
) -> Path:
    """Return the file that the role writes for a site of these nodes."""
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text("utf-8"))
    common = {"fliswarm_docker_transport": "tcp", "fliswarm_observatory": "APO"}
    site = {**defaults, **common, **site}
    inventory = {
        "all": {"vars": site},
        "manager": {"hosts": {"hub": {}}},
        "nodes": {"children": {"gfa": {"hosts": nodes}}},
    }
    for name, text in (
        ("hosts.yml", yaml.safe_dump(inventory, sort_keys=False)),
        ("play.yml", PLAYBOOK),
    ):
        (folder / name).write_text(text, "utf-8")
    result = folder / "fliswarm.yaml"
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("ansible-playbook")), "--inventory"),
            *(str(folder / "hosts.yml"), str(folder / "play.yml"), *options),
            *("-e", f"result={result}"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return result


def load(file: Path) -> Fleet:
    """Read the file as the controller does."""
    return config.load(file, environment={})


def test_names_that_yaml_takes_for_something_else(tmp_path: Path) -> None:
    nodes: dict[str, dict[str, Any]] = {"07": {}, "on": {}, "1e3": {}}
    fleet = load(render(tmp_path, nodes, fliswarm_observatory="NO"))
    assert fleet.observatory == "NO"
    assert fleet.enabled == ("07", "on", "1e3")
    assert {node.category for node in fleet.nodes.values()} == {"gfa"}


def test_texts_are_taken_for_what_they_say(tmp_path: Path) -> None:
    """As INI and ``-e`` give them."""
    nodes: dict[str, dict[str, Any]] = {
        "gfa1": {"fliswarm_enabled": "false"},
        "gfa2": {"fliswarm_enabled": "yes", "fliswarm_port": "20001"},
        "gfa3": {"fliswarm_uid": "2005", "fliswarm_gid": "3005"},
    }
    fleet = load(render(tmp_path, nodes, "-e", "fliswarm_privileged=false"))
    assert fleet.enabled == ("gfa2", "gfa3")
    assert fleet.nodes["gfa2"].port == 20001
    assert (fleet.nodes["gfa3"].uid, fleet.nodes["gfa3"].gid) == (2005, 3005)
    assert not fleet.privileged


@pytest.mark.parametrize(
    ("written", "meant"),
    [("false", False), ("no", False), ("True", True), ("on", True), ("", True)],
)
def test_a_truth_value_that_is_a_text(
    tmp_path: Path, written: str, *, meant: bool
) -> None:
    """Each word is true to a template that does not ask what it says."""
    node = {"fliswarm_enabled": written} if written else {}
    fleet = load(render(tmp_path, {"gfa1": node}, fliswarm_privileged=written))
    assert fleet.enabled == (("gfa1",) if meant else ())
    assert fleet.privileged is meant


def test_a_truth_value_that_is_none_says_nothing(tmp_path: Path) -> None:
    node = {"fliswarm_enabled": None}
    fleet = load(render(tmp_path, {"gfa1": node}, fliswarm_privileged=None))
    assert fleet.enabled == ("gfa1",)
    assert fleet.privileged


def test_who_may_change_things_over_tcp_is_written_for_the_actor(
    tmp_path: Path,
) -> None:
    file = render(tmp_path, {"gfa1": {}}, controller_actor={"commands": "all"})
    assert load(file).actor.commands == "all"
    assert load(render(tmp_path, {"gfa1": {}})).actor.commands == "original"


def test_all_nodes_disabled(tmp_path: Path) -> None:
    file = render(tmp_path, {"gfa1": {"fliswarm_enabled": False}})
    assert load(file).enabled == ()


def test_options_are_over_those_of_the_role(tmp_path: Path) -> None:
    file = render(
        tmp_path,
        {"gfa1": {}},
        controller_options={
            "container_name": "cam",
            "ping_timeout": 2.5,
            "actor": {"port": 29996},
            "control": {"socket": "/run/other.sock"},
        },
        controller_actor={"tron_host": "hub", "log_dir": ""},
    )
    fleet = load(file)
    assert fleet.container_name == "cam"
    assert fleet.ping_timeout == 2.5
    assert (fleet.actor.port, fleet.actor.tron_host) == (29996, "hub")
    assert fleet.control_socket == Path("/run/other.sock")


def test_the_port_of_ssh_is_everywhere_that_ssh_is(tmp_path: Path) -> None:
    nodes: dict[str, dict[str, Any]] = {
        "gfa1": {"ansible_host": "10.0.0.1", "ansible_port": 2222},
        "gfa2": {"ansible_host": "fd00::11"},
    }
    fleet = load(render(tmp_path, nodes, fliswarm_docker_transport="ssh"))
    gfa1, gfa2 = fleet.nodes["gfa1"], fleet.nodes["gfa2"]
    assert (gfa1.engine, gfa1.ssh_port) == ("ssh://sdss@10.0.0.1:2222", 2222)
    assert (gfa2.engine, gfa2.ssh_port) == ("ssh://sdss@[fd00::11]", 22)


def unit(log_dir: str) -> dict[str, list[str]]:
    """Return the settings of the service's unit, each with its values."""
    template = (ROLE / "templates/fliswarm.service.j2").read_text("utf-8")
    program = "/opt/fliswarm/bin/fliswarm -c /etc/fliswarm/fliswarm.yaml"
    text = jinja2.Environment(autoescape=False).from_string(template)  # noqa: S701
    found: dict[str, list[str]] = {}
    for line in text.render(
        __controller_home="/opt/fliswarm",
        __controller_config="/etc/fliswarm/fliswarm.yaml",
        __controller_program=program,
        __controller_stamp="0 3.11",
        __controller_actor={"log_dir": log_dir},
    ).splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_the_unit_asks_for_what_the_program_tells() -> None:
    found = unit("/var/log/fliswarm")
    assert found["Type"] == ["notify"]
    assert found["NotifyAccess"] == ["main"]
    (limit,) = found["WatchdogSec"]
    assert period({"WATCHDOG_USEC": str(int(limit) * 1_000_000)}) == int(limit) / 3
    assert int(found["TimeoutStartSec"][0]) >= 30
    # A file that is refused is an error of the reload.
    assert found["ExecReload"][0].endswith(" reload")
    assert int(found["LimitNOFILE"][0]) >= 500 * 3
    assert found["ReadWritePaths"] == ["-/var/log/fliswarm"]
    assert "ReadWritePaths" not in unit("")
