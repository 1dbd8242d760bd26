"""The real Docker Engine: the only module that imports ``docker``.

The SDK blocks, so each call runs in a thread; a connection is tried first without
one, so that nodes that are switched off never hold a thread.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import docker
import docker.constants
import docker.errors
import docker.tls
import requests
import requests.adapters
import urllib3.connection
import urllib3.exceptions
import urllib3.util.ssl_
from docker.types import Mount

from fliswarm.engine import tls
from fliswarm.engine.tunnel import Tunnel
from fliswarm.errors import (
    EngineError,
    EngineUnreachableError,
    ImageUnavailableError,
)
from fliswarm.model import (
    LABEL_NODE,
    LABEL_SPEC,
    Container,
    ContainerSpec,
    Image,
    Node,
    Observation,
    Pulled,
    PullProgress,
    Volume,
)

T = TypeVar("T")

CONNECT_LIMIT = 2.0
"""Seconds for a node on the same network to accept a connection."""

LOOK_LIMIT = 3
"""Seconds for an engine to answer a question."""

ACT_LIMIT = 120
"""Seconds for an engine to act: a start waits for its NFS mounts, a pull for data."""

MARGIN = 1
"""Seconds beyond a limit after which an engine that still dribbles is given up."""

CALLS_LIMIT = 4
"""Calls to one engine that may be under way."""

USB_BUS = "/dev/bus/usb"

USB_DEVICES = "c 189:* rmw"
"""Device cgroup rule for the major number of USB device files."""

CPU_PERIOD = 100_000
"""Scheduling period in microseconds. A quota of it may exceed the host's processors,
where the engine refuses a plain number of processors that the host has not."""


class _Connection(urllib3.connection.HTTPSConnection):
    """As the SDK makes one, and strict about certificates as `tls.context` is."""

    def connect(self) -> None:
        self.ssl_context = urllib3.util.ssl_.create_urllib3_context()
        self.ssl_context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        super().connect()


class _Pool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Connection


class _Adapter(requests.adapters.HTTPAdapter):
    """Brings the requests of the SDK to connections of ours."""

    def init_poolmanager(self, *words: Any, **options: Any) -> None:  # noqa: ANN401
        super().init_poolmanager(*words, **options)
        classes = {**self.poolmanager.pool_classes_by_scheme, "https": _Pool}
        self.poolmanager.pool_classes_by_scheme = classes


class DockerEngines:
    """Makes engines that share one bounded set of threads.

    Parameters
    ----------
    glance
        Seconds for a node to accept a connection when it is only looked at.
    threads
        How many calls may be under way at once, over all nodes.
    """

    def __init__(self, glance: float = CONNECT_LIMIT, threads: int = 64) -> None:
        self._glance = glance
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="engine")

    def __call__(self, node: Node) -> DockerEngine:
        """Return the engine of a node; contacts nobody yet."""
        return DockerEngine(node, self._glance, self._pool)

    def close(self) -> None:
        """Let calls under way run to their time limits, and start no other."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class DockerEngine:
    """The Docker Engine of one node; see `fliswarm.engine.protocol.Engine`."""

    def __init__(self, node: Node, glance: float, pool: ThreadPoolExecutor) -> None:
        self._node = node.name
        self._glance = glance
        self._address = node.engine
        self._tls = node.tls
        self.certificate_ends: datetime | None = None
        self._tunnel = Tunnel(node) if node.engine.startswith("ssh://") else None
        self._pool = pool
        self._clients: dict[int, docker.APIClient] = {}
        self._turns = asyncio.Semaphore(CALLS_LIMIT)

    async def ping(self) -> None:
        """See `Engine.ping`."""
        await self._call(LOOK_LIMIT, lambda api: api.ping())

    async def observe(
        self, wanted: ContainerSpec, *, image: bool = True
    ) -> Observation:
        """See `Engine.observe`."""
        return await self._call(
            LOOK_LIMIT, lambda api: _observe(api, wanted, image), self._glance
        )

    async def identity(self) -> str:
        """See `Engine.identity`."""
        return await self._call(LOOK_LIMIT, lambda api: str(api.info()["ID"]))

    async def digest(self, image: str) -> str | None:
        """See `Engine.digest`."""
        return None

    async def pull(
        self, image: str, on_progress: Callable[[PullProgress], None] = lambda _: None
    ) -> Pulled:
        """See `Engine.pull`."""
        found = await self._call(ACT_LIMIT, lambda api: self._pull(api, image))
        return Pulled(found)

    async def create_volume(self, volume: Volume) -> None:
        """See `Engine.create_volume`."""
        await self._call(
            ACT_LIMIT,
            lambda api: api.create_volume(
                volume.docker_name,
                volume.driver,
                dict(volume.options),
                labels={LABEL_NODE: self._node},
            ),
        )

    async def remove_volume(self, docker_name: str) -> None:
        """See `Engine.remove_volume`."""
        await self._call(ACT_LIMIT, lambda api: api.remove_volume(docker_name))

    async def run(self, wanted: ContainerSpec) -> str:
        """See `Engine.run`."""
        return await self._call(ACT_LIMIT, lambda api: _run(api, wanted))

    async def start(self, container: str) -> None:
        """See `Engine.start`."""
        await self._call(ACT_LIMIT, lambda api: api.start(container))

    async def stop(self, container: str, grace: float) -> None:
        """See `Engine.stop`."""
        await self._call(
            ACT_LIMIT, lambda api: api.stop(container, timeout=round(grace))
        )

    async def rename(self, container: str, name: str) -> None:
        """See `Engine.rename`."""
        await self._call(LOOK_LIMIT, lambda api: api.rename(container, name))

    async def remove(self, container: str) -> None:
        """See `Engine.remove`."""
        await self._call(
            ACT_LIMIT, lambda api: api.remove_container(container, force=True)
        )

    async def logs(self, container: str, lines: int) -> str:
        """See `Engine.logs`."""
        output: bytes = await self._call(
            LOOK_LIMIT, lambda api: api.logs(container, tail=lines)
        )
        return output.decode("utf-8", "replace")

    def close(self) -> None:
        """See `Engine.close`."""
        self._forget_clients()
        if self._tunnel is not None:
            self._tunnel.close()

    def _forget_clients(self) -> None:
        clients = list(self._clients.values())
        self._clients.clear()
        for client in clients:
            client.close()

    async def _call(
        self,
        limit: int,
        act: Callable[[docker.APIClient], T],
        knock: float = CONNECT_LIMIT,
    ) -> T:
        await self._knock(knock)

        def work() -> T:
            with self._translated():
                return act(self._client(limit))

        try:
            async with asyncio.timeout(limit + MARGIN):
                # Calls that an engine never ends keep their threads, and these only.
                await self._turns.acquire()
                call = asyncio.get_running_loop().run_in_executor(self._pool, work)
                call.add_done_callback(self._ended)
                return await asyncio.shield(call)
        except TimeoutError:
            raise EngineUnreachableError(
                self._node,
                f"the Docker Engine on {self._address} did not answer in {limit} s",
                host_alive=True,
            ) from None

    def _ended(self, call: asyncio.Future[T]) -> None:
        """Let the next call have its turn; how this one ended may interest nobody."""
        self._turns.release()
        if not call.cancelled():
            call.exception()

    async def _knock(self, limit: float) -> None:
        """Find out without a thread whether anybody listens."""
        if self._tunnel is not None:
            await self._tunnel.knock(limit)
            return
        address = urlsplit(self._address)
        if address.hostname is None:
            if not Path(address.path).is_socket():
                raise EngineUnreachableError(
                    self._node, f"there is no socket {address.path}", host_alive=True
                )
            return
        writer = await self._dial(address.hostname, _port(address), limit)
        try:
            if self._tls is not None:
                await self._greet(writer, address.hostname, limit)
        finally:
            # Nothing is left to say, and nobody waits for a node to say so too.
            writer.transport.abort()

    async def _greet(
        self, writer: asyncio.StreamWriter, host: str, limit: float
    ) -> None:
        """Look at the engine's certificate. Of ours it may tell only later.

        An engine writes each connection that ends before its greeting into its log.
        """
        assert self._tls is not None
        try:
            context = tls.context(self._tls)
        except OSError as error:
            raise EngineUnreachableError(
                self._node,
                f"the files of docker-tls cannot be used: {error}",
                host_alive=True,
            ) from error
        with self._translated():
            async with asyncio.timeout(limit):
                await writer.start_tls(context, server_hostname=host)
        self.certificate_ends = tls.end(writer.get_extra_info("peercert"), self._tls)

    async def _dial(self, host: str, port: int, limit: float) -> asyncio.StreamWriter:
        try:
            async with asyncio.timeout(limit):
                return (await asyncio.open_connection(host, port))[1]
        except ConnectionRefusedError as error:
            raise EngineUnreachableError(
                self._node,
                f"no Docker Engine listens on {self._address}",
                host_alive=True,
                refused=True,
            ) from error
        except OSError as error:  # TimeoutError is one
            reason = os.strerror(error.errno) if error.errno else "does not answer"
            raise EngineUnreachableError(
                self._node, f"{self._address}: {reason}"
            ) from error

    def _client(self, limit: int) -> docker.APIClient:
        if limit not in self._clients:
            newest = docker.constants.DEFAULT_DOCKER_API_VERSION
            with closing(self._connect(newest, limit)) as client:
                served: str = client.version(api_version=False)["ApiVersion"]
            version = min(served, newest, key=_number)
            self._clients[limit] = self._connect(version, limit)
        return self._clients[limit]

    def _connect(self, version: str, limit: int) -> docker.APIClient:
        client = docker.APIClient(
            self._url(), version=version, timeout=limit, tls=self._tls_config()
        )
        # Proxies and certificate bundles in the environment are for the Internet;
        # an engine is on the observatory's own network.
        client.trust_env = False
        if self._tls is not None:
            client.mount("https://", _Adapter())
        return client

    def _url(self) -> str:
        if self._tunnel is not None:
            return f"unix://{self._tunnel.socket}"
        address = urlsplit(self._address)
        if address.hostname is None or address.port:
            return self._address
        return f"{self._address.rstrip('/')}:{_port(address)}"

    def _tls_config(self) -> docker.tls.TLSConfig | bool:
        if self._tls is None:
            return False
        ours = str(self._tls.cert), str(self._tls.key)
        return docker.tls.TLSConfig(ours, ca_cert=str(self._tls.ca), verify=True)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except docker.errors.ImageNotFound as error:
            raise ImageUnavailableError(self._node, _words(error)) from error
        except docker.errors.APIError as error:
            raise EngineError(self._node, _words(error)) from error
        except (
            docker.errors.DockerException,
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            # Answers that are not those of an engine, which the SDK does not look at.
            KeyError,
            TypeError,
            ValueError,
            # A greeting that failed, or was not over in time.
            OSError,
        ) as error:
            # The next call negotiates anew: the engine may come back as another one.
            self._forget_clients()
            raise EngineUnreachableError(
                self._node,
                f"the Docker Engine on {self._address} {self._what_it_did(error)}",
                host_alive=True,
            ) from error

    def _what_it_did(self, error: BaseException) -> str:
        """Return the end of a sentence about the engine: the first cause, no more."""
        error = _first_cause(error)
        if isinstance(error, ssl.SSLError) and self._tls is not None:
            return tls.words(error, self._tls)
        if isinstance(error, TimeoutError):
            return "did not answer in time"
        if isinstance(error, ConnectionError) and self._tunnel is not None:
            return (
                f"cannot be reached through ssh ({self._tunnel.said}); "
                "does it run, and is the user in the group docker?"
            )
        return f"does not answer as it should: {error!r}"

    def _pull(self, api: docker.APIClient, name: str) -> Image:
        repository, tag = _split(name)
        try:
            events = api.pull(repository, tag, stream=True, decode=True)
            problem = next(filter(None, map(_failure, events)), None)
        except docker.errors.APIError as error:
            problem = _words(error)
        # When the registry is down, what the node has already is as good.
        image = _image(api, name)
        if image is None:
            raise ImageUnavailableError(
                self._node, f"image {name} is not to be had: {problem}"
            )
        return image


def _observe(
    api: docker.APIClient,
    wanted: ContainerSpec,
    image: bool,
) -> Observation:
    ours: list[Container] = []
    foreign = None
    for found in api.containers(all=True):
        labels = found.get("Labels") or {}
        names = [name.removeprefix("/") for name in found.get("Names") or ()]
        if labels.get(LABEL_NODE) == wanted.node:
            ours.append(_container(found, names, labels))
        elif wanted.name in names:
            foreign = found["Id"]
    volumes: frozenset[str] = frozenset()
    if image or wanted.volumes:
        answer = api.volumes(filters={"label": f"{LABEL_NODE}={wanted.node}"})
        volumes = frozenset(volume["Name"] for volume in answer.get("Volumes") or ())
    found = _image(api, wanted.image) if image else None
    return Observation(wanted.node, tuple(ours), volumes, found, foreign)


def _container(
    found: dict[str, Any], names: list[str], labels: dict[str, str]
) -> Container:
    try:
        spec = json.loads(labels.get(LABEL_SPEC, "{}"))
    except ValueError:
        spec = {}
    return Container(
        id=found["Id"],
        name=names[0] if names else "",
        state=found["State"],
        image_id=found["ImageID"],
        spec=spec if isinstance(spec, dict) else {},
    )


def _image(api: docker.APIClient, name: str) -> Image | None:
    try:
        found: dict[str, Any] = api.inspect_image(_exact(name))  # type: ignore[no-untyped-call]
    except docker.errors.ImageNotFound:
        return None
    repository, tag = _split(name)
    named = (digest.split("@") for digest in found.get("RepoDigests") or ())
    digests = [digest for place, digest in named if place == repository]
    # One image may have been pulled by the digest of an index and by its own.
    return Image(found["Id"], tag if tag in digests else next(iter(digests), None))


def _run(api: docker.APIClient, wanted: ContainerSpec) -> str:
    mounts = [Mount(volume.target, volume.docker_name) for volume in wanted.volumes]
    # A container's own /dev is a copy made at its start. Only the bind shows the
    # device file of a camera that is plugged in, or switched on, later.
    mounts.append(Mount(USB_BUS, USB_BUS, type="bind"))
    cpus = wanted.limits.cpus
    host_config = api.create_host_config(
        privileged=wanted.privileged,
        device_cgroup_rules=None if wanted.privileged else [USB_DEVICES],
        network_mode=wanted.network,
        mounts=mounts,
        mem_limit=wanted.limits.memory,
        cpu_period=None if cpus is None else CPU_PERIOD,
        cpu_quota=None if cpus is None else round(cpus * CPU_PERIOD),
        restart_policy={"Name": wanted.restart_policy},
        init=True,
        # An engine with userns-remap refuses, without it, both privileges and the
        # host's network; to any other it says nothing new.
        userns_mode="host",
    )
    created = api.create_container(
        _exact(wanted.image),
        name=wanted.name,
        environment=dict(wanted.environment),
        user=wanted.user,
        labels={
            LABEL_NODE: wanted.node,
            LABEL_SPEC: json.dumps(wanted.fields(), sort_keys=True),
        },
        host_config=host_config,
    )
    container: str = created["Id"]
    try:
        api.start(container)
    except docker.errors.APIError:
        api.remove_container(container, force=True)
        raise
    return container


def _split(name: str) -> tuple[str, str]:
    """Split an image's name into repository and tag, or digest; a port is no tag."""
    name, at, digest = name.partition("@")
    head, slash, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{head}{slash}{repository}", digest if at else tag or "latest"


def _exact(name: str) -> str:
    """Return an image's name as every engine finds it: without a tag beside a digest.

    Engines that keep what they pulled by digest under that name alone know no other.
    """
    repository, tag = _split(name)
    return f"{repository}@{tag}" if "@" in name else name


def _failure(event: dict[str, Any]) -> str | None:
    """Return why a pull failed, by one of its events: engines differ in its key."""
    detail = event.get("errorDetail") or {}
    return event.get("error") or detail.get("message")


def _first_cause(error: BaseException) -> BaseException:
    """Return what the libraries have put into exceptions of their own."""
    while not isinstance(error, ssl.SSLError | TimeoutError):
        inner = (error.__cause__, error.__context__, *error.args)
        cause = next((one for one in inner if isinstance(one, BaseException)), None)
        if cause is None:
            break
        error = cause
    return error


def _port(address: SplitResult) -> int:
    return address.port or (2376 if address.scheme == "https" else 2375)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _words(error: docker.errors.APIError) -> str:
    return str(error.explanation or error)
