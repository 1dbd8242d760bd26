"""The contract of engines, on a real one: that of the manager, which has no camera."""

from __future__ import annotations

import pytest

from tests.integration.conftest import ROOT, Lab

pytestmark = pytest.mark.lab


def test_a_real_engine_keeps_the_contract(fleet: Lab) -> None:
    manager = fleet.address("manager")
    done = fleet.run(
        *("pytest", "-q", "tests/contract/test_engine.py"),
        FLISWARM_TEST_ENGINE=f"https://{manager}:2376",
        FLISWARM_TEST_TLS=str(ROOT / ".lab" / "pki"),
        FLISWARM_TEST_IMAGE=f"{manager}:5000/sdss/flicamera:latest",
    )
    assert done.code == 0, done.out
    assert "skipped" not in done.out
