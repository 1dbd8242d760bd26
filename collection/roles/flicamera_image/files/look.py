"""Print what a host and its registry have, as JSON: ``look.py REGISTRY NAME TAG``.

``docker``
    Whether the host has the client.
``machine``
    The host's architecture, as ``uname -m`` says it.
``registry``
    Why the registry does not answer; empty if it does.
``digest``
    Digest of the image in the registry; empty if it is not there.
``recipe``
    What the image was made from, by its label.
"""

from __future__ import annotations

import json
import platform
import shutil
import ssl
import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

LABEL = "org.sdss.fliswarm.recipe"

MANIFEST = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
    )
)

TIMEOUT = 10
"""Seconds for each answer of the registry."""


def connect(registry: str) -> HTTPConnection:
    """Return a connection to a registry, as the engine would speak to it.

    Parameters
    ----------
    registry
        Its address and port. With TLS if the engine has a certificate for it.
    """
    trust = Path("/etc/docker/certs.d", registry)
    if not (trust / "ca.crt").exists():
        return HTTPConnection(registry, timeout=TIMEOUT)
    context = ssl.create_default_context(cafile=str(trust / "ca.crt"))
    if (trust / "client.cert").exists():
        context.load_cert_chain(trust / "client.cert", trust / "client.key")
    return HTTPSConnection(registry, timeout=TIMEOUT, context=context)


def get(connection: HTTPConnection, path: str) -> tuple[dict[str, Any], str]:
    """Return a document of the registry and its digest, empty if not there.

    Parameters
    ----------
    connection
        The connection to the registry.
    path
        What follows ``/v2/``.
    """
    connection.request("GET", f"/v2/{path}", headers={"Accept": MANIFEST})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status == HTTPStatus.NOT_FOUND:
        return {}, ""
    if answer.status != HTTPStatus.OK:
        raise HTTPException(f"it answers {answer.status} {answer.reason}")
    return json.loads(body), answer.headers.get("Docker-Content-Digest", "")


def main() -> None:
    """Look and print."""
    registry, name, tag = sys.argv[1:]
    digest = recipe = reason = ""
    try:
        connection = connect(registry)
        manifest, digest = get(connection, f"{name}/manifests/{tag}")
        if "config" in manifest:
            blob = manifest["config"]["digest"]
            image, _digest = get(connection, f"{name}/blobs/{blob}")
            labels = image.get("config", {}).get("Labels") or {}
            recipe = labels.get(LABEL, "")
    except (OSError, HTTPException, ValueError) as error:
        reason = str(error) or type(error).__name__
    found = {
        "docker": shutil.which("docker") is not None,
        "machine": platform.machine(),
        "registry": reason,
        "digest": digest,
        "recipe": recipe,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
