"""``fliswarm.yaml`` to the desired fleet; whatever is not understood is refused."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Hashable, Iterator, Mapping
from pathlib import Path

from fliswarm.config import address, table
from fliswarm.config.certificates import check_files, read_files
from fliswarm.config.file import read
from fliswarm.config.tree import Section, suggest
from fliswarm.errors import ConfigError
from fliswarm.model import ActorSettings, Fleet, Limits, Node, Power, TlsFiles, Volume

Sites = Mapping[str, Mapping[str, Node]]
"""The nodes of each observatory, by name."""


def _nobody(note: str) -> None:
    """Tell a note to nobody."""


def load(
    file: Path,
    text: str | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    nodes: list[str] | None = None,
    certificates: bool = False,
    warn: Callable[[str], None] = _nobody,
) -> Fleet:
    """Read a configuration file, whole and strictly.

    Parameters
    ----------
    file
        The file; the format of sdss-fliswarm 0.7 is accepted as it is.
    text
        What is to stand in it, to be read before it does.
    environment
        ``OBSERVATORY`` in it chooses the site.
    nodes
        Names of the enabled nodes, instead of the file's ``enabled_nodes``.
    certificates
        Whether the files that ``docker-tls`` names must be there and fit, if any
        engine needs them. Only the controller's own account may read its key.
    warn
        Is told, in an operator's words, what was taken because nobody said it.

    Raises
    ------
    ConfigError
        Naming the file, the path of the key, what is wrong and what would be right.
    """
    value = read(file, text)
    top = Section(file, "", {} if value is None else value)
    power = _power(top.section("power"))
    tls = read_files(top.section("docker-tls")) if top.has("docker-tls") else None
    sites = {
        observatory: _nodes(site, power, tls)
        for observatory, site in top.section("nodes").sections(table.SITE)
    }
    observatory = _observatory(top, sites, environment, warn)
    registry = top.optional("registry", table.REGISTRY)
    fleet = Fleet(
        observatory=observatory,
        nodes=sites[observatory],
        enabled=_enabled(top, observatory, sites, nodes),
        image=_image(top, registry),
        registry=registry,
        container_name=top.default("container_name", table.CONTAINER, "flicamera"),
        volumes=tuple(_volumes(top.section("volumes"))),
        privileged=top.default("privileged", table.FLAG, default=True),
        restart_policy=top.default("restart_policy", table.POLICY, "unless-stopped"),
        limits=_limits(top),
        ping_timeout=top.default("ping_timeout", table.SECONDS, 0.6),
        actor=_actor(top.section("actor")),
        control_socket=_control(top.section("control")),
    )
    # The original's file has it, and the original never reads it.
    top.raw("reboot_command")
    top.done()
    if certificates and tls and any(node.tls for node in fleet.nodes.values()):
        check_files(top.section("docker-tls"), tls)
    return fleet


def read_text(
    text: str,
    nodes: list[str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Fleet:
    """Return the fleet of a configuration that stands in no file yet; see `load`."""
    file = Path("the new configuration")
    return load(file, text, environment=environment, nodes=nodes)


def _observatory(
    top: Section,
    sites: Sites,
    environment: Mapping[str, str],
    warn: Callable[[str], None],
) -> str:
    written = top.optional("observatory", table.SITE)
    if not sites:
        raise top.error("nodes", "is missing or empty: no site has any node")
    asked = environment.get("OBSERVATORY")
    chosen = asked or written or next(iter(sites))
    if chosen not in sites:
        origin = "$OBSERVATORY" if asked else "observatory"
        raise top.error(
            "nodes", f"has no site '{chosen}' ({origin}); it has {', '.join(sites)}"
        )
    if not asked and not written and len(sites) > 1:
        warn(f"OBSERVATORY is not set: {chosen} is taken")
    return chosen


def _nodes(
    site: Section, power: Mapping[str, str], tls: TlsFiles | None
) -> dict[str, Node]:
    """Return a site's nodes, of which no two can be in each other's way."""
    nodes: dict[str, Node] = {}
    cameras: dict[Hashable, str] = {}
    for name, section in site.sections(table.NAME):
        node = nodes[name] = _node(name, section, power, tls)
        for key, what, place in (
            ("port", "host", address.same(node.host)),
            ("docker-client", "engine", address.engine(node.engine)),
        ):
            other = cameras.setdefault((what, place, node.port), name)
            if other != name:
                problem = f"{other} has the same {what} and the same port, {node.port}"
                raise section.error(
                    key, f"{problem}: one port is one camera's, so write another"
                )
    return nodes


def _node(
    name: str, node: Section, power: Mapping[str, str], tls: TlsFiles | None
) -> Node:
    host = node.get("host", table.HOST)
    engine = node.default(
        "docker-client", table.ENGINE, f"tcp://{address.bracketed(host)}:2375"
    )
    secure = engine.startswith("https://")
    if secure and tls is None:
        problem = f"{engine} needs the section docker-tls: {{ca, cert, key}}"
        raise node.error("docker-client", problem)
    return Node(
        name=name,
        host=host,
        engine=engine,
        tls=tls if secure else None,
        port=node.default("port", table.PORT, 19995),
        user=node.default("user", table.USER, "sdss"),
        ssh_port=node.default("ssh-port", table.PORT, 22),
        uid=node.optional("docker-uid", table.OWNER),
        gid=node.optional("docker-gid", table.OWNER),
        category=node.optional("category", table.CATEGORY),
        power=_node_power(node, power),
        environment=node.texts("environment", table.VARIABLE, table.VALUE),
    )


def _power(section: Section) -> dict[str, str]:
    """Return what a section says of the way power is switched."""
    command = section.section("command")
    values = {
        "actor": section.optional("actor", table.ACTOR),
        "poweron": command.optional("poweron", table.COMMAND),
        "poweroff": command.optional("poweroff", table.COMMAND),
    }
    return {key: value for key, value in values.items() if value}


def _node_power(node: Section, site: Mapping[str, str]) -> Power | None:
    """Return a node's own way, which goes before that of the site."""
    if not node.has("power"):
        return None
    own = node.section("power")
    values = {**site, **_power(own)}
    for key in ("poweron", "poweroff"):
        if key not in values:
            problem = "is neither here nor in the site's 'power'"
            raise own.error(f"command/{key}", problem)
    return Power(
        actor=values.get("actor"),
        poweron=values["poweron"],
        poweroff=values["poweroff"],
        device=own.get("device", table.DEVICE),
    )


def _enabled(
    top: Section, observatory: str, sites: Sites, asked: list[str] | None
) -> tuple[str, ...]:
    section = top.section("enabled_nodes")
    enabled = {site: list(nodes) for site, nodes in sites.items()}
    for site in sites:
        if section.has(site):
            enabled[site] = section.names(site, table.NAME)
        for name in enabled[site]:
            if name not in sites[site]:
                raise section.error(site, _not_a_node(name, site, sites[site]))
    for name in asked or ():
        if name not in sites[observatory]:
            raise ConfigError(
                "--nodes", _not_a_node(name, observatory, sites[observatory])
            )
    return tuple(dict.fromkeys(enabled[observatory] if asked is None else asked))


def _not_a_node(name: str, site: str, nodes: Mapping[str, Node]) -> str:
    hint = suggest(name, nodes) or f"; it has {', '.join(nodes) or 'none'}"
    return f"'{name}' is not a node of {site}{hint}"


def _image(top: Section, registry: str | None) -> str:
    image = top.get("image", table.IMAGE)
    whole = f"{registry}/{image}" if registry else image
    if table.IMAGE.take(whole) is None:
        raise top.error("image", f"names a registry beside 'registry': {whole}")
    return image


def _volumes(volumes: Section) -> Iterator[Volume]:
    mounts: dict[str, str] = {}
    for name, section in volumes.sections(table.VOLUME):
        options = section.texts("opts", table.OPTION, table.VALUE)
        section.section("opts").get("device", table.MOUNT)
        volume = Volume(name, section.default("driver", table.DRIVER, "local"), options)
        mount = posixpath.normpath(f"/{volume.target.lstrip('/')}")
        if (other := mounts.setdefault(mount, name)) != name:
            raise section.error("opts/device", f"{other} is mounted at {mount} as well")
        yield volume


def _limits(top: Section) -> Limits:
    if not top.has("limits"):
        return Limits()
    section = top.section("limits")
    return Limits(
        section.optional("memory", table.MEMORY), section.optional("cpus", table.CPUS)
    )


def _actor(section: Section) -> ActorSettings:
    actor = ActorSettings(
        name=section.default("name", table.ACTOR, "fliswarm"),
        host=section.default("host", table.HOST, "0.0.0.0"),
        port=section.default("port", table.PORT, 19996),
        tron_host=section.optional("tron_host", table.HOST),
        tron_port=section.default("tron_port", table.PORT, 6093),
        log_dir=section.optional("log_dir", table.FOLDER),
        commands=section.default("commands", table.COMMANDS, "original"),
    )
    # Settings of the original's actor library that have no meaning here.
    for key in ("additional_properties", "models", "schema", "store", "verbose"):
        section.raw(key)
    section.raw("version")
    return actor


def _control(section: Section) -> Path | None:
    socket = section.optional("socket", table.SOCKET)
    return Path(socket) if socket else None
