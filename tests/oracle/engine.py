"""A Docker Engine's face without an engine: its HTTP API over a few dictionaries."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_VERSION = re.compile(r"^/v[0-9.]+(?=/)")

Answer = tuple[int, object]


class Engine:
    """The engine of one node.

    Parameters
    ----------
    on_start
        Is told the name of each container that starts.
    """

    def __init__(self, on_start: Callable[[str], None] = lambda _: None) -> None:
        self.port = 0
        self.containers: dict[str, dict[str, Any]] = {}
        self.volumes: dict[str, dict[str, Any]] = {}
        self.bodies: dict[str, Mapping[str, Any]] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.pull: Mapping[str, Any] = {"status": "Image is up to date"}
        self.image = True
        self.off = False
        self._ids = itertools.count(1)
        self._on_start = on_start
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> Engine:
        """Begin to listen, on the port it had before if there was one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        """End, and let all clients go."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.close()

    def create(self, name: str, wanted: Mapping[str, Any], *, running: bool) -> str:
        """Make a container; return its id."""
        number = f"{next(self._ids):012x}" + "0" * 52
        self.containers[number] = {
            "Id": number,
            "Names": [f"/{name}"],
            "Image": wanted.get("Image"),
            "ImageID": "sha256:image",
            "Labels": wanted.get("Labels") or {},
            "State": "running" if running else "created",
        }
        return number

    def create_volume(
        self, name: str, options: Mapping[str, str], labels: Mapping[str, str]
    ) -> dict[str, Any]:
        """Make a volume."""
        self.volumes[name] = {
            "Name": name,
            "Driver": "local",
            "Options": dict(options),
            "Labels": dict(labels),
        }
        return self.volumes[name]

    # HTTP

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers.add(writer)
        try:
            while request := await reader.readline():
                method, target, _ = request.decode().split(" ", 2)
                length = 0
                while (header := await reader.readline()).strip():
                    name, _, value = header.decode().partition(":")
                    if name.lower() == "content-length":
                        length = int(value)
                if self.off:
                    break
                body = json.loads(await reader.readexactly(length) or b"null")
                status, content = self._answer(method, target, body)
                if isinstance(content, str):
                    kind, data = "text/plain", content.encode()
                else:
                    kind, data = "application/json", json.dumps(content).encode()
                writer.write(
                    f"HTTP/1.1 {status} Status\r\nContent-Type: {kind}\r\n"
                    f"Api-Version: 1.44\r\nContent-Length: {len(data)}\r\n\r\n".encode()
                    + data
                )
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _answer(self, method: str, target: str, body: Any) -> Answer:  # noqa: ANN401
        parts = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        words = unquote(_VERSION.sub("", parts.path)).strip("/").split("/")
        self.asked.append((method, "/".join(words), query))
        match method, words:
            case _, ["_ping"]:
                return 200, "OK"
            case "GET", ["info"]:
                return 200, {"ID": str(id(self))}
            case "GET", ["version"]:
                return 200, {"ApiVersion": "1.44", "MinAPIVersion": "1.24"}
            case _, ["containers", *rest]:
                return self._containers(method, rest, query, body)
            case _, ["volumes", *rest]:
                return self._volumes(method, rest, query, body)
            case "POST", ["images", "create"]:
                return 200, self.pull
            case "GET", ["images", *_] if not self.image:
                return 404, {"message": "No such image"}
            case "GET", ["images", *rest]:
                name, at, digest = "/".join(rest[:-1]).partition("@")
                name = name if at else name.rpartition(":")[0]
                digests = [f"{name}@sha256:digest", f"{name}@{digest or 'sha256:more'}"]
                return 200, {"Id": "sha256:image", "RepoDigests": digests}
        return 404, {"message": f"page not found: {method} {target}"}

    def _containers(
        self,
        method: str,
        rest: list[str],
        query: Mapping[str, str],
        body: Any,  # noqa: ANN401
    ) -> Answer:
        match method, rest:
            case "GET", ["json"]:
                filters = json.loads(query.get("filters", "{}"))
                return 200, [c for c in self.containers.values() if _wanted(c, filters)]
            case "POST", ["create"]:
                if self._find(query["name"]):
                    return 409, {"message": f"the name {query['name']} is in use"}
                number = self.create(query["name"], body, running=False)
                self.bodies[query["name"]] = body
                return 201, {"Id": number, "Warnings": []}
        found = self._find(rest[0])
        if found is None:
            return 404, {"message": f"No such container: {rest[0]}"}
        match method, rest[1:]:
            case "GET", ["json"]:
                name = found["Names"][0]
                config = {"Tty": False, "Image": found["Image"]}
                running = {"Status": found["State"]}
                return 200, {**found, "Name": name, "Config": config, "State": running}
            case "DELETE", []:
                del self.containers[found["Id"]]
            case "POST", ["start"]:
                found["State"] = "running"
                self._on_start(found["Names"][0].removeprefix("/"))
            case "POST", ["stop"]:
                found["State"] = "exited"
            case "POST", ["rename"]:
                found["Names"] = [f"/{query['name']}"]
            case "GET", ["logs"]:
                return 200, ""
        return 204, ""

    def _find(self, name: str) -> dict[str, Any] | None:
        return self.containers.get(name) or next(
            (c for c in self.containers.values() if f"/{name}" in c["Names"]), None
        )

    def _volumes(
        self,
        method: str,
        rest: list[str],
        query: Mapping[str, str],
        body: Any,  # noqa: ANN401
    ) -> Answer:
        match method, rest:
            case "GET", []:
                labels = json.loads(query.get("filters", "{}")).get("label", ())
                found = [
                    volume
                    for volume in self.volumes.values()
                    if all(_labelled(volume["Labels"], label) for label in labels)
                ]
                return 200, {"Volumes": found, "Warnings": []}
            case "POST", ["create"]:
                options = body.get("DriverOpts") or {}
                labels = body.get("Labels") or {}
                return 201, self.create_volume(body["Name"], options, labels)
            case "DELETE", [name]:
                self.volumes.pop(name, None)
                return 204, ""
        if rest[0] in self.volumes:
            return 200, self.volumes[rest[0]]
        return 404, {"message": f"no such volume: {rest[0]}"}


def _labelled(labels: Mapping[str, str], wanted: str) -> bool:
    """Return whether one of the labels is as wanted: by its key, or its value too."""
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _wanted(container: Mapping[str, Any], filters: Mapping[str, list[str]]) -> bool:
    """Return whether an engine lists a container; names match by any part of them."""
    for name in filters.get("name", ()):
        if not re.search(name, container["Names"][0]):
            return False
    for image in filters.get("ancestor", ()):
        if container["Image"] not in (image, f"{image}:latest"):
            return False
    states = filters.get("status")
    return states is None or container["State"] in states
