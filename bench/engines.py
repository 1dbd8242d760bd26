"""Simulated Docker Engines: one process that answers on many ports.

Each has one running container, of the name and with the labels that both programs look
for, one image, and no volume.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

IMAGE = "sdss/flicamera:latest"
IMAGE_ID = "sha256:" + "a" * 64


def answer(name: str, path: str) -> tuple[int, Any]:
    """Return status and body of a request to the engine of a node."""
    path = re.sub(r"^/v[0-9.]+", "", path.partition("?")[0])
    container = f"{int(name.removeprefix('cam')):064x}"
    if path == "/_ping":
        return 200, None
    if path == "/version":
        return 200, {"ApiVersion": "1.41", "Version": "20.10.24"}
    if path == "/info":
        return 200, {"ID": name}
    if path == "/containers/json":
        return 200, [
            {
                "Id": container,
                "Names": [f"/flicamera-{name}"],
                "Image": IMAGE,
                "ImageID": IMAGE_ID,
                "State": "running",
                "Status": "Up",
                "Labels": {"org.sdss.fliswarm.node": name},
            }
        ]
    if path == f"/containers/{container}/json":
        return 200, {
            "Id": container,
            "Name": f"/flicamera-{name}",
            "Image": IMAGE_ID,
            "Config": {"Image": IMAGE, "Labels": {}},
            "State": {"Status": "running"},
        }
    if path == "/volumes":
        return 200, {"Volumes": [], "Warnings": None}
    if path.startswith("/images/"):
        return 200, {"Id": IMAGE_ID, "RepoDigests": [], "RepoTags": [IMAGE]}
    return 404, {"message": f"no such object: {path}"}


class Engine(asyncio.Protocol):
    """One connection to one engine; requests have no body."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request."""
        *requests, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for request in requests:
            path = request.split(b" ", 2)[1].decode()
            status, body = answer(self._name, path)
            content = b"OK" if body is None else json.dumps(body).encode()
            head = (
                f"HTTP/1.1 {status} -\r\nApi-Version: 1.41\r\n"
                "Content-Type: application/json\r\n"
                f"Content-Length: {len(content)}\r\n\r\n"
            )
            assert self._transport is not None
            self._transport.write(head.encode() + content)


async def serve(first: int, count: int, tls: Path | None) -> None:
    """Serve engines on consecutive ports, until ended."""
    loop = asyncio.get_running_loop()
    secure = None
    if tls is not None:
        secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        secure.load_verify_locations(tls / "ca.pem")
        secure.load_cert_chain(tls / "server.pem", tls / "server-key.pem")
        secure.verify_mode = ssl.CERT_REQUIRED
    for number in range(count):

        def engine(name: str = f"cam{number}") -> Engine:
            return Engine(name)

        make: Callable[[], Engine] = engine
        await loop.create_server(
            make, "127.0.0.1", first + number, backlog=1024, ssl=secure
        )
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    folder = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), folder))
