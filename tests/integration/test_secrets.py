"""A run of the whole site tells no secret: neither to hosts nor to who watches it."""

from __future__ import annotations

import json
import re
import secrets
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.conftest import PROGRAMS, ROOT, Lab
from tests.integration.test_provisioning import SITE

pytestmark = pytest.mark.lab

OWN = r"""
find /etc/docker /etc/fliswarm /var/lib/fliswarm /var/lib/fliswarm-provision \
    -type f -size -64k -exec grep --files-with-matches 'PRIVATE KEY-' {} + 2>/dev/null |
    while read -r file; do cat "$file"; done
cat /etc/docker/registry/writer/*.json 2>/dev/null
true
"""
"""Prints the secrets that a host has: private keys, and who may write images."""

TOLD = r"""
patterns=$(mktemp -p /run)
trap 'rm -f "$patterns"' EXIT
cat >"$patterns"
search() { grep --text --fixed-strings --file="$patterns" | tr -cd '[:print:]\n'; }
journalctl --sync
# With the fields beside the messages, which have the arguments of modules.
journalctl --all --output=verbose --no-pager | search
find /var/log -type f ! -path '/var/log/journal/*' -exec zcat --force {} + | search
true
"""
"""Prints each line of a host's journal and logs that has one of the patterns given."""

BODY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----([^-]+)-----END")

NEW_LINE = re.compile(r"\\n|\n")


def pieces(text: str) -> set[str]:
    """Return what each private key in a text is known by.

    The first line says of which kind it is. The last has of the public half alone,
    which certificates show.
    """
    bodies = [list(filter(None, NEW_LINE.split(body))) for body in BODY.findall(text)]
    return {line for body in bodies for line in body[1:-1]}


@dataclass
class Processes:
    """All command lines of this computer, those of the hosts in it among them."""

    seen: set[str] = field(default_factory=set)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at them again and again, until the end."""
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(over,))
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(0.02):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    words = file.read_bytes()
                except OSError:
                    continue
                self.seen.add(words.replace(b"\0", b" ").decode(errors="replace"))


@dataclass
class Told:
    """A run that knows secrets, and all that it said."""

    secrets: dict[str, str]
    """What was given to it, by what it is."""
    events: str
    output: str
    processes: str


def vaulted(lab: Lab, text: str, password: Path) -> str:
    """Return a text as it stands in an inventory under a vault."""
    words = ("encrypt_string", "--vault-password-file", str(password), text)
    done = lab.run("ansible-vault", *words)
    assert done.code == 0, done.err
    return done.out


@pytest.fixture(scope="module")
def told(fleet: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Yield what a run of the site said, and run it again without the secrets."""
    folder = tmp_path_factory.mktemp("secrets")
    given = {
        name: secrets.token_hex(16) for name in ("token", "proxy", "become", "vault")
    }
    password, more = folder / "password", folder / "more.yml"
    password.write_text(given["vault"])
    token = vaulted(fleet, given["token"], password).replace("\n", "\n    ")
    more.write_text(
        f"ansible_become_password: {given['become']}\n"
        f"fliswarm_environment:\n  TOKEN: {token}\n"
        f"  HTTPS_PROXY: http://me:{given['proxy']}@192.0.2.1:3128\n"
    )
    events, processes = folder / "events", Processes()
    with processes.watched():
        done = fleet.run(
            *("ansible-playbook", *SITE, "--diff", "-vvv", "-e", f"@{more}"),
            *("--vault-password-file", str(password)),
            limit=900,
            EVERYTHING=str(events),
            ANSIBLE_CALLBACK_PLUGINS=str(Path(__file__).parent / "callbacks"),
            ANSIBLE_CALLBACKS_ENABLED="everything",
        )
    yield Told(
        given, events.read_text(), done.out + done.err, "\n".join(processes.seen)
    )
    back = fleet.run("ansible-playbook", *SITE, limit=900)
    assert done.code == 0, done.out
    assert back.code == 0, back.out


def own(lab: Lab, host: str) -> set[str]:
    """Return the secrets that a host has."""
    said = lab.ssh(host, f"sudo sh <<'END'\n{OWN}\nEND").out
    found = pieces(said)
    for line in said.splitlines():
        if line.startswith("{"):
            known = json.loads(line)
            found |= {known["password"]} if "password" in known else set()
            found |= {one["auth"] for one in known.get("auths", {}).values()}
    return found


@pytest.fixture(scope="module")
def existing(fleet: Lab, told: Told) -> set[str]:
    """Return all secrets that exist: those given, the hosts', and the authority's."""
    keys = [file.read_text() for file in (ROOT / ".lab/pki").rglob("*.key")]
    found = {*told.secrets.values(), *pieces("\n".join(keys))}
    for host in ("manager", *fleet.nodes):
        mine = own(fleet, host)
        # Of the engine, and of the controller and who writes images.
        assert len(mine) >= (6 if host == "manager" else 2), host
        found |= mine
    return found


def test_the_run_that_knew_them_changed_something(told: Told) -> None:
    """So that its differences were shown, and its files written."""
    assert "/etc/fliswarm/fliswarm.yaml (mode 0640)" in told.output
    assert "/etc/fliswarm/fliswarm.yaml" in told.events
    assert str(PROGRAMS / "ansible-playbook") in told.processes


def test_no_event_difference_or_process_tells_a_secret(
    told: Told, existing: set[str]
) -> None:
    for where, text in (
        ("events", told.events),
        ("output", told.output),
        ("processes", told.processes),
    ):
        lines = [line for line in text.splitlines() if any(s in line for s in existing)]
        assert not lines, (where, lines[:3])
        assert "PRIVATE KEY-----" not in text, where


def test_no_host_has_heard_of_a_secret(fleet: Lab, existing: set[str]) -> None:
    """In its journal and in its logs, where a word that was put there is found."""
    planted = secrets.token_hex(16)
    patterns = "\n".join(sorted({*existing, planted, "PRIVATE KEY-----"}))
    assert "'" not in patterns
    for host in ("manager", *fleet.nodes):
        place = "sudo tee -a /var/log/planted >/dev/null"
        command = f"echo {planted} | {place}; logger {planted}"
        assert fleet.ssh(host, command).code == 0
        try:
            search = f"sudo sh -c {shlex.quote(TOLD)}"
            done = fleet.ssh(host, f"{search} <<'END'\n{patterns}\nEND", limit=120)
        finally:
            fleet.ssh(host, "sudo rm /var/log/planted")
        lines = done.out.splitlines()
        assert sum(planted in line for line in lines) >= 2, done
        assert not [line for line in lines if planted not in line], (host, lines[:3])
