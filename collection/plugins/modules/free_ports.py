#!/usr/bin/python
"""Ansible module: refuse ports that other programs have."""

from __future__ import annotations

DOCUMENTATION = r"""
module: free_ports
short_description: Refuse to go on where something else has a port
version_added: 1.0.0
description:
  - Looks who listens on TCP ports of this host, and fails when it is not who
    may, naming the process with its unit, or the container. Changes nothing.
options:
  ports:
    description: The ports, each with who may have it already.
    type: list
    elements: dict
    required: true
    suboptions:
      address:
        description: Address to listen on; C(0.0.0.0) and C(::), or nothing, for all.
        type: str
        default: ""
      port:
        description: The port.
        type: int
        required: true
      command:
        description: What the command line of who may have it holds.
        type: str
        required: true
      unit:
        description: A unit that may have it too, if an earlier run brought C(package).
        type: str
        default: ""
  record:
    description: Name of the record of M(sdss.fliswarm.host_record).
    type: str
    default: ""
  package:
    description: Package of the unit.
    type: str
    default: ""
  remedy:
    description: What to do, for the message.
    type: str
    required: true
  store:
    description: Folder of the records on the host.
    type: path
    default: /var/lib/fliswarm-provision
  socket:
    description: Where a Docker Engine listens, for the names of containers.
    type: path
    default: /var/run/docker.sock
attributes:
  check_mode:
    description: Looks as always.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
author:
  - The fliswarm developers (@sdss)
"""

EXAMPLES = r"""
- name: Refuse the port of another registry
  sdss.fliswarm.free_ports:
    ports:
      - {port: 5000, command: docker-registry serve /etc/docker/registry/fliswarm.yml}
    remedy: stop it, or choose another port
"""

RETURN = r"""
owners:
  description: Who has each of the ports, empty for nobody.
  returned: success
  type: dict
"""

import http.client
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sdss.fliswarm.plugins.module_utils import (
    engine_api,
    kept,
    sockets,
)

ANY = ("", "0.0.0.0", "::")


class Owner(NamedTuple):
    """A process that listens."""

    pid: int
    command: str
    unit: str


def owner(handle: str, processes: Path = Path("/proc")) -> Owner | None:
    """Return the process that has a socket; None when none here does.

    Parameters
    ----------
    handle
        What its link to the socket says.
    processes
        Folder of the kernel's processes.
    """
    for folder in processes.glob("[0-9]*"):
        # A process may end while it is looked at.
        with suppress(OSError):
            if handle in sockets.held(folder):
                return _owner(folder)
    return None


def _owner(folder: Path) -> Owner:
    words = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
    groups = (folder / "cgroup").read_text("utf-8", "replace")
    units = re.findall(r"([^/\n]+\.(?:service|scope|socket))(?:/|$)", groups, re.M)
    command = words.decode(errors="replace").strip()
    return Owner(int(folder.name), command, units[-1] if units else "")


def containers(path: str) -> list[dict[str, Any]]:
    """Return the containers that run, as an engine lists them."""
    try:
        found = json.loads(engine_api.ask("GET", "/containers/json", 10, path).text)
    except (OSError, ValueError, http.client.HTTPException):
        return []
    return found if isinstance(found, list) else []


def publisher(port: int, running: list[dict[str, Any]]) -> str:
    """Return the container that has a port of the host, empty for none."""
    for one in running:
        published = [place.get("PublicPort") for place in one.get("Ports") or []]
        if port in published:
            name = (one.get("Names") or ["?"])[0].lstrip("/")
            return f"the container {name} (image {one.get('Image', '?')})"
    return ""


def who(found: Owner | None, port: int, running: list[dict[str, Any]]) -> str:
    """Return who has a port, in words."""
    container = publisher(port, running)
    if container:
        return container
    if found is None:
        return "a program outside this host's processes"
    unit = f" of the unit {found.unit}" if found.unit else ""
    return f"the process {found.pid}{unit} ({found.command[:200]})"


def clash(wanted: str, listens: str) -> bool:
    """Return whether one address keeps the other from being listened on."""
    wanted = wanted.strip("[]")
    return wanted in ANY or listens in ANY or wanted == listens


def added(options: dict[str, Any]) -> bool:
    """Return whether an earlier run has brought the package."""
    if not options["record"]:
        return False
    known = kept.Record(options["record"], options["store"]).load()
    name = options["package"]
    return name in known.get("listed", []) and name not in known["packages"]


def look(options: dict[str, Any]) -> dict[str, Any]:
    """Return who has the ports that may, and what is to be said of others."""
    own_package = added(options)
    running = containers(options["socket"])
    owners, problems = {}, []
    for wanted in options["ports"]:
        port = wanted["port"]
        owners[str(port)] = ""
        there = [
            one
            for one in sockets.listeners()
            if one.port == port and clash(wanted["address"], one.address)
        ]
        for one in there:
            found = owner(one.handle)
            owners[str(port)] = who(found, port, running)
            if found and wanted["command"] in found.command:
                continue
            if found and own_package and found.unit == wanted["unit"]:
                continue
            problems.append(f"port {port} is that of {owners[str(port)]}")
        # A container's port may be one of the firewall alone.
        container = publisher(port, running)
        if container and not there:
            problems.append(f"port {port} is that of {container}")
    return {"owners": owners, "problems": list(dict.fromkeys(problems))}


def main() -> None:
    """Run the module."""
    text = {"type": "str", "default": ""}
    port = {
        "address": text,
        "port": {"type": "int", "required": True},
        "command": {"type": "str", "required": True},
        "unit": text,
    }
    module = AnsibleModule(
        {
            "ports": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": port,
            },
            "record": text,
            "package": text,
            "remedy": {"type": "str", "required": True},
            "store": {"type": "path", "default": kept.STORE},
            "socket": {"type": "path", "default": engine_api.API},
        },
        supports_check_mode=True,
    )
    found = look(module.params)
    if found["problems"]:
        words = "; ".join(found["problems"])
        module.fail_json(
            msg=f"{words[:1].upper()}{words[1:]}. Nothing was changed. "
            f"Remedy: {module.params['remedy']}"
        )
    module.exit_json(changed=False, owners=found["owners"])


if __name__ == "__main__":
    main()
