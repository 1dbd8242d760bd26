#!/usr/bin/python
"""Ansible module: who may write to the registry of this host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_writer
short_description: Let root alone write to the registry of this host
version_added: 1.0.0
description:
  - Makes a password on the host, once, and the files that use it. It is in no
    argument, no log and no result.
  - C(htpasswd) is for the registry. C(config.json) is for C(docker --config)
    FOLDER C(push). C(registry.json) tells the other modules where to write.
options:
  name:
    description: Name or address and port under which others read the registry.
    type: str
  address:
    description: Address and port of this host that take images.
    type: str
  storage:
    description: Folder of the images.
    type: path
  owner:
    description: User that the registry runs as.
    type: str
    default: docker-registry
  folder:
    description: Folder of the files.
    type: path
    default: /etc/docker/registry/writer
  state:
    description: C(absent) removes them.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Names the files, and nothing of what is in them.
    support: full
author:
  - The fliswarm developers (@sdss)
"""

EXAMPLES = r"""
- name: Let root alone push
  sdss.fliswarm.registry_writer:
    name: 10.25.1.1:5000
    address: 127.0.0.1:5001
    storage: /var/lib/docker-registry
"""

RETURN = r"""
changed_files:
  description: Paths that were written or removed.
  returned: always
  type: list
  elements: str
"""

import base64
import ctypes
import ctypes.util
import json
import os
import pwd
import secrets
import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sdss.fliswarm.plugins.module_utils import kept
from ansible_collections.sdss.fliswarm.plugins.module_utils.kept import File
from ansible_collections.sdss.fliswarm.plugins.module_utils.registry_api import (
    WRITER,
    Writer,
    writer,
)

USER = "fliswarm"

ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
"""Of bcrypt's salts."""


def bcrypt(password: str, salt: str) -> str:
    """Return what a registry compares a password with; it knows bcrypt alone.

    Python's own module for it has gone, the library is part of every login.

    Parameters
    ----------
    password
        The password.
    salt
        An earlier result for the same password, or what begins one.
    """
    library = ctypes.CDLL(ctypes.util.find_library("crypt") or "libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    library.crypt.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    found: bytes | None = library.crypt(password.encode(), salt.encode())
    return (found or b"").decode()


def fresh_salt() -> str:
    """Return a new salt; the password is random, so that no work has to be added."""
    return "$2b$04$" + "".join(secrets.choice(ALPHABET) for index in range(21)) + "."


def files(ours: Writer, old: str, uid: int) -> dict[str, File]:
    """Return what is to be in the folder.

    Parameters
    ----------
    ours
        What the files tell.
    old
        The file for the registry as it is.
    uid
        The number of its user.
    """
    line = old.strip().partition(":")[2]
    if not line.startswith("$2") or bcrypt(ours.password, line) != line:
        line = bcrypt(ours.password, fresh_salt())
    login = f"{ours.user}:{ours.password}"
    auth = {"auth": base64.b64encode(login.encode()).decode()}
    return {
        "htpasswd": File(f"{ours.user}:{line}\n", 0o400, uid),
        "config.json": File(json.dumps({"auths": {ours.address: auth}}) + "\n", 0o600),
        "registry.json": File(json.dumps(ours._asdict()) + "\n", 0o600),
    }


def present(options: dict[str, Any], check: bool) -> list[str]:
    """Write what differs; return its paths."""
    folder = Path(options["folder"])
    known = writer(str(folder))
    ours = Writer(
        options["name"],
        options["address"],
        options["storage"],
        USER,
        known.password if known else secrets.token_hex(32),
        known.mark if known else secrets.token_hex(16),
    )
    try:
        uid = pwd.getpwnam(options["owner"]).pw_uid
    except KeyError:
        if not check:
            raise
        # In a dry run the package may be one that is still to be installed.
        uid = -1
    old = kept.read(str(folder / "htpasswd"))
    wanted = files(ours, old.content if old else "", uid)
    changed = []
    for name, file in wanted.items():
        path = str(folder / name)
        if kept.read(path) != file:
            changed.append(path)
            if not check:
                kept.write(path, file)
    return changed


def absent(options: dict[str, Any], check: bool) -> list[str]:
    """Remove the folder; return its path if it was there."""
    folder = Path(options["folder"])
    if not folder.is_dir():
        return []
    if not check:
        shutil.rmtree(folder)
    return [str(folder)]


def main() -> None:
    """Run the module."""
    text = {"type": "str"}
    module = AnsibleModule(
        {
            "name": text,
            "address": text,
            "storage": {"type": "path"},
            "owner": {"type": "str", "default": "docker-registry"},
            "folder": {"type": "path", "default": WRITER},
            "state": {
                "type": "str",
                "choices": ["present", "absent"],
                "default": "present",
            },
        },
        required_if=[("state", "present", ("name", "address", "storage"))],
        supports_check_mode=True,
    )
    os.umask(0o022)
    act = present if module.params["state"] == "present" else absent
    try:
        with kept.locked():
            changed = act(module.params, bool(module.check_mode))
    except KeyError as error:
        module.fail_json(msg=f"{error.args[0]}. Nothing was changed.")
    except OSError as error:
        module.fail_json(msg=str(error))
    diff = {"prepared": "".join(f"{path}\n" for path in changed)}
    module.exit_json(changed=bool(changed), changed_files=changed, diff=diff)


if __name__ == "__main__":
    main()
