#!/usr/bin/python
"""Ansible module: the computers that a site has had, and those that have left it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_computers
short_description: Remember the computers of a site, and name those that have left
version_added: 1.0.0
description:
  - Keeps a list of all computers that a site has ever had.
  - Names, as a warning, those that are in its inventory no more and were never
    forgotten. A computer is known by its addresses and by its ssh keys, so that one
    that got another name or another address has not left.
  - Is for the playbooks of this collection.
options:
  store:
    description: Folder of the list.
    type: path
    default: /var/lib/fliswarm-provision
  computers:
    description:
      - The computers of the inventory, each with C(name), C(role), C(connection), the
        address that Ansible uses, C(address), the one in the site's network, and
        C(keys), its public ssh keys where they are known.
    type: list
    elements: dict
    default: []
  known:
    description: The list that is kept elsewhere, which this one takes up.
    type: list
    elements: dict
    default: []
  forget:
    description: Names or addresses of those that need not be named any more.
    type: list
    elements: str
    default: []
  warn:
    description: Whether those that have left are named as a warning.
    type: bool
    default: false
  state:
    description: C(absent) removes the list.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Says whether the list would change.
    support: full
  diff_mode:
    description: Shows nothing.
    support: none
author:
  - The fliswarm developers (@sdss)
"""

EXAMPLES = r"""
- name: Name the computers that have left
  sdss.fliswarm.site_computers:
    computers:
      - {name: gfa1, role: node, connection: 10.25.1.11, address: 10.25.1.11, keys: []}
    warn: true
"""

RETURN = r"""
computers:
  description: The whole list.
  returned: present
  type: list
  elements: dict
left:
  description: Those of it that have left.
  returned: present
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sdss.fliswarm.plugins.module_utils import kept

PARTS = ("name", "role", "connection", "address")

WARNING = (
    "{name} ({role} at {connection}) is in the inventory no more. What fliswarm has "
    "brought there goes on: {what}. "
    "Remedy: ansible-playbook -i {connection}, -u USER sdss.fliswarm.reset; then, or "
    "when there is no such computer any more, run the site's playbook with "
    "-e site_forget={connection}"
)

WHAT = {
    "manager": "its controller commands the cameras, its registry serves images",
    "node": "its camera runs, its Docker Engine lets the controller in",
}


def plain(computer: dict[str, Any]) -> dict[str, Any]:
    """Return a computer with all its parts and nothing else."""
    one = {part: str(computer.get(part) or "") for part in PARTS}
    keys = sorted(str(key) for key in computer.get("keys") or [])
    return {**one, "keys": keys, "forgotten": bool(computer.get("forgotten"))}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two entries are of one computer."""
    addresses = {one["connection"], one["address"]} - {""}
    if addresses & {other["connection"], other["address"]}:
        return True
    return bool(set(one["keys"]) & set(other["keys"]))


def merged(
    known: list[dict[str, Any]],
    present: list[dict[str, Any]],
    forget: list[str],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the list as it is to be, and those of it that have left.

    Parameters
    ----------
    known
        All that were ever listed, of one list or of two; one may stand in both.
    present
        Those of the inventory.
    forget
        Names or addresses.
    """
    gone: list[dict[str, Any]] = []
    for one in known:
        if any(same(one, here) for here in present):
            continue
        words = {one["name"], one["connection"], one["address"]}
        again = [other for other in gone if same(one, other)]
        forgotten = one["forgotten"] or bool(words & set(forget))
        if again:
            again[0]["forgotten"] = again[0]["forgotten"] or forgotten
        else:
            gone.append({**one, "forgotten": forgotten})
    here = []
    for one in present:
        # The keys of a computer that did not answer this time are those it had.
        keys = [other["keys"] for other in known if same(one, other) and other["keys"]]
        here.append({**one, "keys": one["keys"] or (keys[0] if keys else [])})
    every = sorted(here + gone, key=lambda one: (one["connection"], one["name"]))
    return every, [one for one in gone if not one["forgotten"]]


def main() -> None:
    """Remember, and name those that have left."""
    many = {"type": "list", "elements": "dict", "default": []}
    module = AnsibleModule(
        {
            "store": {"type": "path", "default": kept.STORE},
            "computers": many,
            "known": many,
            "forget": {"type": "list", "elements": "str", "default": []},
            "warn": {"type": "bool", "default": False},
            "state": {
                "type": "str",
                "choices": ["present", "absent"],
                "default": "present",
            },
        },
        supports_check_mode=True,
    )
    params = module.params
    record = kept.Record("computers", params["store"])
    try:
        before = record.load()
        if params["state"] == "absent":
            if before and not module.check_mode:
                record.remove()
            module.exit_json(changed=bool(before))
        known = [plain(one) for one in before.get("computers", []) + params["known"]]
        present = [plain(one) for one in params["computers"]]
        every, left = merged(known, present, params["forget"])
        changed = every != before.get("computers", [])
        if changed and not module.check_mode:
            record.save({"computers": every})
    except OSError as error:
        module.fail_json(msg=str(error))
    if params["warn"]:
        for one in left:
            what = WHAT.get(one["role"], "its services run")
            module.warn(WARNING.format(**{**one, "what": what}))
    module.exit_json(changed=changed, computers=every, left=left)


if __name__ == "__main__":
    main()
