"""Ansible filter: the nodes of an inventory, as the controller's file has them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: controller_nodes
short_description: The nodes of an inventory, as the controller's file has them
version_added: 1.0.0
description:
  - Returns the section of each node by name, made of the variables of its host.
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
  transport:
    description: How the controller reaches their engines.
    type: str
    choices: [tls, ssh, tcp]
    required: true
  user:
    description: The user as whom the controller logs in on them.
    type: str
    required: true
  categories:
    description: Groups that say what their members are.
    type: dict
    default: {}
author:
  - The fliswarm developers (@sdss)
"""

EXAMPLES = r"""
- name: Say what the controller knows of the nodes
  ansible.builtin.debug:
    msg: >-
      {{ groups['nodes'] | sdss.fliswarm.controller_nodes(hostvars, 'tls', 'sdss') }}
"""

RETURN = r"""
_value:
  description: The section of each node by name.
  type: dict
"""

from typing import Any, Mapping

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean

CAMERA_PORT = 19995

SSH_PORT = 22


def number(host: str, name: str, value: Any) -> int:  # noqa: ANN401  what was written
    """Return a number that may be written as a text, as it is after ``-e``."""
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        message = f"{host}: {name} must be a number, not {value}"
        raise AnsibleFilterError(message) from error


def is_enabled(host: str, its: Mapping[str, Any]) -> bool:
    """Return whether a node is to be used; a text such as ``false`` is what it says."""
    value = its.get("fliswarm_enabled", True)
    try:
        return True if value is None else bool(boolean(value))
    except TypeError as error:
        message = f"{host}: fliswarm_enabled must be true or false, not {value}"
        raise AnsibleFilterError(message) from error


def address(host: str, its: Mapping[str, Any]) -> str:
    """Return where the controller finds a node."""
    return str(its.get("fliswarm_host") or its.get("ansible_host") or host)


def ssh_port(host: str, its: Mapping[str, Any]) -> int:
    """Return the port of its ssh, as Ansible has it, where both go the same way."""
    written = its.get("ansible_port") or SSH_PORT
    same = address(host, its) == str(its.get("ansible_host") or host)
    return number(host, "ansible_port", written) if same else SSH_PORT


def engine(transport: str, host: str, port: int, user: str) -> str:
    """Return the address of a Docker Engine."""
    where = f"[{host}]" if ":" in host else host
    own = "" if port == SSH_PORT else f":{port}"
    return {
        "tls": f"https://{where}:2376",
        "tcp": f"tcp://{where}:2375",
        "ssh": f"ssh://{user}@{where}{own}",
    }[transport]


def node(
    name: str,
    its: Mapping[str, Any],
    transport: str,
    user: str,
    category: str,
) -> dict[str, Any]:
    """Return the section of one node."""
    where, port = address(name, its), ssh_port(name, its)
    camera = its.get("fliswarm_port", CAMERA_PORT)
    section: dict[str, Any] = {
        "user": user,
        "host": where,
        "port": number(name, "fliswarm_port", camera),
        "docker-client": engine(transport, where, port, user),
    }
    if port != SSH_PORT:
        section["ssh-port"] = port
    category = str(its.get("fliswarm_category") or category)
    if category:
        section["category"] = category
    for key, variable in (("uid", "fliswarm_uid"), ("gid", "fliswarm_gid")):
        if its.get(variable) not in (None, ""):
            section[f"docker-{key}"] = number(name, variable, its[variable])
    if its.get("fliswarm_power_device"):
        section["power"] = {"device": str(its["fliswarm_power_device"])}
    if its.get("fliswarm_environment"):
        section["environment"] = its["fliswarm_environment"]
    return section


def controller_nodes(
    names: list[str],
    hostvars: Mapping[str, Mapping[str, Any]],
    transport: str,
    user: str,
    categories: Mapping[str, list[str]] | None = None,
) -> dict[str, Any]:
    """Return the section of each node by name."""
    every = list((categories or {}).items())
    found = {}
    for name in names:
        of_it = sorted(group for group, hosts in every if name in hosts)
        category = of_it[0] if of_it else ""
        found[name] = node(name, hostvars[name], transport, user, category)
    return found


class FilterModule:
    """What Ansible asks for its filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"controller_nodes": controller_nodes}
