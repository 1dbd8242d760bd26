"""Ansible filter: what is wrong with an inventory, before any host is asked."""

from __future__ import annotations

DOCUMENTATION = r"""
name: site_problems
short_description: What is wrong with the inventory of a site
version_added: 1.0.0
description:
  - Returns a sentence for each mistake in the variables and groups of a site.
  - What describes the whole site has to be the same for the manager and all nodes.
  - Is for the playbooks of this collection.
options:
  _input:
    description: The variables of all hosts, C(hostvars).
    type: dict
    required: true
  groups:
    description: The members of all groups, C(groups).
    type: dict
    required: true
author:
  - The fliswarm developers (@sdss)
"""

EXAMPLES = r"""
- name: Check the inventory
  ansible.builtin.assert:
    that: hostvars | sdss.fliswarm.site_problems(groups) | length == 0
"""

RETURN = r"""
_value:
  description: What is wrong, with host and variable.
  type: list
  elements: str
"""

import difflib
import re
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.sdss.fliswarm.plugins.filter.site_categories import (
    site_categories,
)
from jinja2 import Undefined

Vars = Mapping[str, Any]

UNREADABLE = object()
"""In place of a value that only its host can read."""


class Readable(Mapping[str, Any]):
    """One host's variables, of which some can be judged by that host alone.

    Ansible lends no host the variables of others while it looks from another one: a
    value that is made of theirs (``hostvars``) has none here.
    """

    def __init__(self, its: Vars) -> None:
        self.its = its

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401  what was written
        value = self.its[name]
        if isinstance(value, Undefined):
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        """Yield the names, also of what cannot be read here."""
        return iter(self.its)

    def __len__(self) -> int:
        """Return how many variables there are."""
        return len(self.its)


def truth(value: Any) -> bool:  # noqa: ANN401  what was written
    """Return a truth value that may be a text, as in INI and after ``-e``."""
    try:
        return bool(boolean(value))
    except TypeError as error:
        raise ValueError("true or false") from error


def port(value: Any) -> int:  # noqa: ANN401  what was written
    """Return a TCP port that may be a text."""
    if not re.fullmatch(r"[0-9]+", str(value)) or not 0 < int(value) < 65536:
        raise ValueError("a TCP port (1 to 65535)")
    return int(value)


def number(value: Any) -> int:  # noqa: ANN401  what was written
    """Return a user's or group's number that may be a text."""
    if not re.fullmatch(r"[0-9]+", str(value)):
        raise ValueError("a number")
    return int(value)


def mapping(value: Any) -> Any:  # noqa: ANN401  what was written
    """Return a mapping."""
    if not isinstance(value, Mapping):
        raise ValueError("a mapping (after -e: as JSON)")  # noqa: TRY004  told as others
    return {key: value[key] for key in value}


def transport(value: Any) -> str:  # noqa: ANN401  what was written
    """Return a way to Docker Engine."""
    if value not in ("tls", "ssh", "tcp"):
        raise ValueError("tls, ssh or tcp")
    return str(value)


def batch(value: Any) -> str:  # noqa: ANN401  what was written
    """Return how many hosts are worked on at a time."""
    if not re.fullmatch(r"[1-9][0-9]*|([1-9][0-9]?|100)%", str(value)):
        raise ValueError("a number, or a part such as 25%")
    return str(value)


def text(value: Any) -> str:  # noqa: ANN401  what was written
    """Return a text."""
    if isinstance(value, (list, Mapping)):
        raise ValueError("a text")  # noqa: TRY004  told as others
    return str(value)


def registry(value: Any) -> str:  # noqa: ANN401  what was written
    """Return the name of a registry; Docker Engine would say no to it at its start."""
    if "_" in text(value):
        raise ValueError("a name without underscores (the manager's address)")
    return str(value)


Kind = Callable[[Any], Any]

SITE: Mapping[str, tuple[Kind, Any]] = {
    "fliswarm_docker_transport": (transport, "tls"),
    "fliswarm_image": (text, "sdss/flicamera:latest"),
    "fliswarm_limits": (mapping, {}),
    "fliswarm_observatory": (text, ""),
    "fliswarm_pki": (text, ""),
    "fliswarm_power": (mapping, {}),
    "fliswarm_privileged": (truth, True),
    "fliswarm_registry": (registry, ""),
    "fliswarm_registry_tls": (truth, True),
    "fliswarm_serial": (batch, "100%"),
    "fliswarm_volumes": (mapping, {}),
}
"""What describes the site, with what it is where it is not written."""

NODE: Mapping[str, Kind] = {
    "fliswarm_category": text,
    "fliswarm_enabled": truth,
    "fliswarm_environment": mapping,
    "fliswarm_gid": number,
    "fliswarm_host": text,
    "fliswarm_port": port,
    "fliswarm_power_device": text,
    "fliswarm_uid": number,
}
"""What describes one node."""

USER = "sdss"
"""The camera user where nobody names another."""


def values(its: Vars) -> Iterator[str]:
    """Yield what is wrong with one host's values."""
    kinds = {**{name: kind for name, (kind, default) in SITE.items()}, **NODE}
    for name, kind in kinds.items():
        value = its.get(name)
        if value in (None, ""):
            continue
        try:
            kind(value)
        except ValueError as error:
            yield f"{name} must be {error}, not {value}"


def strangers(its: Vars, roles: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield the names of variables that are mistyped.

    The roles' own prefixes are common words (``registry_``): only what is nearly one of
    their variables is taken for a mistake.
    """
    known = [*SITE, *NODE]
    for name in sorted(its):
        if name.startswith("fliswarm_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f", did you mean {near[0]}?" if near else ""
            yield f"{name}: no such variable{hint}"
        for role, own in roles.items():
            if not name.startswith(f"{role}_") or name.startswith(f"{role}__"):
                continue
            near = difflib.get_close_matches(name, own, n=1, cutoff=0.85)
            if near and name not in own:
                yield f"{name}: no such variable, did you mean {near[0]}?"


def differing(hosts: list[str], hostvars: Mapping[str, Vars]) -> Iterator[str]:
    """Yield the variables of the site that are not the same for all of its hosts."""
    for name, (kind, default) in SITE.items():
        found: dict[str, list[str]] = {}
        for host in hosts:
            its = hostvars[host]
            written = its.get(name, UNREADABLE if name in set(its) else None)
            if written is UNREADABLE:
                continue
            try:
                value = kind(default if written in (None, "") else written)
            except ValueError:
                continue
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            found.setdefault(shown or "nothing", []).append(host)
        if len(found) > 1:
            said = "; ".join(
                f"{value} for {', '.join(its)}" for value, its in found.items()
            )
            yield (
                f"{name} describes the whole site and differs: {said}. Remedy: write "
                "it once, for the manager and all nodes (group_vars/all.yml)"
            )


def shared(hosts: list[str], hostvars: Mapping[str, Vars]) -> Iterator[str]:
    """Yield the addresses that are those of more than one host.

    Behind a gateway hosts differ in the port of ssh, and have addresses of their own in
    the manager's network.
    """
    ways: dict[str, dict[str, None]] = {}
    for host in hosts:
        its = hostvars[host]
        login = str(its.get("ansible_host") or host)
        inner = str(its.get("fliswarm_host") or login)
        ways.setdefault(inner, {})[host] = None
        if inner != login:
            own = its.get("ansible_port") or 22
            ways.setdefault(f"{login} port {own}", {})[host] = None
    for way, found in ways.items():
        if len(found) > 1:
            yield (
                f"{', '.join(found)} have one address, {way}, and one computer is one "
                "host. Remedy: correct ansible_host, or write each one's address in "
                "the manager's network as fliswarm_host"
            )


def ambiguous(
    groups: Mapping[str, list[str]], hostvars: Mapping[str, Vars]
) -> Iterator[str]:
    """Yield the nodes of which the groups do not say what they are."""
    categories = site_categories(groups)
    unclear: dict[tuple[str, ...], list[str]] = {}
    for node in groups.get("nodes") or []:
        found = tuple(group for group, hosts in categories.items() if node in hosts)
        if len(found) > 1 and not hostvars[node].get("fliswarm_category"):
            unclear.setdefault(found, []).append(node)
    for found_in, nodes in unclear.items():
        yield (
            f"the category of {', '.join(nodes)} could be {' or '.join(found_in)}, "
            "groups of nodes alone. Remedy: write fliswarm_category, for the hosts or "
            "for one of the groups"
        )


def users(manager: Vars, nodes: list[str], hostvars: Mapping[str, Vars]) -> str:
    """Return how the controller and the nodes differ about the camera user, if so."""
    made = {node: hostvars[node].get("camera_host_user") or USER for node in nodes}
    asked = manager.get("controller_camera_user") or next(iter(made.values()), USER)
    other = [f"{user} on {node}" for node, user in made.items() if user != asked]
    if not other:
        return ""
    return (
        f"the controller logs in as {asked} (controller_camera_user), and the camera "
        f"user (camera_host_user) is {', '.join(other)}. Remedy: write one name"
    )


def role_variables(folder: Path) -> dict[str, list[str]]:
    """Return the variables of each role, and what it tells others."""
    found: dict[str, list[str]] = {}
    for file in sorted(folder.glob("*/defaults/main.yml")):
        role = file.parts[-3]
        text = file.read_text("utf-8")
        tasks = "".join(
            other.read_text("utf-8")
            for other in sorted((folder / role / "tasks").glob("*.yml"))
        )
        found[role] = re.findall(r"^(\w+):", text, re.MULTILINE)
        found[role] += re.findall(rf"\b{role}_\w+", tasks)
    return found


def site_problems(
    hostvars: Mapping[str, Vars], groups: Mapping[str, list[str]]
) -> list[str]:
    """Return what is wrong with the inventory.

    Parameters
    ----------
    hostvars
        The variables of each host.
    groups
        The members of each group.
    """
    manager, nodes = groups.get("manager") or [], groups.get("nodes") or []
    ours = list(dict.fromkeys([*manager, *nodes]))
    everyone = dict.fromkeys([*(groups.get("all") or []), *ours])
    hostvars = {host: Readable(hostvars[host]) for host in everyone}
    roles = role_variables(Path(__file__).parents[2] / "roles")
    problems = []
    for host in everyone:
        its = hostvars[host]
        wrong = strangers(its, roles if host in ours else {})
        problems += [f"{host}: {problem}" for problem in wrong]
        problems += [f"{host}: {problem}" for problem in values(its)]
    problems += differing(ours, hostvars)
    problems += shared(ours, hostvars)
    problems += ambiguous(groups, hostvars)
    if manager and (problem := users(hostvars[manager[0]], nodes, hostvars)):
        problems.append(problem)
    return problems


class FilterModule:
    """What Ansible asks for its filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"site_problems": site_problems}
