"""The playbook of a site as far as it goes without asking a host."""

from __future__ import annotations

import os
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
    """Run the playbook without the tasks that ask a host; return code and output.

    Programs in the folder come before those of this computer.
    """
    inventory = folder / "hosts.yml"
    inventory.write_text(INVENTORY.format(more=more, own=own), "utf-8")
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("ansible-playbook")), "-i"),
            *(str(inventory), "playbooks/site.yml", "--tags", "none_has_it", *options),
        ],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
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


HERE = (
    *("-e", "ansible_connection=local", "-e", "ansible_become=false"),
    *("-e", f"ansible_python_interpreter={sys.executable}"),
)
"""This computer stands for all, and is only looked at."""


def refused(folder: Path, *options: str, tags: str) -> str:
    """Run the looks of some roles; return what was said before anything was touched."""
    code, out = site(folder, *HERE, "--tags", tags, *options)
    assert code != 0, out
    assert "PLAY [Docker Engine everywhere]" not in out
    assert "changed=1" not in out
    return " ".join(out.split())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"source": "archive", "archive": "/nowhere/image.tar"},
            "there is no file /nowhere/image.tar on the control machine",
        ),
        (
            {"source": "archive"},
            "flicamera_image_archive has to name the file that the image comes from",
        ),
        (
            {"base_archive": "/nowhere/base.tar"},
            "there is no file /nowhere/base.tar on the control machine",
        ),
        (
            {"pin": f"sha256:{'0' * 64}"},
            "and what build makes has another digest. Remedy: run once without @",
        ),
        ({"pin": "sha256:0"}, "fliswarm_image: sha256:0 is no digest."),
    ],
)
def test_an_image_that_cannot_be_had_is_refused_before_anything(
    tmp_path: Path, options: dict[str, str], words: str
) -> None:
    """Nobody listens at the registry's address yet, as before a first run."""
    more = [w for n, v in options.items() for w in ("-e", f"flicamera_image_{n}={v}")]
    where = ("-e", "fliswarm_registry=127.0.0.1:9")
    said = refused(tmp_path, *where, *more, tags="flicamera_image_preflight")
    assert words in said


def test_another_user_of_a_node_is_refused_before_anything(tmp_path: Path) -> None:
    options = ("--limit", "gfa1", "-e", "camera_host_user=nobody")
    said = refused(tmp_path, *options, tags="camera_host_preflight")
    assert "there is a user nobody already" in said
    assert "Nothing was changed." in said


PROBE = """\
#!/bin/sh
cat >/dev/null
echo '{"python": "3.10", "machine": "x86_64", "stamp": "", "foreign": [],'
echo '"login": "", "key": false}'
"""


def test_what_the_controller_cannot_have_is_refused_before_anything(
    tmp_path: Path,
) -> None:
    (tmp_path / "python3").write_text(PROBE)
    (tmp_path / "python3").chmod(0o755)
    said = refused(tmp_path, tags="controller_preflight")
    assert "its python3 is 3.10, and the controller needs 3.11 or later" in said


def test_the_place_of_others_is_not_taken(tmp_path: Path) -> None:
    probe = PROBE.replace("3.10", "3.11")
    what = "/opt/fliswarm holds somebody else's files".replace("'", "'\\''")
    (tmp_path / "python3").write_text(probe.replace("[]", f'["{what}"]'))
    (tmp_path / "python3").chmod(0o755)
    said = refused(tmp_path, tags="controller_preflight")
    assert "/opt/fliswarm holds somebody else's files" in said
    assert "Remedy: move it away" in said
