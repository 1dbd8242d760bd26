"""``fliswarm.yaml`` to the desired fleet; whatever is not understood is refused."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Hashable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yaml

from fliswarm.errors import ConfigError
from fliswarm.model import (
    ActorSettings,
    Fleet,
    Limits,
    Node,
    Power,
    TlsFiles,
    Volume,
)

SYSTEM_CONFIG = Path("/etc/fliswarm/fliswarm.yaml")
"""Where the ``controller`` role puts the configuration."""

_ADDRESSES: Mapping[str, str] = {
    "tcp": "tcp://HOST[:PORT]",
    "https": "https://HOST[:PORT]",
    "unix": "unix:///PATH",
    "ssh": "ssh://[USER@]HOST[:PORT]",
}
"""The ways to a Docker Engine, by scheme, as they are written."""

_MEMORY = re.compile(r"[1-9][0-9]*[bkmg]?", re.IGNORECASE)

T = TypeVar("T", str, int, float, bool)

_WORDS: Mapping[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


class _Section:
    """A mapping of the file, read key by key; what nobody asked for is an error."""

    def __init__(self, file: Path, path: str, value: object) -> None:
        self._file = file
        self._path = path
        if not isinstance(value, dict):
            raise self.error("", f"must be a mapping, not {_show(value)}")
        self._values: dict[str, Any] = {str(key): item for key, item in value.items()}
        self._known: set[str] = set()
        self._opened: dict[str, _Section] = {}

    def error(self, key: str, problem: str) -> ConfigError:
        path = "/".join(part for part in (self._path, key) if part)
        return ConfigError(
            f"{self._file}: {path}" if path else str(self._file), problem
        )

    def has(self, key: str) -> bool:
        self._known.add(key)
        return self._values.get(key) is not None

    def raw(self, key: str) -> object:
        self._known.add(key)
        return self._values.get(key)

    def get(self, key: str, kind: type[T]) -> T:
        """Return a value that must be there."""
        value = self.raw(key)
        if value is None:
            raise self.error(key, "is missing")
        if kind is float and type(value) is int:
            value = float(value)
        # bool is an int in Python; a port of `true` is a mistake all the same.
        if type(value) is not kind:
            raise self.error(key, f"must be {_WORDS[kind]}, not {_show(value)}")
        return value

    def optional(self, key: str, kind: type[T]) -> T | None:
        return self.get(key, kind) if self.has(key) else None

    def port(self, key: str, default: int) -> int:
        value = self.optional(key, int)
        if value is None:
            return default
        if not 0 < value < 65536:
            raise self.error(key, f"must be a TCP port (1 to 65535), not {value}")
        return value

    def names(self, key: str) -> list[str]:
        value = self.raw(key)
        if not isinstance(value, list) or not all(type(v) is str for v in value):
            raise self.error(key, f"must be a list of names, not {_show(value)}")
        return value

    def section(self, key: str) -> _Section:
        self._known.add(key)
        if key not in self._opened:
            path = f"{self._path}/{key}" if self._path else key
            value = self._values.get(key)
            self._opened[key] = _Section(
                self._file, path, {} if value is None else value
            )
        return self._opened[key]

    def sections(self) -> Iterator[tuple[str, _Section]]:
        for key in self._values:
            yield key, self.section(key)

    def strings(self, key: str) -> dict[str, str]:
        """Return a mapping of scalars as text, as environments and options are."""
        section = self.section(key)
        section._known.update(section._values)
        for name, value in section._values.items():
            if isinstance(value, dict | list) or value is None:
                raise section.error(name, f"must be text, not {_show(value)}")
        return {
            name: ("true" if value else "false") if type(value) is bool else str(value)
            for name, value in section._values.items()
        }

    def done(self) -> None:
        """Refuse the keys that nobody asked for, here and below."""
        for key in self._values:
            if key not in self._known:
                raise self.error(key, "is not a known key" + suggest(key, self._known))
        for section in self._opened.values():
            section.done()


def _show(value: object) -> str:
    return "empty" if value is None else f"{type(value).__name__} {value!r}"


def suggest(word: str, known: set[str]) -> str:
    """Return ``"; did you mean ...?"`` for the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def find(explicit: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the configuration file to use.

    In order: the one asked for, ``$FLISWARM_CONFIG``, ``/etc/fliswarm/fliswarm.yaml``,
    and the packaged one with the two SDSS sites.
    """
    if explicit is not None:
        return explicit
    if named := environment.get("FLISWARM_CONFIG"):
        return Path(named)
    if SYSTEM_CONFIG.exists():
        return SYSTEM_CONFIG
    return Path(str(resources.files("fliswarm").joinpath("etc/fliswarm.yaml")))


def load(
    file: Path,
    *,
    environment: Mapping[str, str] = os.environ,
    nodes: list[str] | None = None,
    certificates: bool = False,
) -> Fleet:
    """Read a configuration file, whole and strictly.

    Parameters
    ----------
    file
        The file; the format of sdss-fliswarm 0.7 is accepted as it is.
    environment
        ``OBSERVATORY`` in it chooses the site.
    nodes
        Names of the enabled nodes, instead of the file's ``enabled_nodes``.
    certificates
        Whether the files that ``docker-tls`` names must be there and fit, if any
        engine needs them. Only the controller's own account may read its key.

    Raises
    ------
    ConfigError
        Naming the file, the path of the key and what is wrong with it.
    """
    top = _Section(file, "", _read(file))
    power = _SitePower(top.section("power"))
    tls = _docker_tls(top)
    sites = {
        observatory: {
            name: _node(name, node, power, tls) for name, node in site.sections()
        }
        for observatory, site in top.section("nodes").sections()
    }
    observatory = _observatory(top, sites, environment)
    fleet = Fleet(
        observatory=observatory,
        nodes=sites[observatory],
        enabled=_enabled(top, observatory, sites, nodes),
        image=_image(top),
        registry=top.optional("registry", str),
        container_name=top.optional("container_name", str) or "flicamera",
        volumes=tuple(_volumes(top.section("volumes"))),
        privileged=True if (flag := top.optional("privileged", bool)) is None else flag,
        restart_policy=_restart_policy(top),
        limits=_limits(top),
        ping_timeout=top.optional("ping_timeout", float) or 0.6,
        actor=_actor(top.section("actor")),
        control_socket=_control(top.section("control")),
    )
    # The original's file has it, and the original never reads it.
    top.raw("reboot_command")
    top.done()
    if certificates and any(node.tls for node in fleet.nodes.values()):
        _check_certificates(top.section("docker-tls"))
    return fleet


class _Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error, not a lost value."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' stands twice", key_node.start_mark
                )
            if isinstance(key, Hashable):
                seen.add(key)
        return super().construct_mapping(node, deep)


def _read(file: Path) -> object:
    try:
        # S506: the loader is a SafeLoader.
        return yaml.load(file.read_text("utf-8"), _Loader) or {}  # noqa: S506
    except OSError as error:
        raise ConfigError(str(file), error.strerror or str(error)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise ConfigError(where, error.problem or "is not YAML") from error
    except (yaml.YAMLError, ValueError) as error:
        # ValueError: not UTF-8, or a date such as 2001-99-99.
        raise ConfigError(str(file), f"is not YAML: {error}") from error


def _observatory(
    top: _Section,
    sites: Mapping[str, Mapping[str, Node]],
    environment: Mapping[str, str],
) -> str:
    written = top.optional("observatory", str)
    if not sites:
        raise top.error("nodes", "is missing or empty: no site has any node")
    chosen = environment.get("OBSERVATORY") or written or next(iter(sites))
    if chosen not in sites:
        origin = "$OBSERVATORY" if environment.get("OBSERVATORY") else "observatory"
        raise top.error(
            "nodes", f"has no site '{chosen}' ({origin}); it has {', '.join(sites)}"
        )
    return chosen


def _docker_tls(top: _Section) -> TlsFiles | None:
    if not top.has("docker-tls"):
        return None
    section = top.section("docker-tls")
    ca, cert, key = (Path(section.get(name, str)) for name in ("ca", "cert", "key"))
    return TlsFiles(ca, cert, key)


def _check_certificates(section: _Section) -> None:
    """Refuse files that cannot be read, or with which no connection can be made."""
    # No other command waits for this library.
    import ssl

    ca, cert, key = (section.get(name, str) for name in ("ca", "cert", "key"))
    for name, file in (("ca", ca), ("cert", cert), ("key", key)):
        try:
            Path(file).read_bytes()
        except OSError as error:
            raise section.error(name, f"{file}: {error.strerror}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise section.error("ca", f"{ca} holds no certificate in PEM") from error
    try:
        # Without one given, a password would be asked for at a terminal.
        context.load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        problem = f"{key} is not the key, free of a password, of {cert}"
        raise section.error("key", problem) from error


def _node(
    name: str, node: _Section, site_power: _SitePower, tls: TlsFiles | None
) -> Node:
    host = node.get("host", str)
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise node.error("host", f"'{host}' is not a host's name: {error}") from error
    engine = _engine(node, host)
    secure = engine.startswith("https://")
    if secure and tls is None:
        problem = f"{engine} needs the section docker-tls: {{ca, cert, key}}"
        raise node.error("docker-client", problem)
    return Node(
        name=name,
        host=host,
        engine=engine,
        tls=tls if secure else None,
        port=node.port("port", 19995),
        user=node.optional("user", str) or "sdss",
        ssh_port=node.port("ssh-port", 22),
        uid=node.optional("docker-uid", int),
        gid=node.optional("docker-gid", int),
        category=node.optional("category", str),
        power=_power(node, site_power),
        environment=node.strings("environment"),
    )


def _engine(node: _Section, host: str) -> str:
    engine = node.optional("docker-client", str) or f"tcp://{host}:2375"
    scheme = engine.partition("://")[0]
    if scheme not in _ADDRESSES:
        known = ", ".join(_ADDRESSES.values())
        raise node.error("docker-client", f"must be one of {known}, not '{engine}'")
    if not _is_address(engine):
        right = _ADDRESSES[scheme]
        raise node.error("docker-client", f"must be {right}, not '{engine}'")
    return engine


def _is_address(engine: str) -> bool:
    try:
        address = urlsplit(engine)
        port = address.port
    except ValueError:  # a port that is none
        return False
    if address.scheme == "unix":
        return not address.netloc and len(address.path) > 1
    # ssh would take a leading hyphen for an option.
    words = (address.hostname or "-", address.username or "")
    return port != 0 and not any(word.startswith("-") for word in words)


class _SitePower:
    """The site's way of switching power, which a node's own keys override."""

    def __init__(self, section: _Section) -> None:
        self.values = self.read(section)

    @staticmethod
    def read(section: _Section) -> dict[str, str]:
        command = section.section("command")
        values = {
            "actor": section.optional("actor", str),
            "poweron": command.optional("poweron", str),
            "poweroff": command.optional("poweroff", str),
        }
        return {key: value for key, value in values.items() if value}


def _power(node: _Section, site: _SitePower) -> Power | None:
    if not node.has("power"):
        return None
    own = node.section("power")
    values = {**site.values, **_SitePower.read(own)}
    for key in ("poweron", "poweroff"):
        if key not in values:
            problem = "is neither here nor in the site's 'power'"
            raise own.error(f"command/{key}", problem)
    return Power(
        actor=values.get("actor"),
        poweron=values["poweron"],
        poweroff=values["poweroff"],
        device=own.get("device", str),
    )


def _enabled(
    top: _Section,
    observatory: str,
    sites: Mapping[str, Mapping[str, Node]],
    asked: list[str] | None,
) -> tuple[str, ...]:
    section = top.section("enabled_nodes")
    enabled = {site: list(nodes) for site, nodes in sites.items()}
    for site in sites:
        if section.has(site):
            enabled[site] = section.names(site)
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
    hint = suggest(name, set(nodes)) or f"; it has {', '.join(nodes)}"
    return f"'{name}' is not a node of {site}{hint}"


def _image(top: _Section) -> str:
    image = top.get("image", str)
    if not image or any(char.isspace() for char in image):
        raise top.error("image", f"must be an image's name, not '{image}'")
    name, at, digest = image.partition("@")
    if at and not (name and re.fullmatch(r"sha256:[0-9a-f]{64}", digest)):
        raise top.error("image", f"must be NAME@sha256:DIGEST, not '{image}'")
    return image


def _volumes(volumes: _Section) -> Iterator[Volume]:
    for name, section in volumes.sections():
        options = section.strings("opts")
        if not options.get("device", "").lstrip(":").startswith("/"):
            raise section.error(
                "opts/device", "must be there: its path is also the mount point"
            )
        yield Volume(name, section.optional("driver", str) or "local", options)


def _restart_policy(top: _Section) -> str:
    policies = ("no", "on-failure", "always", "unless-stopped")
    policy = top.optional("restart_policy", str) or "unless-stopped"
    if policy not in policies:
        raise top.error("restart_policy", f"must be one of {', '.join(policies)}")
    return policy


def _limits(top: _Section) -> Limits:
    if not top.has("limits"):
        return Limits()
    section = top.section("limits")
    limits = Limits(section.optional("memory", str), section.optional("cpus", float))
    if limits.memory is not None and not _MEMORY.fullmatch(limits.memory):
        raise section.error(
            "memory", f"must be a size such as 6g or 512m, not '{limits.memory}'"
        )
    if limits.cpus is not None and limits.cpus <= 0:
        raise section.error("cpus", f"must be more than 0, not {limits.cpus}")
    return limits


def _actor(section: _Section) -> ActorSettings:
    actor = ActorSettings(
        name=section.optional("name", str) or "fliswarm",
        host=section.optional("host", str) or "0.0.0.0",
        port=section.port("port", 19996),
        tron_host=section.optional("tron_host", str),
        tron_port=section.port("tron_port", 6093),
        log_dir=section.optional("log_dir", str),
    )
    # Settings of the original's actor library that have no meaning here.
    for key in ("additional_properties", "models", "schema", "store", "verbose"):
        section.raw(key)
    section.raw("version")
    return actor


def _control(section: _Section) -> Path | None:
    socket = section.optional("socket", str)
    return Path(socket) if socket else None
