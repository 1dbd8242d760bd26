"""The private authority: real keys, real files, real handshakes."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sdss.fliswarm.plugins.module_utils import authority
from ansible_collections.sdss.fliswarm.plugins.module_utils.authority_folder import (
    AuthorityFolder,
    Keys,
    RefusedError,
    Site,
    locked,
    wanted,
)
from ansible_collections.sdss.fliswarm.plugins.module_utils.pair_file import PairFile
from ansible_collections.sdss.fliswarm.plugins.modules import host_certificates

ROOT = Path(__file__).parents[2]
NOW = dt.datetime.now(dt.UTC)
HOSTS = {"gfa1": ["gfa1", "10.0.0.11", "2001:db8::11"], "hub": ["hub.example.org"]}
LEAVES = ["controller.pem"] + [
    f"hosts/{host}/{use}.pem" for host in HOSTS for use in ("server", "puller")
]
ALL = ["ca.pem", "pullers.pem", *LEAVES]
SERVER = "hosts/gfa1/server"


def terms(after: float = 0) -> Any:  # noqa: ANN401  of the collection
    """Return the usual terms at a time, days from now."""
    return authority.Terms(825, 60, NOW + dt.timedelta(days=after))


def make(
    folder: Path,
    after: float = 0,
    hosts: dict[str, list[str]] = HOSTS,
    check: bool = False,
    patience: float = 30,
    passphrase: str = "",
    texts: dict[str, str] | None = None,
    **site: Any,  # noqa: ANN401  of the collection
) -> dict[str, str]:
    """Make everything, and return the reasons by path."""
    keys = Keys(passphrase.encode() or None, texts or {})
    run = AuthorityFolder(folder, check, keys, Site(**site))
    run.make(wanted(hosts), terms(after), patience)
    assert len({one["path"] for one in run.made}) == len(run.made)
    return {one["path"]: one["reason"] for one in run.made}


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return the mode, the time and the content of all that is there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        seen = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        name = str(path.relative_to(folder))
        found[name] = (seen.st_mode, seen.st_mtime_ns, content)
    return found


def pair(folder: Path, name: str) -> Any:  # noqa: ANN401  of the collection
    found = PairFile(folder / name).pair()
    assert found is not None
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with everything in it."""
    path = tmp_path / "pki"
    make(path)
    return path


def test_everything_is_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "pki"
    assert list(make(folder)) == ALL
    before = tree(folder)
    assert make(folder) == {}
    assert tree(folder) == before


def test_check_mode_says_what_is_made_and_touches_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    said = make(folder, check=True)
    assert not folder.exists()
    assert make(folder) == said

    (folder / "controller.key").unlink()
    (folder / "ca.key").chmod(0o644)
    before = tree(folder)
    said = make(folder, 790, check=True)
    assert "ca.key" in said
    assert "controller.pem" in said
    assert tree(folder) == before
    assert make(folder, 790) == said


def test_only_the_owner_may_read_keys(folder: Path) -> None:
    paths = [folder, *folder.glob("hosts/*"), *folder.rglob("*.key")]
    assert len(paths) == 1 + len(HOSTS) + len(ALL)
    closed = {path: 0o700 if path.is_dir() else 0o600 for path in paths}
    assert {path: stat.S_IMODE(path.stat().st_mode) for path in paths} == closed
    for path in paths:
        path.chmod(0o755)
    assert set(make(folder).values()) == {"its mode was 0755"}
    assert {path: stat.S_IMODE(path.stat().st_mode) for path in paths} == closed
    assert make(folder) == {}


@pytest.mark.parametrize("check", [True, False])
def test_a_folder_for_other_things_is_not_closed(tmp_path: Path, check: bool) -> None:
    (tmp_path / "letter").touch()
    before = tree(tmp_path)
    mode = tmp_path.stat().st_mode
    with pytest.raises(RefusedError, match=f"{tmp_path} holds other things"):
        make(tmp_path, check=check)
    assert tree(tmp_path) == before
    assert tmp_path.stat().st_mode == mode


def test_the_folder_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make(tmp_path / "pki")
    finally:
        os.umask(before)
    assert not (tmp_path / "pki").stat().st_mode & 0o077
    assert make(tmp_path / "pki") == {}


def delete_certificate(folder: Path) -> None:
    (folder / f"{SERVER}.pem").unlink()


def delete_key(folder: Path) -> None:
    (folder / f"{SERVER}.key").unlink()


def break_certificate(folder: Path) -> None:
    (folder / f"{SERVER}.pem").write_text("-----BEGIN CERTIFICATE-----\n")


def break_key(folder: Path) -> None:
    (folder / f"{SERVER}.key").write_bytes(b"\0\xff")


def swap_key(folder: Path) -> None:
    shutil.copy(folder / "controller.key", folder / f"{SERVER}.key")


def test_a_host_gets_no_certificate_for_another() -> None:
    """Whatever it says of itself."""
    reserved = {"gfa1": ["gfa1", "10.0.0.1"], "hub": ["hub", "2001:db8::1"]}
    said = ["gfa1", "10.0.0.1", "HUB", "2001:DB8:0::1", "spare"]
    leaf = wanted({"gfa1": said}, reserved)["hosts/gfa1/server"].leaf
    assert leaf.covers == {
        *("gfa1", "10.0.0.1", "spare"),
        *("localhost", "127.0.0.1", "::1"),
    }
    assert leaf.others == {"hub", "2001:db8::1"}
    # Two names of the inventory may be one computer.
    shared = {"gfa1": ["gfa1", "10.0.0.1"], "hub": ["hub", "10.0.0.1"]}
    leaf = wanted({"gfa1": ["gfa1", "10.0.0.1"]}, shared)["hosts/gfa1/server"].leaf
    assert "10.0.0.1" in leaf.covers


def test_a_certificate_for_another_host_is_renewed(folder: Path) -> None:
    """Its address has become that of another."""
    make(folder)
    leaf = wanted(HOSTS)[SERVER].leaf
    moved = frozenset({min(leaf.covers)})
    leaf = leaf._replace(covers=leaf.covers - moved, others=moved)
    found, ca = pair(folder, SERVER), pair(folder, "ca")
    reason = authority.why_renew(leaf, found, ca.certificate, terms())
    assert reason == f"it covers {min(moved)} of another host"


def take_from_elsewhere(folder: Path) -> None:
    other = folder.parent / "other"
    make(other)
    for suffix in (".pem", ".key"):
        shutil.copy(other / f"{SERVER}{suffix}", folder / f"{SERVER}{suffix}")


def take_a_client(folder: Path) -> None:
    for suffix in (".pem", ".key"):
        shutil.copy(folder / f"controller{suffix}", folder / f"{SERVER}{suffix}")


def date(folder: Path, after: float) -> None:
    leaf = wanted(HOSTS)[SERVER].leaf
    ca = pair(folder, "ca")
    PairFile(folder / SERVER).write(authority.new_leaf(leaf, ca, terms(after)))


def make_long_ago(folder: Path) -> None:
    date(folder, -825 + 59)


def make_too_early(folder: Path) -> None:
    date(folder, 30)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (delete_certificate, "it or its key is missing"),
        (delete_key, "it or its key is missing"),
        (break_certificate, "it is broken"),
        (break_key, "it is broken"),
        (swap_key, "it does not belong to its key"),
        (take_from_elsewhere, "another authority signed it"),
        (take_a_client, "it is not the certificate of a server alone"),
        (make_long_ago, "it expires on "),
        (make_too_early, "it is not valid before "),
    ],
)
def test_a_leaf_is_renewed(
    folder: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(folder)
    before = tree(folder)
    made = make(folder)
    assert list(made) == [f"{SERVER}.pem"]
    assert made[f"{SERVER}.pem"].startswith(reason)
    after = tree(folder)
    touched = {name for name in after if after[name] != before.get(name)}
    assert touched - {"hosts/gfa1"} == {f"{SERVER}.pem", f"{SERVER}.key"}
    assert make(folder) == {}


def test_a_leaf_with_time_left_stays(folder: Path) -> None:
    date(folder, -825 + 61)
    assert make(folder) == {}


def test_a_new_address_renews_and_a_lost_one_does_not(folder: Path) -> None:
    more = {**HOSTS, "gfa1": [*HOSTS["gfa1"], "10.0.0.99", "Other."]}
    reason = "it does not cover 10.0.0.99, other"
    assert make(folder, hosts=more) == {f"{SERVER}.pem": reason}
    assert make(folder, hosts=more) == {}
    assert make(folder) == {}


def test_names_and_addresses_compare_in_one_form(folder: Path) -> None:
    same = ["GFA1", "gfa1.", "2001:DB8:0:0::11", "[2001:db8::11]", "2001:db8::11%eth0"]
    assert make(folder, hosts={"gfa1": same}) == {}
    covered = authority.covered(pair(folder, SERVER).certificate)
    assert covered == {*HOSTS["gfa1"], "localhost", "127.0.0.1", "::1"}


def test_another_host_is_left_alone(folder: Path) -> None:
    before = tree(folder)
    made = make(folder, hosts={"gfa2": ["gfa2"]})
    assert list(made) == ["hosts/gfa2/server.pem", "hosts/gfa2/puller.pem"]
    after = tree(folder)
    assert {name: after[name] for name in before if name != "hosts"} == {
        name: seen for name, seen in before.items() if name != "hosts"
    }


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ({"../gfa1": ["gfa1"]}, "cannot name a folder"),
        ({"gfa1": ["gfa1", "not a name"]}, "gfa1: 'not a name' is neither"),
        ({"gfa1": "gfa1"}, "is no list"),
    ],
)
def test_what_cannot_be_is_refused(hosts: dict[str, Any], words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        wanted(hosts)


@pytest.mark.parametrize(("days", "renew"), [(60, 60), (1826, 60), (825, 0), (-1, -2)])
def test_lives_that_would_never_settle_are_refused(
    tmp_path: Path, days: int, renew: int
) -> None:
    run = AuthorityFolder(tmp_path / "pki", check=False)
    with pytest.raises(RefusedError, match=f"days is {days} and renew_days is {renew}"):
        run.make(wanted(HOSTS), authority.Terms(days, renew, NOW))
    assert not (tmp_path / "pki").exists()


@pytest.mark.parametrize("name", ["ca", "pullers"])
def test_an_authority_is_renewed_with_its_key_and_its_name(
    folder: Path, name: str
) -> None:
    old = pair(folder, name)
    made = make(folder, 3650 - 825)
    assert made[f"{name}.pem"].startswith("it expires on ")
    new = pair(folder, name)
    assert new.certificate.subject == old.certificate.subject
    assert authority.key_text(new.key) == authority.key_text(old.key)
    assert new.certificate.not_valid_after_utc > old.certificate.not_valid_after_utc
    assert make(folder, 3650 - 825) == {}


def test_a_leaf_does_not_outlive_its_authority(folder: Path) -> None:
    ca, leaf = pair(folder, "ca"), wanted(HOSTS)[SERVER].leaf
    late = authority.new_leaf(leaf, ca, terms(3600)).certificate
    assert late.not_valid_after_utc == ca.certificate.not_valid_after_utc


def test_sites_have_names_of_their_own(folder: Path, tmp_path: Path) -> None:
    make(tmp_path / "other")
    names = {
        pair(where, name).certificate.subject
        for where in (folder, tmp_path / "other")
        for name in ("ca", "pullers")
    }
    assert len(names) == 4


@pytest.mark.parametrize("name", ["ca", "pullers"])
@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ([".key"], "{0}.pem is there without {0}.key"),
        ([".pem"], "{0}.key is there without {0}.pem"),
        ([".pem", ".key"], "/hosts/.*.pem is there without {0}.pem and {0}.key"),
    ],
)
def test_half_an_authority_is_refused(
    folder: Path, name: str, check: bool, gone: list[str], words: str
) -> None:
    for suffix in gone:
        (folder / f"{name}{suffix}").unlink()
    (folder / "controller.pem").unlink()
    (folder / "hosts/gfa1/puller.pem").unlink()
    before = tree(folder)
    with pytest.raises(RefusedError, match=words.format(folder / name)) as refused:
        make(folder, check=check)
    assert "Remedy: put the missing or broken file back" in str(refused.value)
    assert tree(folder) == before


def test_a_broken_or_foreign_authority_is_refused(folder: Path) -> None:
    shutil.copy(folder / "pullers.key", folder / "ca.key")
    with pytest.raises(RefusedError, match=r"ca\.key is not the key of .*ca\.pem"):
        make(folder)
    (folder / "ca.key").write_text("secret-looking rubbish")
    with pytest.raises(RefusedError, match=r"ca\.key cannot be read") as refused:
        make(folder)
    assert "rubbish" not in str(refused.value)


KILLED = """
import os, shutil, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.unit.test_certificates import make

def run(folder, point):
    # The hook counts what touches the disk; at the given point the run is killed.
    left = [point]
    def hook(event, args):
        if event in ("os.mkdir", "os.rename", "os.chmod") or (
            event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR)
        ):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    make(folder, hosts={"gfa1": ["gfa1"]})

old = Path(sys.argv[2], "old")
make(old, -3000, hosts={"gfa1": ["gfa1"]})
for point in range(1000):
    folder = Path(sys.argv[2], str(point))
    if sys.argv[3] == "renewed":
        shutil.copytree(old, folder)
    child = os.fork()
    if child == 0:
        run(folder, point)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
print(point)
"""


@pytest.mark.parametrize("kind", ["new", "renewed"])
def test_a_run_killed_at_any_point_is_finished_by_the_next(
    tmp_path: Path, kind: str
) -> None:
    command = [sys.executable, "-c", KILLED, str(ROOT), str(tmp_path), kind]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".ansible/collections")}
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    points = int(done.stdout)
    hosts = {"gfa1": ["gfa1"]}
    names = ["ca", "pullers", "controller", "hosts/gfa1/server", "hosts/gfa1/puller"]
    assert points > 3 * len(names)
    for point in range(points):
        folder = tmp_path / str(point)
        make(folder, hosts=hosts)
        assert make(folder, hosts=hosts) == {}, point
        assert not list(folder.rglob("*.new")), point
        assert all(authority.belongs(pair(folder, name)) for name in names)


def test_one_of_several_runs_makes_everything(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(make, [tmp_path / "pki"] * 4))
    assert sorted(map(len, made)) == [0, 0, 0, len(ALL)]


def test_a_lock_that_is_held_is_named(folder: Path) -> None:
    with locked(folder, 0), pytest.raises(RefusedError, match=f"{folder}/lock"):
        make(folder, patience=0.1)
    assert make(folder, patience=0) == {}


def test_a_lock_ends_with_its_holder(folder: Path) -> None:
    hold = "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.flock(file, 2)"
    command = [sys.executable, "-c", f"{hold}; print(flush=True); input()"]
    holder = subprocess.Popen(
        [*command, str(folder / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(RefusedError):
            make(folder, patience=0)
        holder.kill()
    assert make(folder, patience=0) == {}


def server(folder: Path, clients: str, name: str = SERVER) -> ssl.SSLContext:
    context = ssl.create_default_context(
        ssl.Purpose.CLIENT_AUTH, cafile=folder / f"{clients}.pem"
    )
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context


def client(folder: Path, name: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if name is not None:
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context


def talk(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str:
    """Return how a server takes a client that knows it by this name."""

    def serve(listener: socket.socket) -> str:
        plain, _ = listener.accept()
        with plain:
            try:
                with server.wrap_socket(plain, server_side=True) as secure:
                    secure.sendall(b"welcome")
            except ssl.SSLError as error:
                return str(error)
        return "welcome"

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        ThreadPoolExecutor(1) as pool,
        socket.create_connection(listener.getsockname(), timeout=60) as plain,
    ):
        taken = pool.submit(serve, listener)
        with client.wrap_socket(plain, server_hostname=name) as secure:
            # A server judges a client's certificate after the client is done.
            with contextlib.suppress(ssl.SSLError, ConnectionResetError):
                assert secure.recv(100) == b"welcome"
            return taken.result(60)


@pytest.mark.parametrize("name", [*HOSTS["gfa1"], "localhost", "127.0.0.1", "::1"])
def test_the_controller_commands_an_engine(folder: Path, name: str) -> None:
    said = talk(server(folder, "ca"), client(folder, "controller"), name)
    assert said == "welcome"


def test_a_node_uses_the_registry(folder: Path) -> None:
    registry = server(folder, "pullers", "hosts/hub/server")
    puller = client(folder, "hosts/gfa1/puller")
    assert talk(registry, puller, "hub.example.org") == "welcome"


def test_a_server_is_known_by_its_names_alone(folder: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for 'gfa2'"):
        talk(server(folder, "ca"), client(folder, "controller"), "gfa2")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (None, "peer did not return a certificate"),
        ("hosts/gfa1/puller", "unable to get local issuer certificate"),
        ("hosts/gfa1/server", "unsuitable certificate purpose"),
        ("foreign", "unable to get local issuer certificate"),
        ("expired", "certificate has expired"),
    ],
)
def test_an_engine_refuses_all_but_the_controller(
    folder: Path, name: str | None, reason: str
) -> None:
    leaf = wanted({})["controller"].leaf
    make(folder.parent / "other")
    foreign = pair(folder.parent / "other", "controller")
    expired = authority.new_leaf(leaf, pair(folder, "ca"), terms(-826))
    PairFile(folder / "foreign").write(foreign)
    PairFile(folder / "expired").write(expired)
    assert reason in talk(server(folder, "ca"), client(folder, name), "gfa1")


def test_a_renewed_authority_and_its_copies_on_hosts_agree(tmp_path: Path) -> None:
    folder, before = tmp_path / "pki", tmp_path / "before"
    make(folder, -3650 + 824)
    assert list(make(folder, -12)) == LEAVES
    shutil.copytree(folder, before)
    assert list(make(folder)) == ["ca.pem", "pullers.pem"]
    for one, other in [(folder, before), (before, folder)]:
        said = talk(server(one, "ca"), client(other, "controller"), "gfa1")
        assert said == "welcome"


LINKS = [
    ("eth0", {"local": "10.0.0.11"}),
    ("eth0", {"local": "2001:db8::11"}),
    ("eth0", {"local": "2001:db8::abcd", "temporary": True}),
    ("docker0", {"local": "172.17.0.1"}),
    ("docker_gwbridge", {"local": "172.18.0.1"}),
    ("br-0123456789ab", {"local": "172.19.0.1"}),
    ("br-lan", {"local": "192.168.0.1"}),
    ("veth12ab", {"local": "172.20.0.1"}),
]


@pytest.mark.parametrize("has_ip", [True, False])
def test_a_host_tells_its_lasting_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_ip: bool
) -> None:
    links = [{"ifname": name, "addr_info": [info]} for name, info in LINKS]
    programs = {"hostname": "echo gfa1.example.org"}
    if has_ip:
        programs["ip"] = f"echo '{json.dumps([*links, {}])}'"
    for name, line in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    known = ["gfa1", "10.0.0.11"]
    if not has_ip:
        with pytest.raises(host_certificates.AbsentError, match="apt-get install"):
            host_certificates.all_names(known)
        return
    names = ["gfa1", "gfa1.example.org", socket.gethostname()]
    addresses = ["10.0.0.11", "2001:db8::11", "192.168.0.1"]
    assert host_certificates.all_names(known) == sorted({*names, *addresses})


def test_a_host_tells_its_certificates_and_no_key(tmp_path: Path) -> None:
    make(tmp_path / "pki")
    places = {
        "docker/tls/ca.pem": "ca.pem",
        "docker/tls/server.key": "hosts/gfa1/server.key",
        "docker/certs.d/hub:5000/client.cert": "hosts/gfa1/puller.pem",
        "docker/certs.d/hub:5000/client.key": "hosts/gfa1/puller.key",
        "fliswarm/tls/controller.pem": "controller.pem",
    }
    for place, file in places.items():
        (tmp_path / "etc" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "pki" / file, tmp_path / "etc" / place)
    told = host_certificates.certificates(tmp_path / "etc")
    assert told == {
        str(tmp_path / "etc" / place): (tmp_path / "pki" / file).read_text()
        for place, file in places.items()
        if not file.endswith(".key")
    }


def test_what_else_the_inventory_has_may_be_called_anything() -> None:
    reserved = {
        "gfa1": ["gfa1", "10.0.0.1"],
        "core switch (rack 1)": ["core switch (rack 1)", "10.0.0.250"],
    }
    leaf = wanted({"gfa1": ["gfa1", "10.0.0.1"]}, reserved)[SERVER].leaf
    assert leaf.others == {"10.0.0.250"}
    odd = {"gfa 1": ["gfa 1", "10.0.0.1"]}
    leaf = wanted(odd, odd)["hosts/gfa 1/server"].leaf
    assert leaf.covers == {"10.0.0.1", "localhost", "127.0.0.1", "::1"}


# Rotation


class World:
    """Hosts that carry what the folder had when they were provisioned last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.carried: dict[str, dict[str, str]] = {host: {} for host in HOSTS}

    def provision(self, *hosts: str, **options: Any) -> dict[str, str]:  # noqa: ANN401
        """Make certificates, and bring them to some hosts or to all."""
        chosen = hosts or tuple(HOSTS)
        made = make(
            self.folder,
            hosts={host: HOSTS[host] for host in chosen},
            carried={host: self.carried[host] for host in chosen},
            members=tuple(HOSTS),
            **options,
        )
        for host in chosen:
            self.bring(host)
        return made

    def bring(self, host: str) -> None:
        files = {
            "/etc/docker/tls/ca.pem": "ca.pem",
            "/etc/docker/tls/server.pem": f"hosts/{host}/server.pem",
            "/etc/docker/certs.d/hub:5000/ca.crt": "ca.pem",
            "/etc/docker/certs.d/hub:5000/client.cert": f"hosts/{host}/puller.pem",
        }
        if host == "hub":
            files["/etc/docker/registry/tls/pullers.pem"] = "pullers.pem"
            files["/etc/fliswarm/tls/controller.pem"] = "controller.pem"
        self.carried[host] = {
            place: (self.folder / file).read_text() for place, file in files.items()
        }

    def trusts(self, host: str, certificate: str) -> bool:
        """Tell whether a host takes a certificate, as it was written somewhere."""
        text = self.carried[host]["/etc/docker/tls/ca.pem"].encode()
        shown = authority.read_certificate(certificate.encode())
        return any(
            authority.is_signed_by(shown, one)
            for one in authority.read_certificates(text)
        )

    def all_agree(self) -> bool:
        """Tell whether each host takes what the others show, and the controller."""
        shown = [files["/etc/docker/tls/server.pem"] for files in self.carried.values()]
        shown.append(self.carried["hub"]["/etc/fliswarm/tls/controller.pem"])
        return all(self.trusts(host, one) for host in HOSTS for one in shown)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path / "pki")
    world.provision()
    return world


def test_an_authority_is_rotated_in_three_runs(world: World) -> None:
    old = pair(world.folder, "ca")
    controller = (world.folder / "controller.pem").read_text()
    made = world.provision(rotate=True)
    assert set(made) == {"ca.pem", "pullers.pem"}
    assert world.all_agree()
    assert world.trusts("gfa1", controller)
    made = world.provision(rotate=True)
    assert set(made) == set(ALL)
    assert world.all_agree()
    assert world.trusts("gfa1", controller)
    made = world.provision()
    assert set(made) == {"ca.pem", "pullers.pem"}
    assert world.all_agree()
    assert not world.trusts("gfa1", controller)
    assert world.provision() == {}
    new = pair(world.folder, "ca")
    assert authority.key_text(new.key) != authority.key_text(old.key)
    assert not list(world.folder.glob("*next*"))
    assert not any("PRIVATE" in text for text in world.carried["gfa1"].values())


def test_a_rotation_waits_for_each_host(world: World) -> None:
    world.provision("hub", rotate=True)
    for _ in range(2):
        assert world.provision("hub") == {}
    world.provision("gfa1")
    assert world.all_agree()
    # Both trust the next one: it signs, and gfa1 keeps what is good still.
    world.provision("gfa1")
    world.provision("hub")
    world.provision("hub")
    assert world.all_agree()
    assert len(authority.read_certificates((world.folder / "ca.pem").read_bytes())) == 2
    world.provision()
    world.provision()
    assert world.all_agree()
    assert len(authority.read_certificates((world.folder / "ca.pem").read_bytes())) == 1


def test_a_rotation_is_ended_before_the_next_begins(world: World) -> None:
    """The run that drops the former authority is cut off before it reaches gfa1."""
    world.provision(rotate=True)
    world.provision()
    late = dict(world.carried["gfa1"])
    world.provision()
    world.carried["gfa1"] = late
    assert world.provision(rotate=True) == {}
    assert world.all_agree()
    assert set(world.provision(rotate=True)) == {"ca.pem", "pullers.pem"}


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_a_rotation_killed_at_any_point_goes_on(tmp_path: Path, runs: int) -> None:
    start = World(tmp_path / "start")
    start.provision()
    for _ in range(runs - 1):
        start.provision(rotate=True)
    for point in range(1000):
        world = World(tmp_path / str(point))
        shutil.copytree(start.folder, world.folder)
        world.carried = {host: dict(files) for host, files in start.carried.items()}
        child = os.fork()
        if child == 0:
            killed_at(point)
            world.provision(rotate=runs == 1)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            break
        for run in range(5):
            world.provision(rotate=run == 0 and runs == 1)
            assert world.all_agree(), (point, run)
        assert world.provision() == {}, point
        assert not list(world.folder.rglob("*.new")), point
        assert not list(world.folder.glob("*next*")), point
        names = ["ca", "pullers", "controller", *(f"hosts/{h}/server" for h in HOSTS)]
        assert all(authority.belongs(pair(world.folder, name)) for name in names)
        new, old = pair(world.folder, "ca"), pair(start.folder, "ca")
        assert runs != 1 or new.certificate != old.certificate
    assert point > 3


def killed_at(point: int) -> None:
    """Kill this process when it touches the disk for the so manieth time."""
    left = [point]

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in ("os.mkdir", "os.rename", "os.chmod", "os.remove") or (
            event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR)
        ):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def test_keys_that_were_told_are_refused_after_a_rotation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = World(tmp_path / "first")
    with monkeypatch.context() as patch:
        patch.setattr(authority, "KEPT", "")
        first.provision()
    told = first.carried["hub"]["/etc/fliswarm/tls/controller.pem"]
    run = AuthorityFolder(first.folder, check=False)
    run.make(wanted(HOSTS), terms())
    assert run.told == ["ca.pem", "pullers.pem"]
    assert {one["path"] for one in run.made} == set(LEAVES)
    assert first.trusts("gfa1", told)
    for rotate in (True, False, False):
        first.provision(rotate=rotate)
    assert not first.trusts("gfa1", told)
    assert first.all_agree()
    run = AuthorityFolder(first.folder, check=False)
    run.make(wanted(HOSTS), terms())
    assert run.told == run.made == []


# Where keys are


def test_keys_of_authorities_are_kept_under_a_passphrase(folder: Path) -> None:
    made = make(folder, passphrase=PHRASE)
    reason = "it was kept without a passphrase"
    assert made == {"ca.key": reason, "pullers.key": reason}
    for name in AUTHORITY_KEYS:
        text = (folder / name).read_bytes()
        assert b"ENCRYPTED" in text
        with pytest.raises(ValueError, match="passphrase"):
            authority.read_key(text)
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    before = tree(folder)
    # Who changes nothing that is signed needs no passphrase.
    assert make(folder) == {}
    assert make(folder, passphrase=PHRASE) == {}
    assert tree(folder) == before
    more = {**HOSTS, "gfa2": ["gfa2"]}
    with pytest.raises(RefusedError, match="passphrase, which pki_passphrase does not"):
        make(folder, hosts=more)
    with pytest.raises(RefusedError, match="passphrase is not that of this key"):
        make(folder, hosts=more, passphrase=PHRASE[1:])
    assert tree(folder) == before
    assert len(make(folder, hosts=more, passphrase=PHRASE)) == 2
    world = World(folder)
    for rotate in (True, False, False):
        world.provision(passphrase=PHRASE, rotate=rotate)
    assert all(b"ENCRYPTED" in (folder / name).read_bytes() for name in AUTHORITY_KEYS)
    assert world.all_agree()


AUTHORITY_KEYS = ("ca.key", "pullers.key")
PHRASE = "open, sesame"


def test_keys_of_authorities_are_kept_elsewhere(folder: Path) -> None:
    texts = {
        name.removesuffix(".key"): (folder / name).read_text()
        for name in AUTHORITY_KEYS
    }
    for name in AUTHORITY_KEYS:
        (folder / name).unlink()
    assert make(folder) == {}
    more = {**HOSTS, "gfa2": ["gfa2"]}
    with pytest.raises(RefusedError, match=r"ca\.pem is there without .*pki_key"):
        make(folder, hosts=more)
    assert len(make(folder, hosts=more, texts=texts)) == 2
    # An authority is renewed without its key being written.
    assert {"ca.pem", "pullers.pem"} <= set(make(folder, 3000, texts=texts))
    assert not any((folder / name).exists() for name in AUTHORITY_KEYS)
    with pytest.raises(RefusedError, match="The key that was given is not the key of"):
        make(folder, texts={**texts, "ca": texts["pullers"]})
    with pytest.raises(RefusedError, match="that was given cannot be read") as refused:
        make(folder, texts={"ca": "rubbish"})
    assert "rubbish" not in str(refused.value)


def test_a_certificate_that_ends_soon_is_good_without_the_key(folder: Path) -> None:
    for name in AUTHORITY_KEYS:
        (folder / name).unlink()
    assert make(folder, 800) == {}
    now = NOW + dt.timedelta(days=800)
    ending = AuthorityFolder(folder, check=True).ending(now, 60)
    assert ending == dict.fromkeys(LEAVES, 24)
    with pytest.raises(RefusedError, match="has to sign"):
        make(folder, 826)


def test_no_new_authority_is_made_where_hosts_carry_another(
    world: World, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "empty"
    with pytest.raises(RefusedError, match="gfa1 trusts an authority in /etc/docker"):
        make(elsewhere, carried=world.carried)
    assert not list(elsewhere.rglob("*.pem"))
    assert list(make(elsewhere, carried=world.carried, new=True)) == ALL


def test_another_computer_of_the_same_name_gets_new_keys(folder: Path) -> None:
    assert make(folder, machines={"gfa1": "one", "hub": "two"}) == {}
    assert make(folder, machines={"gfa1": "one", "hub": ""}) == {}
    reason = "the host is another computer than before"
    moved = {"gfa1": "three", "hub": "two"}
    renewed = {"hosts/gfa1/server.pem": reason, "hosts/gfa1/puller.pem": reason}
    assert make(folder, machines=moved, check=True) == renewed
    assert make(folder, machines=moved) == renewed
    assert make(folder, machines=moved) == {}


PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Make
      sdss.fliswarm.certificates:
        folder: "{{ folder }}"
        hosts: {gfa1: [gfa1, 10.0.0.11]}
        passphrase: "{{ lookup('ansible.builtin.file', folder ~ '.phrase') }}"
      check_mode: "{{ item.check }}"
      diff: true
      register: made
      failed_when: made.changed != item.changed or (made.made == []) == item.changed
      loop:
        - {check: true, changed: true}
        - {check: false, changed: true}
        - {check: false, changed: false}
        - {check: true, changed: false}
"""


def test_the_module_tells_no_key(tmp_path: Path) -> None:
    play, folder = tmp_path / "play.yml", tmp_path / "pki"
    play.write_text(PLAY)
    (tmp_path / "pki.phrase").write_text("open-sesame")
    options = [f"-efolder={folder}", f"-eansible_python_interpreter={sys.executable}"]
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-vvv", *options, str(play)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "hosts/gfa1/server.pem: it or its key is missing" in done.stdout
    keys = list(folder.rglob("*.key"))
    assert len(keys) == 5
    for key in keys:
        body = key.read_text().splitlines()[1:-1]
        assert not any(line in done.stdout for line in body)
    assert "PRIVATE" not in done.stdout
    assert "sesame" not in done.stdout
    assert b"ENCRYPTED" in (folder / "ca.key").read_bytes()


def test_keys_that_may_have_been_told_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the first version were in the journals; the authority's never was."""
    folder = tmp_path / "pki"
    with monkeypatch.context() as first:
        first.setattr(authority, "KEPT", "")
        make(folder)
    before = {name: pair(folder, name.removesuffix(".pem")).key for name in ALL}
    made = make(folder)
    assert made == dict.fromkeys(LEAVES, "its key may be in the journal of its host")
    after = {name: pair(folder, name.removesuffix(".pem")).key for name in ALL}
    same = [n for n in ALL if before[n].private_numbers() == after[n].private_numbers()]
    assert same == ["ca.pem", "pullers.pem"]
    assert make(folder) == {}
