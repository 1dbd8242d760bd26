"""A registry in a thread: what the modules ask of one, and no more."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Store:
    """What several addresses of one registry share."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[bytes, str]] = {}
        self.tags: dict[str, str] = {}
        self.full = False


class Registry(ThreadingHTTPServer):
    """One address of a registry.

    Parameters
    ----------
    store
        The images.
    login
        Who may use it, ``user:password``; empty for everybody.
    readonly
        Whether nobody may write.
    """

    def __init__(
        self, store: Store, login: str = "", *, readonly: bool = False
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.store = store
        self.login = login
        self.readonly = readonly
        self.begun = 0

    @property
    def name(self) -> str:
        """Its address and port."""
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Registry
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: Any) -> None:  # noqa: ANN401
        pass

    def _say(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        login = base64.b64encode(self.server.login.encode()).decode()
        if self.server.login and self.headers["Authorization"] != f"Basic {login}":
            return self._say(401)
        if self.server.readonly and self.command not in ("GET", "HEAD"):
            return self._say(405)
        path, _, query = self.path.partition("?")
        kind, _, name = path.rpartition("/")
        store = self.server.store
        if self.command == "POST":
            if store.full:
                return self._say(500, b"no space left on device")
            self.server.begun += 1
            return self._say(202, Location=f"{path}1?state=x")
        if self.command == "DELETE" and "/uploads/" in path:
            self.server.begun -= 1
            return self._say(204)
        if self.command == "PUT" and "/uploads/" in path:
            self.server.begun -= 1
            store.blobs[query.rpartition("digest=")[2]] = body
            return self._say(201)
        if path == "/v2/":
            return self._say(200, b"{}")
        if path.endswith("/tags/list"):
            return self._say(200, json.dumps({"tags": list(store.tags)}).encode())
        if kind.endswith("/manifests"):
            return self._manifest(name, body)
        found = store.blobs.get(name)
        return self._say(404) if found is None else self._say(200, found)

    def _manifest(self, name: str, body: bytes) -> None:
        store = self.server.store
        if self.command == "PUT":
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            store.manifests[digest] = (body, self.headers["Content-Type"])
            if name != digest:
                store.tags[name] = digest
            return self._say(201)
        name = store.tags.get(name, name)
        if name not in store.manifests:
            return self._say(404)
        if self.command == "DELETE":
            del store.manifests[name]
            return self._say(202)
        content, kind = store.manifests[name]
        return self._say(200, content, **{"Content-Type": kind})

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815


@contextmanager
def serving(*registries: Registry) -> Iterator[None]:
    """Let registries answer."""
    threads = [Thread(target=one.serve_forever, args=(0.01,)) for one in registries]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for one in registries:
            one.shutdown()
            one.server_close()
        for thread in threads:
            thread.join()
