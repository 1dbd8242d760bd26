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
import os
import re
import socket
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Iterator, NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sdss.fliswarm.plugins.module_utils import kept

LISTENS = "0A"
"""State of a listening socket in the kernel's table."""

ANY = ("", "0.0.0.0", "::")


class Listener(NamedTuple):
    """A socket that listens."""

    address: str
    port: int
    inode: str


class Owner(NamedTuple):
    """A process that listens."""

    pid: int
    command: str
    unit: str


def listeners(tables: Path = Path("/proc/net")) -> Iterator[Listener]:
    """Yield all TCP sockets that listen.

    Parameters
    ----------
    tables
        Folder of the kernel's tables.
    """
    for name in ("tcp", "tcp6"):
        lines: list[str] = []
        with suppress(OSError):
            lines = (tables / name).read_text("ascii").splitlines()[1:]
        for line in lines:
            fields = line.split()
            if fields[3] == LISTENS:
                place, _colon, port = fields[1].rpartition(":")
                yield Listener(_address(place), int(port, 16), fields[9])


def _address(words: str) -> str:
    """Return an address of the kernel's table, which has words of 32 bits."""
    data = bytes.fromhex(words)
    parts = [data[at : at + 4][::-1] for at in range(0, len(data), 4)]
    return str(ip_address(b"".join(parts)))


def owner(inode: str, processes: Path = Path("/proc")) -> Owner | None:
    """Return the process that has a socket; None when none here does.

    Parameters
    ----------
    inode
        The socket's number.
    processes
        Folder of the kernel's processes.
    """
    for folder in processes.glob("[0-9]*"):
        # A process may end while it is looked at.
        with suppress(OSError):
            for handle in (folder / "fd").iterdir():
                with suppress(OSError):
                    if os.readlink(handle) == f"socket:[{inode}]":
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
    connection = http.client.HTTPConnection("localhost", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(10)
    try:
        connection.sock.connect(path)
        connection.request("GET", "/containers/json")
        found = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException):
        return []
    finally:
        connection.close()
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
        sockets = [
            one
            for one in listeners()
            if one.port == port and clash(wanted["address"], one.address)
        ]
        for one in sockets:
            found = owner(one.inode)
            owners[str(port)] = who(found, port, running)
            if found and wanted["command"] in found.command:
                continue
            if found and own_package and found.unit == wanted["unit"]:
                continue
            problems.append(f"port {port} is that of {owners[str(port)]}")
        # A container's port may be one of the firewall alone.
        container = publisher(port, running)
        if container and not sockets:
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
            "socket": {"type": "path", "default": "/var/run/docker.sock"},
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
