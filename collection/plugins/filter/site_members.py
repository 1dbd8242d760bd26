"""Ansible filter: the computers of an inventory, as `site_computers` takes them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: site_members
short_description: The computers of an inventory, as site_computers takes them
version_added: 1.0.0
description:
  - Returns the manager and the nodes with their addresses, and with the ssh keys of
    those that this run has asked for them.
  - Is for the playbooks of this collection.
options:
  _input:
    description: The variables of all hosts.
    type: dict
    required: true
  groups:
    description: The groups of the inventory.
    type: dict
    required: true
author:
  - The fliswarm developers (@sdss)
"""

EXAMPLES = r"""
- name: Say who is in the inventory
  ansible.builtin.debug:
    msg: "{{ hostvars | sdss.fliswarm.site_members(groups) }}"
"""

RETURN = r"""
_value:
  description: The computers.
  type: list
  elements: dict
"""

from typing import Any, Mapping

from ansible_collections.sdss.fliswarm.plugins.filter.controller_nodes import address


def site_members(
    hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, list[str]]
) -> list[dict[str, Any]]:
    """Return the manager and the nodes; a host that is both is the manager."""
    roles = dict.fromkeys(groups.get("nodes", []), "node")
    roles.update(dict.fromkeys(groups.get("manager", []), "manager"))
    found = []
    for name, role in sorted(roles.items()):
        its = hostvars[name]
        connection = str(its.get("ansible_host") or name)
        known = its.get("camera_host__host") or {}
        found.append(
            {
                "name": name,
                "role": role,
                "connection": connection,
                "address": address(name, its),
                "keys": list(known.get("ssh_keys") or []),
            }
        )
    return found


class FilterModule:
    """What Ansible asks for its filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"site_members": site_members}
