"""Ansible filter: nodes as the controller's ``known_hosts`` has them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: camera_host_known
short_description: Nodes as the controller's known_hosts has them
version_added: 1.0.0
description:
  - Returns for each node the word that its lines begin with, and its own ssh keys.
  - A node that is not part of the run has no keys.
  - Is for the roles of this collection.
options:
  _input:
    description: Names of the nodes.
    type: list
    elements: str
    required: true
  hostvars:
    description: The variables of all hosts.
    type: dict
    required: true
author:
  - The fliswarm developers (@sdss)
"""

EXAMPLES = r"""
- name: Say what the controller is told
  ansible.builtin.debug:
    msg: "{{ groups['nodes'] | sdss.fliswarm.camera_host_known(hostvars) }}"
"""

RETURN = r"""
_value:
  description: C(name) and C(keys) of each node, by its name in the inventory.
  type: dict
"""

from typing import Any, Mapping

from ansible_collections.sdss.fliswarm.plugins.filter.controller_nodes import (
    SSH_PORT,
    address,
    ssh_port,
)


def camera_host_known(
    names: list[str], hostvars: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return what is known of each node; ssh names the port of another than 22."""
    known = {}
    for name in names:
        its = hostvars[name]
        where, port = address(name, its), ssh_port(name, its)
        found = its.get("camera_host__host") or {}
        known[name] = {
            "name": where if port == SSH_PORT else f"[{where}]:{port}",
            "keys": list(found.get("ssh_keys") or []),
        }
    return known


class FilterModule:
    """What Ansible asks for its filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"camera_host_known": camera_host_known}
