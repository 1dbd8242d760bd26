"""Who is let in to the engines and to the registry, from another computer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from docker.models.containers import Container

from tests.integration.conftest import ROOT, Lab
from tests.unit.support.certificates import Authority

pytestmark = pytest.mark.lab

PKI = ROOT / ".lab" / "pki"

ASK = """
import ssl, sys, urllib.error, urllib.request
url, *pair = sys.argv[1:]
context = ssl.create_default_context(cafile="/certificates/ca.pem")
if pair:
    context.load_cert_chain(*pair)
try:
    with urllib.request.urlopen(url, timeout=5, context=context) as answer:
        print(answer.status)
except (urllib.error.URLError, OSError) as error:
    print("refused", error)
"""
"""Asks one address with a certificate, or with none; says what came of it."""


class Stranger:
    """A computer on the network that is not of the fleet."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def ask(self, url: str, name: str | None) -> str:
        """Return the answer's status, or ``refused`` and why."""
        pair = [f"/certificates/{name}.{kind}" for kind in ("pem", "key")]
        words = ["python3", "-c", ASK, url, *(pair if name else [])]
        _, output = self._container.exec_run(words)
        assert isinstance(output, bytes)
        return output.decode().strip()


@pytest.fixture(scope="module")
def stranger(
    fleet: Lab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stranger]:
    """Yield a computer with certificates that are to be refused, and the right ones."""
    folder = tmp_path_factory.mktemp("certificates")
    for file in ("ca.pem", "controller.pem", "controller.key"):
        (folder / file).write_bytes((PKI / file).read_bytes())
    for kind in ("pem", "key"):
        mine = PKI / "hosts" / "gfa1" / f"puller.{kind}"
        (folder / f"puller.{kind}").write_bytes(mine.read_bytes())
    ours = Authority.load(PKI / "ca.pem", PKI / "ca.key")
    pullers = Authority.load(PKI / "pullers.pem", PKI / "pullers.key")
    # It even bears the name of ours.
    other = Authority(ours.name)
    issued = {"expired": ours, "expired-puller": pullers, "other": other}
    for name, authority in issued.items():
        age = dt.timedelta(days=0 if name == "other" else 2)
        authority.issue(folder / f"{name}.pem", folder / f"{name}.key", age=age)
    with fleet.outer() as outer:
        image = outer.containers.get("fliswarm-lab-gfa1").attrs["Config"]["Image"]
        container = outer.containers.run(
            image,
            ["sleep", "600"],
            network="fliswarm-lab",
            volumes={str(folder): {"bind": "/certificates", "mode": "ro"}},
            detach=True,
        )
        yield Stranger(container)
        container.remove(force=True)


@pytest.mark.parametrize("name", [None, "other", "expired", "puller", "expired-puller"])
def test_an_engine_refuses(stranger: Stranger, fleet: Lab, name: str | None) -> None:
    """None, another authority's, an expired one, and what lets a node pull."""
    for host in ("manager", *fleet.nodes):
        said = stranger.ask(f"https://{fleet.address(host)}:2376/_ping", name)
        assert said.startswith("refused"), (host, said)


@pytest.mark.parametrize("name", [None, "other", "expired-puller"])
def test_the_registry_refuses(stranger: Stranger, fleet: Lab, name: str | None) -> None:
    said = stranger.ask(f"https://{fleet.address('manager')}:5000/v2/", name)
    assert said.startswith("refused"), said


def test_the_right_certificates_are_let_in(stranger: Stranger, fleet: Lab) -> None:
    manager = fleet.address("manager")
    for host in ("manager", *fleet.nodes):
        engine = f"https://{fleet.address(host)}:2376/_ping"
        assert stranger.ask(engine, "controller") == "200"
    assert stranger.ask(f"https://{manager}:5000/v2/", "puller") == "200"


def test_nothing_answers_without_certificates(stranger: Stranger, fleet: Lab) -> None:
    for host in ("manager", *fleet.nodes):
        said = stranger.ask(f"http://{fleet.address(host)}:2375/_ping", None)
        assert "Connection refused" in said
    said = stranger.ask(f"http://{fleet.address('manager')}:5000/v2/", None)
    assert said.startswith("refused")


def test_the_controller_works(fleet: Lab) -> None:
    done = fleet.fliswarm("talk", "status")
    assert done.code == 0, done.err


def test_keys_are_for_their_users_alone(fleet: Lab) -> None:
    for host in ("manager", *fleet.nodes):
        found = fleet.ssh(
            host,
            "sudo find /etc/docker /etc/fliswarm -name '*.key' -printf '%m %u %p\\n'",
        )
        keys = [line.split(" ", 2) for line in found.out.splitlines()]
        assert keys
        assert all(mode == "600" for mode, _, _ in keys), found.out
    for path in PKI.rglob("*.key"):
        assert path.stat().st_mode & 0o777 == 0o600, path
