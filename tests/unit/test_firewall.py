"""The firewall of the plain port, with the kernel's rules in networks of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "collection/roles/docker_engine/files/firewall.py"
PORT = 2375

ASK = """
import socket, sys
source, host, port = sys.argv[1:]
try:
    link = socket.create_connection((host, int(port)), 5, (source, 0))
except OSError as error:
    print(type(error).__name__)
else:
    print("in")
"""
"""Tells whether a port lets in who asks from an address."""


class Network:
    """A network of its own in the kernel, as a host has it that just starts."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"],
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        self._holder.stdout.readline()

    @property
    def pid(self) -> str:
        return str(self._holder.pid)

    def close(self) -> None:
        self._holder.kill()
        self._holder.communicate()

    def run(
        self, *words: str, code: int | None = 0, path: str = ""
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["/usr/bin/nsenter", f"--target={self.pid}", "--net", *words],
            check=False,
            capture_output=True,
            text=True,
            env={"PATH": path or "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        assert code is None or done.returncode == code, done.stderr
        return done

    def rules(self, tool: str = "iptables") -> list[str]:
        return self.run(tool, "--list-rules").stdout.splitlines()

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        command = ["nsenter", f"--target={self.pid}", "--net", *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE)


@pytest.fixture
def host() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


@pytest.fixture
def other() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


Firewall = Callable[..., str]


@pytest.fixture
def firewall(host: Network, tmp_path: Path) -> Firewall:
    """Return what runs the program; it tells what the program complained of."""

    def call(verb: str, *allowed: str, code: int = 0, path: str = "") -> str:
        file = tmp_path / "firewall.json"
        if allowed:
            config = {
                "chain": "FLISWARM-TEST",
                "ports": [PORT],
                "allowed": allowed,
                "memory": str(tmp_path / "memory"),
            }
            file.write_text(json.dumps(config))
        command = (sys.executable, str(PROGRAM), verb, str(file))
        return host.run(*command, code=code, path=path).stderr

    return call


@pytest.fixture
def link(host: Network, other: Network) -> Network:
    """Connect another computer, with two addresses; the host has none yet."""
    host.run(
        *("ip", "link", "add", "wire0", "type", "veth", "peer", "wire1"),
        *("netns", other.pid),
    )
    other.run("ip", "link", "set", "wire1", "up")
    for address in ("10.9.9.2/24", "10.9.9.3/24"):
        other.run("ip", "address", "add", address, "dev", "wire1")
    for address in ("fd09::2/64", "fd09::3/64"):
        other.run("ip", "address", "add", address, "dev", "wire1", "nodad")
    return other


@pytest.fixture
def listening(host: Network) -> Iterator[None]:
    script = (
        "import socket, time; server = socket.create_server(('::', 2375), "
        "family=socket.AF_INET6, dualstack_ipv6=True); print(flush=True); "
        "time.sleep(600)"
    )
    process = host.start(sys.executable, "-c", script)
    assert process.stdout is not None
    process.stdout.readline()
    yield
    process.kill()
    process.communicate()


def plug_in(host: Network) -> None:
    """Give the host its addresses."""
    for device in ("lo", "wire0"):
        host.run("ip", "link", "set", device, "up")
    host.run("ip", "address", "add", "10.9.9.1/24", "dev", "wire0")
    host.run("ip", "address", "add", "fd09::1/64", "dev", "wire0", "nodad")


def asked(other: Network, source: str) -> str:
    there = "fd09::1" if ":" in source else "10.9.9.1"
    done = other.run(sys.executable, "-c", ASK, source, there, str(PORT))
    return done.stdout.strip()


@pytest.mark.usefixtures("listening")
def test_who_is_let_in_before_the_host_has_an_address(
    host: Network, link: Network, firewall: Firewall
) -> None:
    firewall("set", "10.9.9.2", "fd09::2")
    plug_in(host)
    assert asked(link, "10.9.9.2") == "in"
    assert asked(link, "fd09::2") == "in"
    assert asked(link, "10.9.9.3") == "ConnectionRefusedError"
    assert asked(link, "fd09::3") == "ConnectionRefusedError"
    done = host.run(sys.executable, "-c", ASK, "10.9.9.1", "10.9.9.1", str(PORT))
    assert done.stdout.strip() == "in"


@pytest.mark.usefixtures("listening")
def test_a_network_is_let_in(host: Network, link: Network, firewall: Firewall) -> None:
    firewall("set", "10.9.9.2/31", "fd09::2/127")
    firewall("check")
    plug_in(host)
    assert asked(link, "10.9.9.3") == asked(link, "fd09::3") == "in"
    firewall("set", "10.9.9.4/30")
    assert asked(link, "10.9.9.3") == asked(link, "fd09::3") != "in"


@pytest.mark.parametrize(
    "policy",
    [
        ["--policy", "INPUT", "DROP"],
        ["--append", "INPUT", "--jump", "DROP"],
        ["--insert", "INPUT", "--jump", "DROP"],
    ],
)
@pytest.mark.usefixtures("listening")
def test_the_manager_gets_in_where_others_refuse(
    host: Network, link: Network, firewall: Firewall, policy: list[str]
) -> None:
    firewall("set", "10.9.9.2")
    host.run("iptables", *policy)
    firewall("set")
    firewall("check")
    plug_in(host)
    assert asked(link, "10.9.9.2") == "in"
    assert asked(link, "10.9.9.3") == "ConnectionRefusedError"


@pytest.mark.parametrize(
    "done",
    [
        ["iptables", "--flush"],
        ["ip6tables", "--flush"],
        ["iptables", "--flush", "INPUT"],
        ["iptables", "--flush", "FLISWARM-TEST"],
        ["iptables", "--insert", "INPUT", "--jump", "ACCEPT"],
        ["iptables", "--insert", "FLISWARM-TEST", "--jump", "ACCEPT"],
        ["iptables", "--delete", "FLISWARM-TEST", "2"],
        ["iptables", "--append", "INPUT", "--jump", "FLISWARM-TEST"],
    ],
    ids=" ".join,
)
def test_rules_that_somebody_changed_are_found_and_set_again(
    host: Network, firewall: Firewall, done: list[str]
) -> None:
    firewall("set", "10.9.9.2", "0.0.0.0/0", "fd09::2")
    firewall("check")
    before = host.rules() + host.rules("ip6tables")
    host.run(*done)
    assert f"the rules of {done[0]} are not set" in firewall("check", code=1)
    firewall("set")
    firewall("check")
    after = host.rules() + host.rules("ip6tables")
    theirs = [rule for rule in after if rule not in before]
    assert theirs == (
        ["-A INPUT -j ACCEPT"] if done[1:3] == ["--insert", "INPUT"] else []
    )


def test_nothing_is_written_when_the_rules_are_right(
    host: Network, firewall: Firewall
) -> None:
    firewall("set", "10.9.9.2")
    with_counters = ("iptables", "--list-rules", "INPUT", "--verbose")
    host.run("iptables", "--set-counters", "INPUT", "1", "7", "9", code=None)
    before = host.run(*with_counters).stdout
    firewall("set")
    assert host.run(*with_counters).stdout == before


def test_a_name_without_an_address_is_named_and_the_port_is_closed(
    host: Network, firewall: Firewall
) -> None:
    said = firewall("set", "no-such-manager.invalid", "10.9.9.2", code=1)
    assert "no-such-manager.invalid has no address on this host" in said
    assert "no-such-manager.invalid" in firewall("check", code=1)
    assert "-A FLISWARM-TEST -s 10.9.9.2/32 -j ACCEPT" in host.rules()
    firewall("close")


def test_a_name_keeps_its_last_address(
    host: Network, firewall: Firewall, tmp_path: Path
) -> None:
    (tmp_path / "memory").write_text(
        '{"gone.invalid": ["10.9.9.2"], "b": ["10.1.1.1"]}'
    )
    for verb in ("close", "set", "check"):
        firewall(verb, "gone.invalid")
        assert "-A FLISWARM-TEST -s 10.9.9.2/32 -j ACCEPT" in host.rules()
    assert "10.1.1.1" not in " ".join(host.rules())


def test_a_name_is_remembered(firewall: Firewall, tmp_path: Path) -> None:
    firewall("set", "localhost")
    assert "127.0.0.1" in json.loads((tmp_path / "memory").read_text())["localhost"]
    firewall("set", "10.9.9.2")
    assert json.loads((tmp_path / "memory").read_text()) == {}


@pytest.mark.parametrize("left", ["", "{", "[1]", '{"a": '])
def test_a_memory_that_a_power_cut_broke_is_none(
    firewall: Firewall, tmp_path: Path, left: str
) -> None:
    (tmp_path / "memory").write_text(left)
    firewall("set", "10.9.9.2")
    firewall("check")


def test_the_rules_of_others_stay(host: Network, firewall: Firewall) -> None:
    host.run("iptables", "--append", "INPUT", "--protocol", "icmp", "--jump", "ACCEPT")
    before = host.rules(), host.rules("ip6tables")
    firewall("set", "10.9.9.2", "fd09::2")
    assert (host.rules(), host.rules("ip6tables")) != before
    firewall("clear")
    assert (host.rules(), host.rules("ip6tables")) == before
    firewall("clear")


def test_rules_of_the_version_before_are_replaced(
    host: Network, firewall: Firewall
) -> None:
    jump = ("INPUT", "-p", "tcp", "--dport", str(PORT), "-j", "FLISWARM-TEST")
    host.run("iptables", "--new-chain", "FLISWARM-TEST")
    host.run("iptables", "--append", "FLISWARM-TEST", "--jump", "RETURN")
    host.run("iptables", "--append", *jump)
    firewall("set", "10.9.9.2")
    assert " -j RETURN" not in "\n".join(host.rules())
    assert sum("INPUT" in rule for rule in host.rules()) == 2


def test_two_sets_of_rules_stand_beside_each_other(
    host: Network, firewall: Firewall, tmp_path: Path
) -> None:
    firewall("set", "10.9.9.2")
    file = tmp_path / "registry.json"
    config = {
        "chain": "FLISWARM-REGISTRY",
        "ports": [5000],
        "allowed": ["10.9.9.0/24"],
        "memory": str(tmp_path / "registry"),
    }
    file.write_text(json.dumps(config))
    host.run(sys.executable, str(PROGRAM), "set", str(file))
    before = host.rules()
    firewall("check")
    firewall("set")
    host.run(sys.executable, str(PROGRAM), "check", str(file))
    assert host.rules() == before


def test_root_has_a_path_without_its_programs(firewall: Firewall) -> None:
    firewall("set", "10.9.9.2", path="/usr/local/bin:/usr/bin:/bin")


def test_where_no_rules_can_be_set_it_fails(tmp_path: Path) -> None:
    """Without the right to: as with a kernel that has no tables."""
    config = {"chain": "X", "ports": [1], "allowed": [], "memory": str(tmp_path / "m")}
    file = tmp_path / "c"
    file.write_text(json.dumps(config))
    os.chown(file, 65534, 65534)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    done = subprocess.run(
        ["/usr/bin/python3", "-", "close", str(file)],
        check=False,
        input=PROGRAM.read_bytes(),
        capture_output=True,
        user=65534,
        group=65534,
    )
    assert done.returncode == 1
    assert b"no rules can be set: iptables: " in done.stderr


def test_what_it_is_for_is_said(firewall: Firewall) -> None:
    assert "set|close|check|clear" in firewall("open", "10.9.9.2", code=1)
