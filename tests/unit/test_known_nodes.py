"""What the controller is told of the nodes' ssh."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sdss.fliswarm.plugins.filter.camera_host_known import (
    camera_host_known,
)
from ansible_collections.sdss.fliswarm.plugins.modules.known_nodes import (
    NOTHING,
    acting_as,
    merge,
    tell,
)

from tests.unit.support.modules import run


def test_by_the_way_the_controller_takes() -> None:
    keys = {"ssh_keys": ["ssh-ed25519 AAAA"]}
    hostvars: dict[str, dict[str, Any]] = {
        "gfa1": {"ansible_host": "10.0.0.1", "camera_host__host": keys},
        "gfa2": {"ansible_host": "10.0.0.2", "ansible_port": "2222"},
        # Ansible goes through a gateway, whose port is none of the controller's.
        "gfa3": {
            "ansible_host": "gate",
            "ansible_port": 2203,
            "fliswarm_host": "10.0.0.3",
            "camera_host__host": None,
        },
        "gfa4": {},
    }
    known = camera_host_known(list(hostvars), hostvars)
    assert [node["name"] for node in known.values()] == [
        "10.0.0.1",
        "[10.0.0.2]:2222",
        "10.0.0.3",
        "gfa4",
    ]
    assert known["gfa1"]["keys"] == ["ssh-ed25519 AAAA"]
    assert [known[name]["keys"] for name in ("gfa2", "gfa3", "gfa4")] == [[], [], []]


def test_who_gave_no_keys_stays_and_who_left_goes() -> None:
    known = "10.0.0.1 ssh-ed25519 OLD\n10.0.0.2 ssh-ed25519 TWO\n10.0.0.9 ssh-rsa X\n"
    nodes = {"10.0.0.1": ["ssh-ed25519 NEW", "ssh-rsa R+/="], "10.0.0.2": []}
    after = merge(known, nodes)
    assert after == (
        "10.0.0.1 ssh-ed25519 NEW\n10.0.0.1 ssh-rsa R+/=\n10.0.0.2 ssh-ed25519 TWO\n"
    )
    assert merge(after, nodes) == after


@pytest.mark.parametrize(
    "key",
    ["", "ssh-ed25519", "ssh-rsa AAAA\n10.0.0.2 ssh-rsa B", "@revoked * ssh-rsa B"],
)
def test_what_a_node_says_of_itself_is_a_key_and_no_other_line(key: str) -> None:
    assert merge("", {"10.0.0.1": [key]}) == ""


def test_it_is_said_and_done_once(tmp_path: Path) -> None:
    (tmp_path / "id_ed25519.pub").write_text("ssh-ed25519 OWN fliswarm@hub\n")
    known = tmp_path / "known_hosts"
    nodes = {"10.0.0.1": ["ssh-ed25519 A"], "[10.0.0.2]:2222": ["ssh-ed25519 B"]}
    said = tell(tmp_path, nodes, write=False)
    assert said == {
        "key": "ssh-ed25519 OWN fliswarm@hub",
        "differs": True,
        "fresh": ["10.0.0.1", "[10.0.0.2]:2222"],
    }
    assert not known.exists()
    assert tell(tmp_path, nodes, write=True) == said
    lines = "10.0.0.1 ssh-ed25519 A\n[10.0.0.2]:2222 ssh-ed25519 B\n"
    assert known.read_text() == lines
    again = tell(tmp_path, nodes, write=True)
    assert (again["differs"], again["fresh"]) == (False, [])
    # One that leaves is no news in the name of a node.
    less = tell(tmp_path, {"10.0.0.1": []}, write=True)
    assert (less["differs"], less["fresh"]) == (True, [])
    assert known.read_text() == "10.0.0.1 ssh-ed25519 A\n"


def test_without_a_controller_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert tell(tmp_path, {"10.0.0.1": ["ssh-ed25519 A"]}, write=True) == NOTHING
    assert not list(tmp_path.iterdir())
    said = run("known_nodes", {"nodes": {"10.0.0.1": []}, "user": "no such user"})
    assert {name: said[name] for name in NOTHING} == NOTHING
    assert not said["changed"]


def test_the_module_is_itself_again_afterwards() -> None:
    before = os.geteuid(), os.getegid()
    other = "nobody" if before[0] == 0 else pwd.getpwuid(before[0]).pw_name
    user = pwd.getpwnam(other)
    with pytest.raises(OSError, match="away"), acting_as(user):
        assert (os.geteuid(), os.getegid()) == (user.pw_uid, user.pw_gid)
        raise OSError("away")
    assert (os.geteuid(), os.getegid()) == before
