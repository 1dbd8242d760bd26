"""Two operators at once, through real ssh; and a camera that exposes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fliswarm.errors import EXIT_BUSY
from tests.integration.conftest import PROGRAMS, ROOT, Lab, wait

pytestmark = pytest.mark.lab


@contextmanager
def going(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command against the manager through ssh, beside this one."""
    far = {
        "FLISWARM_HOST": "ssh://manager",
        "FLISWARM_SSH_COMMAND": f"ssh -F {ROOT}/.lab/ssh/config",
    }
    with subprocess.Popen(
        [str(PROGRAMS / "fliswarm"), *words],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **far},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def containers(fleet: Lab) -> dict[str, str]:
    """Return the short ids of the cameras' containers, by node."""
    return {name: node["container"] for name, node in fleet.fleet().items()}


def last(fleet: Lab) -> dict[str, Any]:
    """Return the last command of the record."""
    found: dict[str, Any] = json.loads(fleet.fliswarm("audit", "--json", "-n", "1").out)
    return found


def test_the_second_is_told_who_and_gets_it_when_the_first_is_killed(
    fleet: Lab,
) -> None:
    first, *_ = fleet.nodes
    before = containers(fleet)
    with going("lock", "--reason", "new cables") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().startswith("Locked: ")
        refused = fleet.fliswarm("reconnect", "-n", first, "--force")
        assert refused.code == EXIT_BUSY
        assert "held by " in refused.out
        # By ssh's word, they came from somewhere.
        assert " from " in refused.out
        assert ": new cables. Remedy: " in refused.out
        assert fleet.fliswarm("talk", "-n", first, "expose", "0.1").code == 0
        assert containers(fleet) == before
        with going("reconnect", "-n", first, "--force", "--wait", "120") as second:
            assert second.stdout is not None
            assert "waiting" in second.stdout.readline()
            holder.send_signal(signal.SIGKILL)
            assert second.wait(120) == 0
    after = containers(fleet)
    assert {name for name in before if before[name] != after[name]} == {first}
    row = last(fleet)
    assert (row["verb"], row["outcome"], row["nodes"]) == ("reconnect", "done", [first])
    assert row["before"][first]["container"].startswith(before[first])
    assert row["ending"]["after"][first]["container"].startswith(after[first])


def test_a_camera_that_exposes_is_waited_for(fleet: Lab) -> None:
    first, *_ = fleet.nodes
    before = containers(fleet)
    with going("talk", "-n", first, "expose", "15") as exposing:
        time.sleep(3)
        refused = fleet.fliswarm("reconnect", "-n", first, "--force")
        assert refused.code == EXIT_BUSY
        assert "its camera exposes for another" in refused.out
        assert "(expose 15)" in refused.out
        assert containers(fleet) == before
        done = fleet.fliswarm("reconnect", "-n", first, "--force", "--wait", "60")
        assert done.code == 0, done.out
        assert exposing.wait(60) == 0
    assert containers(fleet)[first] != before[first]
    wait(lambda: bool(fleet.fleet()[first]["camera"]), 60, "its camera")


def test_an_exposure_of_somebody_else_is_seen_as_well(fleet: Lab) -> None:
    first, *_ = fleet.nodes
    say = "exec 3<>/dev/tcp/127.0.0.1/19995; echo 1 expose 15 >&3; sleep 20"
    there = f"nohup bash -c '{say}' > /dev/null 2>&1 &"
    assert fleet.ssh(first, there).code == 0
    time.sleep(3)
    refused = fleet.fliswarm("reboot", "-n", first)
    assert refused.code == EXIT_BUSY
    assert "its camera exposes for another" in refused.out
    wait(
        lambda: (
            fleet.fliswarm("reconnect", "-n", first, "--dry-run", "--force").code == 0
        ),
        60,
        "the end of the exposure",
    )
