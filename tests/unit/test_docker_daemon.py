"""The parts of the module docker_daemon that need no host."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.sdss.fliswarm.plugins.module_utils import (
    daemon_change,
    daemon_json,
    docker_service,
    kept,
    unit_text,
)
from ansible_collections.sdss.fliswarm.plugins.modules import docker_daemon

CASES = sorted((Path(__file__).parents[1] / "cases" / "daemon").glob("*.yaml"))


def mine(text: str, mode: int = 0o644) -> kept.File:
    """Return a file that a test may write, whoever runs it."""
    return kept.File(text, mode, os.getuid(), os.getgid())


def merged(case: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the keys of others, and the keys that are wanted."""
    theirs = daemon_json.foreign(case["found"], case.get("ours", {}))
    settings = daemon_json.settings(
        case["hosts"], case.get("options", {}), case.get("tls", False)
    )
    plain = {"insecure-registries": case.get("registries", [])}
    trusted = {"insecure-registries": case.get("trusted", [])}
    return theirs, daemon_json.merge(theirs, settings, plain, trusted)


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_case(file: Path) -> None:
    case = yaml.safe_load(file.read_text("utf-8"))
    theirs, wanted = merged(case)
    assert wanted == case["wanted"]
    assert daemon_json.differing(case["found"], wanted) == case["differing"]
    assert daemon_json.reloadable(case["found"], wanted) is case["reload"]
    # Whatever was done, the keys of others can be told from it.
    ours = daemon_json.ours_in(wanted, theirs)
    assert daemon_json.foreign(wanted, ours) == theirs
    # Once it is there, nothing is left to do.
    assert merged({**case, "found": wanted, "ours": ours})[1] == wanted


@pytest.mark.parametrize(
    ("text", "where"),
    [
        # Where Python sees it: at the brace, or from 3.13 on at the comma before it.
        (
            '{\n  "insecure-registries": ["10.25.1.1:5000"],\n}\n',
            r"line (3, column 1|2, column 44)\b",
        ),
        ("{'hosts': []}", "line 1, column 2"),
        ("[]", "line 1, column 1"),
    ],
)
def test_a_malformed_file_is_refused_by_line_and_column(text: str, where: str) -> None:
    with pytest.raises(ValueError, match=where):
        daemon_json.parse(text)


@pytest.mark.parametrize("text", [None, "", "\n", "{}", "\ufeff{}"])
def test_an_empty_file_has_no_keys(text: str | None) -> None:
    assert daemon_json.parse(text) == {}


def test_addresses_are_those_that_the_host_itself_reaches() -> None:
    hosts = ["tcp://0.0.0.0:2376", "tcp://[::]:2376", "tcp://10.0.0.1:2376", "unix://"]
    found = daemon_json.tcp_addresses({"hosts": hosts})
    assert found == [("127.0.0.1", 2376), ("::1", 2376), ("10.0.0.1", 2376)]


def test_a_network_of_insecure_registries_is_found() -> None:
    theirs = {"insecure-registries": ["lab:5000", "10.25.0.0/16", "10.25.1.1:5000"]}
    found = daemon_json.insecure_networks(theirs, ["hub:5000", "10.25.1.1:5000"])
    assert list(found) == [("10.25.0.0/16", "10.25.1.1:5000")]
    assert not list(daemon_json.insecure_networks({"insecure-registries": None}, ["a"]))


@pytest.mark.parametrize("tls", [True, False])
def test_addresses_without_a_port_have_that_of_docker(*, tls: bool) -> None:
    hosts = ["tcp://", "tcp://0.0.0.0", "tcp://[::1]", "tcp://dome/"]
    found = daemon_json.tcp_addresses({"hosts": hosts, "tls": tls})
    names = ["127.0.0.1", "127.0.0.1", "::1", "dome"]
    assert found == [(name, 2376 if tls else 2375) for name in names]


@pytest.mark.parametrize(
    ("unit", "command"),
    [
        (
            "ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/c.sock\n",
            "/usr/bin/dockerd --containerd=/run/c.sock",
        ),
        (
            "ExecStart=/usr/sbin/dockerd -H fd:// \\\n  --containerd=/run/c.sock"
            " $DOCKER_OPTS\n",
            "/usr/sbin/dockerd --containerd=/run/c.sock $DOCKER_OPTS",
        ),
        (
            "ExecStart=\nExecStart=/opt/dockerd --host=tcp://0.0.0.0:1 --debug\n",
            "/opt/dockerd --debug",
        ),
        (
            "ExecStart=/usr/bin/dockerd -H fd://\nExecStart=\n"
            "ExecStart=/usr/bin/dockerd --data-root=/data -H tcp://:1"
            " --host-gateway-ip 10.0.0.1\n",
            "/usr/bin/dockerd --data-root=/data --host-gateway-ip 10.0.0.1",
        ),
    ],
)
def test_the_packaged_command_keeps_all_but_its_addresses(
    unit: str, command: str
) -> None:
    whole = docker_service.command_of([f"[Service]\n{unit}"])
    assert unit_text.take(whole, ["hosts"])[0] == command


def test_a_snap_is_told_from_a_package(tmp_path: Path) -> None:
    assert not docker_service.is_snap(str(tmp_path))
    snaps = tmp_path / "var/lib/snapd/snaps"
    snaps.mkdir(parents=True)
    (snaps / "core22_1.snap").touch()
    assert not docker_service.is_snap(str(tmp_path))
    (snaps / "docker_2932.snap").touch()
    assert docker_service.is_snap(str(tmp_path))


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    file, link = tmp_path / "daemon.json", tmp_path / "link"
    file.write_bytes(b"\xff{}")
    file.chmod(0o640)
    link.symlink_to(file)
    before = kept.read(str(link))
    packed = kept.pack({str(link): before, "/nonexistent": None})
    kept.write(str(link), mine("{}", 0o600), follow=True)
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("{}", 0o600)
    for path, former in kept.unpack(packed).items():
        kept.write(path, former, follow=True)
    assert link.is_symlink()
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"\xff{}", 0o640)
    assert {entry.name for entry in tmp_path.iterdir()} == {"daemon.json", "link"}


def test_folders_that_were_made_go_when_they_are_empty(tmp_path: Path) -> None:
    paths = [str(tmp_path / "a/b/c.pem"), str(tmp_path / "a/d.pem")]
    folders = kept.missing_folders(paths)
    assert folders == [str(tmp_path / "a"), str(tmp_path / "a/b")]
    for path in paths:
        kept.write(path, mine("x"))
    kept.write(paths[0], None)
    kept.remove_folders(folders)
    assert not (tmp_path / "a/b").exists()
    assert Path(paths[1]).exists()


def test_a_secret_shows_only_that_it_differs() -> None:
    before, after = kept.File("old key"), kept.File("new key")
    shown = kept.show("/k", before, after, secret=True)
    assert "key" not in str(shown).replace("/k", "")
    assert kept.show("/k", before, after, secret=False)["after"] == "new key"


def test_a_record_is_for_root_alone(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    record = kept.Record("docker_daemon", store)
    assert record.load() == {}
    record.save({"journal": None})
    assert record.load() == {"journal": None}
    assert kept.records(store) == ["docker_daemon"]
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "store/docker_daemon.json").stat().st_mode & 0o777 == 0o600
    record.remove()
    assert not (tmp_path / "store").exists()


INFO = {
    "LiveRestoreEnabled": True,
    "Labels": ["site=lab"],
    "RegistryConfig": {
        "InsecureRegistryCIDRs": ["127.0.0.0/8"],
        "IndexConfigs": {"docker.io": {"Secure": True}, "hub:5000": {"Secure": False}},
    },
}


@pytest.mark.parametrize(
    ("daemon", "late"),
    [
        ({}, []),
        ({"live-restore": True, "labels": ["site=lab"]}, []),
        ({"insecure-registries": ["hub:5000", "127.0.0.0/8"]}, []),
        ({"insecure-registries": None, "log-driver": "journald"}, []),
        ({"insecure-registries": ["hub:5001"]}, ["insecure-registries"]),
        ({"live-restore": False, "labels": ["a=b"]}, ["labels", "live-restore"]),
    ],
)
def test_what_a_running_daemon_has_not_taken(
    daemon: dict[str, Any], late: list[str]
) -> None:
    assert daemon_json.not_in_force(daemon, INFO) == late


def test_a_link_to_somebody_s_file_is_not_written_through(tmp_path: Path) -> None:
    """In certs.d, where sites link to the authority of theirs."""
    theirs, trust = tmp_path / "site-ca.pem", tmp_path / "certs.d/hub:5000/ca.crt"
    theirs.write_text("theirs\n")
    trust.parent.mkdir(parents=True)
    trust.symlink_to(theirs)
    daemon_change.put({str(trust): mine("ours\n")})
    assert (trust.read_text(), trust.is_symlink()) == ("ours\n", False)
    assert theirs.read_text() == "theirs\n"
    # Also where it leads to what is to be there.
    trust.unlink()
    theirs.write_text("ours\n")
    trust.symlink_to(theirs)
    daemon_change.put({str(trust): mine("ours\n")})
    assert not trust.is_symlink()
    # The engine's own file may be one that its site keeps elsewhere.
    assert not daemon_change._stray_link(daemon_change.CONFIG)


class Warned:
    """A module that keeps what it warns of."""

    params: dict[str, Any] = {"registries": ["hub:5000"]}  # noqa: RUF012  of Ansible

    def __init__(self) -> None:
        self.words: list[str] = []

    def warn(self, words: str) -> None:
        self.words.append(words)


def test_a_registry_behind_a_proxy_is_warned_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    info = {"HttpProxy": "http://proxy:3128", "NoProxy": "localhost"}
    monkeypatch.setattr(docker_service, "ask", lambda _path: info)
    module = Warned()
    docker_daemon._warn(module, [])
    (said,) = module.words
    assert "asks a proxy for the registry hub:5000" in said
    assert "Remedy: add hub to NO_PROXY" in said
    info["NoProxy"] = "hub"
    docker_daemon._warn(module, [])
    assert len(module.words) == 1
    docker_daemon._warn(module, ["portainer"])
    assert "Remedy: sudo docker restart portainer" in module.words[1]
