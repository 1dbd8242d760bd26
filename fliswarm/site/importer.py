"""An original configuration file to an inventory, as a person would have written it."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fliswarm import config
from fliswarm.config.file import flow, read
from fliswarm.errors import ConfigError
from fliswarm.model import ActorSettings, Fleet, Limits, Node
from fliswarm.site.original import RESERVED, Original
from fliswarm.site.written import block

LOG_DIR = "/var/log/fliswarm"
"""Where the role ``controller`` has the log when nobody says otherwise."""

Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is to be written: files by their paths; ``notes`` say what is left out."""

    files: Texts
    notes: tuple[str, ...] = ()


def imported(file: Path, site: str, manager: str | None = None) -> Inventory:
    """Return the inventory of one site of an original configuration file.

    Parameters
    ----------
    file
        The file of sdss-fliswarm.
    site
        The name of a section of ``nodes``, in capitals or not.
    manager
        The computer that fliswarm is to run on; the registry's when nobody says.

    Raises
    ------
    ConfigError
        Naming the file, the path of the key and what is wrong: all of it that has no
        place in an inventory.
    """
    raw = read(file)
    sites = raw.get("nodes") if isinstance(raw, dict) else None
    known = [str(name) for name in sites] if isinstance(sites, dict) else []
    name = next((one for one in known if one.lower() == site.lower()), None)
    if name is None:
        has = ", ".join(known) or "none"
        raise ConfigError(str(file), f"nodes: there is no site '{site}'; it has {has}")
    fleet = config.load(file, environment={"OBSERVATORY": name})
    assert isinstance(raw, dict)
    original = Original(file, raw, fleet, manager)
    if not original.nodes:
        raise ConfigError(str(file), f"nodes/{name}: has no node")
    if problems := list(original.problems()):
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise ConfigError(str(file), f"cannot be taken over:{lines}")
    return Inventory(_Import(original).files(), tuple(original.notes()))


def write(inventory: Inventory, folder: Path) -> bool:
    """Write an inventory, all of it or nothing; return whether there was any need.

    Raises
    ------
    ConfigError
        When something else is there already, or the disk does not take it.
    """
    if os.path.lexists(folder):
        if _read(folder) == inventory.files:
            return False
        raise ConfigError(
            str(folder), "is there already, and is not overwritten: name another by -o"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            for path, text in inventory.files.items():
                (new / path).parent.mkdir(exist_ok=True)
                (new / path).write_text(text, "utf-8")
            new.chmod(0o755)
            new.rename(folder)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
    except OSError as error:
        raise ConfigError(str(folder), error.strerror or str(error)) from error
    return True


def _read(folder: Path) -> Texts:
    try:
        return {
            path.relative_to(folder).as_posix(): path.read_text("utf-8")
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    except (OSError, ValueError):
        return {}


class _Import:
    """Writes one site's inventory."""

    def __init__(self, original: Original) -> None:
        self._original = original
        self._fleet = original.fleet
        self._site = original.site
        self._nodes = original.nodes

    def files(self) -> Texts:
        """Return its files, by their paths."""
        own = {node.name: self._variables(node) for node in self._nodes}
        common = self._common(own)
        files = {"group_vars/all.yml": self._all(), "hosts.yml": self._hosts(own)}
        if common:
            text = f"---\n# What the nodes of {self._site} have in common.\n"
            files["group_vars/nodes.yml"] = text + "".join(block(common))
        return files

    def _variables(self, node: Node) -> dict[str, Any]:
        """Return the variables of a host, in the order in which they are read."""
        found: dict[str, Any] = {}
        if node.host != node.name:
            found["ansible_host"] = node.host
        if node.ssh_port != 22:
            found["ansible_port"] = node.ssh_port
        if node.power is not None:
            found["fliswarm_power_device"] = node.power.device
        if node.port != 19995:
            found["fliswarm_port"] = node.port
        for key, value in (("uid", node.uid), ("gid", node.gid)):
            if value is not None:
                found[f"fliswarm_{key}"] = value
        if node.environment:
            found["fliswarm_environment"] = dict(node.environment)
        if node.name not in self._fleet.enabled:
            found["fliswarm_enabled"] = False
        return found

    def _common(self, own: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """Take out of the hosts what they all have, and return it."""
        common: dict[str, Any] = {}
        every = list(own.values())
        if len(every) < 2:
            return common
        for key, value in list(every[0].items()):
            if key == "ansible_host":
                continue
            if all(key in its and its[key] == value for its in every):
                common[key] = value
        for its in every:
            for key in common:
                del its[key]
        return common

    def _hosts(self, own: Mapping[str, Mapping[str, Any]]) -> str:
        lines = [
            "---\n",
            f"# The cameras of {self._site}, taken over from sdss-fliswarm.\n",
            "all:\n",
            "  children:\n",
            "    manager:\n",
            "      hosts:\n",
            f"        {self._hub()}\n",
            "    nodes:\n",
        ]
        categories = dict.fromkeys(node.category for node in self._nodes)
        alone = [node for node in self._nodes if node.category is None]
        if alone:
            lines.append("      hosts:\n")
            lines += [f"        {_host(n.name, own[n.name])}\n" for n in alone]
        groups: set[str] = set()
        for category in categories:
            if category is None:
                continue
            if not groups:
                lines.append("      children:\n")
            group = self._group(category, groups)
            groups.add(group)
            if group != category and category in own:
                lines.append(
                    "        # Ansible warns of a group and a host of one name.\n"
                )
            lines += [f"        {flow(group)}:\n", "          hosts:\n"]
            for node in self._nodes:
                if node.category == category:
                    said = {} if group == category else {"fliswarm_category": category}
                    host = _host(node.name, {**own[node.name], **said})
                    lines.append(f"            {host}\n")
        return "".join(lines)

    def _hub(self) -> str:
        """Return the line of the manager, whose name is nobody else's."""
        host = self._original.manager
        taken = {*self._fleet.nodes, *RESERVED}
        taken |= {node.category for node in self._nodes if node.category}
        if ":" not in host and host not in taken:
            return f"{flow(host)}:"
        name = "hub"
        while name in taken:
            name += "_"
        return _host(name, {"ansible_host": host})

    def _group(self, category: str, others: set[str]) -> str:
        """Return the name of a group that Ansible takes, and that no host has."""
        taken = {*self._fleet.nodes, *RESERVED, *others, self._original.manager}
        taken |= {n.category for n in self._nodes if n.category not in (None, category)}
        group = re.sub(r"[^A-Za-z0-9_]", "_", category)
        if not group[0].isalpha() or group.startswith("fliswarm_serial_"):
            group = f"group_{group}"
        if group in taken:
            group += "s"
        while group in taken:
            group += "_"
        return group

    def _all(self) -> str:
        fleet = self._fleet
        parts = [
            f"---\n# What {self._site} has in common, taken over from sdss-fliswarm. "
            "Each variable is described in docs/inventory.md.\n",
            *block({"ansible_user": self._nodes[0].user}),
        ]
        if self._nodes[0].user != "sdss":
            parts += block({"camera_host_user": self._nodes[0].user})
        parts += ["\n", *block({"fliswarm_observatory": fleet.observatory}), "\n"]
        parts += self._way()
        parts += self._image()
        for name, value in (
            ("fliswarm_privileged", None if fleet.privileged else False),
            ("fliswarm_limits", _limits(fleet.limits)),
            ("fliswarm_volumes", _volumes(fleet)),
            ("fliswarm_power", self._original.power),
            ("controller_actor", _actor(fleet.actor)),
            ("controller_options", self._options()),
        ):
            if value not in (None, {}):
                parts += ["\n", *block({name: value})]
        return "".join(parts)

    def _way(self) -> Iterator[str]:
        """Yield how engines and the registry are reached."""
        if self._original.transport == "tcp" and self._original.local:
            yield (
                "# The set-up that the nodes have had by hand: a network of their own, "
                "without certificates.\n# Taken away, these two lines make it "
                "certificates (port 2376) and an encrypted registry.\n"
            )
        if self._original.transport is not None:
            yield from block({"fliswarm_docker_transport": self._original.transport})
        if self._original.local:
            yield from block({"fliswarm_registry_tls": False})

    def _image(self) -> Iterator[str]:
        fleet = self._fleet
        yield "\n"
        if not self._original.local:
            yield "# Images are pulled by their full name: the site has no registry.\n"
            yield from block(
                {"fliswarm_registry": None, "fliswarm_image": fleet.image_reference}
            )
            return
        yield (
            "# Images are kept on the manager, so that the night needs no Internet. "
            "They are mirrored from upstream.\n"
        )
        yield from block(
            {
                "fliswarm_registry": fleet.registry,
                "fliswarm_image": fleet.image,
                "flicamera_image_source": "mirror",
                "flicamera_image_upstream": fleet.image.partition("@")[0],
            }
        )

    def _options(self) -> dict[str, Any]:
        """Return what has no variable of its own, as the file has it."""
        fleet, found = self._fleet, dict[str, Any]()
        if fleet.container_name != "flicamera":
            found["container_name"] = fleet.container_name
        if fleet.ping_timeout != 0.6:
            found["ping_timeout"] = fleet.ping_timeout
        if fleet.restart_policy != "unless-stopped":
            found["restart_policy"] = fleet.restart_policy
        nodes = {node.name: own for node in self._nodes if (own := self._own(node))}
        if nodes:
            found["nodes"] = {self._site: nodes}
        return found

    def _own(self, node: Node) -> dict[str, Any]:
        """Return what a node has of its own of the way its power is switched."""
        if node.power is None:
            return {}
        site = self._original.power
        commands = site.get("command", {})
        own: dict[str, Any] = {}
        if node.power.actor != site.get("actor"):
            own["actor"] = node.power.actor
        command = {
            key: value
            for key in ("poweron", "poweroff")
            if (value := getattr(node.power, key)) != commands.get(key)
        }
        if command:
            own["command"] = command
        return {"power": own} if own else {}


def _host(name: str, variables: Mapping[str, Any]) -> str:
    return f"{flow(name)}: {flow(variables)}" if variables else f"{flow(name)}:"


def _limits(limits: Limits) -> dict[str, Any]:
    if limits == Limits():
        return {}
    found = {"memory": limits.memory, "cpus": limits.cpus}
    # Without any limit both stand there as nothing: an empty section says the default.
    some = {key: value for key, value in found.items() if value is not None}
    return some or found


def _volumes(fleet: Fleet) -> dict[str, Any]:
    return {
        volume.name: {"driver": volume.driver, "opts": dict(volume.options)}
        for volume in fleet.volumes
    }


def _actor(actor: ActorSettings) -> dict[str, Any]:
    usual = ActorSettings(log_dir=LOG_DIR)
    keys = ("name", "host", "port", "tron_host", "tron_port", "log_dir", "commands")
    found = {key: getattr(actor, key) for key in keys}
    return {key: value for key, value in found.items() if value != getattr(usual, key)}
