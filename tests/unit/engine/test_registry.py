"""A registry as the manager sees it: plain, behind TLS, with a login, or none."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fliswarm.engine.registry import look
from fliswarm.model.signs import RegistrySigns
from tests.unit.support.certificates import Authority
from tests.unit.support.clinic import Void
from tests.unit.support.registry import Registry, Store, serving
from tests.unit.support.site import free_port
from tests.unit.support.wait import until

IMAGE = "sdss/flicamera:1"

PATIENCE = 30.0

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def store() -> Store:
    store = Store()
    store.manifests["sha256:one"] = (b"{}", "application/json")
    store.tags["1"] = "sha256:one"
    return store


async def test_a_plain_registry(store: Store) -> None:
    registry = Registry(store)
    with serving(registry):
        found = await look(registry.name, IMAGE, PATIENCE)
        assert found == RegistrySigns(has_image=True)
        by_digest = await look(registry.name, "sdss/flicamera@sha256:one", PATIENCE)
        assert by_digest.has_image is True
        store.tags.clear()
        assert (await look(registry.name, IMAGE, PATIENCE)).has_image is False


async def test_a_registry_with_a_login(store: Store) -> None:
    registry = Registry(store, login="user:password")
    with serving(registry):
        found = await look(registry.name, IMAGE, PATIENCE)
    assert found == RegistrySigns(private=True)


@asynccontextmanager
async def secure(folder: Path, lasts: timedelta, *, asks: bool) -> AsyncIterator[str]:
    """Serve HTTP behind TLS, with a certificate of an authority that nobody knows."""
    authority = Authority(lasts=timedelta(days=900))
    cert, key = folder / "cert.pem", folder / "key.pem"
    authority.issue(cert, key, "127.0.0.1", lasts=lasts)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.write(folder / "ca.pem"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nDocker-Content-Digest: sha256:one\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    # Go's server says so to who speaks without TLS; Python's hangs up.
    under_way: list[int] = []
    front = await asyncio.start_server(_front(port, under_way), "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{front.sockets[0].getsockname()[1]}"
    finally:
        front.close()
        server.close()
        await until(lambda: not under_way, "all clients are gone")


def _front(port: int, under_way: list[int]) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.append(1)
        first = await reader.read(4096)
        if first.startswith(b"GET"):
            said = b"Client sent an HTTP request to an HTTPS server.\n"
            writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n" + said)
        else:
            inner, outer = await asyncio.open_connection("127.0.0.1", port)
            outer.write(first)
            ways = (_pass(reader, outer), _pass(inner, writer))
            done, rest = await asyncio.wait(
                [asyncio.create_task(way) for way in ways],
                return_when=asyncio.FIRST_COMPLETED,
            )
            for way in rest:
                way.cancel()
            await asyncio.gather(*done, *rest, return_exceptions=True)
            outer.transport.abort()
        writer.close()
        under_way.pop()

    return serve


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(4096):
            target.write(data)


@pytest.mark.parametrize("asks", [False, True])
async def test_a_registry_behind_tls(tmp_path: Path, asks: bool) -> None:
    async with secure(tmp_path, timedelta(days=10), asks=asks) as name:
        found = await look(name, IMAGE, PATIENCE)
    assert found.problem is None
    assert found.private is asks
    assert found.digest == (None if asks else "sha256:one")
    assert found.certificate_ends is not None
    assert (found.certificate_ends - datetime.now(UTC)).days == 9


async def test_nobody_at_the_port() -> None:
    found = await look(f"127.0.0.1:{free_port()}", IMAGE, PATIENCE)
    assert found.problem is not None
    assert "Connection refused" in found.problem


async def test_a_registry_that_is_off() -> None:
    void = Void()
    found = await look(f"127.0.0.1:{void.port}", IMAGE, 0.2)
    void.close()
    assert found.problem == f"127.0.0.1:{void.port} does not answer in 0.2 s"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "answers as no registry does"),
        (b"HTTP/1.1 503 Unavailable\r\n\r\n", "answers with 503"),
        (b"rubbish", "answers as no registry does"),
        (b"", "without a word"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 30000, "answers as no registry does"),
    ],
)
async def test_what_is_no_registry(said: bytes, problem: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found = await look(f"127.0.0.1:{port}", IMAGE, PATIENCE)
    server.close()
    assert found.problem is not None
    assert problem in found.problem
