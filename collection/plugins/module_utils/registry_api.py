"""A registry over HTTP, as engines speak to it, and the way to write to ours."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import ssl
import time
import urllib.parse
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, NamedTuple, Union

WRITER = "/etc/docker/registry/writer"
"""Folder of what is needed to write to this host's registry, for root alone."""

SINGLE = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
"""Kinds of manifests of one image."""

MANY = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
"""Kinds of lists of manifests, one for each platform."""

PATIENCE = 30
"""Seconds for a registry that was just started to listen."""

TIMEOUT = 20
"""Seconds for each answer."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Names of architectures in images, where they are not those of ``uname -m``."""

MIB = 1 << 20

GONE = (HTTPStatus.NOT_FOUND,)

Body = Union[bytes, IO[bytes]]


class RegistryError(Exception):
    """What a registry does not do, in words for the user."""


class Access(NamedTuple):
    """How to reach a registry."""

    name: str
    """Its address and port."""
    authority: str = ""
    """File of the authority that signed its certificate; empty without TLS."""
    certificate: str = ""
    key: str = ""
    login: str = ""
    """User and password with a colon between, empty for none."""


class Answer(NamedTuple):
    """What a registry said."""

    status: int
    headers: dict[str, str]
    """By their names in lower case."""
    body: bytes


class Writer(NamedTuple):
    """The address of this host's registry that can be written to."""

    name: str
    """Name under which the others read from the same registry."""
    address: str
    storage: str
    """Folder of the images."""
    user: str
    password: str
    mark: str
    """What is random about this registry, so that no other passes for it."""

    @property
    def access(self) -> Access:
        """How to reach it."""
        return Access(self.address, login=f"{self.user}:{self.password}")


def writer(folder: str = WRITER) -> Writer | None:
    """Return what a host knows of its registry, None when it has none of ours."""
    with suppress(OSError, ValueError, TypeError):
        return Writer(**json.loads(Path(folder, "registry.json").read_text("utf-8")))
    return None


def as_engine(name: str) -> Access:
    """Return how this host's engine reaches a registry.

    Parameters
    ----------
    name
        Its address and port. With TLS if the engine has a certificate for it.
    """
    trust = Path("/etc/docker/certs.d", name)
    if not (trust / "ca.crt").exists():
        return Access(name)
    own = [trust / "client.cert", trust / "client.key"]
    both = [str(file) for file in own if file.exists()]
    return Access(name, str(trust / "ca.crt"), *(both if len(both) == len(own) else []))


def digest(data: bytes) -> str:
    """Return the name of a content."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Registry:
    """One repository of a registry.

    Parameters
    ----------
    access
        How to reach it.
    repository
        The image's name.
    """

    def __init__(self, access: Access, repository: str) -> None:
        self.name = access.name
        self._path = f"/v2/{repository}"
        self._headers = {}
        if access.login:
            words = base64.b64encode(access.login.encode()).decode()
            self._headers["Authorization"] = f"Basic {words}"
        self._connection = _connection(access)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def wait(self) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + PATIENCE
        while not self._listens() and time.monotonic() < deadline:
            time.sleep(0.2)

    def _listens(self) -> bool:
        try:
            self._connection.connect()
        except ConnectionRefusedError:
            return False
        return True

    def ask(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        **headers: str,
    ) -> Answer:
        """Ask for something below the repository; return whatever it answers."""
        url = path if path.startswith(("/", "http:", "https:")) else None
        place = urllib.parse.urlsplit(url or f"{self._path}/{path}")
        target = urllib.parse.urlunsplit(("", "", place.path, place.query, ""))
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        self._connection.request(method, target, body, {**self._headers, **named})
        answer = self._connection.getresponse()
        said = answer.read()
        found = {key.lower(): value for key, value in answer.headers.items()}
        return Answer(answer.status, found, said)

    def need(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        **headers: str,
    ) -> Answer:
        """Ask for something; raise what the registry refuses."""
        answer = self.ask(method, path, body, **headers)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise RegistryError(refusal(self.name, method, path, answer))
        return answer

    def manifest(self, reference: str) -> Answer | None:
        """Return a manifest, or an index, by tag or digest; None when there is none."""
        path = f"manifests/{reference}"
        answer = self.ask("GET", path, Accept=", ".join(SINGLE + MANY))
        if answer.status in GONE:
            return None
        if answer.status != HTTPStatus.OK:
            raise RegistryError(refusal(self.name, "GET", path, answer))
        return answer

    def blob(self, name: str) -> bytes:
        """Return a content by its digest, empty when there is none."""
        answer = self.ask("GET", f"blobs/{name}")
        if answer.status in GONE:
            return b""
        if answer.status != HTTPStatus.OK:
            raise RegistryError(refusal(self.name, "GET", f"blobs/{name}", answer))
        return answer.body

    def push_blob(self, name: str, data: bytes) -> None:
        """Upload a content under its digest."""
        self.push_file(name, data, len(data))

    def push_file(self, name: str, data: Body, size: int) -> None:
        """Upload a content of so many bytes; the registry checks its digest."""
        place = self.need("POST", "blobs/uploads/").headers["location"]
        sign = "&" if "?" in place else "?"
        self.need(
            "PUT",
            f"{place}{sign}digest={name}",
            data,
            Content_Type="application/octet-stream",
            Content_Length=str(size),
        )

    def push_manifest(self, reference: str, data: bytes, kind: str) -> None:
        """Upload a manifest, or an index, under a tag or its digest."""
        self.need("PUT", f"manifests/{reference}", data, Content_Type=kind)

    def tags(self) -> dict[str, str]:
        """Return the digests of all tags."""
        answer = self.ask("GET", "tags/list")
        if answer.status in GONE:
            return {}
        if answer.status != HTTPStatus.OK:
            raise RegistryError(refusal(self.name, "GET", "tags/list", answer))
        found = {}
        for tag in json.loads(answer.body).get("tags") or []:
            manifest = self.manifest(tag)
            if manifest:
                found[tag] = digest(manifest.body)
        return found


def _connection(access: Access) -> http.client.HTTPConnection:
    if not access.authority:
        return http.client.HTTPConnection(access.name, timeout=TIMEOUT)
    return http.client.HTTPSConnection(
        access.name, timeout=TIMEOUT, context=context(access)
    )


def context(access: Access) -> ssl.SSLContext:
    """Return what a connection shows and trusts; without an authority, the host's."""
    made = ssl.create_default_context(cafile=access.authority or None)
    if access.certificate:
        made.load_cert_chain(access.certificate, access.key)
    return made


def refusal(name: str, method: str, path: str, answer: Answer) -> str:
    """Return what a registry refuses, and why, as far as it says so."""
    words = answer.body.decode(errors="replace").strip()[:500]
    place = urllib.parse.urlsplit(path).path
    return f"{name}: {method} {place}: {answer.status} {words}".strip()


def children(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what an index lists, by digest; nothing for the manifest of one image."""
    return {one["digest"]: one for one in manifest.get("manifests") or []}
