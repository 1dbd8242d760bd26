"""Ansible filter: the nodes of an inventory that the controller is to use."""

from __future__ import annotations

DOCUMENTATION = r"""
name: controller_enabled
short_description: The nodes of an inventory that the controller is to use
version_added: 1.0.0
description:
  - Returns the names of those that C(fliswarm_enabled) does not leave out. A text such
    as C(false) is what it says.
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
- name: Say which nodes are used
  ansible.builtin.debug:
    msg: "{{ groups['nodes'] | sdss.fliswarm.controller_enabled(hostvars) }}"
"""

RETURN = r"""
_value:
  description: Their names.
  type: list
  elements: str
"""

from typing import Any, Mapping

from ansible_collections.sdss.fliswarm.plugins.filter import controller_nodes


def controller_enabled(
    names: list[str], hostvars: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return the names of the nodes that are to be used."""
    return [n for n in names if controller_nodes.is_enabled(n, hostvars[n])]


class FilterModule:
    """What Ansible asks for its filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"controller_enabled": controller_enabled}
