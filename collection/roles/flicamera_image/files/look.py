"""Print what a host and a registry have, as JSON: ``look.py REGISTRY NAME TAG``.

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
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

LABEL = "org.sdss.fliswarm.recipe"

MANIFEST = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
    )
)

TIMEOUT = 10
"""Seconds for each answer of the registry."""


def image(registry: str, name: str, tag: str) -> tuple[str, str]:
    """Return digest and recipe of an image in a registry, empty if not there.

    Parameters
    ----------
    registry
        Its address and port. It is spoken to as the engine does: with TLS if
        the engine has a certificate for it.
    name
        Name of the image, without registry and tag.
    tag
        Its tag.
    """
    authority = Path("/etc/docker/certs.d", registry, "ca.crt")
    if authority.exists():
        url = f"https://{registry}/v2"
        context = ssl.create_default_context(cafile=str(authority))
        opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))
    else:
        url = f"http://{registry}/v2"
        opener = build_opener(ProxyHandler({}))

    def get(path: str, accept: str) -> tuple[dict[str, Any], str]:
        request = Request(f"{url}/{path}", headers={"Accept": accept})  # noqa: S310
        with opener.open(request, timeout=TIMEOUT) as answer:
            return json.load(answer), answer.headers.get("Docker-Content-Digest", "")

    try:
        manifest, digest = get(f"{name}/manifests/{tag}", MANIFEST)
    except HTTPError as error:
        if error.code == HTTPStatus.NOT_FOUND:
            return "", ""
        raise
    if "config" not in manifest:
        return digest, ""
    config, _ = get(f"{name}/blobs/{manifest['config']['digest']}", "*/*")
    return digest, (config["config"].get("Labels") or {}).get(LABEL, "")


def main() -> None:
    """Look and print."""
    registry, name, tag = sys.argv[1:]
    digest = recipe = reason = ""
    try:
        digest, recipe = image(registry, name, tag)
    except HTTPError as error:
        reason = f"it answers {error.code} {error.reason}"
    except (URLError, OSError) as error:
        reason = str(getattr(error, "reason", error))
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
