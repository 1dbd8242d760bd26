"""The program on a real terminal, or in a pipe, and a controller in this process."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.unit.support.wait import LIMIT

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
"""What a terminal does not show."""


class Seen(NamedTuple):
    """What a program that has ended has printed."""

    code: int
    out: str
    err: str = ""

    @property
    def lines(self) -> list[str]:
        """What can be read of it, without the blanks at the ends of lines."""
        text = ESCAPES.sub("", self.out).replace("\r\n", "\n")
        return [line.rpartition("\r")[2].rstrip() for line in text.splitlines()]


def environment(socket: Path, **more: str) -> dict[str, str]:
    """Return an environment in which the program finds a controller's socket."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("FLISWARM", "OBSERVATORY", "NO_COLOR", "FORCE_COLOR"))
        and key not in ("COLUMNS", "LINES")
    }
    return {
        **kept,
        "FLISWARM_HOST": f"unix://{socket}",
        "STATE_DIRECTORY": str(socket.parent / "state"),
        "TZ": "UTC",
        **more,
    }


PROGRAM = [sys.executable, "-m", "fliswarm"]


async def piped(socket: Path, *words: str, **more: str) -> Seen:
    """Run the program with its output in a pipe."""

    def run() -> Seen:
        done = subprocess.run(
            [*PROGRAM, *words],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
            env=environment(socket, **more),
        )
        return Seen(done.returncode, done.stdout, done.stderr)

    seen = await asyncio.to_thread(run)
    assert "Traceback" not in seen.err
    return seen


async def shown(socket: Path, *words: str, columns: int = 80, **more: str) -> Seen:
    """Run the program on a terminal that is so many columns wide."""

    def run() -> Seen:
        ours, theirs = pty.openpty()
        size = struct.pack("HHHH", 50, columns, 0, 0)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
        with subprocess.Popen(
            [*PROGRAM, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(socket, TERM="xterm-256color", **more),
            start_new_session=True,
        ) as process:
            os.close(theirs)
            data = b""
            # A terminal whose program has ended says so by an error.
            with suppress(OSError):
                while piece := os.read(ours, 65536):
                    data += piece
            os.close(ours)
            return Seen(process.wait(LIMIT), data.decode())

    seen = await asyncio.to_thread(run)
    assert "Traceback" not in seen.out
    return seen
