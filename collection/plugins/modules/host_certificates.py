#!/usr/bin/python
# Copyright: The fliswarm developers
# BSD-3-Clause, see LICENSE

"""Tell by which names a host is reached, and which certificates it carries."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_certificates
short_description: Tell a host's names and its certificates
version_added: "1.0.0"
author:
  - The fliswarm developers (@sdss)
description:
  - Tells the names and addresses of a host, which its certificate has to cover,
    and the certificates that the roles of this collection brought there.
  - Addresses of Docker's own networks, and those that change each day, are left
    out.
options:
  names:
    description: Names and addresses that are known already, and told with the others.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: It looks, and changes nothing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
notes:
  - No key is read. What only root can read is left out for others.
"""

EXAMPLES = r"""
- name: Ask a host
  sdss.fliswarm.host_certificates:
    names: [gfa1, 10.25.1.11]
"""

RETURN = r"""
machine:
  description: What tells this computer from another, of C(/etc/machine-id).
  returned: success
  type: str
  sample: 1c5f0ab9a8ef7a1b
names:
  description: All names and addresses, each once.
  returned: success
  type: list
  elements: str
  sample: [10.25.1.11, gfa1, gfa1.example.org]
certificates:
  description: The certificates in PEM, by their files.
  returned: success
  type: dict
  sample: {/etc/docker/tls/ca.pem: "-----BEGIN CERTIFICATE-----..."}
"""

import hashlib
import json
import re
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

OPTIONS: dict[str, Any] = {
    "names": {"type": "list", "elements": "str", "default": []},
}

# Docker's own networks are on every host that has an engine; nobody comes from there.
DOCKER = re.compile(r"docker0|docker_gwbridge|br-[0-9a-f]{12}|veth.*")

PLACES = (
    "docker/tls/*.pem",
    "docker/certs.d/*/ca.crt",
    "docker/certs.d/*/client.cert",
    "docker/registry/tls/*.pem",
    "fliswarm/tls/*.pem",
)


class AbsentError(Exception):
    """A program that the host has not, and how it gets it."""


def full_name() -> list[str]:
    """Return the name with its domain; a name service that is away costs 10 s."""
    command = ["hostname", "--fqdn"]
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=10,
            check=False,
        )
    except (subprocess.TimeoutExpired, FileNotFoundError):
        return []
    return done.stdout.decode().split() if done.returncode == 0 else []


def addresses() -> list[str]:
    """Return the addresses of all networks, those that change each day left out."""
    command = ["ip", "-json", "address", "show", "scope", "global"]
    try:
        found = json.loads(subprocess.check_output(command))
    except FileNotFoundError as error:
        raise AbsentError(
            "the host has no program ip. Remedy: sudo apt-get install iproute2"
        ) from error
    return [
        address["local"]
        for link in found
        if not DOCKER.fullmatch(link.get("ifname", ""))
        for address in link.get("addr_info", [])
        if "local" in address and not address.get("temporary")
    ]


def all_names(known: list[str]) -> list[str]:
    """Return those that are known and those that the host tells, each once."""
    return sorted({*known, socket.gethostname(), *full_name(), *addresses()})


def certificates(folder: Path) -> dict[str, str]:
    """Return those that can be read, by their files."""
    files = [path for place in PLACES for path in sorted(folder.glob(place))]
    found = {}
    for path in files:
        with suppress(OSError, ValueError):
            found[str(path)] = path.read_text("utf-8")
    return found


def machine(path: Path) -> str:
    """Return what tells this computer from others; its own number stays here."""
    try:
        number = path.read_bytes().strip()
    except OSError:
        return ""
    return hashlib.sha256(b"fliswarm " + number).hexdigest()[:16] if number else ""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    try:
        names = all_names(module.params["names"])
    except AbsentError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        names=names,
        machine=machine(Path("/etc/machine-id")),
        certificates=certificates(Path("/etc")),
    )


if __name__ == "__main__":
    main()
