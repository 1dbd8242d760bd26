"""The real Docker Engine of a node, asked through the docker SDK.

The SDK blocks, so each call has a thread; a connection is tried first without one, so
that nodes that are switched off never hold a thread.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from fliswarm.engine import acts, answers, sdk, tls
from fliswarm.engine.calls import Call, Calls
from fliswarm.engine.deeds import address, deed
from fliswarm.engine.images import ACT_LIMIT, LOOK_LIMIT, SILENCE_LIMIT, ImageStore
from fliswarm.engine.knock import knock
from fliswarm.engine.output import Output
from fliswarm.engine.protocol import OnProgress, ignore
from fliswarm.engine.sdk import Client
from fliswarm.engine.tunnel import Tunnel
from fliswarm.errors import (
    EngineError,
    EngineUnreachableError,
    ImageUnavailableError,
)
from fliswarm.model import (
    ContainerDetail,
    ContainerSpec,
    EngineInfo,
    Node,
    Observation,
    Pulled,
    Volume,
)

T = TypeVar("T")

REGISTRY_LIMIT = 15.0
"""Seconds for an engine to answer a question that it has to ask a registry."""

LOG_LIMIT = 15.0
"""Seconds in which a log that is read says nothing: a slow disk."""

KNOCKS = 64
"""Engines that are knocked at beside each other. Each greeting of TLS takes the event
loop some 3 ms, and all of them together have to be over in the time for one."""

MARGIN = 1.0
"""Seconds beyond a limit after which an engine that still dribbles is given up."""


class DockerEngines:
    """Makes the engines of nodes.

    Parameters
    ----------
    glance
        Seconds for a node to accept a connection when it is only looked at.
    """

    def __init__(self, glance: float = sdk.CONNECT_LIMIT) -> None:
        self._glance = glance
        self._credentials = tls.CredentialStore()
        self._knocks = asyncio.Semaphore(KNOCKS)

    def __call__(self, node: Node) -> DockerEngine:
        """Return the engine of a node; contacts nobody yet."""
        return DockerEngine(node, self._glance, self._credentials, self._knocks)


class DockerEngine(ImageStore, Output):
    """The Docker Engine of one node; see `fliswarm.engine.protocol.Engine`."""

    def __init__(
        self,
        node: Node,
        glance: float,
        credentials: tls.CredentialStore,
        knocks: asyncio.Semaphore,
    ) -> None:
        self._node = node
        self._glance = glance
        self._credentials = credentials
        self._knocks = knocks
        self.certificate_ends: datetime | None = None
        self.adopted: Mapping[str, str] = {}
        self._tunnel = Tunnel(node) if node.engine.startswith("ssh://") else None
        self._calls, self._long = Calls(), Calls()
        self._client: Client | None = None
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()

    async def ping(self) -> None:
        """See `Engine.ping`."""
        await self._call(LOOK_LIMIT, lambda api: api.ping())

    async def observe(
        self, wanted: ContainerSpec, *, image: bool = True
    ) -> Observation:
        """See `Engine.observe`."""
        return await self._call(
            LOOK_LIMIT,
            lambda api: acts.observe(api, wanted, image, self.adopted),
            self._glance,
        )

    async def identity(self) -> str:
        """See `Engine.identity`."""
        return await self._call(LOOK_LIMIT, lambda api: str(api.info()["ID"]))

    async def info(self) -> EngineInfo:
        """See `Engine.info`."""
        return await self._call(LOOK_LIMIT, acts.info)

    async def digest(self, image: str) -> str | None:
        """See `Engine.digest`."""
        if "@" in image:
            # By its digest an image never becomes another one.
            return answers.split(image)[1]
        try:
            return await self._ask(
                REGISTRY_LIMIT, lambda api, _: acts.digest(api, image)
            )
        except EngineUnreachableError:
            raise
        except EngineError as error:
            problem = error.problem
        except TimeoutError:
            problem = f"its registry did not answer in {REGISTRY_LIMIT:g} s"
        raise ImageUnavailableError(self._node.name, f"image {image}: {problem}")

    async def pull(self, image: str, on_progress: OnProgress = ignore) -> Pulled:
        """See `Engine.pull`."""
        try:
            problem = await self._ask(
                SILENCE_LIMIT,
                lambda api, call: acts.pull(api, image, call, on_progress),
            )
        except TimeoutError:
            problem = f"the engine said nothing of it for {SILENCE_LIMIT:g} s"
        found = await self._call(LOOK_LIMIT, lambda api: api.image(image))
        if found is None:
            raise ImageUnavailableError(
                self._node.name, f"image {image} is not to be had: {problem}"
            )
        return Pulled(found, problem)

    async def tag_image(self, image: str, name: str) -> None:
        """See `Engine.tag_image`."""
        await self._call(LOOK_LIMIT, lambda api: acts.tag_image(api, image, name))

    async def remove_image(self, image: str) -> None:
        """See `Engine.remove_image`."""
        await self._call(
            ACT_LIMIT, lambda api: acts.remove_image(api, image, self._node.name)
        )

    async def create_volume(self, volume: Volume) -> None:
        """See `Engine.create_volume`."""
        await self._call(
            ACT_LIMIT, lambda api: acts.create_volume(api, volume, self._node.name)
        )

    async def remove_volume(self, docker_name: str) -> None:
        """See `Engine.remove_volume`."""
        await self._call(ACT_LIMIT, lambda api: api.remove_volume(docker_name))

    async def run(self, wanted: ContainerSpec) -> str:
        """See `Engine.run`."""
        return await self._call(ACT_LIMIT, lambda api: acts.run(api, wanted))

    async def again(self, name: str, made: Mapping[str, Any]) -> str:
        """See `Engine.again`."""
        return await self._call(ACT_LIMIT, lambda api: acts.again(api, name, made))

    async def start(self, container: str) -> None:
        """See `Engine.start`."""
        await self._call(ACT_LIMIT, lambda api: acts.start(api, container))

    async def stop(self, container: str, grace: float) -> None:
        """See `Engine.stop`."""
        await self._call(ACT_LIMIT, lambda api: acts.stop(api, container, round(grace)))

    async def rename(self, container: str, name: str) -> None:
        """See `Engine.rename`."""
        await self._call(LOOK_LIMIT, lambda api: api.rename(container, name))

    async def remove(self, container: str) -> None:
        """See `Engine.remove`."""
        await self._call(
            ACT_LIMIT, lambda api: api.remove_container(container, force=True)
        )

    async def detail(self, container: str) -> ContainerDetail:
        """See `Engine.detail`."""
        return await self._call(
            LOOK_LIMIT, lambda api: answers.detail(api.inspect_container(container))
        )

    def close(self) -> None:
        """See `Engine.close`."""
        self._forget_client()
        if self._tunnel is not None:
            self._tunnel.close()

    async def _call(
        self,
        limit: float,
        act: Callable[[Client], T],
        patience: float = sdk.CONNECT_LIMIT,
    ) -> T:
        """Let a thread ask an engine that listens, and translate what goes wrong."""
        try:
            return await self._ask(limit, lambda api, _: act(api), patience)
        except TimeoutError:
            raise EngineUnreachableError(
                self._node.name,
                f"the Docker Engine on {self._node.engine} did not answer in "
                f"{limit:g} s",
                host_alive=True,
            ) from None

    async def _ask(
        self,
        limit: float,
        act: Callable[[Client, Call], T],
        patience: float = sdk.CONNECT_LIMIT,
        calls: Calls | None = None,
    ) -> T:
        """Do the same, and let the caller say what it means to be over the limit."""
        try:
            await self._knock(patience)
        except EngineError:
            raise
        except Exception as error:
            # Whoever listens there may say anything, and one node's oddity is one
            # node's trouble.
            raise self._translated(error) from error
        try:
            work = partial(self._work, act)
            return await (calls or self._calls).make(work, limit + MARGIN)
        except (EngineError, TimeoutError):
            raise
        except Exception as error:
            raise self._translated(error) from error

    def _work(self, act: Callable[[Client, Call], T], call: Call) -> T:
        """Do what is asked, in a thread."""
        try:
            return act(self._connected(), call)
        except sdk.APIError as error:
            if not sdk.is_outdated(error):
                raise
        # An engine refuses a version before it does anything.
        self._forget_client()
        return act(self._connected(), call)

    async def _knock(self, limit: float) -> None:
        """Find out without a thread whether anybody listens."""
        if self._tunnel is not None:
            await self._tunnel.knock(limit)
            return
        ours = None
        if self._node.tls is not None:
            try:
                ours = self._credentials.get(self._node.tls)
            except OSError as error:
                raise EngineUnreachableError(
                    self._node.name,
                    f"the files of docker-tls cannot be used: {error}",
                    host_alive=True,
                ) from error
            self._context = ours.context
        # Its limit is for its own turn: greetings are reckoned one after the other.
        async with self._knocks:
            self.certificate_ends = await knock(self._node, ours, limit)

    def _connected(self) -> Client:
        with self._lock:
            context = self._context
            if self._client is None or self._client.context is not context:
                self._forget_client()
                self._client = sdk.connect(self._address(context))
            return self._client

    def _address(self, context: ssl.SSLContext | None) -> sdk.Address:
        if self._tunnel is not None:
            return sdk.Address(self._tunnel.socket)
        return address(self._node.engine, context)

    def _forget_client(self) -> None:
        """Let the next call negotiate anew: the engine may be another one by then.

        Other threads may use the client still, and end with it what they do.
        """
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _translated(self, error: Exception) -> EngineError:
        refusal = sdk.refusal(self._node.name, error)
        if refusal is not None:
            return refusal
        self._forget_client()
        said = None if self._tunnel is None else self._tunnel.said
        return EngineUnreachableError(
            self._node.name,
            f"the Docker Engine on {self._node.engine} "
            f"{deed(error, self._node.tls, said)}",
            host_alive=True,
        )
