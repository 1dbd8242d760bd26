"""What a run says of certificates before it hurts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sdss.fliswarm.plugins.modules.certificates import warnings

from tests.unit.support.modules import run

QUIET: dict[str, Any] = {"ending": {}, "waits": [], "told": []}


def make(folder: Path, **more: Any) -> dict[str, Any]:  # noqa: ANN401  the module's
    """Make the certificates of one host; return the module's result."""
    hosts = {"gfa1": ["gfa1", "192.0.2.11"]}
    terms = {"days": 825, "renew_days": 1, "warn_days": 60}
    return run("certificates", {"folder": str(folder), "hosts": hosts, **terms, **more})


def test_a_run_warns_of_certificates_that_end_soon(tmp_path: Path) -> None:
    fresh = make(tmp_path / "pki")
    assert "warnings" not in fresh
    assert fresh["ending"] == {}
    # They are good for as many days as before, and to be told of for longer.
    late = make(tmp_path / "pki", warn_days=2000)
    assert not late["changed"]
    assert "hosts/gfa1/server.pem" in late["ending"]
    said = str(late["warnings"])
    assert "The certificates of these end soon: " in said
    assert "gfa1 (in 824 days)" in said or "gfa1 (in 825 days)" in said
    assert "Remedy: fliswarm provision, without --limit" in said


def test_what_has_ended_is_said_to_have() -> None:
    ending = {"hosts/gfa1/server.pem": -2, "hosts/gfa1/puller.pem": 5, "ca.pem": 12}
    (said,) = warnings({**QUIET, "ending": ending})
    assert "end soon: gfa1 (expired), ca (in 12 days)." in said


@pytest.mark.parametrize("waits", [[], ["gfa3"]])
def test_a_rotation_that_waits_is_told_first(waits: list[str]) -> None:
    (said,) = warnings({**QUIET, "waits": waits, "told": ["ca.pem"]})
    assert ("have not followed yet: gfa3" in said) is bool(waits)
    assert ("Remedy: ansible-playbook rotate.yml" in said) is not bool(waits)
