"""What the controller is told of the nodes' ssh."""

from __future__ import annotations

from typing import Any

from ansible_collections.sdss.fliswarm.plugins.filter.camera_host_known import (
    camera_host_known,
)


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
