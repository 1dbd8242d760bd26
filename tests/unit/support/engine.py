"""A Docker Engine over HTTP, with the rules of a real one that callers trip over."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fliswarm.engine import archive
from fliswarm.errors import ConfigError
from fliswarm.model import Executed, Image, Printed
from fliswarm.model.printed import since_epoch
from tests.unit.support.wait import until

Answer = tuple[int, object]
"""A status, and JSON; or a text, which is sent as it is."""

NO_IMAGE: Answer = (404, {"message": "No such image"})

_VERSION = re.compile(r"^/v([0-9.]+)(?=/)")


NO_PROGRAM = Executed(127, "no such file or directory\n")
"""What comes of a program that is not there."""


def framed(text: str) -> bytes:
    """Return what was printed as an engine sends it."""
    data = text.encode()
    return b"\x01\0\0\0" + len(data).to_bytes(4, "big") + data


class RefusalError(Exception):
    """What the engine does not do, and why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.answer: Answer = (status, {"message": message})


def _name(repository: str, tag: str) -> str:
    return f"{repository}{'@' if ':' in tag else ':'}{tag}"


async def _set_or_gone(event: asyncio.Event, reader: asyncio.StreamReader) -> bool:
    """Return whether an event came before the client's end."""
    said = asyncio.create_task(event.wait())
    gone = asyncio.create_task(_gone(reader))
    await asyncio.wait({said, gone}, return_when=asyncio.FIRST_COMPLETED)
    said.cancel()
    gone.cancel()
    await asyncio.wait({said, gone})
    return event.is_set()


async def _gone(reader: asyncio.StreamReader) -> None:
    while not reader.at_eof():
        await asyncio.sleep(0.005)


async def _tell(
    process: asyncio.subprocess.Process, writer: asyncio.StreamWriter
) -> None:
    """Pass on what a program prints, in an engine's frames."""
    assert process.stdout is not None
    while part := await process.stdout.read(16):
        writer.write(b"\x01\0\0\0" + len(part).to_bytes(4, "big") + part)
    await process.wait()


class FakeEngine:
    """The engine of one node, with the registry that it pulls from.

    Attributes
    ----------
    registry
        What can be pulled, by its full name.
    problem
        What the registry says instead of giving an image.
    oldest, newest
        The versions that it speaks.
    instead
        Answers in the place of the engine, when it returns something.
    steps
        What a pull says before its end: an event, or an event to wait for.
    logs
        What containers print, by id; ``said`` is called for each further line.
    programs
        What comes of programs, by name; ``None`` of one that does not end.
    about
        What it says of itself, beside who it is; ``ahead`` are the seconds by which its
        clock is wrong.
    details
        What a container is inspected as, by its id, in the place of what is usual.
    here
        Returns the words of the program that is run on this computer when a program is
        to be run in a container, by the words that are asked for. Without it, what is
        in ``programs`` comes of it.
    held
        Requests that are answered when their event is set, by their paths.
    asked
        All requests, without the version; ``begun`` counts connections.
    """

    def __init__(self) -> None:
        self.port = 0
        self.containers: dict[str, dict[str, Any]] = {}
        self.bodies: dict[str, dict[str, Any]] = {}
        self.queries: dict[str, dict[str, str]] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.volumes: dict[str, dict[str, Any]] = {}
        self.images: dict[str, Image] = {}
        self.registry: dict[str, Image] = {}
        self.problem: str | None = None
        self.log_driver = "json-file"
        self.about: dict[str, Any] = {
            "ServerVersion": "25.0",
            "Driver": "overlay2",
            "LiveRestoreEnabled": True,
        }
        self.ahead = 0.0
        self.details: dict[str, dict[str, Any]] = {}
        self.here: Callable[[list[str]], list[str]] | None = None
        self._codes: dict[str, int | None] = {}
        self.oldest, self.newest = (1, 24), (1, 44)
        self.instead: Callable[[str, str], Answer | None] = lambda *_: None
        self.steps: list[Mapping[str, Any] | asyncio.Event] = []
        self.logs: dict[str, list[Printed]] = {}
        self.programs: dict[str, Executed | None] = {}
        self._begun: dict[str, list[str]] = {}
        self._late = False
        self.held: dict[str, asyncio.Event] = {}
        self.asked: list[tuple[str, str]] = []
        self.begun = 0
        self._under_way: set[asyncio.StreamWriter] = set()
        self._ids = itertools.count(1)

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def idle(self) -> bool:
        """Whether nobody is connected."""
        return not self._under_way

    def hang_up(self) -> None:
        """Break all connections."""
        for writer in self._under_way:
            writer.transport.abort()

    @asynccontextmanager
    async def listening(
        self, path: Path | None = None, context: ssl.SSLContext | None = None
    ) -> AsyncIterator[FakeEngine]:
        """Serve, on a socket or on the port it had before if there was one."""
        if path is None:
            server = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port, ssl=context
            )
            self.port = server.sockets[0].getsockname()[1]
        else:
            server = await asyncio.start_unix_server(self._serve, path)
        yield self
        server.close()
        await until(lambda: self.idle, "all clients are gone")

    # HTTP

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.begun += 1
        self._under_way.add(writer)
        try:
            while request := await reader.readline():
                method, target, _ = request.decode().split(" ", 2)
                headers = {}
                while (header := (await reader.readline()).strip()) != b"":
                    name, _, value = header.decode().partition(": ")
                    headers[name.lower()] = value
                length = int(headers.get("content-length", 0))
                body: Any = await reader.readexactly(length)
                if headers.get("content-type") == "application/json":
                    body = json.loads(body or b"null")
                if not await self._one(writer, reader, method, target, headers, body):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self._under_way.discard(writer)

    async def _one(
        self,
        writer: asyncio.StreamWriter,
        reader: asyncio.StreamReader,
        method: str,
        target: str,
        headers: dict[str, str],
        body: Any,  # noqa: ANN401
    ) -> bool:
        """Answer a request; return whether the connection lives."""
        parts = urlsplit(target)
        path = unquote(_VERSION.sub("", parts.path)).strip("/")
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.asked.append((method, path))
        self.headers[path] = headers
        self.queries[path] = query
        if path in self.held and not await _set_or_gone(self.held[path], reader):
            return False
        status, content = self._outdated(parts.path) or (
            self.instead(method, path) or self._refusing(method, path, query, body)
        )
        if status == 200 and path.endswith("/logs") and query.get("timestamps") == "1":
            return await self._log(writer, reader, path.split("/")[1], query)
        if status == 200 and path.startswith("exec/") and path.endswith("/start"):
            number = path.split("/")[1]
            words = self._begun[number]
            if self.here is None:
                await self._program(writer, reader, words[0])
            else:
                code = await self._execute(writer, reader, self.here(words))
                self._codes[number] = code
            return False
        if path == "images/create" and status == 200:
            if not await self._pull(writer, reader, content):
                return False
            name = _name(query["fromImage"], query["tag"])
            if name in self.registry and self.problem is None:
                self.images[name] = self.registry[name]
            return True
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        if path.endswith("/get") and status == 200:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))
            await writer.drain()
            return True
        length = b"" if status in (204, 304) else b"Content-Length: %d\r\n" % len(data)
        head = b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\n" % status
        writer.write(head + length + b"\r\n" + (data if length else b""))
        await writer.drain()
        return True

    async def _execute(
        self,
        writer: asyncio.StreamWriter,
        reader: asyncio.StreamReader,
        words: list[str],
    ) -> int | None:
        """Run a program, and tell in an engine's frames what it prints."""
        kind = "application/vnd.docker.raw-stream"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode())
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told = asyncio.create_task(_tell(process, writer))
        gone = asyncio.create_task(_gone(reader))
        await asyncio.wait({told, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if not told.done():
            process.kill()
        await asyncio.wait({told, gone})
        return process.returncode

    async def _pull(
        self,
        writer: asyncio.StreamWriter,
        reader: asyncio.StreamReader,
        last: object,
    ) -> bool:
        """Tell of a pull; return whether anybody heard the end of it."""
        head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head.encode())
        for step in (*self.steps, last):
            if isinstance(step, asyncio.Event):
                if not await _set_or_gone(step, reader):
                    return False
                continue
            line = json.dumps(step).encode() + b"\r\n"
            writer.write(b"%x\r\n%s\r\n" % (len(line), line))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _log(
        self,
        writer: asyncio.StreamWriter,
        reader: asyncio.StreamReader,
        container: str,
        query: Mapping[str, str],
    ) -> bool:
        """Tell a log; return whether anybody heard the end of it."""
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        log = self.logs.setdefault(container, [])
        begin = 0 if query["tail"] == "all" else max(0, len(log) - int(query["tail"]))
        while True:
            for one in log[begin:]:
                if since_epoch(one.at) >= query.get("since", ""):
                    piece = framed(f"{one.at} {one.text}\n")
                    # Not as they were framed: an engine cuts as it likes.
                    for part in (piece[:5], piece[5:]):
                        writer.write(b"%x\r\n%s\r\n" % (len(part), part))
            await writer.drain()
            begin = len(log)
            state = self.containers.get(container, {}).get("State")
            if "follow" not in query or state != "running":
                break
            if reader.at_eof():
                return False
            await asyncio.sleep(0.005)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _program(
        self, writer: asyncio.StreamWriter, reader: asyncio.StreamReader, name: str
    ) -> None:
        """Tell what a program prints, up to the end of the connection."""
        kind = "application/vnd.docker.raw-stream"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode())
        done = self.programs.get(name, NO_PROGRAM)
        if done is None:
            await _gone(reader)
        else:
            writer.write(framed(done.output))

    def _outdated(self, path: str) -> Answer | None:
        asked = _VERSION.match(path)
        if asked is None:
            return None
        version = tuple(int(part) for part in asked[1].split("."))
        for wrong, word in (
            (version < self.oldest, "old. Minimum"),
            (version > self.newest, "new. Maximum"),
        ):
            if wrong:
                text = f"client version {asked[1]} is too {word} supported API version"
                return 400, {"message": text}
        return None

    def _refusing(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any,  # noqa: ANN401
    ) -> Answer:
        try:
            return self._answer(method, path, query, body)
        except RefusalError as refusal:
            return refusal.answer

    def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any,  # noqa: ANN401
    ) -> Answer:
        match method, path.split("/"):
            case _, ["_ping"]:
                return 200, b"OK"
            case "GET", ["version"]:
                return 200, {"ApiVersion": "{}.{}".format(*self.newest)}
            case "GET", ["info"]:
                there = datetime.now(UTC) + timedelta(seconds=self.ahead)
                return 200, {
                    "ID": str(id(self)),
                    "LoggingDriver": self.log_driver,
                    # As Go writes it, to a billionth of a second.
                    "SystemTime": f"{there:%Y-%m-%dT%H:%M:%S.%f}123Z",
                    **self.about,
                }
            case _, ["containers", *rest]:
                return self._containers(method, rest, query, body)
            case "POST", ["exec", _, "start"]:
                return 200, None
            case "GET", ["exec", number, "json"]:
                if number in self._codes:
                    return 200, {"ExitCode": self._codes[number]}
                done = self.programs.get(self._begun[number][0], NO_PROGRAM)
                # It has ended a moment after its output has.
                late, self._late = self._late, not self._late
                known = done is not None and late
                return 200, {"ExitCode": done.exit_code if done and known else None}
            case _, ["volumes", *rest]:
                return self._volumes(method, rest, query, body)
            case "POST", ["images", "create"]:
                return self._create_image(query["fromImage"], query["tag"])
            case "GET", ["images", "json"]:
                return 200, [self._listed(one) for one in set(self.images.values())]
            case "POST", ["images", "load"]:
                return self._load(body)
            case "GET", ["images", *rest, "get"]:
                if (name := "/".join(rest)) not in self.images:
                    return NO_IMAGE
                return 200, archive.made(self.images[name].id, (name,))
            case "GET", ["images", *rest]:
                return self._image("/".join(rest[:-1]))
            case "POST", ["images", *rest, "tag"]:
                return self._tag("/".join(rest), f"{query['repo']}:{query['tag']}")
            case "DELETE", ["images", *rest]:
                return self._remove_image("/".join(rest))
            case "GET", ["distribution", *rest]:
                found = self.registry.get("/".join(rest[:-1]))
                if self.problem or found is None:
                    raise RefusalError(500, self.problem or "manifest unknown")
                return 200, {"Descriptor": {"digest": found.digest}}
        raise RefusalError(404, f"page not found: {method} {path}")

    def _create_image(self, repository: str, tag: str) -> Answer:
        name = _name(repository, tag)
        if self.problem is not None:
            return 200, {"errorDetail": {"message": self.problem}}
        if name not in self.registry:
            raise RefusalError(404, f"manifest for {name} not found: manifest unknown")
        return 200, {"status": "Status: Downloaded newer image"}

    def _image(self, name: str) -> Answer:
        if name not in self.images:
            return NO_IMAGE
        found = self.images[name]
        repository = name.partition("@")[0] if "@" in name else name.rpartition(":")[0]
        digests = [f"{repository}@{found.digest}"] if found.digest else []
        return 200, {"Id": found.id, "RepoDigests": digests}

    def _listed(self, image: Image) -> dict[str, Any]:
        names = [name for name, its in self.images.items() if its == image]
        return {
            "Id": image.id,
            "RepoTags": [name for name in names if "@" not in name] or None,
            "RepoDigests": [
                f"{name.partition('@')[0].rpartition(':')[0] or name}@{image.digest}"
                for name in names
                if image.digest
            ],
            "Created": 1_700_000_000,
            "Size": 12,
        }

    def _load(self, body: bytes) -> Answer:
        with tempfile.NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            try:
                found = archive.read(Path(file.name))
            except ConfigError:
                return 200, {"errorDetail": {"message": "unexpected EOF"}}
        for image in found.images:
            for name in image.names:
                self.images[name] = Image(image.id)
        return 200, {"stream": "Loaded image"}

    def _tag(self, name: str, other: str) -> Answer:
        if name not in self.images:
            return NO_IMAGE
        self.images[other] = self.images[name]
        return 201, None

    def _remove_image(self, name: str) -> Answer:
        """Take the name alone away, as from an image that has others."""
        if name not in self.images:
            return NO_IMAGE
        del self.images[name]
        return 200, [{"Untagged": name}]

    # Containers

    def _containers(
        self,
        method: str,
        rest: list[str],
        query: Mapping[str, str],
        body: Any,  # noqa: ANN401
    ) -> Answer:
        match method, rest:
            case "GET", ["json"]:
                return 200, list(self.containers.values())
            case "POST", ["create"]:
                return self._create(query["name"], body)
        found = self.containers.get(rest[0])
        if found is None:
            raise RefusalError(404, f"No such container: {rest[0]}")
        match method, rest[1:]:
            case "GET", ["json"]:
                usual = self._inspected(found)
                return 200, {**usual, **self.details.get(found["Id"], {})}
            case "POST", ["exec"]:
                if found["State"] != "running":
                    raise RefusalError(409, f"container {rest[0]} is not running")
                number = f"{next(self._ids):064x}"
                self._begun[number] = body["Cmd"]
                return 201, {"Id": number}
            case "DELETE", []:
                del self.containers[found["Id"]]
            case "POST", ["rename"]:
                self._free(query["name"])
                found["Names"] = [f"/{query['name']}"]
            case "GET", ["logs"]:
                return 200, b""
            case "POST", [verb]:
                return self._change(found, verb)
        return 204, None

    def _inspected(self, found: dict[str, Any]) -> dict[str, Any]:
        body = found["Body"]
        host = body.get("HostConfig") or {}
        return {
            "Id": found["Id"],
            "Name": found["Names"][0],
            "Image": found["ImageID"],
            "Config": {
                "Tty": False,
                "Image": body["Image"],
                "Env": ["PATH=/bin", *(body.get("Env") or [])],
                "User": body.get("User") or "",
            },
            "HostConfig": host,
            "Mounts": [
                {
                    "Type": mount["Type"],
                    "Destination": mount["Target"],
                    "Name" if mount["Type"] == "volume" else "Source": mount["Source"],
                }
                for mount in host.get("Mounts") or ()
            ],
            "State": {"Status": found["State"]},
        }

    def _change(self, found: dict[str, Any], verb: str) -> Answer:
        state = found["State"]
        match verb, state:
            case "start", "paused":
                raise RefusalError(409, "cannot start a paused container, try unpause")
            case "start", "dead" | "removing":
                raise RefusalError(409, "container is marked for removal")
            case "start", "running" | "restarting":
                return 304, None
            case "start" | "unpause", "created" | "exited" | "paused":
                found["State"] = "running"
            case "stop", "paused":
                raise RefusalError(409, "Container is paused. Unpause it first")
            case "stop", "running" | "restarting":
                found["State"] = "exited"
                if (found["Body"].get("HostConfig") or {}).get("AutoRemove"):
                    del self.containers[found["Id"]]
            case "stop", _:
                return 304, None
            case "pause", "running":
                found["State"] = "paused"
            case _:
                raise RefusalError(409, f"cannot {verb} a container that is {state}")
        return 204, None

    def _create(self, name: str, body: dict[str, Any]) -> Answer:
        self._free(name)
        by_id = {image.id: image for image in self.images.values()}
        image = self.images.get(body["Image"]) or by_id.get(body["Image"])
        if image is None:
            return NO_IMAGE
        number = f"{next(self._ids):012x}" + "0" * 52
        mounts = (body.get("HostConfig") or {}).get("Mounts") or ()
        self.bodies[name] = body
        self.containers[number] = {
            "Id": number,
            "Names": [f"/{name}"],
            "ImageID": image.id,
            "Labels": body.get("Labels"),
            "State": "created",
            "Body": body,
            "Mounts": [
                {"Type": mount["Type"], "Name": mount["Source"]} for mount in mounts
            ],
        }
        return 201, {"Id": number, "Warnings": []}

    def _free(self, name: str) -> None:
        if any(f"/{name}" in found["Names"] for found in self.containers.values()):
            raise RefusalError(409, f"the name {name} is in use")

    # Volumes

    def _volumes(
        self,
        method: str,
        rest: list[str],
        query: Mapping[str, str],
        body: Any,  # noqa: ANN401
    ) -> Answer:
        match method, rest:
            case "GET", []:
                (label,) = json.loads(query["filters"])["label"]
                key, _, value = label.partition("=")
                return 200, {
                    "Volumes": [
                        volume
                        for volume in self.volumes.values()
                        if key in volume["Labels"]
                        and (not value or volume["Labels"][key] == value)
                    ]
                    or None
                }
            case "POST", ["create"]:
                made = {
                    "Name": body["Name"],
                    "Labels": body.get("Labels") or {},
                    "Driver": body.get("Driver") or "local",
                    "Options": body.get("DriverOpts"),
                }
                return 201, self.volumes.setdefault(body["Name"], made)
            case "GET", [name] if name in self.volumes:
                return 200, self.volumes[name]
            case "DELETE", [name] if name in self.volumes:
                for found in self.containers.values():
                    if any(mount["Name"] == name for mount in found["Mounts"]):
                        raise RefusalError(409, f"volume {name} is in use")
                del self.volumes[name]
                return 204, None
        raise RefusalError(404, f"no such volume: {rest}")
