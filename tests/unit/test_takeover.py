"""Docker Engines of others, taken over whole or refused: what needs no host."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.sdss.fliswarm.plugins.module_utils import (
    daemon_json,
    docker_service,
    host,
    unit_text,
)

CASES = sorted((Path(__file__).parents[1] / "cases" / "unit").glob("*.yaml"))

UNIT = """\
[Service]
EnvironmentFile=-/etc/default/docker
ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/c.sock
"""


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_case(file: Path) -> None:
    case: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    before, files = case["before"], case.get("files", {})
    texts = [case.get("unit", UNIT), before]
    command, taken = unit_text.take(docker_service.command_of(texts), case["keys"])
    assert taken == case["taken"]
    assert unit_text.bridged(taken) == case.get("bridged", {})
    after = docker_service.service_unit(command, before)
    assert after == case["after"]
    given = unit_text.environment(texts, lambda path: files.get(path, ""))
    words = unit_text.words(command, given)
    assert words == case["words"]
    assert unit_text.given(words, case["keys"]) == case.get("hidden", {})
    # Nothing is lost, nothing of ours is taken for theirs, and it stays as it is.
    assert docker_service.added(before, after) == ""
    assert docker_service.added(after, after) == ""
    rewritten = docker_service.service_unit(command, before, patient=True)
    assert docker_service.added(rewritten, after) == ""
    assert "".join(chunk.text for chunk in unit_text.chunks(after)) == after


def test_what_somebody_adds_to_our_drop_in_stays() -> None:
    ours = docker_service.service_unit("/usr/bin/dockerd")
    now = ours + "Environment=A=1\n[Unit]\nAfter=a.service\n"
    assert docker_service.added(now, ours) == (
        "[Service]\nEnvironment=A=1\n[Unit]\nAfter=a.service\n"
    )
    whole = ours + docker_service.added(now, ours)
    assert docker_service.added(whole, whole) == ""


def test_a_drop_in_of_the_socket_is_kept() -> None:
    theirs = "[Socket]\nSocketGroup=cameras\n"
    ours = docker_service.socket_unit(theirs)
    assert ours.startswith(theirs)
    assert docker_service.socket_unit(ours) == ours


def test_a_command_that_counts_later_is_seen_with_blanks() -> None:
    assert unit_text.sets("[Service]\nExecStart = \n", "ExecStart")
    assert not unit_text.sets("[Service]\n#ExecStart=\n[X]\nExecStart=a", "ExecStart")


@pytest.mark.parametrize(
    ("theirs", "options", "driver", "logs"),
    [
        ({}, {}, "", {"max-size": "50m", "max-file": "3"}),
        ({"log-driver": "json-file"}, {}, "", {"max-size": "50m", "max-file": "3"}),
        ({"log-driver": "journald"}, {}, "", None),
        ({}, {}, "syslog", None),
        ({}, {"log-driver": "local"}, "", None),
        ({"log-opts": {"max-size": "7m"}}, {}, "", {"max-size": "7m"}),
        (
            {"log-opts": {"tag": "a"}},
            {},
            "",
            {"max-size": "50m", "max-file": "3", "tag": "a"},
        ),
        ({}, {"log-opts": {"max-size": "1g"}}, "", {"max-size": "1g"}),
        ({}, {"log-opts": None}, "", None),
    ],
)
def test_logs_are_bounded_where_nobody_has_said_how(
    theirs: dict[str, Any],
    options: dict[str, Any],
    driver: str,
    logs: dict[str, str] | None,
) -> None:
    settings = daemon_json.settings(["unix://"], options, None)
    settings.update(daemon_json.log_bound(theirs, options, driver))
    wanted = daemon_json.merge(theirs, settings, {}, {})
    assert wanted.get("log-opts") == logs
    # And when it is there, it is still what it was.
    ours = daemon_json.ours_in(wanted, theirs)
    assert daemon_json.foreign(wanted, ours) == theirs


def test_what_flags_gave_is_beside_what_the_file_has() -> None:
    theirs = {"insecure-registries": ["a:1"], "log-opts": {"max-size": "7m"}}
    flags = {"insecure-registries": ["a:1", "b:1"], "log-opts": {"tag": "x"}}
    assert daemon_json.with_flags(theirs, flags) == {
        "insecure-registries": ["a:1", "b:1"],
        "log-opts": {"max-size": "7m", "tag": "x"},
    }
    assert daemon_json.with_flags({}, flags) == flags


@pytest.mark.parametrize(
    ("no_proxy", "asked"),
    [
        ("", ["hub:5000", "10.25.1.1:5000"]),
        ("localhost,hub", ["10.25.1.1:5000"]),
        ("hub:5000, 10.25.0.0/16", []),
        ("10.25.1.1", ["hub:5000"]),
        (".hub", ["hub:5000", "10.25.1.1:5000"]),
        ("*", []),
    ],
)
def test_a_registry_behind_a_proxy_is_found(no_proxy: str, asked: list[str]) -> None:
    registries = ["hub:5000", "10.25.1.1:5000"]
    info = {"HttpsProxy": "http://proxy:3128", "NoProxy": no_proxy}
    assert list(daemon_json.proxied(info, registries)) == asked
    assert not list(daemon_json.proxied({"NoProxy": no_proxy}, registries))


def test_an_address_that_may_come_late_is_told_from_all() -> None:
    assert daemon_json.needs_an_address(["unix:///a", "tcp://10.25.1.11:2376"])
    assert daemon_json.needs_an_address(["tcp://[fd00::1]:2376"])
    assert not daemon_json.needs_an_address(
        ["tcp://0.0.0.0:1", "tcp://[::]:1", "tcp://127.0.0.1:1", "unix:///a"]
    )
    patient = docker_service.service_unit("dockerd", patient=True)
    assert unit_text.values([patient], "StartLimitIntervalSec", "Unit") == ["0"]


@pytest.mark.parametrize(
    ("release", "systemd", "words"),
    [
        ("ID=debian\n", True, ""),
        ("ID=linuxmint\nID_LIKE='ubuntu debian'\n", True, ""),
        ('ID=fedora\nPRETTY_NAME="Fedora Linux 41"\n', True, "Fedora Linux 41"),
        ("ID=debian\nPRETTY_NAME=Debian\n", False, "not run by systemd"),
        (None, True, "of an unknown kind"),
    ],
)
def test_a_host_of_another_kind_is_refused(
    tmp_path: Path, release: str | None, *, systemd: bool, words: str
) -> None:
    if release is not None:
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc/os-release").write_text(release)
    if systemd:
        (tmp_path / "run/systemd/system").mkdir(parents=True)
    said = host.unknown(str(tmp_path))
    assert words in said if words else said == ""


SIMULATED = """\
Reading package lists...
Remv containerd.io [1.7.22-1]
Inst containerd (1.6.20 Debian:12 [amd64])
Conf docker.io (20.10.24 Debian:12 [amd64])
Purg podman-docker:amd64 [4.3]
"""


def test_what_an_installation_would_remove_is_read_from_apt() -> None:
    assert host.removed(SIMULATED) == ["containerd.io", "podman-docker"]


def apt_that_says(folder: Path, text: str, code: int = 0) -> None:
    """Put a program in the place of apt."""
    apt = folder / "apt-get"
    apt.write_text(f"#!/bin/sh\ncat <<'EOF'\n{text}EOF\nexit {code}\n")
    apt.chmod(apt.stat().st_mode | stat.S_IXUSR)


def test_an_installation_that_removes_something_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt_that_says(tmp_path, SIMULATED)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    gone = host.removed_by(["docker.io"])
    assert gone == ["containerd.io", "podman-docker"]
    words = host.refusal(["docker.io"], gone)
    assert "containerd.io" in words
    assert "docker-ce" in words
    assert "Remedy" in words
    assert host.removed_by([]) == []
    apt_that_says(tmp_path, "E: Unable to locate package docker.io\n", 100)
    assert host.removed_by(["docker.io"]) == []


def test_root_s_programs_are_found_by_who_became_root_with_su(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin:/bin:/sbin")
    host.know_root_programs()
    host.know_root_programs()
    assert os.environ["PATH"] == (
        "/usr/local/bin:/usr/bin:/bin:/sbin:/usr/local/sbin:/usr/sbin"
    )
