"""An image from one registry to another, as it is: its digest stays."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPStatus
from typing import IO, Any, NamedTuple

from ansible_collections.sdss.fliswarm.plugins.module_utils import engine_api
from ansible_collections.sdss.fliswarm.plugins.module_utils.registry_api import (
    MANY,
    SINGLE,
    TIMEOUT,
    Access,
    Registry,
    RegistryError,
    children,
    context,
    digest,
)
from ansible_collections.sdss.fliswarm.plugins.module_utils.registry_shelf import (
    contents,
)

HUB = "registry-1.docker.io"
"""Where Docker Hub's images are."""

CHUNK = 1 << 20


class Name(NamedTuple):
    """An image's full name in parts."""

    host: str
    repository: str
    reference: str
    """Its tag or digest."""


def named(full: str) -> Name:
    """Return the parts of an image's full name, as engines understand it.

    Parameters
    ----------
    full
        Such as ``sdss/flicamera:latest`` or ``hub:5000/flicamera@sha256:...``.
    """
    full, _at, pin = full.partition("@")
    head, slash, last = full.rpartition("/")
    repository, _colon, tag = last.partition(":")
    path = f"{head}{slash}{repository}"
    host, slash, rest = path.partition("/")
    if slash and (re.search(r"[.:]", host) or host == "localhost"):
        return Name(host, rest, pin or tag or "latest")
    path = path if slash else f"library/{path}"
    return Name(HUB, path, pin or tag or "latest")


def plain(host: str, path: str) -> bool:
    """Return whether this host's engine speaks to a registry without TLS.

    Parameters
    ----------
    host
        The registry's address and port.
    path
        Socket of the engine.
    """
    found: dict[str, Any] = json.loads(
        engine_api.ask("GET", "/info", TIMEOUT, path).text
    )
    known = found.get("RegistryConfig", {}).get("IndexConfigs", {}).get(host, {})
    return known.get("Secure") is False


class Source:
    """A repository to copy from, with the token that some registries want.

    Parameters
    ----------
    access
        How to reach the registry; without an authority, by those that the host trusts.
    repository
        The image's name there.
    plain
        Whether it is a registry without TLS.
    """

    def __init__(self, access: Access, repository: str, *, plain: bool) -> None:
        self._name = access.name
        scheme = "http" if plain else "https"
        self._base = f"{scheme}://{access.name}/v2/{repository}"
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context(access))
        )
        self._token = ""

    def open(self, path: str) -> IO[bytes]:
        """Return a document or a content, to be read.

        Raises
        ------
        RegistryError
            There is none, or it is not given.
        """
        try:
            return self._open(path)
        except urllib.error.HTTPError as error:
            asked = error.headers.get("WWW-Authenticate", "")
            if error.code != HTTPStatus.UNAUTHORIZED or not asked.startswith("Bearer"):
                words = f"{self._name}: {path}: {error.code} {error.reason}"
                raise RegistryError(words) from error
            self._login(asked)
        try:
            return self._open(path)
        except urllib.error.HTTPError as error:
            words = f"{self._name}: {path}: {error.code} {error.reason}"
            raise RegistryError(words) from error

    def _open(self, path: str) -> IO[bytes]:
        url = f"{self._base}/{path}"
        request = urllib.request.Request(url)  # noqa: S310  of http or https
        request.add_header("Accept", ", ".join(SINGLE + MANY))
        if self._token:
            # Not to where contents are kept elsewhere: that place has its own.
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        found: IO[bytes] = self._opener.open(request, timeout=TIMEOUT)
        return found

    def _login(self, asked: str) -> None:
        terms = dict(re.findall(r'(\w+)="([^"]*)"', asked))
        realm = terms.pop("realm", "")
        if not realm.startswith(("https://", "http://")):
            raise RegistryError(f"{self._name} wants a login at '{realm}'")
        url = f"{realm}?{urllib.parse.urlencode(terms)}"
        with self._opener.open(url, timeout=TIMEOUT) as answer:
            said: dict[str, Any] = json.load(answer)
        self._token = str(said.get("token") or said.get("access_token") or "")


def copy(source: Source, target: Registry, reference: str, tag: str) -> str:
    """Copy an image with all that its index lists; return its digest.

    Parameters
    ----------
    source, target
        The repositories.
    reference
        Its tag or digest in the source.
    tag
        Tag in the target, empty for none.

    Raises
    ------
    RegistryError
        What is not to be had, or not as it is named.
    """
    with source.open(f"manifests/{reference}") as answer:
        body = answer.read()
    own = str(digest(body))
    if reference.startswith("sha256:") and reference != own:
        raise RegistryError(f"{reference}: the registry gives {own} for it")
    manifest = json.loads(body)
    for child in children(manifest):
        copy(source, target, child, "")
    for blob in contents(manifest):
        _copy_blob(source, target, blob)
    kind = manifest.get("mediaType") or SINGLE[1]
    target.push_manifest(tag or own, body, kind)
    return own


def _copy_blob(source: Source, target: Registry, blob: dict[str, Any]) -> None:
    name = blob["digest"]
    if target.ask("HEAD", f"blobs/{name}").status == HTTPStatus.OK:
        return
    # Layers are larger than memory is free.
    with tempfile.TemporaryFile(dir="/var/tmp") as file:
        with source.open(f"blobs/{name}") as answer:
            shutil.copyfileobj(answer, file, CHUNK)
        size = file.tell()
        file.seek(0)
        target.push_file(name, file, size)
