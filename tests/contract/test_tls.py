"""Engines behind TLS: a real one that checks who we are, and servers at fault."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import urllib3.util.ssl_

from fliswarm.engine.docker import KNOCKS, DockerEngine, DockerEngines
from fliswarm.errors import EngineError, EngineUnreachableError
from fliswarm.model import ContainerSpec, Node, TlsFiles
from tests.unit.support.certificates import Authority, client
from tests.unit.support.site import free_port, listening
from tests.unit.support.wait import LIMIT, until, wait_until

WANTED = ContainerSpec("flicamera-gfa1", "gfa1", "flicamera", {}, ())


class Daemon:
    """A Docker Engine of this test alone, which runs no container."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def certify(self, authority: Authority) -> None:
        """Let an authority vouch for it, and for its clients."""
        authority.write(self.folder / "ca.pem")
        authority.issue(
            self.folder / "cert.pem", self.folder / "key.pem", "localhost", "127.0.0.1"
        )

    def start(self) -> None:
        """Return when it listens."""
        folder = self.folder
        options = {
            "data-root": folder / "data",
            "exec-root": folder / "run",
            "pidfile": folder / "pid",
            "host": f"tcp://127.0.0.1:{self.port}",
            "tlscacert": folder / "ca.pem",
            "tlscert": folder / "cert.pem",
            "tlskey": folder / "key.pem",
            "storage-driver": "vfs",
            "bridge": "none",
        }
        words = [f"--{key}={value}" for key, value in options.items()]
        words += ["--tlsverify", "--iptables=false", "--ip-forward=false"]
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["dockerd", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        ended = self._process.poll
        wait_until(lambda: ended() is not None or listening(self.port), "the engine")
        assert ended() is None, self.said

    def stop(self) -> None:
        """Return when it has ended."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(LIMIT)
            self._process = None

    @property
    def said(self) -> str:
        """What it wrote into its log."""
        return (self.folder / "log").read_text("utf-8")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def daemon(authority: Authority) -> Iterator[Daemon]:
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip(
            "no engine can be started: it needs root, and the package docker.io"
        )
    # The paths of an engine's own sockets have to be short.
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        daemon = Daemon(Path(folder))
        daemon.certify(authority)
        daemon.start()
        yield daemon
        daemon.stop()


@pytest.fixture
def engines() -> Iterator[DockerEngines]:
    engines = DockerEngines()
    yield engines


@pytest.fixture
def tls(tmp_path: Path, authority: Authority) -> TlsFiles:
    return client(tmp_path / "controller", authority)


@asynccontextmanager
async def speaking(
    engines: DockerEngines, port: int, tls: TlsFiles, host: str = "127.0.0.1"
) -> AsyncIterator[DockerEngine]:
    engine = engines(Node("gfa1", host, f"https://{host}:{port}", tls=tls))
    try:
        yield engine
    finally:
        engine.close()


async def refused(engine: DockerEngine) -> str:
    """Return what is said of an engine that cannot be spoken to; its host is there."""
    with pytest.raises(EngineUnreachableError) as error:
        await engine.ping()
    assert error.value.host_alive is True
    said = str(error.value)
    head, _, rest = said.partition(":")
    assert head == "gfa1"
    assert "https://" in rest
    assert "Error" not in said
    return rest


# A real engine


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_an_engine_that_knows_us(
    daemon: Daemon, engines: DockerEngines, tls: TlsFiles, host: str
) -> None:
    before = daemon.said
    async with speaking(engines, daemon.port, tls, host) as engine:
        await asyncio.gather(*(engine.ping() for _ in range(5)))
        assert (await engine.observe(WANTED)).containers == ()
    # Its log is for what is wrong.
    assert "TLS" not in daemon.said.removeprefix(before)


async def test_other_authorities_in_the_environment_do_not_matter(
    daemon: Daemon,
    engines: DockerEngines,
    tls: TlsFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = Authority("other").write(tmp_path / "other.pem")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(other))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    async with speaking(engines, daemon.port, tls) as engine:
        await engine.ping()


@pytest.mark.parametrize("name", ["site", "other"])
async def test_our_certificate_is_of_another_authority(
    daemon: Daemon,
    engines: DockerEngines,
    authority: Authority,
    tmp_path: Path,
    name: str,
) -> None:
    ours = client(tmp_path / "other", Authority(name), authority)
    async with speaking(engines, daemon.port, ours) as engine:
        for _ in range(10):
            assert await refused(engine) == (
                f" the Docker Engine on https://127.0.0.1:{daemon.port} refuses our "
                f"certificate {ours.cert}: bad certificate"
            )


async def test_our_certificate_has_expired(
    daemon: Daemon, engines: DockerEngines, authority: Authority, tmp_path: Path
) -> None:
    ours = client(tmp_path / "old", authority, age=dt.timedelta(days=2))
    async with speaking(engines, daemon.port, ours) as engine:
        assert f"refuses our certificate {ours.cert}: " in await refused(engine)


async def test_the_engine_is_of_another_authority(
    daemon: Daemon, engines: DockerEngines, authority: Authority, tmp_path: Path
) -> None:
    ours = client(tmp_path / "other", authority, Authority())
    async with speaking(engines, daemon.port, ours) as engine:
        assert await refused(engine) == (
            f" the Docker Engine on https://127.0.0.1:{daemon.port} shows a "
            f"certificate of another authority than that of {ours.ca}"
        )


async def test_a_client_without_tls(daemon: Daemon, engines: DockerEngines) -> None:
    engine = engines(Node("gfa1", "h", f"tcp://127.0.0.1:{daemon.port}"))
    with pytest.raises(EngineError, match="HTTP request to an HTTPS server"):
        await engine.ping()
    engine.close()


async def test_certificates_are_renewed_while_we_run(
    daemon: Daemon,
    engines: DockerEngines,
    authority: Authority,
    tls: TlsFiles,
    tmp_path: Path,
) -> None:
    async with speaking(engines, daemon.port, tls) as engine:
        await engine.ping()
        daemon.stop()
        with pytest.raises(EngineUnreachableError, match="no Docker Engine listens"):
            await engine.ping()
        daemon.start()
        await engine.ping()
        renewed = Authority()
        try:
            daemon.stop()
            daemon.certify(renewed)
            daemon.start()
            assert "another authority" in await refused(engine)
            # The files have their names for ever; what is in them has not.
            client(tmp_path / "controller", renewed)
            await engine.ping()
        finally:
            daemon.stop()
            daemon.certify(authority)
            daemon.start()


DOCUMENTED = """
openssl genrsa -out ca-key.pem 2048
openssl req -new -x509 -days 365 -key ca-key.pem -sha256 -subj /CN=ca -out ca.pem \\
    -config bare.cnf -extensions v3_ca
openssl genrsa -out key.pem 2048
openssl req -subj /CN=gfa1 -sha256 -new -key key.pem -out server.csr
printf 'subjectAltName = IP:127.0.0.1\nextendedKeyUsage = serverAuth\n' > server.cnf
openssl x509 -req -days {days} -sha256 -in server.csr -CA ca.pem -CAkey ca-key.pem \\
    -CAcreateserial -out cert.pem -extfile server.cnf
openssl genrsa -out client.key 2048
openssl req -subj /CN=client -new -key client.key -out client.csr
echo extendedKeyUsage = clientAuth > client.cnf
openssl x509 -req -days 365 -sha256 -in client.csr -CA ca.pem -CAkey ca-key.pem \\
    -CAcreateserial -out client.pem -extfile client.cnf
"""
"""The commands of Docker's page on protecting the socket, and the distribution's
settings of OpenSSL that give an authority no keyUsage."""

BARE = """
[req]
distinguished_name = dn
[dn]
[v3_ca]
subjectKeyIdentifier = hash
basicConstraints = critical, CA:true
"""


def documented(folder: Path, days: int = 365) -> TlsFiles:
    """Make what Docker's documentation makes."""
    (folder / "bare.cnf").write_text(BARE, "utf-8")
    script = DOCUMENTED.format(days=days)
    subprocess.run(
        ["sh", "-ec", script], cwd=folder, check=True, stderr=subprocess.DEVNULL
    )
    return TlsFiles(folder / "ca.pem", folder / "client.pem", folder / "client.key")


def strict(made: Callable[..., ssl.SSLContext]) -> Callable[..., ssl.SSLContext]:
    """Make contexts as Python 3.13 does."""

    def make(*words: object, **options: object) -> ssl.SSLContext:
        context = made(*words, **options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    return make


async def test_certificates_made_as_docker_documents_it(
    engines: DockerEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    util = urllib3.util.ssl_
    real = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", strict(real))
    monkeypatch.setattr(
        util, "create_urllib3_context", strict(util.create_urllib3_context)
    )
    name = "urllib3.connection.create_urllib3_context"
    monkeypatch.setattr(name, strict(util.create_urllib3_context))
    with tempfile.TemporaryDirectory(prefix="engine-") as name:
        ours = documented(Path(name), days=20)
        context = ssl.create_default_context(cafile=ours.ca)
        assert context.verify_flags & ssl.VERIFY_X509_STRICT
        daemon = Daemon(Path(name))
        daemon.start()
        try:
            async with speaking(engines, daemon.port, ours) as engine:
                await engine.ping()
                assert (await engine.observe(WANTED)).containers == ()
                assert engine.certificate_ends is not None
                left = engine.certificate_ends - dt.datetime.now(dt.UTC)
                assert left.days == 19
        finally:
            daemon.stop()


async def test_our_own_certificate_ends_first(
    daemon: Daemon, engines: DockerEngines, authority: Authority, tmp_path: Path
) -> None:
    ours = client(tmp_path / "aged", authority, age=dt.timedelta(hours=20))
    async with speaking(engines, daemon.port, ours) as engine:
        await engine.ping()
        assert engine.certificate_ends is not None
        assert engine.certificate_ends < dt.datetime.now(dt.UTC) + dt.timedelta(hours=4)


# Servers at fault


@asynccontextmanager
async def serving(
    folder: Path,
    authority: Authority,
    *hosts: str,
    age: dt.timedelta = dt.timedelta(0),
) -> AsyncIterator[int]:
    """Run a server with a certificate for these hosts; yield its port."""
    cert, key = folder / "server.pem", folder / "server.key"
    authority.issue(cert, key, *hosts, age=age)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    async with listening_with(_says_nothing, context) as port:
        yield port


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening_with(
    serve: Serve, context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Run a server; yield its port, and let all its connections end."""
    under_way = 0

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way
        under_way += 1
        with suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        under_way -= 1

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await until(lambda: not under_way)


@pytest.mark.parametrize(
    ("hosts", "age", "said"),
    [
        (("127.0.0.1",), dt.timedelta(days=2), "shows an expired certificate"),
        (
            ("127.0.0.1",),
            dt.timedelta(days=-1),
            "shows a certificate that is not valid yet: is its clock, or ours, wrong?",
        ),
        (("127.0.0.2",), dt.timedelta(0), "shows a certificate of another host"),
        (("gfa2",), dt.timedelta(0), "shows a certificate of another host"),
    ],
)
async def test_a_certificate_that_is_not_acceptable(
    engines: DockerEngines,
    authority: Authority,
    tls: TlsFiles,
    tmp_path: Path,
    hosts: tuple[str, ...],
    age: dt.timedelta,
    said: str,
) -> None:
    async with (
        serving(tmp_path, authority, *hosts, age=age) as port,
        speaking(engines, port, tls) as engine,
    ):
        assert (
            await refused(engine)
            == f" the Docker Engine on https://127.0.0.1:{port} {said}"
        )


async def test_a_name_that_the_certificate_has_not(
    engines: DockerEngines, authority: Authority, tls: TlsFiles, tmp_path: Path
) -> None:
    async with (
        serving(tmp_path, authority, "gfa1") as port,
        speaking(engines, port, tls, "localhost") as engine,
    ):
        assert "shows a certificate of another host" in await refused(engine)


async def _is_plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def _hangs_up(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    pass


async def _says_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize(
    ("serve", "said"),
    [
        (_is_plain, "does not speak TLS as it should"),
        (_hangs_up, "does not answer as it should"),
        (_says_nothing, "did not answer in time"),
    ],
)
async def test_a_server_without_tls(
    engines: DockerEngines, tls: TlsFiles, serve: Serve, said: str
) -> None:
    async with listening_with(serve) as port, speaking(engines, port, tls) as engine:
        with pytest.raises(EngineUnreachableError, match=said) as error:
            await engine.ping()
        assert error.value.host_alive is True


async def test_an_engine_that_greets_and_says_no_more(
    engines: DockerEngines, authority: Authority, tls: TlsFiles, tmp_path: Path
) -> None:
    async with (
        serving(tmp_path, authority, "127.0.0.1") as port,
        speaking(engines, port, tls) as engine,
    ):
        assert "did not answer in 3 s" in await refused(engine)
        await until(
            lambda: not any(t.name == "engine" for t in threading.enumerate()),
            "the call lets go of its connection",
        )


async def test_files_that_are_gone(
    engines: DockerEngines, authority: Authority, tls: TlsFiles, tmp_path: Path
) -> None:
    none = replace(tls, key=tmp_path / "none.key")
    async with (
        serving(tmp_path, authority, "127.0.0.1") as port,
        speaking(engines, port, none) as engine,
    ):
        with pytest.raises(
            EngineUnreachableError, match="the files of docker-tls cannot be used: "
        ):
            await engine.ping()


async def test_nobody_listens(engines: DockerEngines, tls: TlsFiles) -> None:
    async with speaking(engines, free_port(), tls) as engine:
        assert "no Docker Engine listens on" in await refused(engine)


async def test_many_engines_greet_in_turns(
    engines: DockerEngines, tls: TlsFiles, tmp_path: Path, authority: Authority
) -> None:
    """So many greetings at once take longer than each of them may."""
    cert, key = tmp_path / "server.pem", tmp_path / "server.key"
    authority.issue(cert, key, "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    there, most = 0, 0

    async def count(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        nonlocal there, most
        there += 1
        most = max(most, there)
        try:
            await reader.read()
        finally:
            there -= 1

    async with listening_with(count, context) as port:
        address = f"https://127.0.0.1:{port}"
        nodes = [Node(f"gfa{n}", "127.0.0.1", address, tls=tls) for n in range(300)]
        await asyncio.gather(*(engines(node)._knock(60) for node in nodes))
    # The server hears of an end a little later.
    assert most <= 2 * KNOCKS
