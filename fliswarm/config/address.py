"""Hosts and the ways to a Docker Engine: what is one, and when two are the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

ENGINE_PORTS: Mapping[str, int] = {"tcp": 2375, "https": 2376, "ssh": 22}
"""The port of an engine whose address names none, by scheme."""

USER = r"[A-Za-z0-9_][A-Za-z0-9_.@\\+-]*\$?"
"""A login name. ssh would take a leading hyphen for an option."""

HOST_LENGTH = 253
"""Characters of the longest name of a host in the domain name system."""

SOCKET_LENGTH = 107
"""Bytes of the longest path of a socket on Linux."""

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")

_PLACE = re.compile(
    r"(?:(?P<user>[^/]+)@)?"
    r"(?P<host>\[[^\]/@]+\]|[^:/@\[\]]+)"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


class Engine(NamedTuple):
    """Where a Docker Engine listens: ``where`` is a host, or a socket's path."""

    scheme: str
    where: str
    port: int


def host(text: str) -> str | None:
    """Return a host's name or address without brackets; ``None`` when it is none."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in bare:
        return bare if _ipv6(bare) else None
    name = _ascii(bare)
    if name is None or bare != text:
        return None
    labels = name.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        return None
    # Resolvers read 10.0.1 and 10.0.0.010 as addresses that nobody meant.
    if len(labels) > 1 and labels[-1].isdigit() and not _ipv4(name):
        return None
    return bare


def same(known: str) -> str:
    """Return what two ways to write one host have in common; ``known`` is a host."""
    return str(IPv6Address(known)) if ":" in known else _ascii(known) or known


def bracketed(known: str) -> str:
    """Return a host as it stands before a port."""
    return f"[{known}]" if ":" in known else known


def engine(text: str) -> Engine | None:
    """Read the address of a Docker Engine; ``None`` when it is none."""
    scheme, _, rest = text.partition("://")
    if scheme == "unix":
        fits = re.fullmatch(r"/[^\x00-\x1f\x7f]+", rest) and len(rest) <= SOCKET_LENGTH
        return Engine(scheme, rest, 0) if fits else None
    place = _PLACE.fullmatch(rest)
    if place is None or scheme not in ENGINE_PORTS:
        return None
    user, name = place["user"], host(place["host"])
    port = int(place["port"] or ENGINE_PORTS[scheme])
    if name is None or not 0 < port < 65536:
        return None
    if user is not None and not (scheme == "ssh" and re.fullmatch(USER, user)):
        return None
    return Engine(scheme, same(name), port)


def _ipv6(text: str) -> bool:
    try:
        return IPv6Address(text).scope_id is None
    except AddressValueError:
        return False


def _ipv4(text: str) -> bool:
    try:
        return bool(str(IPv4Address(text)))
    except AddressValueError:
        return False


def _ascii(name: str) -> str | None:
    """Return the name as resolvers ask for it."""
    if len(name) > HOST_LENGTH:
        return None
    try:
        found = name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    return found if len(found) <= HOST_LENGTH else None
