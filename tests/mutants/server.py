"""Runs tests again and again, each time in a fork of a process that is warm.

``python -m tests.mutants.server``, in the folder that it is to test: each line of
standard input has the seconds that are left, and the files of tests; each line of
standard output tells how pytest ended, or ``late``. What is tested is imported in the
fork alone.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import suppress

import hypothesis
import pytest
import pytest_asyncio

import tests.conftest

WARM = (hypothesis, pytest_asyncio, tests.conftest)
"""What takes a second to import, and is the same for every mutant."""

OPTIONS = (
    *("-q", "-x", "-p", "no:cacheprovider"),
    # That of what is warm no assertion can be explained any more.
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)


def run(limit: float, files: list[str]) -> str:
    """Return how pytest ended in a fork, which has so many seconds."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        quiet = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(quiet, descriptor)
        os._exit(pytest.main([*OPTIONS, *files]))
    watched = os.pidfd_open(child)
    ended = select.select([watched], [], [], limit)[0]
    os.close(watched)
    with suppress(ProcessLookupError):
        # Its group: tests start programs.
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return str(os.waitstatus_to_exitcode(status)) if ended else "late"


if __name__ == "__main__":
    for line in sys.stdin:
        limit, *files = line.split()
        print(run(float(limit), files), flush=True)
