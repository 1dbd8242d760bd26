"""Push a small image to a registry, unless it is there, and get it back.

Run on the host as ``python3 - REGISTRY TAG TLS act|look``, TLS the folder of the
certificates, empty for a registry without. Puts out what it pushed, or would push.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import platform
import ssl
import struct
import sys
import tarfile
import time
import zlib
from typing import Any

REPOSITORY = "fliswarm/proof"

LABEL = "org.sdss.fliswarm.proof"

PATIENCE = 30
"""Seconds for a registry that was just started to listen."""

DOCKER = "application/vnd.docker"
MANIFEST = f"{DOCKER}.distribution.manifest.v2+json"


def digest(data: bytes) -> str:
    """Return the name of a content."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def compress(data: bytes) -> bytes:
    """Return less than 64 KiB as gzip, of the same bytes wherever that is done."""
    size = len(data)
    stored = struct.pack("<BHH", 1, size, size ^ 0xFFFF) + data
    end = struct.pack("<II", zlib.crc32(data), size)
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + stored + end


def image(machine: str) -> tuple[bytes, dict[str, bytes]]:
    """Return the manifest of a small image, and its contents by their digests.

    Parameters
    ----------
    machine
        The architecture, as ``uname -m`` says it.
    """
    words = b"This image proves that a registry works.\n"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo("fliswarm")
        member.size = len(words)
        tar.addfile(member, io.BytesIO(words))
    layer = compress(packed.getvalue())
    config = _json(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(
                machine, machine
            ),
            "config": {"Labels": {LABEL: "1"}},
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [digest(packed.getvalue())]},
        }
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _part(f"{DOCKER}.container.image.v1+json", config),
        "layers": [_part(f"{DOCKER}.image.rootfs.diff.tar.gzip", layer)],
    }
    return _json(manifest), {digest(data): data for data in (config, layer)}


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _part(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(data), "digest": digest(data)}


class Registry:
    """A registry, as an engine speaks to it.

    Parameters
    ----------
    name
        Its address and port.
    tls
        Folder of the certificates, empty for none.
    """

    def __init__(self, name: str, tls: str) -> None:
        self._path = f"/v2/{REPOSITORY}"
        if tls:
            context = ssl.create_default_context(cafile=f"{tls}/ca.pem")
            context.load_cert_chain(f"{tls}/puller.pem", f"{tls}/puller.key")
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                name, timeout=10, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(name, timeout=10)

    def wait(self) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._connection.connect()
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def get(self, path: str) -> bytes:
        """Return a content, empty when there is none."""
        status, _place, body = self._ask(
            "GET", f"{self._path}/{path}", {"Accept": MANIFEST}
        )
        return b"" if status == http.HTTPStatus.NOT_FOUND else body

    def push(self, tag: str, manifest: bytes, blobs: dict[str, bytes]) -> None:
        """Upload an image."""
        for name, data in blobs.items():
            place = self._ask("POST", f"{self._path}/blobs/uploads/", {})[1]
            sign = "&" if "?" in place else "?"
            kind = {"Content-Type": "application/octet-stream"}
            self._ask("PUT", f"{place}{sign}digest={name}", kind, data)
        kind = {"Content-Type": MANIFEST}
        self._ask("PUT", f"{self._path}/manifests/{tag}", kind, manifest)

    def _ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes = b""
    ) -> tuple[int, str, bytes]:
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status >= http.HTTPStatus.BAD_REQUEST and not (
            method == "GET" and answer.status == http.HTTPStatus.NOT_FOUND
        ):
            words = said.decode(errors="replace").strip()
            raise http.client.HTTPException(
                f"{method} {path}: {answer.status} {answer.reason} {words}"
            )
        return answer.status, answer.headers.get("Location", ""), said


def lacks(
    registry: Registry, tag: str, manifest: bytes, blobs: dict[str, bytes]
) -> str:
    """Return the first part of an image that a registry does not give."""
    if registry.get(f"manifests/{tag}") != manifest:
        return f"manifest {digest(manifest)}"
    for name, data in blobs.items():
        if registry.get(f"blobs/{name}") != data:
            return f"blob {name}"
    return ""


def main(name: str, tag: str, tls: str, act: bool) -> str:
    """Push what lacks; return what it was."""
    manifest, blobs = image(platform.machine())
    target = f"{name}/{REPOSITORY}:{tag}"
    try:
        registry = Registry(name, tls)
        if act:
            registry.wait()
        if not lacks(registry, tag, manifest, blobs):
            return ""
        if act:
            registry.push(tag, manifest, blobs)
            missing = lacks(registry, tag, manifest, blobs)
            if missing:
                sys.exit(
                    f"The registry took {target}, and does not give back {missing}."
                )
    except (OSError, ValueError, http.client.HTTPException) as error:
        if act:
            sys.exit(
                f"The registry {name} does not work: {error or type(error).__name__}"
            )
    return target


if __name__ == "__main__":
    registry, tag, tls, act = sys.argv[1:]
    pushed = main(registry, tag, tls, act == "act")
    if pushed:
        print(pushed)
