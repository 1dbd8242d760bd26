"""A registry as the manager sees it: whether it answers, and has the wanted image.

It is asked without a login and without a certificate. One that wants to know more is
there all the same, and is told by the nodes' engines.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from fliswarm.engine import answers, tls
from fliswarm.model.signs import RegistrySigns
from fliswarm.net.dial import dialling, reason

MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
"""What an image may be told as; a registry asked for one alone may not have it."""

HEAD_LIMIT = 64 * 1024
"""Bytes of the longest head of an answer."""

WANTS_TLS = "HTTPS server"
"""What a registry behind TLS says to who asks without."""


NO_WORD = "it ends the connection without a word"


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    rest: bytes = b""


async def look(registry: str, image: str, limit: float) -> RegistrySigns:
    """Return how a registry is.

    Parameters
    ----------
    registry
        Its name or address, with its port if it is not that of https.
    image
        What is wanted of it, by the name there.
    limit
        Seconds for all of it.
    """
    try:
        async with asyncio.timeout(limit):
            return await _look(registry, image)
    except TimeoutError:
        return RegistrySigns(f"{registry} does not answer in {limit:g} s")
    except OSError as error:
        return RegistrySigns(f"{registry}: {reason(error)}")
    except ValueError as error:
        return RegistrySigns(f"{registry} answers as no registry does: {error}")


async def _look(registry: str, image: str) -> RegistrySigns:
    place = urlsplit(f"//{registry}")
    host, port = place.hostname or "", place.port
    door = _Door(host, port or 443)
    if port is not None:
        first = await door.ask("GET", "/v2/")
        if first.status != 400 or WANTS_TLS not in first.rest.decode("latin-1"):
            return await _told(door, registry, image, first)
    door.context = _any()
    try:
        first = await door.ask("GET", "/v2/")
    except (ssl.SSLError, ConnectionError):
        if door.certificate_ends is None:
            raise
        # It has shown its own certificate, and wants to see one.
        return RegistrySigns(private=True, certificate_ends=door.certificate_ends)
    return await _told(door, registry, image, first)


async def _told(
    door: _Door, registry: str, image: str, first: _Answer
) -> RegistrySigns:
    if first.status in (401, 403):
        return RegistrySigns(private=True, certificate_ends=door.certificate_ends)
    if first.status != 200:
        said = f"{registry} answers with {first.status} in the place of 200"
        return RegistrySigns(said, certificate_ends=door.certificate_ends)
    repository, tag = answers.split(image)
    found = await door.ask("HEAD", f"/v2/{repository}/manifests/{tag}")
    has = {200: True, 404: False}.get(found.status)
    digest = found.headers.get("docker-content-digest")
    return RegistrySigns(
        private=found.status in (401, 403),
        has_image=has,
        digest=digest,
        certificate_ends=door.certificate_ends,
    )


def _any() -> ssl.SSLContext:
    """Return a context that takes any certificate: whom nodes trust, they tell."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


class _Door:
    """Asks a registry, each time on a connection of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self.context: ssl.SSLContext | None = None
        self.certificate_ends: datetime | None = None

    async def ask(self, method: str, path: str) -> _Answer:
        with dialling(self._host):
            reader, writer = await asyncio.open_connection(
                self._host, self._port, ssl=self.context, limit=HEAD_LIMIT
            )
        try:
            shown = writer.get_extra_info("ssl_object")
            if shown is not None and (der := shown.getpeercert(True)):
                self.certificate_ends = tls.end_of(der)
            name = f"[{self._host}]" if ":" in self._host else self._host
            writer.write(
                f"{method} {path} HTTP/1.1\r\nHost: {name}:{self._port}\r\n"
                f"Accept: {MANIFESTS}\r\nConnection: close\r\n\r\n".encode()
            )
            return await _read(reader)
        finally:
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> _Answer:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            raise ConnectionResetError(NO_WORD) from None
        raise ValueError(f"{error.partial[:60]!r}") from error
    except asyncio.LimitOverrunError as error:
        raise ValueError(str(error)) from error
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if not words[0].startswith("HTTP/1.") or not words[1:] or not words[1].isdigit():
        raise ValueError(repr(first[:60]))
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    rest = b""
    if words[1] == "400":
        rest = await reader.read(200)
    return _Answer(int(words[1]), headers, rest)
