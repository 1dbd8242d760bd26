"""A site in an original configuration file, and what of it no inventory can hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fliswarm.config import address
from fliswarm.model import Fleet, Node

RESERVED = ("all", "ungrouped", "manager", "nodes", "localhost", "127.0.0.1")
"""Names that mean something else to Ansible, or to our playbooks."""

UNREAD = {
    "reboot_command": "sdss-fliswarm never reads it",
    "control": "the service has a control socket of its own",
    "docker-tls": "certificates are made by fliswarm up",
}
"""Keys that have no place in an inventory, and why."""

LIBRARY = ("additional_properties", "models", "schema", "store", "verbose", "version")
"""Keys of the section ``actor`` that are for the original's actor library."""

ENGINE_PORTS = {"tcp": 2375, "ssh": 22}


class Original:
    """One site of an original file.

    Parameters
    ----------
    file, raw
        The file, and what stands in it.
    fleet
        What that means.
    manager
        The computer that fliswarm is to run on, ``None`` for the registry's.
    """

    def __init__(
        self, file: Path, raw: dict[str, Any], fleet: Fleet, manager: str | None
    ) -> None:
        self.file = file
        self.raw = raw
        self.fleet = fleet
        self.site = fleet.observatory
        self.nodes = list(fleet.nodes.values())
        registry = fleet.registry or ""
        # A name without a port, or with a path, is a registry out in the world.
        self.local = re.fullmatch(r"[^/]+:[0-9]+", registry) is not None
        its = registry.rpartition(":")[0] if self.local else None
        self.manager = (manager or its or "").strip("[]")

    @property
    def transport(self) -> str | None:
        """How the first node's engine is reached, if that is possible for all."""
        engine = address.engine(self.nodes[0].engine)
        return engine.scheme if engine and engine.scheme in ENGINE_PORTS else None

    @property
    def power(self) -> dict[str, Any]:
        """The site's own section ``power``, as far as it says anything."""
        said = self.raw.get("power") or {}
        command = {k: v for k, v in (said.get("command") or {}).items() if v}
        found = {"actor": said.get("actor"), "command": command}
        return {key: value for key, value in found.items() if value}

    def problems(self) -> Iterator[str]:
        """Yield what cannot be taken over, each with the path of its key."""
        if not self.manager:
            yield (
                "registry: names no computer of the site that could be the manager; "
                "remedy: --manager HOST"
            )
        if self.local and "_" in str(self.fleet.registry):
            why = "Docker refuses a registry with an underscore; remedy: its address"
            yield f"registry: {why}"
        seen = {address.same(self.manager): "the manager"}
        for node in self.nodes:
            other = seen.setdefault(address.same(node.host), node.name)
            for key, why in (*self._of(node, other), *self._engine(node)):
                yield f"nodes/{self.site}/{node.name}{key}: {why}"
        yield from _templates(self.raw, "", self.site)

    def _of(self, node: Node, other: str) -> Iterator[tuple[str, str]]:
        first = self.nodes[0]
        if node.name in RESERVED:
            yield "", "is a name that means something else to Ansible"
        if node.user != first.user:
            why = f"is {node.user}, and {first.name} has {first.user}: "
            yield "/user", why + "all nodes have one camera user"
        if other != node.name:
            yield "/host", f"is the computer of {other}, and one computer is one host"

    def _engine(self, node: Node) -> Iterator[tuple[str, str]]:
        engine, wanted = address.engine(node.engine), self.transport
        assert engine is not None
        if wanted is None or engine.scheme != wanted:
            why = "engines are reached in one way, tcp:// or ssh://"
            if engine.scheme == "https":
                why = "write tcp://, and leave TLS to fliswarm up"
            yield "/docker-client", f"is {node.engine}; {why}"
            return
        port = node.ssh_port if wanted == "ssh" else ENGINE_PORTS[wanted]
        if (engine.where, engine.port) != (address.same(node.host), port):
            where = f"{wanted}://{address.bracketed(node.host)}:{port}"
            yield (
                "/docker-client",
                f"is {node.engine}; the playbook makes it listen on {where}",
            )
        given = node.engine.removeprefix("ssh://").rpartition("@")[0]
        if wanted == "ssh" and given not in ("", node.user):
            yield "/docker-client", f"is for {given}, not for {node.user}"

    def notes(self) -> Iterator[str]:
        """Yield what is left out and changes nothing."""
        for key, why in UNREAD.items():
            if self.raw.get(key) is not None:
                yield f"{key}: left out, {why}"
        for key in self.raw.get("actor") or {}:
            if key in LIBRARY:
                yield f"actor/{key}: left out, it is for the original's actor library"
        for site in self.raw["nodes"]:
            if site != self.site:
                again = f"fliswarm import {self.file} --site {site.lower()}"
                yield f"nodes/{site}: left out, another site; {again}"
        if self.local and self.manager not in str(self.fleet.registry):
            registry = self.fleet.registry
            yield f"registry: {registry} is to be a name or address of {self.manager}"


def _templates(value: object, path: str, site: str) -> Iterator[str]:
    """Yield the texts that Ansible would take for templates."""
    if isinstance(value, dict):
        for key, item in value.items():
            if path in ("nodes", "enabled_nodes") and key != site:
                continue
            below = f"{path}/{key}" if path else str(key)
            yield from _templates(str(key), below, site)
            yield from _templates(item, below, site)
    elif isinstance(value, str) and re.search(r"\{[{%#]", value):
        yield f"{path}: has what Ansible takes for a template, {value!r}"
