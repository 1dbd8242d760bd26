"""The playbook of a site as far as it goes without asking a host."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.support.modules import ROOT

INVENTORY = """\
all:
  vars: {{fliswarm_observatory: APO, fliswarm_registry: "hub:5000"{more}}}
  children:
    manager: {{hosts: {{hub: {{ansible_host: 192.0.2.1}}}}}}
    nodes:
      children:
        gfa: {{hosts: {{gfa1: {own}, gfa2: , gfa3: }}}}
"""


def site(
    folder: Path, *options: str, more: str = "", own: str = "{}"
) -> tuple[int, str]:
    """Run the playbook without the tasks that ask a host; return code and output."""
    inventory = folder / "hosts.yml"
    inventory.write_text(INVENTORY.format(more=more, own=own), "utf-8")
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("ansible-playbook")), "-i"),
            *(str(inventory), "playbooks/site.yml", "--tags", "none_has_it", *options),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("more", "options", "engines", "cameras"),
    [
        ("", (), 1, 1),
        (", fliswarm_serial: '2'", (), 2, 2),
        (", fliswarm_serial: 1", ("-e", "fliswarm_serial=3"), 2, 1),
        (", fliswarm_serial: 1", ("--limit", "gfa2,gfa3"), 2, 2),
    ],
)
def test_so_many_computers_at_a_time(
    tmp_path: Path, more: str, options: tuple[str, ...], engines: int, cameras: int
) -> None:
    code, out = site(tmp_path, *options, more=more)
    assert code == 0, out
    assert out.count("PLAY [Docker Engine everywhere]") == engines, out
    assert out.count("PLAY [The camera computers]") == cameras, out
    assert "changed=1" not in out


def test_what_is_wrong_ends_the_run(tmp_path: Path) -> None:
    code, out = site(tmp_path, own="{fliswarm_docker_transport: tcp}")
    assert code != 0
    said = " ".join(out.split())
    assert "differs: tls for hub, gfa2, gfa3; tcp for gfa1." in said
    assert "Docker Engine everywhere" not in out


def test_a_mistyped_variable_of_the_command_line_ends_the_run(tmp_path: Path) -> None:
    code, out = site(tmp_path, "-e", "registry_gcc=daily")
    assert code != 0
    assert "did you mean registry_gc?" in " ".join(out.split())


def test_values_that_are_made_of_other_hosts_are_left_to_their_hosts(
    tmp_path: Path,
) -> None:
    more = """, fliswarm_image: "{{ hostvars['hub'].ansible_host }}/camera:1" """
    code, out = site(tmp_path, more=more)
    assert code == 0, out


def test_what_the_manager_cannot_have_is_refused_before_anything(
    tmp_path: Path,
) -> None:
    """The registry's storage is written wrong: no engine was touched by then."""
    code, out = site(
        tmp_path,
        *("--tags", "registry_preflight,docker_engine_preflight"),
        *("-e", "registry_storage=images"),
    )
    assert code != 0
    assert "registry_storage is images: write it as a full path." in " ".join(
        out.split()
    )
    assert "PLAY [Docker Engine everywhere]" not in out
