"""The contract of engines, on a real one: that of the manager, which has no camera."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Lab

pytestmark = pytest.mark.lab


def test_a_real_engine_keeps_the_contract(fleet: Lab) -> None:
    manager = fleet.address("manager")
    done = fleet.run(
        *("pytest", "-q", "tests/contract"),
        FLISWARM_TEST_ENGINE=f"tcp://{manager}:2375",
        FLISWARM_TEST_IMAGE=f"{manager}:5000/sdss/flicamera:latest",
    )
    assert done.code == 0, done.out
    assert "skipped" not in done.out
