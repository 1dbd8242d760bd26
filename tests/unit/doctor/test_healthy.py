"""A healthy fleet is silent, however it is made."""

from __future__ import annotations

from pathlib import Path

from fliswarm.errors import EXIT_DONE
from fliswarm.model.signs import Outcome
from fliswarm.plan.checks import CHECKS, exit_code
from tests.unit.support.certificates import Authority
from tests.unit.support.clinic import SIMULATED, YEAR, clinic


async def test_a_healthy_fleet_is_silent(tmp_path: Path) -> None:
    async with clinic(tmp_path) as site:
        findings = await site.consult()
        assert [f for f in findings if f.outcome is not Outcome.GOOD] == []
        assert exit_code(findings) == EXIT_DONE
        assert len([f for f in findings if f.node == "gfa1"]) == len(CHECKS)
