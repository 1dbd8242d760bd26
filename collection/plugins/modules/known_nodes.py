#!/usr/bin/python
"""Ansible module: the nodes in the controller's ``known_hosts``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: known_nodes
short_description: Make the nodes known to the controller
version_added: 1.0.0
description:
  - Writes the ssh keys of the nodes into C(known_hosts) of the controller's user, as
    that user, and tells the user's own public key.
  - Changes nothing where there is no such user, or no key of it.
  - Is for the roles of this collection.
options:
  nodes:
    description:
      - The keys of each node, by the word that its lines begin with. Without keys its
        lines stay what they are. The lines of all others go.
    type: dict
    required: true
  user:
    description: As whom the controller runs.
    type: str
    default: fliswarm
attributes:
  check_mode:
    description: Says whether the file would change.
    support: full
  diff_mode:
    description: Shows nothing.
    support: none
author:
  - The fliswarm developers (@sdss)
"""

EXAMPLES = r"""
- name: Make the nodes known to the controller
  sdss.fliswarm.known_nodes:
    nodes:
      10.25.1.11: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPdo]
      "[10.25.1.12]:2222": []
  delegate_to: sdss-hub
"""

RETURN = r"""
key:
  description: The controller's own public key, empty when it has none.
  returned: success
  type: str
differs:
  description: Whether what it knows is, or was, something else.
  returned: success
  type: bool
fresh:
  description: Words of the nodes that it did not know as they are.
  returned: success
  type: list
  elements: str
"""

import os
import pwd
import re
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

from ansible.module_utils.basic import AnsibleModule

KEY = re.compile(r"[a-z0-9@.-]+ [A-Za-z0-9+/]+=*")
"""Type and key, as a host has them in its ``.pub`` files."""

NOTHING: dict[str, Any] = {"key": "", "differs": False, "fresh": []}
"""Without a controller."""


def merge(known: str, nodes: dict[str, list[str]]) -> str:
    """Return what ``known_hosts`` is to hold, from what it holds.

    Parameters
    ----------
    known
        Its text.
    nodes
        All nodes. The lines of others go.
    """
    kept = [line for line in known.splitlines() if nodes.get(line.split(" ")[0]) == []]
    fresh = [
        f"{address} {key}"
        for address, keys in nodes.items()
        for key in keys
        # What a node says of itself is to be a key, not a line for another node.
        if KEY.fullmatch(key)
    ]
    return "".join(f"{line}\n" for line in sorted(kept + fresh))


def new(before: str, after: str) -> list[str]:
    """Return the words that those lines begin with which only the second text has."""
    lines = set(after.splitlines()) - set(before.splitlines())
    return sorted({line.split(" ")[0] for line in lines})


def tell(folder: Path, nodes: dict[str, list[str]], *, write: bool) -> dict[str, Any]:
    """Make the nodes known; return the result.

    Parameters
    ----------
    folder
        The ``.ssh`` of the controller.
    nodes
        The keys of each node.
    write
        Whether the file is written if it differs.
    """
    key, known = folder / "id_ed25519.pub", folder / "known_hosts"
    if not key.is_file():
        return NOTHING
    public = key.read_text("utf-8").strip()
    before = known.read_text("utf-8") if known.is_file() else ""
    after = merge(before, nodes)
    if write and after != before:
        fresh = known.with_suffix(".new")
        fresh.write_text(after, "utf-8")
        fresh.replace(known)
    return {"key": public, "differs": after != before, "fresh": new(before, after)}


@contextmanager
def acting_as(user: pwd.struct_passwd) -> Iterator[None]:
    """Read and write as a user whose files they are: no link of theirs leads further.

    Ansible's own files are taken away as who made them.
    """
    before = os.getegid(), os.geteuid()
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(before[1])
        os.setegid(before[0])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        {
            "nodes": {"type": "dict", "required": True},
            "user": {"type": "str", "default": "fliswarm"},
        },
        supports_check_mode=True,
    )
    try:
        user = pwd.getpwnam(module.params["user"])
    except KeyError:
        module.exit_json(changed=False, **NOTHING)
    try:
        with acting_as(user):
            folder = Path(user.pw_dir, ".ssh")
            found = tell(folder, module.params["nodes"], write=not module.check_mode)
    except (OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=found["differs"], **found)


if __name__ == "__main__":
    main()
