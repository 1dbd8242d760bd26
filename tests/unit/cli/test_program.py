"""The program as its user starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from fliswarm import __version__
from tests.unit.support.site import free_port, original


@dataclass(frozen=True)
class Done:
    """A program that has ended."""

    code: int
    out: str
    err: str


class Program:
    """``fliswarm`` with a configuration of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        socket = folder / "c.sock"
        self.config = original(
            folder, f"control: {{socket: {socket}}}\n", port=self.port
        )

    def run(self, *words: str, given: str = "", **environment: str) -> Done:
        """Run the program to its end, with ``given`` on its standard input."""
        words = (sys.executable, "-m", "fliswarm", *words)
        return self.run_program(words, given, **environment)

    def run_program(
        self, words: Sequence[str], given: str = "", **environment: str
    ) -> Done:
        """Run any program in the same surroundings."""
        own = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("FLISWARM", "OBSERVATORY"))
        }
        own["OBSERVATORY"] = "APO"
        own["STATE_DIRECTORY"] = str(self.folder / "state")
        done = subprocess.run(
            words,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.folder,
            env={**own, **environment},
        )
        assert "Traceback" not in done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def command(self, *words: str) -> list[str]:
        """Return the words that run it with its configuration."""
        return [sys.executable, "-m", "fliswarm", "-c", str(self.config), *words]

    def __call__(self, *words: str, given: str = "", **environment: str) -> Done:
        """Run it with its configuration."""
        words = ("-c", str(self.config), *words)
        return self.run(*words, given=given, **environment)


@pytest.fixture
def fliswarm(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path)
    yield program
    assert program("stop").code == 0


def test_a_life(fliswarm: Program) -> None:
    log = fliswarm.folder / "logs" / "fliswarm.log"
    assert fliswarm("start", "--log", str(log)) == Done(0, "fliswarm -- started\n", "")

    again = fliswarm("start", "--log", str(log))
    assert again.code == 1
    assert again.err.startswith("fliswarm: fliswarm is running already, on ")

    ping = fliswarm("send", "ping")
    assert (ping.code, ping.err) == (0, "")
    assert ping.out.split() == ["fliswarm", ":", "text=Pong."]

    # Nobody answers in the whole fleet: the replies say so, and so does the exit code.
    talk = fliswarm("talk", "--json", "-n", "gfa1", "ping")
    assert talk.code == 4
    lines = [json.loads(line) for line in talk.out.splitlines()]
    assert [line["code"] for line in lines] == [">", "w", "w", "f"]
    assert lines[-1]["data"] == {"error": "No camera answered."}
    assert {line["sender"] for line in lines} == {"fliswarm"}

    unknown = fliswarm("talk", "-n", "gfa9", "ping")
    assert unknown.code == 2
    assert "no node 'gfa9'; did you mean 'gfa" in unknown.out + unknown.err

    restarted = fliswarm("restart", "--log", str(log), "--nodes", "fvc")
    assert restarted.code == 0, restarted.err
    assert restarted.out == "fliswarm -- stopped\nfliswarm -- started\n"
    assert len(list(log.parent.iterdir())) == 2
    disabled = fliswarm("talk", "-n", "gfa1", "ping")
    assert "all of these nodes are disabled: gfa1" in disabled.out + disabled.err

    assert fliswarm("stop") == Done(0, "fliswarm -- stopped\n", "")
    assert fliswarm("stop") == Done(0, "", "fliswarm is not running\n")
    assert f"serves 127.0.0.1:{fliswarm.port}" in log.read_text("utf-8")
    assert not (fliswarm.folder / "c.sock").exists()


@pytest.mark.parametrize("words", [["status"], ["talk", "ping"], ["send", "ping"]])
def test_a_fleet_that_is_not_run(fliswarm: Program, words: list[str]) -> None:
    found = fliswarm(*words)
    assert (found.code, found.out) == (1, "")
    assert found.err.startswith("fliswarm -- not running\nnobody listens on ")


def test_a_port_that_is_taken(fliswarm: Program) -> None:
    assert fliswarm("actor", "start").code == 0
    other = fliswarm.folder / "other.yaml"
    text = fliswarm.config.read_text("utf-8").replace("c.sock", "d.sock")
    other.write_text(text, "utf-8")
    failed = fliswarm.run("-c", str(other), "start", "--debug")
    assert failed.code == 3
    assert f"fliswarm: actor 127.0.0.1:{fliswarm.port}: " in failed.err
    detached = fliswarm.run("-c", str(other), "start", "--log", "x.log")
    assert detached.code == 1
    assert "in use (log: " in detached.err


def test_a_wrong_configuration(fliswarm: Program, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("image: x\nnodes: {LAB: {gfa1: {host: h, prot: 1}}}\n", "utf-8")
    for words in (["start"], ["start", "--debug"]):
        done = fliswarm.run("-c", str(wrong), *words, OBSERVATORY="LAB")
        assert done.code == 3, words
        assert done.err == (
            f"fliswarm: {wrong}: nodes/LAB/gfa1/prot: is not a known key; "
            "did you mean 'port'?\n"
        )
    missing = fliswarm.run("-c", str(tmp_path / "none.yaml"), "start")
    assert missing.code == 3
    assert missing.err.endswith("none.yaml: No such file or directory\n")
    unknown = fliswarm("start", "--nodes", "gfa1,gfa9")
    assert unknown.code == 3
    assert "--nodes: 'gfa9' is not a node of APO" in unknown.err


def test_a_controller_is_found_with_a_file_that_has_become_wrong(
    fliswarm: Program,
) -> None:
    assert fliswarm("start").code == 0
    text = fliswarm.config.read_text("utf-8")
    fliswarm.config.write_text(f"{text}\nprot: [\n", "utf-8")
    assert fliswarm("send", "ping").code == 0
    assert fliswarm("send", "ping", OBSERVATORY="KPNO").code == 0
    done = fliswarm("stop")
    assert (done.code, done.out) == (0, "fliswarm -- stopped\n")


def test_the_configuration_of_the_environment(fliswarm: Program) -> None:
    found = fliswarm.run("status", FLISWARM_CONFIG=str(fliswarm.config))
    assert found.code == 1
    assert found.err.startswith("fliswarm -- not running\nnobody listens on ")
    site = fliswarm("start", OBSERVATORY="KPNO")
    assert site.code == 3
    assert "has no site 'KPNO' ($OBSERVATORY)" in site.err


@pytest.mark.parametrize("words", [["nonsense"], ["start", "--nope"], ["up"]])
def test_a_wrong_command_line(fliswarm: Program, words: list[str]) -> None:
    done = fliswarm(*words, FLISWARM_INVENTORY="")
    assert done.code == 2
    assert done.err.startswith("Usage: fliswarm")


def test_help_and_version(fliswarm: Program) -> None:
    assert fliswarm.run("--version").out == f"fliswarm, version {__version__}\n"
    shown = fliswarm.run("--help")
    assert shown.code == 0
    for command in ("up", "status", "talk", "reconnect", "start"):
        assert f"\n  {command} " in shown.out
    talk = fliswarm.run("talk", "--help")
    assert talk.out.startswith("Usage: fliswarm talk [OPTIONS]")
    assert "--timeout" in talk.out
    assert fliswarm.run("status", "--help").code == 0


def test_a_host_that_is_not_understood(fliswarm: Program) -> None:
    done = fliswarm("status", FLISWARM_HOST="tcp://manager")
    assert done.code == 3
    assert done.err.startswith("fliswarm: FLISWARM_HOST: must be ssh://")


def test_through_ssh(fliswarm: Program) -> None:
    """Another program in the place of ssh, which starts ours on this computer."""
    ssh = fliswarm.folder / "ssh"
    ssh.write_text(
        "#!/bin/sh\n"
        f"exec {sys.executable} -m fliswarm -c {fliswarm.config} dial-stdio\n",
        "utf-8",
    )
    ssh.chmod(0o755)
    far = {"FLISWARM_HOST": "ssh://me@manager", "FLISWARM_SSH_COMMAND": str(ssh)}
    down = fliswarm.run("send", "ping", **far)
    assert (down.code, down.err) == (1, "fliswarm -- not running on me@manager\n")
    assert fliswarm("start").code == 0
    up = fliswarm.run("send", "ping", **far)
    assert (up.code, up.out.split()) == (0, ["fliswarm", ":", "text=Pong."])


def test_the_status_of_a_fleet_that_is_down(fliswarm: Program) -> None:
    assert fliswarm("start", "--nodes", "gfa1").code == 0
    done = fliswarm("status", "--json")
    assert done.code == 4, done.err
    node, *others = map(json.loads, done.out.splitlines())
    assert node["node"] == "gfa1"
    assert {other["disabled_by"] for other in others} == {"configuration"}
    assert node["docker_alive"] is False
    assert node["camera"] is False
    table = fliswarm("status", COLUMNS="200")
    assert table.code == 4
    assert "gfa1" in table.out
    # Why is told beside it, in the words of whoever asked it.
    assert "sdss-gfa1" in node["docker_problem"]
    assert node["docker_problem"] in table.out
