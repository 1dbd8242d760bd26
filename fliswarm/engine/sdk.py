"""The door to the docker SDK: a client whose calls can be given up, and its errors.

The SDK does HTTP by requests, and that by urllib3, so these have their door here too.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from queue import Empty
from typing import Any, NamedTuple

import docker
import docker.auth
import docker.constants
import docker.errors
import requests
import requests.adapters
import urllib3
import urllib3.connection
from docker.types import LogConfig, Mount

from fliswarm.engine import answers
from fliswarm.engine.calls import AT_ONCE, UNDER_WAY, Call
from fliswarm.errors import EngineError, ImageUnavailableError
from fliswarm.model import Image
from fliswarm.net.lines import LineReader

CONNECT_LIMIT = 2.0
"""Seconds for a node on the same network to accept a connection."""

ANSWER_LIMIT = 64 << 20
"""Bytes of the longest answer: more than ten thousand long lines of a log."""

LINE_LIMIT = 1 << 20
"""Bytes of the longest line about a pull."""

APIError = docker.errors.APIError
"""What an engine refuses."""


__all__ = [
    "APIError",
    "Address",
    "Client",
    "LogConfig",
    "Login",
    "Mount",
    "connect",
    "first_cause",
    "is_gone",
    "is_outdated",
    "refusal",
    "words",
]


class Address(NamedTuple):
    """Where an engine listens: a socket here, or a port; with TLS or without."""

    path: Path | None = None
    host: str = "localhost"
    port: int | None = None
    context: ssl.SSLContext | None = None


class _Watched:
    """A connection that tells the call of its thread which socket it uses."""

    sock: socket.socket | None
    _call: Call | None = None

    def request(self, *words: Any, **options: Any) -> None:  # noqa: ANN401
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        if self._call is not None:
            self._call.lets_go()
        self._call = UNDER_WAY.get()
        assert self.sock is not None
        self._call.takes(self.sock)
        # An engine that unpacks an image takes no more of it for seconds.
        self.sock.settimeout(None)
        super().request(*words, **options)  # type: ignore[misc]


class _Plain(_Watched, urllib3.connection.HTTPConnection):
    pass


class _Secure(_Watched, urllib3.connection.HTTPSConnection):
    pass


class _Local(_Watched, urllib3.connection.HTTPConnection):
    def __init__(self, *words: Any, path: Path, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*words, **options)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(CONNECT_LIMIT)
        try:
            self.sock.connect(str(self._path))
        except OSError:
            self.close()
            raise


class _Retiring(urllib3.HTTPConnectionPool):
    """Connections that, once it is retired, end as soon as nobody uses them."""

    retired = False

    def _put_conn(self, conn: Any) -> None:  # noqa: ANN401
        if self.retired and conn is not None:
            conn.close()
        super()._put_conn(conn)

    def retire(self) -> None:
        self.retired = True
        with suppress(Empty, AttributeError):
            while True:
                unused = self.pool.get(block=False)  # type: ignore[union-attr]
                if unused is not None:
                    unused.close()


class _PlainPool(_Retiring):
    ConnectionCls = _Plain


class _SecurePool(_Retiring, urllib3.HTTPSConnectionPool):
    ConnectionCls = _Secure


class _LocalPool(_Retiring):
    ConnectionCls = _Local


def _pool(address: Address) -> _Retiring:
    # Twice: what comes without an end has turns of its own.
    host, port, size = address.host, address.port, 2 * AT_ONCE
    if address.path is not None:
        return _LocalPool(host, port, maxsize=size, path=address.path)
    if address.context is not None:
        return _SecurePool(host, port, maxsize=size, ssl_context=address.context)
    return _PlainPool(host, port, maxsize=size)


class _Adapter(requests.adapters.HTTPAdapter):
    """Brings all requests of the SDK to one engine, by connections of ours.

    Who waits for an answer gives it up in time, so reading knows no limit of its own.
    """

    def __init__(self, address: Address) -> None:
        super().__init__()
        self.context = address.context
        self._pool = _pool(address)

    def get_connection_with_tls_context(
        self,
        *_: Any,  # noqa: ANN401
        **__: Any,  # noqa: ANN401
    ) -> _Retiring:
        return self._pool

    # Releases of requests before 2.32 ask for it by this name.
    get_connection = get_connection_with_tls_context

    def cert_verify(self, *_: Any) -> None:  # noqa: ANN401
        """Leave certificates to the context of the connections."""

    def send(  # type: ignore[override]
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> requests.Response:
        options["timeout"] = (CONNECT_LIMIT, None)
        response = super().send(request, stream=True, **options)
        # What comes in pieces without an end is read by whoever asked for it.
        chunked = response.headers.get("Transfer-Encoding") == "chunked"
        endless = response.headers.get("Content-Type", "").endswith("-stream")
        if not (stream and (chunked or endless)):
            response._content = _whole(response)
        return response

    def close(self) -> None:
        self._pool.retire()
        super().close()


def _whole(response: requests.Response) -> bytes:
    """Return an answer, of a length that fits into memory."""
    parts, length = [], 0
    for part in response.iter_content(1 << 16):
        length += len(part)
        if length > ANSWER_LIMIT:
            response.close()
            raise ValueError(f"it says more than {ANSWER_LIMIT >> 20} MB")
        parts.append(part)
    return b"".join(parts)


class Login(NamedTuple):
    """What a registry is told, and why it is not told more."""

    words: dict[str, Any]
    problem: str | None = None

    def explain(self, refusal: str) -> str:
        """Return what a registry has refused, and what may be the reason."""
        return f"{refusal} ({self.problem})" if self.problem else refusal


class Client(docker.APIClient):
    """An engine's client as the SDK has it, and what we ask besides."""

    def __init__(self, version: str, adapter: _Adapter) -> None:
        try:
            super().__init__("tcp://engine:2375", version)
        except Exception as error:
            # Nobody is asked yet, but the user's own settings are read.
            raise docker.errors.DockerException(
                f"the settings in ~/.docker/config.json are not usable: {error}"
            ) from error
        self.context = adapter.context
        self.newest = version
        # Proxies and certificate bundles in the environment are for the Internet;
        # an engine is on the observatory's own network.
        self.trust_env = False
        self.mount("http://", adapter)

    def image(self, name: str, identity: str | None = None) -> Image | None:
        """Return an image, if the engine has it, under its name or by its id.

        Its digest is that in the repository of the name.
        """
        by = identity or answers.exact(name)
        try:
            found = self.inspect_image(by)  # type: ignore[no-untyped-call]
        except docker.errors.ImageNotFound:
            return None
        return answers.image(found, name)

    def state(self, container: str) -> object:
        """Return how a container is, by Docker's word for it."""
        return self.inspect_container(container)["State"]["Status"]

    def credentials(self, name: str) -> Login:
        """Return who we are to an image's registry, by the user's settings of Docker.

        Most registries do not want to know, so a helper that cannot be run is no error.
        """
        repository, _ = answers.split(name)
        registry, _ = docker.auth.resolve_repository_name(repository)
        try:
            known = self._auth_configs  # type: ignore[attr-defined]
            found = docker.auth.resolve_authconfig(known, registry)
        except Exception as error:  # noqa: BLE001  a helper is any program at all
            return Login({}, str(error.__cause__ or error))
        return Login(found or {})

    def from_config(self, config: Mapping[str, Any], name: str) -> str:
        """Make a container of what an engine told of another one; return its id."""
        made = self.create_container_from_config(  # type: ignore[no-untyped-call]
            dict(config), name
        )
        return str(made["Id"])

    def pulling(self, name: str, login: Login) -> Iterator[Mapping[str, Any]]:
        """Pull an image, and return what the engine says of it meanwhile."""
        repository, tag = answers.split(name)
        lines = LineReader(LINE_LIMIT)
        for part in self.pull(repository, tag, stream=True, auth_config=login.words):
            # What does not come in pieces is text already.
            data = part if isinstance(part, bytes) else f"{part}\n".encode()
            for line in lines.feed(data):
                if line.strip():
                    yield json.loads(line)

    def has_terminal(self, container: str) -> bool:
        """Return whether a container's output is one stream, as on a terminal."""
        return bool(self.inspect_container(container)["Config"]["Tty"])

    def pieces(
        self,
        method: str,
        path: str,
        **words: Any,  # noqa: ANN401
    ) -> Generator[bytes, None, None]:
        """Ask for what comes without an end, and return it as the engine sends it."""
        where = self._url(path)  # type: ignore[attr-defined]
        with closing(self.request(method, where, stream=True, **words)) as response:
            self._raise_for_status(response)  # type: ignore[attr-defined]
            yield from response.iter_content(1 << 16)

    def loading(self, source: object) -> Iterator[Mapping[str, Any]]:
        """Give the engine an archive, and return what it says of it."""
        yield from self.load_image(source) or ()  # type: ignore[no-untyped-call]

    def distribution(self, name: str, login: Login) -> Mapping[str, Any]:
        """Return what a registry tells of an image."""
        found: Mapping[str, Any] = self.inspect_distribution(  # type: ignore[no-untyped-call]
            answers.exact(name), auth_config=login.words
        )
        return found


def connect(address: Address) -> Client:
    """Return a client of the version that the engine and we speak."""
    adapter = _Adapter(address)
    newest = docker.constants.DEFAULT_DOCKER_API_VERSION
    try:
        served: str = Client(newest, adapter).version(api_version=False)["ApiVersion"]
        client = Client(min(served, newest, key=_number), adapter)
    except BaseException:
        adapter.close()
        raise
    client.newest = served
    return client


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def is_outdated(error: Exception) -> bool:
    """Return whether an engine has become one of another version."""
    said = words(error) if isinstance(error, docker.errors.APIError) else ""
    return "client version" in said and ("too old" in said or "too new" in said)


def is_gone(error: docker.errors.APIError) -> bool:
    """Return whether an engine does not have, any more, what it was asked for."""
    return isinstance(error, docker.errors.NotFound)


def refusal(node: str, error: BaseException) -> EngineError | None:
    """Return an engine's own words, if that is what an error is."""
    match error:
        case docker.errors.ImageNotFound():
            return ImageUnavailableError(node, words(error))
        case docker.errors.APIError():
            return EngineError(node, words(error))
        case docker.errors.DockerException():
            # The SDK did not even ask.
            return EngineError(node, f"what is wanted cannot be asked for: {error}")
    return None


def words(error: docker.errors.APIError) -> str:
    """Return what an engine said."""
    return str(error.explanation or error)


def first_cause(error: BaseException) -> BaseException:
    """Return what the libraries have put into exceptions of their own."""
    while not isinstance(error, ssl.SSLError | TimeoutError):
        inner = (error.__cause__, error.__context__, *error.args)
        cause = next((one for one in inner if isinstance(one, BaseException)), None)
        if cause is None:
            break
        error = cause
    return error
