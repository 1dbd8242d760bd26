"""The program at its doors: another computer's, systemd's, and odd words."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fliswarm.cli import daemon, log
from fliswarm.errors import FliswarmError
from fliswarm.faces.control.client import LocalControl
from tests.unit.cli.test_program import Done, Program
from tests.unit.cli.test_program import fliswarm as fliswarm

FAR = {"FLISWARM_HOST": "ssh://me@manager:2222"}


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_another_computer_s_controller(fliswarm: Program, verb: str) -> None:
    assert fliswarm("start").code == 0
    for done in (
        fliswarm(verb, **FAR),
        fliswarm("-H", "ssh://me@manager:2222", "actor", verb),
    ):
        assert (done.code, done.out) == (2, "")
        remedy = f"Remedy: ssh -p 2222 me@manager sudo systemctl {verb} fliswarm\n"
        assert done.err.endswith(remedy)
    # It is untouched, and found by its socket.
    here = f"unix://{fliswarm.folder}/c.sock"
    assert fliswarm.run("send", "ping", FLISWARM_HOST=here).code == 0
    if verb == "stop":
        assert fliswarm.run("stop", FLISWARM_HOST=here).out == "fliswarm -- stopped\n"
    else:
        refused = fliswarm(verb, FLISWARM_HOST=here)
        assert refused.code == 2
        assert "control.socket in the configuration" in refused.err


@pytest.mark.parametrize(
    "host",
    ["ssh://[::1", "ssh://h:port", "ssh://-oProxyCommand=x", "ssh://-l@h", "unix://"],
)
def test_hosts_that_mean_nothing(fliswarm: Program, host: str) -> None:
    for words in (["status"], ["stop"]):
        done = fliswarm(*words, FLISWARM_HOST=host)
        assert done.code == 3
        assert done.err.startswith("fliswarm: FLISWARM_HOST: must be ssh://")


class Systemctl:
    """A ``systemctl`` that knows one service, and keeps what it is asked to do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir()
        self.done = folder / "done"
        self.done.touch()

    def says(self, pid: int, code: int = 0) -> dict[str, str]:
        """Let the service have a process; return the environment to find it."""
        program = self.folder / "systemctl"
        program.write_text(
            "#!/bin/sh\n"
            f'[ "$1" = show ] && {{ echo {pid}; exit; }}\n'
            f'echo "$@" >> {self.done}; exit {code}\n',
            "utf-8",
        )
        program.chmod(0o755)
        return {"PATH": f"{self.folder}:{os.environ['PATH']}"}


@pytest.fixture
def systemctl(tmp_path: Path) -> Systemctl:
    return Systemctl(tmp_path)


def pid_of(program: Program) -> int:
    with LocalControl(program.folder / "c.sock") as control:
        return control.pid


def test_a_controller_of_systemd(fliswarm: Program, systemctl: Systemctl) -> None:
    assert fliswarm("start").code == 0
    pid = pid_of(fliswarm)
    ours = systemctl.says(pid)
    assert fliswarm("stop", **ours) == Done(0, "fliswarm -- stopped\n", "")
    assert fliswarm("restart", **ours) == Done(0, "fliswarm -- restarted\n", "")
    assert systemctl.done.read_text("utf-8") == "stop fliswarm\nrestart fliswarm\n"
    refused = fliswarm("restart", "--nodes", "gfa1", **ours)
    assert refused.code == 2
    assert "without --nodes" in refused.err
    failed = fliswarm("stop", **systemctl.says(pid, code=1))
    assert failed.code == 1
    assert failed.err.endswith("Remedy: sudo systemctl stop fliswarm\n")
    # Nobody but systemd has ended it.
    assert pid_of(fliswarm) == pid
    # One that systemd knows nothing of is ended as ever.
    assert fliswarm("stop", **systemctl.says(1)).out == "fliswarm -- stopped\n"


def test_a_process_without_a_number_is_never_killed(
    fliswarm: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(pid: int, number: int) -> None:
        pytest.fail(f"{pid} would get the signal {number}")

    assert fliswarm("start").code == 0
    monkeypatch.setattr(os, "kill", kill)
    with (
        LocalControl(fliswarm.folder / "c.sock") as control,
        pytest.raises(FliswarmError, match="has no number here"),
    ):
        daemon._end(control, 0)


def test_the_original_s_status(fliswarm: Program) -> None:
    down = fliswarm("actor", "status")
    assert down.code == 1
    assert down.err.startswith("fliswarm -- not running\n")
    assert fliswarm("start").code == 0
    up = fliswarm("actor", "status")
    said = f"fliswarm -- pid: {pid_of(fliswarm)}, status: running\n"
    assert up == Done(0, said, "")


# At the start


def test_an_observatory_that_nobody_named(fliswarm: Program) -> None:
    started = fliswarm("start", "--log", "x.log", OBSERVATORY="")
    said = "OBSERVATORY is not set: APO is taken"
    assert started == Done(0, "fliswarm -- started\n", f"fliswarm: {said}\n")
    assert said in (fliswarm.folder / "x.log").read_text("utf-8")


def test_a_pid_file_is_not_written(fliswarm: Program) -> None:
    started = fliswarm("start", "--pid_file", "x.pid")
    assert started.code == 0
    assert "no PID file is written" in started.err
    assert not (fliswarm.folder / "x.pid").exists()


def test_a_folder_is_no_log(fliswarm: Program) -> None:
    folder = fliswarm.folder / "logs"
    folder.mkdir()
    done = fliswarm("start", "--log", str(folder))
    assert done.code == 3
    assert "Is a directory" in done.err
    assert folder.is_dir()


# What a person types


def test_help_is_never_sent(fliswarm: Program) -> None:
    for words in (["talk", "-h"], ["talk", "-n", "gfa1", "-h"], ["reconnect", "-h"]):
        done = fliswarm(*words)
        assert done.code == 0, words
        assert done.out.startswith(f"Usage: fliswarm {words[0]} [OPTIONS]")


def test_a_quote_that_is_not_closed(fliswarm: Program) -> None:
    done = fliswarm("send", "talk 'status")
    assert done.code == 2
    assert "No closing quotation" in done.err


def test_a_part_of_the_fleet(fliswarm: Program) -> None:
    assert fliswarm("start").code == 0

    def shown(*words: str) -> list[str]:
        done = fliswarm("status", "--json", *words)
        # Nobody is there, but all are asked for.
        assert done.code == 4, done.err
        return [json.loads(line)["node"] for line in done.out.splitlines()]

    assert shown("-n", "gfa*") == ["gfa1", "gfa2"]
    assert shown("-c", "fvc") == ["fvc"]
    assert shown("-x", "gfa1") == ["fvc", "gfa2"]
    wrong = fliswarm("status", "-n", "gfa9")
    assert (wrong.code, wrong.out) == (2, "")
    assert "no node 'gfa9'" in wrong.err


def fail_once(server: socket.socket) -> None:
    """Fail one command, after some of its words."""
    with server.accept()[0] as connection:
        number = int(connection.recv(4096).split()[0])
        for code, data in (
            ("i", {"enabledNodes": ["gfa1"]}),
            ("i", {"node": ["gfa1", "h", "tcp://h", False, False]}),
            ("f", {"error": "UnicodeError"}),
        ):
            header = {"command_id": number, "message_code": code, "sender": "x"}
            text = json.dumps({"header": header, "data": data})
            connection.sendall(text.encode() + b"\n")


@pytest.mark.parametrize("words", [["status"], ["status", "--json"]])
def test_a_status_that_failed_is_no_fleet(fliswarm: Program, words: list[str]) -> None:
    path = fliswarm.folder / "other.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=fail_once, args=[server])
        thread.start()
        done = fliswarm(*words, FLISWARM_HOST=f"unix://{path}")
        thread.join()
    assert (done.code, done.out) == (1, "")
    said = "the controller could not tell how the fleet is: UnicodeError"
    assert done.err == f"fliswarm: {said}\n"


def test_joined_with_what_there_is(fliswarm: Program) -> None:
    assert fliswarm("start").code == 0
    asked = fliswarm("dial-stdio", given="1 ping")
    assert asked.code == 0
    codes = [
        json.loads(line)["header"]["message_code"] for line in asked.out.splitlines()
    ]
    assert codes == [">", ":"]
    command = f"{sys.executable} -m fliswarm -c {fliswarm.config} dial-stdio"
    for redirection in ("</dev/null", "<&-", f"<{fliswarm.config} | head -1"):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"{command} {redirection}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, ""), redirection


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_disk_that_is_full(fliswarm: Program) -> None:
    assert fliswarm("start").code == 0
    command = f"{sys.executable} -m fliswarm -c {fliswarm.config} send ping >/dev/full"
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == "fliswarm: [Errno 28] No space left on device\n"


def test_a_terminal_without_a_sign_for_it(fliswarm: Program) -> None:
    assert fliswarm("start").code == 0
    done = fliswarm("status", PYTHONIOENCODING="ascii", PYTHONUTF8="0", COLUMNS="200")
    assert done.code == 4, done.err
    assert "gfa1" in done.out


# The log


@contextmanager
def alone() -> Iterator[logging.Logger]:
    """Yield the root's logger without handlers; give them back."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        yield root
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = kept
        root.setLevel(level)


def test_a_log_that_is_moved_away_or_lost(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "fliswarm.log"
    with alone() as logger:
        log.set_up(file, terminal=False)
        logger.info("one")
        file.rename(tmp_path / "old")
        logger.info("two")
        assert "two" in file.read_text("utf-8")
        assert "two" not in (tmp_path / "old").read_text("utf-8")
        shutil.rmtree(file.parent)
        # As on a disk that is away.
        file.parent.touch()
        logger.info("three")
        file.parent.unlink()
        file.parent.mkdir()
        logger.info("four")
        assert "four" in file.read_text("utf-8")


def test_a_log_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with alone() as logger:
        log.set_up(tmp_path / "file" / "fliswarm.log", terminal=True)
        logger.info("one")
    said = capsys.readouterr().err
    assert "nothing is written there" in said
    assert "one" in said


def test_the_foreground_has_its_file_as_well(fliswarm: Program) -> None:
    logs = fliswarm.folder / "logs"
    text = fliswarm.config.read_text("utf-8")
    text = text.replace("/data/logs/actors/fliswarm", str(logs))
    fliswarm.config.write_text(text, "utf-8")
    command = [sys.executable, "-m", "fliswarm", "-c", str(fliswarm.config)]
    with subprocess.Popen(
        [*command, "start", "--debug"],
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "OBSERVATORY": "APO",
            "STATE_DIRECTORY": str(fliswarm.folder / "state"),
        },
    ) as process:
        assert process.stderr is not None
        while "serves 127.0.0.1" not in process.stderr.readline():
            assert process.poll() is None
        assert fliswarm("version", "--help").code != 0
        assert fliswarm("send", "version").code == 0
        process.terminate()
        process.stderr.read()
    said = (logs / "fliswarm.log").read_text("utf-8")
    assert "New command received: 'version' (command_id=1) from " in said
    assert ", control socket" in said
