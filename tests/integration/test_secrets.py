"""Nothing that is secret is told by a run of the whole site, on any host."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.conftest import ROOT, Lab
from tests.integration.test_provisioning import SITE

pytestmark = pytest.mark.lab

PKI = ROOT / ".lab" / "pki"

KEYS = r"""
find /etc /home /root /var/lib /opt -xdev -type f -not -path '/var/lib/docker/*' \
    '(' -name '*.key' -o -name 'id_*' -o -name 'ssh_host_*_key' -o -name htpasswd \
    -o -path '*docker*/config.json' -o -path '*fliswarm*/config.json' ')' \
    -not -name '*.pub' \
    -exec cat '{}' +
"""
"""Prints the private keys of a host, and the passwords of its registry."""

WRITER = "/etc/docker/registry/writer/registry.json"

TOLD = r"""
journalctl --sync
journalctl --all --no-pager --output export
find /var/log -xdev -type f -not -path '/var/log/journal/*' -exec cat '{}' +
"""
"""Prints all that a host has written down about what was done to it."""

WATCH = """
end=$(($(date +%s) + 300))
while [ ! -e /run/fliswarm-told ] && [ "$(date +%s)" -lt "$end" ]; do
    cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null || true
    sleep 0.2
done | tr '\\0' '\\n' | sort -u
"""
"""Prints the words of all processes of a host, until it is told to stop."""


def asked(host: str, program: str) -> bytes:
    """Return what a shell program prints as root on a host, byte by byte."""
    with started(host, program) as process:
        said, _ = process.communicate(timeout=120)
    return bytes(said)


def started(host: str, program: str) -> subprocess.Popen[bytes]:
    """Start a shell program as root on a host."""
    process = subprocess.Popen(
        ["ssh", "-F", str(ROOT / ".lab/ssh/config"), host, "sudo sh -s"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.write(program.encode())
    process.stdin.close()
    process.stdin = None
    return process


SECRET = re.compile(
    r"""^([A-Za-z0-9+/]{40,}={0,2})$ | "auth":\ *"([^"]{20,})" | (\$2[aby]\$\S{50,})""",
    re.MULTILINE | re.VERBOSE,
)
"""A line of a private key, each of which is enough to know one, or a password's."""


def lines_of(keys: str) -> set[str]:
    """Return what is secret in files of keys and passwords."""
    return {"".join(groups) for groups in SECRET.findall(keys)}


@dataclass
class Run:
    """What runs of the whole site have told, and to whom."""

    secrets: dict[str, str] = field(default_factory=dict)
    """Each secret, and what it is."""
    told: dict[str, bytes] = field(default_factory=dict)
    """All that was written down, by where."""

    def found(self, where: str) -> list[str]:
        """Return which secrets are in a place."""
        text = self.told[where]
        return sorted({w for s, w in self.secrets.items() if s.encode() in text})


@pytest.fixture(scope="module")
def run(fleet: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Yield what a run tells that changes things on all hosts, and one that follows.

    It gives the cameras a token, and each engine a label with a password, as a proxy's
    address would have.
    """
    folder = tmp_path_factory.mktemp("run")
    token, password = secrets.token_hex(16), secrets.token_hex(16)
    variables = folder / "variables.json"
    settings = {
        "fliswarm_environment": {"SOME_SITES": token, "SECOND": "2"},
        "docker_engine_options": {"labels": [f"proxy=http://me:{password}@proxy:3128"]},
    }
    variables.write_text(json.dumps(settings))
    hosts = ("manager", *fleet.nodes)
    for host in hosts:
        fleet.ssh(host, "sudo rm -f /run/fliswarm-told")
    with ExitStack() as stack:
        watches = {host: stack.enter_context(started(host, WATCH)) for host in hosts}
        done = fleet.run(
            *("ansible-playbook", *SITE, "--diff", "-v", "-e", f"@{variables}"),
            limit=900,
            EVERYTHING=str(folder / "everything"),
            ANSIBLE_CALLBACK_PLUGINS=str(Path(__file__).parent / "callbacks"),
            ANSIBLE_CALLBACKS_ENABLED="everything",
        )
        for host in hosts:
            fleet.ssh(host, "sudo touch /run/fliswarm-told")
        words = {h: w.communicate(timeout=60)[0] for h, w in watches.items()}
    assert done.code == 0, done.out
    result = Run({token: "token of the cameras", password: "password of a proxy"})
    result.told["results"] = (folder / "everything").read_bytes()
    result.told["output"] = (done.out + done.err).encode()
    # As it was; what it tells is told by the program of ours.
    events = fleet.run(
        *("fliswarm", "provision", "-i", "inventory/lab", "--json"),
        limit=900,
        ANSIBLE_DIFF_ALWAYS="1",
        TMPDIR=str(folder),
    )
    assert events.code == 0, events.out
    result.told["events"] = (events.out + events.err).encode()
    left = [p for p in folder.rglob("*") if p.is_file() and p != variables]
    result.told["left on disk"] = b"".join(
        path.read_bytes() for path in left if path.name != "everything"
    )
    for path in PKI.rglob("*.key"):
        for line in lines_of(path.read_text()):
            result.secrets[line] = str(path.relative_to(PKI))
    writer = json.loads(asked("manager", f"cat {WRITER}"))
    result.secrets[writer["password"]] = "password of the registry"
    for host in hosts:
        for line in lines_of(asked(host, KEYS).decode()):
            result.secrets.setdefault(line, f"a key of {host}")
        result.told[f"journal of {host}"] = asked(host, TOLD)
        result.told[f"processes of {host}"] = words[host]
        fleet.ssh(host, "sudo rm -f /run/fliswarm-told")
    yield result


def test_there_is_something_to_look_for_and_to_look_at(run: Run, fleet: Lab) -> None:
    names = set(run.secrets.values())
    assert {"ca.key", "controller.key", "hosts/gfa1/server.key"} <= names
    assert {"hosts/gfa1/puller.key", "a key of manager", "a key of gfa1"} <= names
    for host in ("manager", *fleet.nodes):
        assert b"sshd" in run.told[f"journal of {host}"]
        assert b"systemd" in run.told[f"processes of {host}"]
        assert b"ansible-ansible" in run.told[f"journal of {host}"]
    assert b'"changed"' in run.told["results"]
    assert b'"kind": "changed"' in run.told["events"]


@pytest.mark.parametrize("where", ["journal", "processes"])
def test_no_host_has_heard_of_a_secret(run: Run, fleet: Lab, where: str) -> None:
    for host in ("manager", *fleet.nodes):
        assert run.found(f"{where} of {host}") == [], host


@pytest.mark.parametrize("where", ["results", "output", "events", "left on disk"])
def test_who_runs_it_is_not_told_a_secret(run: Run, where: str) -> None:
    assert run.found(where) == []


def test_what_holds_secrets_is_for_its_users_alone(fleet: Lab) -> None:
    files = "/etc/fliswarm/fliswarm.yaml /var/lib/fliswarm-provision"
    done = fleet.ssh("manager", f"sudo stat --format '%a %U %G' {files}")
    assert done.out.splitlines() == ["640 root fliswarm", "700 root root"]
