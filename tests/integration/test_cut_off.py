"""The controller is killed with -9 in the middle of changes of a real node."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.conftest import ROOT, Lab, wait
from tests.integration.test_identity import ours

JOURNAL = "/var/lib/fliswarm/LAB/journal"

KILL = f"""
pid=$(systemctl show --property MainPID --value fliswarm)
echo ready
for _ in $(seq 200000); do
    if grep -qs '"begun": %d,\\|"begun": %d}}' {JOURNAL}/gfa1*.json; then
        kill -9 "$pid"
        exit
    fi
done
exit 1
"""
"""Waits for a step to be begun, and kills the controller then: quicker than ssh is."""

REPLACE = ("reconnect", "-n", "gfa1", "--force")
REMOVE = ("remove", "-n", "gfa1")
REBOOT = ("reboot", "-n", "gfa1")


@pytest.mark.parametrize(
    ("words", "step"),
    [
        *((REPLACE, number) for number in range(1, 6)),
        *((REMOVE, number) for number in range(1, 3)),
        *((REBOOT, number) for number in range(1, 4)),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else str(value),
)
def test_killed_at_a_step(fleet: Lab, words: tuple[str, ...], step: int) -> None:
    with ThreadPoolExecutor(1) as pool:
        killer = subprocess.Popen(
            ["ssh", "-F", str(ROOT / ".lab/ssh/config"), "manager", "sudo bash -s"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert killer.stdin is not None
        killer.stdin.write(KILL % (step, step))
        killer.stdin.close()
        # The first step may be over before a login is.
        assert killer.stdout is not None
        assert killer.stdout.readline() == "ready\n"
        change = pool.submit(fleet.fliswarm, *words, limit=300)
        assert killer.wait(timeout=120) == 0, "no such step was begun"
        killer.stdout.close()
        assert change.result().code != 0
    left = f"sudo find {JOURNAL} -name 'gfa1*.json'"
    wait(lambda: fleet.ssh("manager", left).out == "", 120, "settled")
    if words is REMOVE and not ours(fleet, "gfa1"):
        # It was too late for a way back.
        assert fleet.fliswarm("reconnect", "-n", "gfa1").code == 0
    talk = ("talk", "--timeout", "5", "-n", "gfa1", "status")
    wait(lambda: fleet.fliswarm(*talk).code == 0, 120, "the camera answers")
    assert ours(fleet, "gfa1") == {"flicamera-gfa1": "running"}
    assert fleet.fliswarm("status").code == 0
