"""Whether a unit runs with the files that are there, and listens on its port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from ansible_collections.sdss.fliswarm.plugins.module_utils import units

ME = str(os.getpid())

OTHER = """
import socket, sys
listening = socket.socket()
listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
listening.bind(("127.0.0.1", int(sys.argv[1])))
listening.listen()
print("listens", flush=True)
sys.stdin.read()
"""
"""Another program that takes a port, until its standard input ends."""


def microseconds(ago: float) -> int:
    """Return a time as systemd tells it, seconds ago."""
    return int((time.monotonic() - ago) * 1e6)


def touch_after(file: Path, moment: float) -> None:
    """Write a file until its time, which goes in steps, is later than a moment (s)."""
    file.touch()
    while file.stat().st_ctime <= moment:
        file.touch()


def test_a_file_that_is_newer_than_the_start_is_named(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.touch()
    started, moment = microseconds(ago=0), time.time()
    touch_after(new, moment)
    files = [str(old), str(new), str(tmp_path / "missing")]
    assert units._newer(started, files) == str(new)
    assert units._newer(microseconds(ago=30), files) == str(old)
    assert units._newer(microseconds(ago=0), files) == ""


def test_a_file_that_was_put_back_is_newer_whatever_it_says(tmp_path: Path) -> None:
    file = tmp_path / "file"
    started, moment = microseconds(ago=0), time.time()
    touch_after(file, moment)
    os.utime(file, (moment - 60, moment - 60))
    assert units._newer(started, [str(file)]) == str(file)


def test_a_clock_that_was_set_back_makes_no_file_newer(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    os.utime(file, (time.time() + 3600, time.time() + 3600))
    assert units._newer(microseconds(ago=0), [str(file)]) == ""


def test_a_port_is_that_of_a_process() -> None:
    with socket.socket() as mine:
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        mine.bind(("127.0.0.1", 0))
        port = mine.getsockname()[1]
        assert not units._listens(ME, port)
        mine.listen()
        assert units._listens(ME, port)
        command = [sys.executable, "-c", OTHER, str(port)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"listens\n"
            assert units._listens(ME, port)
            assert units._listens(str(other.pid), port)
            mine.close()
            # Somebody listens there, and it is not this process.
            assert not units._listens(ME, port)
            assert units._listens(str(other.pid), port)
            other.communicate()


def test_a_unit_that_is_not_there_is_told() -> None:
    said = units.why_not("fliswarm-nothing.service", [])
    assert (
        said == "fliswarm-nothing.service is not there: it does not start with the host"
    )
