"""What daemon.json is to hold, from what it holds: nothing here touches a host."""

from __future__ import annotations

import ipaddress
import json
import re
from contextlib import suppress
from typing import Any, Dict, Iterator, List, Mapping, Tuple

Daemon = Dict[str, Any]
"""The keys of daemon.json."""

Ours = Dict[str, Tuple[Any, List[Any]]]
"""By key that we set: its value, None for one taken away, and in a list that before."""

RELOADABLE = frozenset(
    (
        "debug",
        "insecure-registries",
        "labels",
        "live-restore",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "registry-mirrors",
        "shutdown-timeout",
    )
)
"""Keys for which the daemon needs a SIGHUP alone (moby, daemon/reload.go)."""

TCP = re.compile(r"tcp://(?P<name>\[[^]]*\]|[^:/]*)(:(?P<port>[0-9]+))?/?$")
"""An address for other computers; dockerd has a default for what it leaves out."""

SCHEME = re.compile("https?://")
"""May be before the name of a registry, and says nothing there."""

LOG_BOUND = {"max-size": "50m", "max-file": "3"}
"""How much the logs of a container may take, where nobody has said it."""

UNBOUND = "json-file"
"""The log driver that keeps everything, unless it is told how much."""

TLS_FILES = {
    "authority": "/etc/docker/tls/ca.pem",
    "certificate": "/etc/docker/tls/server.pem",
    "key": "/etc/docker/tls/server.key",
}
"""What the daemon shows to its clients, and asks of them."""


def settings(
    hosts: list[str], options: Mapping[str, Any], tls: object
) -> dict[str, Any]:
    """Return the keys that win over those of others; None takes one away.

    Parameters
    ----------
    hosts
        Addresses to listen on.
    options
        Keys that win over all.
    tls
        Whether the daemon and its clients show each other certificates.
    """
    values: dict[str, Any] = {"hosts": hosts, "live-restore": True, "tls": None}
    if not tls and any(host.startswith("tcp://") for host in hosts):
        # A statement, not a default: without it the daemon waits 15 s before it
        # listens, so that somebody may read its warning.
        values["tls"] = False
    values["tlsverify"] = True if tls else None
    for key, name in zip(("tlscacert", "tlscert", "tlskey"), TLS_FILES.values()):
        values[key] = name if tls else None
    return {**values, **options}


def log_bound(theirs: Daemon, options: Mapping[str, Any], driver: str) -> Daemon:
    """Return the keys that bound the logs of containers, if nothing does.

    Parameters
    ----------
    theirs
        Keys of others.
    options
        Keys that win over all.
    driver
        The log driver that the daemon's command names, empty for none.
    """
    with_options = _combine(theirs, options)
    asked_not_to = "log-opts" in options and options["log-opts"] is None
    logs = with_options.get("log-opts") or {}
    driver = with_options.get("log-driver") or driver or UNBOUND
    if driver != UNBOUND or asked_not_to or "max-size" in logs:
        return {}
    return {"log-opts": {**LOG_BOUND, **logs}}


def with_flags(theirs: Daemon, bridged: Daemon) -> Daemon:
    """Return the keys of others with those that they gave as flags of the command."""
    added = dict(theirs)
    for key, value in bridged.items():
        if isinstance(value, dict):
            added[key] = {**value, **(theirs.get(key) or {})}
        else:
            present = list(theirs.get(key) or [])
            added[key] = present + [one for one in value if one not in present]
    return added


def proxied(info: Mapping[str, Any], registries: list[str]) -> Iterator[str]:
    """Yield the registries that a daemon would ask a proxy for.

    Parameters
    ----------
    info
        What the daemon says of itself.
    registries
        Their names, each with its port.
    """
    if not (info.get("HttpProxy") or info.get("HttpsProxy")):
        return
    spared = [one.strip() for one in (info.get("NoProxy") or "").split(",")]
    for registry in registries:
        host = registry.rpartition(":")[0].strip("[]")
        if not any(_spares(one, host, registry) for one in spared if one):
            yield registry


def _spares(entry: str, host: str, registry: str) -> bool:
    """Tell whether a word of NO_PROXY means a host; as Go's programs read it."""
    if entry in ("*", registry) or host in ("localhost", "127.0.0.1", "::1"):
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    name = entry.strip("[]").lstrip("*").partition(":")[0]
    # One that begins with a dot is for the names below it alone.
    return host == name or host.endswith("." + name.lstrip("."))


def needs_an_address(hosts: list[str]) -> bool:
    """Tell whether the daemon can listen only while the host has an address."""
    everywhere = ("", "0.0.0.0", "::", "localhost")
    names = [m.group("name").strip("[]") for m in map(TCP.match, hosts) if m]
    return any(n not in everywhere and not n.startswith("127.") for n in names)


def parse(text: str | None) -> Daemon:
    """Return the keys of a daemon.json.

    Raises
    ------
    ValueError
        With line and column, when the text is no JSON object.
    """
    if text is None or not text.strip():
        return {}
    try:
        found = json.loads(text.lstrip("\ufeff"))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{where}: {error.msg}") from error
    if not isinstance(found, dict):
        raise ValueError("line 1, column 1: it is not a JSON object")  # noqa: TRY004
    return found


def foreign(found: Daemon, ours: Ours) -> Daemon:
    """Return the keys without what we have put there.

    A key that somebody has changed after us is theirs.
    """
    kept = dict(found)
    for key, (value, before) in ours.items():
        if kept.get(key) == value:
            kept.pop(key, None)
            if before:
                kept[key] = before[0]
    return kept


def merge(
    theirs: Daemon,
    settings: Mapping[str, Any],
    members: Mapping[str, list[Any]],
    strangers: Mapping[str, list[Any]],
) -> Daemon:
    """Return what the file is to hold.

    Parameters
    ----------
    theirs
        Keys of others, which stay.
    settings
        Values that win; mappings are merged, and None takes a key away.
    members
        What a list has to hold beside what it holds.
    strangers
        What a list of others must not hold.
    """
    merged = _combine(_without(theirs, strangers), settings)
    for key, values in members.items():
        present = list(merged.get(key) or [])
        merged[key] = present + [value for value in values if value not in present]
        if not merged[key] and key not in theirs:
            del merged[key]
    return merged


def _without(theirs: Daemon, strangers: Mapping[str, list[Any]]) -> Daemon:
    kept = dict(theirs)
    for key, values in strangers.items():
        found = kept.get(key) or []
        left = [value for value in found if SCHEME.sub("", value) not in values]
        if left:
            kept[key] = left
        elif found:
            del kept[key]
    return kept


def insecure_networks(
    daemon: Daemon, registries: list[str]
) -> Iterator[tuple[str, str]]:
    """Yield the networks of insecure registries that one of these is in, and that."""
    for entry in daemon.get("insecure-registries") or []:
        for registry in registries:
            with suppress(ValueError):
                network = ipaddress.ip_network(entry, strict=False)
                address = ipaddress.ip_address(registry.rpartition(":")[0].strip("[]"))
                if "/" in entry and address in network:
                    yield entry, registry


def _combine(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    combined = dict(below)
    for key, value in above.items():
        under = combined.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            combined[key] = _combine(under, value)
        else:
            combined[key] = value
    return {key: value for key, value in combined.items() if value is not None}


def ours_in(merged: Daemon, theirs: Daemon) -> Ours:
    """Return which keys are as they are because of us."""
    return {
        key: (merged.get(key), [theirs[key]] if key in theirs else [])
        for key in differing(theirs, merged)
    }


def differing(before: Daemon, after: Daemon) -> list[str]:
    """Return the keys that are not the same in both."""
    keys = {**before, **after}
    return sorted(
        key
        for key in keys
        if (key in before) != (key in after) or before.get(key) != after.get(key)
    )


def reloadable(before: Daemon, after: Daemon) -> bool:
    """Tell whether a SIGHUP is enough: it leaves a key that is gone as it was."""
    return all(key in RELOADABLE and key in after for key in differing(before, after))


def render(daemon: Daemon) -> str:
    """Return the text of a daemon.json."""
    return json.dumps(daemon, indent=2) + "\n"


def not_in_force(daemon: Daemon, info: dict[str, Any]) -> list[str]:
    """Return the keys that a running daemon has not taken.

    Parameters
    ----------
    daemon
        The keys that it should have.
    info
        What it says of itself (``GET /info``); of other keys it says nothing.
    """
    known = info.get("RegistryConfig") or {}
    plain = {str(network) for network in known.get("InsecureRegistryCIDRs") or []}
    for name, index in (known.get("IndexConfigs") or {}).items():
        plain |= set() if index.get("Secure", True) else {name}
    wanted = daemon.get("insecure-registries") or []
    has = {
        "insecure-registries": set(map(_normal, wanted)) <= plain,
        "labels": set(daemon.get("labels") or []) <= set(info.get("Labels") or []),
        "live-restore": bool(daemon.get("live-restore"))
        == bool(info.get("LiveRestoreEnabled")),
    }
    return [key for key, right in has.items() if key in daemon and not right]


def _normal(registry: str) -> str:
    """Return the name of a registry, or its network, as a daemon tells it."""
    name = registry.partition("://")[2] or registry
    try:
        return str(ipaddress.ip_network(name, strict=False)) if "/" in name else name
    except ValueError:
        return name


def tcp_addresses(daemon: Daemon) -> list[tuple[str, int]]:
    """Return host and port of the addresses for other computers, from this one."""
    # 0.0.0.0 is where to listen; from the host itself that is the loopback.
    loopback = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
    default = 2376 if daemon.get("tls") or daemon.get("tlsverify") else 2375
    found = []
    for host in daemon.get("hosts", []):
        parts = TCP.match(host)
        if parts:
            name = parts.group("name").strip("[]")
            port = int(parts.group("port") or default)
            found.append((loopback.get(name, name), port))
    return found
