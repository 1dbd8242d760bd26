"""What others do to the hosts of a site: the next run mends it, and one more is quiet.

The lists are data, ``tests/breakages/ROLE.yaml``: in each round one thing of each role
is broken, so that a run of the whole site mends them all.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.conftest import ROOT, Lab
from tests.integration.test_provisioning import results
from tests.readmes import ROLES

pytestmark = pytest.mark.lab

LISTS = sorted((ROOT / "tests" / "breakages").glob("*.yaml"))

ROUNDS = 3


@dataclass(frozen=True)
class Breakage:
    """One thing that others do."""

    role: str
    what: str
    host: str
    program: str
    mended: str

    def run(self, lab: Lab, program: str) -> tuple[bool, str]:
        """Run a program as root where it is broken; return whether it succeeded."""
        script = f"set -e\n{program}"
        if self.host == "localhost":
            done = subprocess.run(
                ["sh", "-c", script],
                cwd=ROOT / ".lab" / "pki",
                capture_output=True,
                text=True,
                check=False,
            )
            return done.returncode == 0, done.stderr
        on_host = lab.ssh(self.host, f"sudo sh <<'END'\n{script}\nEND", limit=120)
        return on_host.code == 0, on_host.err


def breakages(number: int) -> list[Breakage]:
    """Return what is broken in a round, of each role."""
    found = []
    for file in LISTS:
        case: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))[number]
        found.append(
            Breakage(
                file.stem, case["what"], case["host"], case["break"], case["mended"]
            )
        )
    return found


def test_each_role_has_a_list() -> None:
    assert [file.stem for file in LISTS] == [role.name for role in ROLES]
    for file in LISTS:
        assert len(yaml.safe_load(file.read_text("utf-8"))) >= ROUNDS, file.stem


@pytest.mark.parametrize("number", range(ROUNDS))
def test_the_next_run_mends_it(fleet: Lab, tmp_path: Path, number: int) -> None:
    broken = breakages(number)
    for one in broken:
        done, why = one.run(fleet, one.program)
        assert done, (one, why)
        assert not one.run(fleet, one.mended)[0], f"{one} shows nothing"
    changes = results(fleet, tmp_path / "changes")
    for one in broken:
        assert one.run(fleet, one.mended)[0], one
        said = [c for c in changes if f"fliswarm.{one.role} : " in c["task"]]
        assert said, one


def test_the_run_after_says_nothing(fleet: Lab, tmp_path: Path) -> None:
    assert results(fleet, tmp_path / "changes") == []
