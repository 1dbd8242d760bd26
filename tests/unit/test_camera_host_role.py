"""What the role camera_host makes of what an inventory says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.support.modules import ROOT

ROLE = ROOT / "collection/roles/camera_host"

WANTED = """\
{{ {'packages': __camera_host_packages, 'groups': __camera_host_groups,
    'keys': __camera_host_keys, 'files': __camera_host_files,
    'holds': __camera_host_holds[2]} | to_json }}
"""

KEY = "ssh-ed25519 AAAAKEY fliswarm@hub"


def render(folder: Path, *options: str, **site: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what the role wants of a node, from these variables."""
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text("utf-8"))
    found = {"key": KEY, "changed": False, "fresh": []}
    play = {
        "hosts": "gfa1",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [str(ROLE / "vars/main.yml")],
        "vars": {
            **{key: value for key, value in defaults.items() if key not in site},
            "camera_host__controller": {"stdout": json.dumps(found)},
            "ansible_python_interpreter": sys.executable,
        },
        "tasks": [
            {
                "ansible.builtin.copy": {
                    "content": WANTED,
                    "dest": str(folder / "wanted"),
                    "mode": "0600",
                }
            }
        ],
    }
    inventory = {
        "manager": {"hosts": {"hub": {"ansible_host": "192.0.2.1"}}},
        "nodes": {"hosts": {"gfa1": site}},
    }
    (folder / "play.yml").write_text(yaml.safe_dump([play]), "utf-8")
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory), "utf-8")
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("ansible-playbook")), "--inventory"),
            *(str(folder / "hosts.yml"), str(folder / "play.yml"), *options),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    wanted: dict[str, Any] = json.loads((folder / "wanted").read_text("utf-8"))
    return wanted


def content(wanted: dict[str, Any], path: str) -> str:
    """Return the text of a file that the role writes, empty for none."""
    return next((f["content"] for f in wanted["files"] if f["path"] == path), "")


WAITING = "/etc/systemd/system/systemd-networkd-wait-online.service.d/fliswarm.conf"


@pytest.mark.parametrize(("said", "meant"), [("true", True), ("false", False)])
@pytest.mark.parametrize("how", ["inventory", "command line"])
def test_truth_values_that_are_texts(
    tmp_path: Path, said: str, how: str, *, meant: bool
) -> None:
    """As INI and ``-e`` give them: each word is true to who does not ask."""
    names = ("camera_host_nfs", "camera_host_reboot", "camera_host_wait_online")
    options: list[str] = []
    site = dict.fromkeys(names, said)
    if how == "command line":
        options = [word for name in names for word in ("-e", f"{name}={said}")]
        site = {}
    wanted = render(tmp_path, *options, **site)
    assert ("nfs-common" in wanted["packages"]) is meant
    assert ("NOPASSWD" in content(wanted, "/etc/sudoers.d/fliswarm")) is meant
    assert ("sudo -n -l" in wanted["holds"]) is meant
    assert (content(wanted, WAITING) == "") is meant


def test_an_nfs_volume_brings_its_client(tmp_path: Path) -> None:
    volume = {"opts": {"type": "nfs4", "device": ":/data"}}
    assert (
        "nfs-common" in render(tmp_path, fliswarm_volumes={"data": volume})["packages"]
    )
    assert render(tmp_path)["packages"] == ["sudo"]


def test_the_key_of_the_controller_reaches_the_engine_and_no_port(
    tmp_path: Path,
) -> None:
    """The scenario ssh tries it with a real sshd."""
    ours = "ssh-ed25519 AAAAOURS anna"
    more = {"camera_host_authorized_keys": [ours], "camera_host_groups": ["video"]}
    ssh = render(tmp_path, camera_host_transport="ssh", **more)
    socket = 'permitopen="[/var/run/docker.sock]:*",permitlisten="none:1"'
    assert ssh["keys"] == [ours, f"restrict,port-forwarding,{socket} {KEY}"]
    assert ssh["groups"] == ["video", "docker"]
    tls = render(tmp_path, camera_host_transport="tls", **more)
    assert tls["keys"] == [ours, f"restrict {KEY}"]
    # Who is in the group docker is root.
    assert tls["groups"] == ["video"]
