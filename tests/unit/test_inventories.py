"""Inventories as people have them, and those of the sites: what the controller gets."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from fliswarm import config
from fliswarm.model import Fleet
from tests.unit.support.modules import ROOT

CASES = sorted((Path(__file__).parents[1] / "cases" / "inventories").glob("*.yaml"))

# The check of the inventory is always run; of the roles there are the variables alone.
PLAYBOOK = f"""\
- ansible.builtin.import_playbook: {ROOT}/collection/playbooks/site.yml

- hosts: manager
  gather_facts: false
  roles: [sdss.fliswarm.controller]
  tasks:
    - ansible.builtin.copy:
        content: "{{{{ lookup('ansible.builtin.template', template) }}}}"
        dest: "{{{{ result }}}}"
        mode: "0600"
      delegate_to: localhost
      vars:
        template: {ROOT}/collection/roles/controller/templates/fliswarm.yaml.j2
        ansible_connection: local
        ansible_python_interpreter: {sys.executable}
      tags: [rendered]
"""


def render(
    folder: Path, inventory: Path, *options: str, environment: dict[str, str]
) -> Fleet:
    """Return the fleet that the controller makes of an inventory."""
    (folder / "render.yml").write_text(PLAYBOOK, "utf-8")
    result = folder / "fliswarm.yaml"
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "-i", inventory),
            *(folder / "render.yml", "--tags", "rendered", "-e", f"result={result}"),
            *options,
        ],
        cwd=folder,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": f"{ROOT}/.ansible/collections",
            "ANSIBLE_HOME": str(folder / ".ansible"),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return config.load(result, environment={})


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_as_people_have_them(file: Path, tmp_path: Path) -> None:
    case: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    for name, text in case["files"].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    environment = {
        name: text.replace("FOLDER", str(tmp_path)).replace("ROOT", str(ROOT))
        for name, text in case.get("environment", {}).items()
    }
    fleet = render(
        tmp_path,
        tmp_path / case["inventory"],
        *case.get("options", ()),
        environment=environment,
    )
    says = case["says"]
    found = {name: asdict(node) for name, node in fleet.nodes.items()}
    for name, wanted in says.pop("nodes").items():
        assert {key: found[name][key] for key in wanted} == wanted
    for key, wanted in says.items():
        value = getattr(fleet, key)
        assert (list(value) if isinstance(value, tuple) else value) == wanted


@pytest.mark.parametrize("site", ["apo", "lco"])
def test_those_of_the_sites(site: str, tmp_path: Path) -> None:
    fleet = render(tmp_path, ROOT / "inventory" / site, environment={})
    assert fleet.observatory == site.upper()
    assert fleet.enabled == (*(f"gfa{n}" for n in range(1, 7)), "fvc")
    assert (fleet.registry, fleet.image) == ("sdss-hub:5000", "sdss/flicamera:latest")
    assert [volume.name for volume in fleet.volumes] == ["home", "data"]
    assert {volume.options["type"] for volume in fleet.volumes} == {"nfs"}
    gfa6, fvc = fleet.nodes["gfa6"], fleet.nodes["fvc"]
    assert (gfa6.host, gfa6.engine) == ("sdss-gfa6", "tcp://sdss-gfa6:2375")
    assert (gfa6.category, fvc.category) == ("gfa", "fvc")
    assert gfa6.power is not None
    assert (gfa6.power.actor, gfa6.power.device) == ("jaeger", "gfa6")
    owner = (2005, 3005) if site == "apo" else (None, None)
    assert (gfa6.uid, gfa6.gid) == owner
    assert (fleet.actor.tron_host, fleet.actor.tron_port) == ("sdss5-hub", 6093)
