"""Ansible filter: what the groups of an inventory say that its nodes are."""

from __future__ import annotations

DOCUMENTATION = r"""
name: site_categories
short_description: What the groups of an inventory say that its nodes are
version_added: 1.0.0
description:
  - Returns the categories, which are the groups that have nodes alone in them.
  - A node in more than one leaves open which is meant; C(fliswarm_category) says it.
  - Is for the roles of this collection.
options:
  _input:
    description: The members of all groups, C(groups).
    type: dict
    required: true
author:
  - The fliswarm developers (@sdss)
"""

EXAMPLES = r"""
- name: Say what the nodes are
  ansible.builtin.debug:
    msg: "{{ groups | sdss.fliswarm.site_categories }}"
"""

RETURN = r"""
_value:
  description: The nodes of each category, by its name.
  type: dict
"""

from typing import Any, Mapping

SERIAL = "fliswarm_serial_"
"""Groups of this name hand a number from one play to the next."""

NOT_MEANT = ("all", "ungrouped", "manager", "nodes")


def site_categories(groups: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return the nodes of each category, in the order of their names."""
    nodes = set(groups.get("nodes") or [])
    return {
        group: list(groups[group])
        for group in sorted(groups)
        if group not in NOT_MEANT
        and not group.startswith(SERIAL)
        and set(groups[group]) <= nodes
    }


class FilterModule:
    """What Ansible asks for its filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"site_categories": site_categories}
