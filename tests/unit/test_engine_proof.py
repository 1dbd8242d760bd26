"""The module engine_proof, asking a server on this computer."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sdss.fliswarm.plugins.modules import engine_proof

from tests.unit.support.modules import run
from tests.unit.support.site import free_port
from tests.unit.test_certificates import make

HERE = "127.0.0.1"


class Engine(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        good = self.path == "/_ping"
        self.send_response(200 if good else 404)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")

    def log_message(self, *words: object) -> None:
        """Say nothing."""


class Sick(Engine):
    def do_GET(self) -> None:
        self.send_error(500)


def serve(
    handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
) -> Iterator[int]:
    with ThreadingHTTPServer((HERE, 0), handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def plain() -> Iterator[int]:
    yield from serve(Engine)


@pytest.fixture
def sick() -> Iterator[int]:
    yield from serve(Sick)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pki")
    make(path, hosts={"here": [HERE]})
    make(path / "other", hosts={"here": [HERE]})
    return path


@pytest.fixture
def secure(folder: Path) -> Iterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(
        folder / "hosts/here/server.pem", folder / "hosts/here/server.key"
    )
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    yield from serve(Engine, context)


def shown(folder: Path) -> dict[str, str]:
    return {
        "authority": (folder / "ca.pem").read_text(),
        "certificate": (folder / "controller.pem").read_text(),
        "key": (folder / "controller.key").read_text(),
    }


PATIENCE = 3
"""Seconds for an engine that will not answer well, which are all used up."""


def proof(port: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    arguments = {"host": HERE, "port": port, "timeout": 60, **more}
    return run("engine_proof", arguments)


def test_an_engine_answers(plain: int) -> None:
    assert proof(plain)["address"] == HERE
    assert not proof(plain)["changed"]


def test_nobody_listens() -> None:
    said = proof(free_port(), timeout=PATIENCE)["msg"]
    assert "it refuses the connection. Remedy: let the manager in" in said


def test_an_engine_that_answers_wrongly(sick: int) -> None:
    assert "status 500" in proof(sick, timeout=PATIENCE)["msg"]


def test_a_name_that_is_unknown() -> None:
    said = proof(1, host="no-such-node.invalid", timeout=PATIENCE)["msg"]
    assert "port 1 of no-such-node.invalid" in said
    assert "Remedy: give its address as ansible_host" in said


def test_an_engine_that_asks_for_certificates(secure: int, folder: Path) -> None:
    done = proof(secure, tls=shown(folder))
    assert done["address"] == HERE
    assert "PRIVATE KEY" not in str(done)


def test_the_engine_is_of_another_authority(secure: int, folder: Path) -> None:
    said = proof(secure, tls=shown(folder / "other"), timeout=PATIENCE)["msg"]
    assert "Remedy: see that fliswarm_pki is the folder of this site" in said


@pytest.mark.parametrize("lacking", ["authority", "certificate", "key"])
def test_without_certificates_nobody_is_asked_in_plain(
    plain: int, folder: Path, lacking: str
) -> None:
    said = proof(plain, tls={**shown(folder), lacking: ""})["msg"]
    assert f"there is no {lacking} to ask it with. Remedy: " in said


def test_the_port_is_closed() -> None:
    assert proof(free_port(), state="closed")["address"] == ""


def test_a_stranger_gets_in(plain: int) -> None:
    said = proof(plain, state="closed", allowed=["10.9.9.9", "nobody.invalid"])["msg"]
    assert f"port {plain} of {HERE} lets in" in said
    assert f"({HERE}), which is none of 10.9.9.9, nobody.invalid" in said


@pytest.mark.parametrize("allowed", [HERE, "127.0.0.0/8", "localhost"])
def test_who_may_is_no_stranger(plain: int, allowed: str) -> None:
    assert proof(plain, state="closed", allowed=[allowed])["address"] == HERE


def test_addresses_of_both_families() -> None:
    assert engine_proof.within("fd00::1%eth0", ["10.0.0.0/8", "fd00::/8"])
    assert not engine_proof.within("fd00::1", ["10.0.0.0/8", "fe00::/8"])
