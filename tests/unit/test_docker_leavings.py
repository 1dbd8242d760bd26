"""The module docker_leavings: what of an engine is ours, and what is somebody's."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from ansible_collections.sdss.fliswarm.plugins.modules import docker_leavings

NODE = {"org.sdss.fliswarm.node": "gfa1"}

RECIPE = {"org.sdss.fliswarm.recipe": "1"}


def image(identity: str, *tags: str, **labels: str) -> dict[str, Any]:
    return {"Id": identity, "RepoTags": list(tags), "RepoDigests": [], "Labels": labels}


def container(name: str, runs: str, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "Names": [f"/{name}"],
        "ImageID": runs,
        "Labels": labels,
        "Mounts": [{"Name": f"{name}-data"}],
    }


def engine(**more: Any) -> dict[str, Any]:  # noqa: ANN401  what an engine answers
    """Return the answers of an engine by path; ours alone unless told otherwise."""
    nets = [{"Name": name} for name in ("bridge", "host", "none")]
    return {
        "/containers/json?all=1": [container("flicamera-gfa1", "sha256:cam", NODE)],
        "/volumes": {"Volumes": [{"Name": "flicamera-gfa1-data", "Labels": {}}]},
        "/images/json": [image("sha256:cam", "hub:5000/sdss/flicamera:latest")],
        "/networks": nets,
        "/plugins": [],
        "/info": {"Swarm": {"LocalNodeState": "inactive"}},
        "/images/sha256%3Acam/json": {"RootFS": {"Layers": ["base", "camera"]}},
        "/images/sha256%3Abase/json": {"RootFS": {"Layers": ["base"]}},
        "/images/sha256%3Aother/json": {"RootFS": {"Layers": ["other"]}},
        **more,
    }


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Give the engine's answers, which a test may change before it looks."""
    answers = engine()
    monkeypatch.setattr(docker_leavings, "ask", lambda _method, path: answers[path])
    return answers


def look(name: str = "sdss/flicamera:latest") -> tuple[list[str], list[str]]:
    found = docker_leavings.Found(name)
    return found.ours(), found.foreign()


def test_of_ours_nothing_is_foreign(ask: dict[str, Any]) -> None:
    assert look() == (["flicamera-gfa1", "sha256:cam"], [])
    # With the container gone, what carries no label is known by its name.
    ask["/containers/json?all=1"], ask["/volumes"] = [], {"Volumes": None}
    assert look() == (["sha256:cam"], [])
    assert look("another/camera")[1] == ["image hub:5000/sdss/flicamera:latest"]


def test_what_ours_was_built_on_is_not_somebody_s(ask: dict[str, Any]) -> None:
    ask["/images/json"] = [
        image("sha256:cam", "sdss/flicamera:latest", **RECIPE),
        image("sha256:base", "python:3.11"),
    ]
    assert look()[1] == []


def test_all_that_others_have_is_told(ask: dict[str, Any]) -> None:
    ask["/images/json"].append(image("sha256:other", "lab/pipeline:nightly"))
    ask["/containers/json?all=1"].append(container("theirs", "sha256:other", {}))
    ask["/volumes"]["Volumes"].append({"Name": "data", "Labels": None})
    ask["/networks"].append({"Name": "compose_default"})
    ask["/plugins"] = [{"Name": "vieux/sshfs:latest"}]
    ask["/info"] = {"Swarm": {"LocalNodeState": "active"}}
    ours, foreign = look()
    assert ours == ["flicamera-gfa1", "sha256:cam"]
    assert foreign == [
        "a Docker Swarm",
        "image lab/pipeline:nightly",
        "network compose_default",
        "plugin vieux/sshfs:latest",
        "theirs",
        "volume data",
    ]


def test_an_image_of_ours_that_others_run_or_named_stays(ask: dict[str, Any]) -> None:
    ask["/containers/json?all=1"] = [container("theirs", "sha256:cam", {})]
    assert look()[0] == []
    ask["/containers/json?all=1"] = []
    ask["/images/json"] = [image("sha256:cam", "sdss/flicamera:1", "mine/copy:1")]
    assert look() == (
        [],
        ["image sdss/flicamera:1", "volume flicamera-gfa1-data"],
    )


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("10.25.1.1:5000/sdss/flicamera:latest", "sdss/flicamera"),
        ("sdss/flicamera@sha256:0", "sdss/flicamera"),
        ("docker.io/library/debian:12", "debian"),
        ("[fd00::1]:5000/a/b:c", "a/b"),
        ("debian", "debian"),
    ],
)
def test_the_name_of_an_image(reference: str, name: str) -> None:
    assert docker_leavings.repository(reference) == name


# An engine that does not answer


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where an engine and containerd keep what they have."""
    monkeypatch.setattr(docker_leavings, "DATA", tmp_path / "docker")
    monkeypatch.setattr(docker_leavings, "CONTAINERD", tmp_path / "containerd")
    monkeypatch.setattr(docker_leavings.engine_api, "API", str(tmp_path / "socket"))
    return tmp_path


class Module:
    """Stands for Ansible's, with the parameters."""

    check_mode = False

    def __init__(self, *, containerd: bool) -> None:
        self.params = {"image": "sdss/flicamera:latest", "containerd": containerd}


def away(socket_path: Path, how: str) -> socket.socket | None:
    """Let an engine be one that is not there, refuses, or hangs up."""
    if how == "not there":
        return None
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(socket_path))
    if how == "refuses":
        return server
    server.listen()
    Thread(target=_hang_up, args=(server, how), daemon=True).start()
    return server


def _hang_up(server: socket.socket, how: str) -> None:
    with suppress(OSError):
        while True:
            client, _ = server.accept()
            with client:
                client.recv(4096)
                if how == "babbles":
                    client.sendall(b"what?\r\n\r\n")


@pytest.mark.parametrize("how", ["not there", "refuses", "hangs up", "babbles"])
def test_what_an_engine_that_does_not_answer_has_is_not_lost(
    folders: Path, how: str
) -> None:
    """Its files tell that there is something, whoever it belongs to."""
    server = away(folders / "socket", how)
    try:
        there = folders / "docker/volumes/somebodys"
        there.mkdir(parents=True)
        said = docker_leavings.look_and_remove(Module(containerd=False))
        assert said["foreign"] == [f"{there.parent} (Docker Engine does not answer)"]
        assert (said["engine"], said["changed"], said["ours"]) == (False, False, [])
        there.rmdir()
        said = docker_leavings.look_and_remove(Module(containerd=False))
        assert said["foreign"] == []
    finally:
        if server:
            server.close()


def test_what_a_containerd_that_does_not_answer_has_is_not_lost(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folders))
    content = folders / "containerd/io.containerd.content.v1.content/blobs/sha256"
    content.mkdir(parents=True)
    assert docker_leavings.look_and_remove(Module(containerd=True))["foreign"] == []
    (content / "abc").touch()
    for program in ("", "#!/bin/sh\nexit 1\n"):
        if program:
            (folders / "ctr").write_text(program)
            (folders / "ctr").chmod(0o755)
        said = docker_leavings.look_and_remove(Module(containerd=True))
        assert said["foreign"] == [f"{content} (containerd does not answer)"]
    assert docker_leavings.look_and_remove(Module(containerd=False))["foreign"] == []
