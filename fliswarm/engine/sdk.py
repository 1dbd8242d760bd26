"""The door to the docker SDK: a client whose calls can be given up, and its errors.

The SDK does HTTP by requests, and that by urllib3, so these have their door here too.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from typing import Any, NamedTuple

import docker
import docker.auth
import docker.constants
import docker.errors
from docker.types import LogConfig, Mount

from fliswarm.engine import answers
from fliswarm.engine.transport import CONNECT_LIMIT, Adapter, Address
from fliswarm.errors import EngineError, ImageUnavailableError
from fliswarm.model import Image
from fliswarm.net.lines import LineReader

LINE_LIMIT = 1 << 20
"""Bytes of the longest line about a pull."""

APIError = docker.errors.APIError
"""What an engine refuses."""


__all__ = [
    "CONNECT_LIMIT",
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


class Login(NamedTuple):
    """What a registry is told, and why it is not told more."""

    words: dict[str, Any]
    problem: str | None = None

    def explain(self, refusal: str) -> str:
        """Return what a registry has refused, and what may be the reason."""
        return f"{refusal} ({self.problem})" if self.problem else refusal


class Client(docker.APIClient):
    """An engine's client as the SDK has it, and what we ask besides."""

    def __init__(self, version: str, adapter: Adapter) -> None:
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
    adapter = Adapter(address)
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
