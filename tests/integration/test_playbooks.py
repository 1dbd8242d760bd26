"""The playbooks as their user runs them."""

from __future__ import annotations

import re

import pytest

from tests.integration.conftest import Done, Lab

pytestmark = pytest.mark.lab

RECAP = re.compile(
    r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=0\s+failed=0", re.M
)


def changes(done: Done) -> dict[str, int]:
    """Return the number of changes by host; hosts that failed are not in it."""
    return {host: int(count) for host, count in RECAP.findall(done.out)}


def test_a_second_run_changes_nothing(fleet: Lab) -> None:
    done = fleet.run(
        "ansible-playbook", "-i", "inventory/lab", "playbooks/site.yml", limit=900
    )
    assert done.code == 0, done.out
    changed = changes(done)
    assert set(changed) == {"localhost", "lab-manager", *fleet.nodes}
    assert not any(changed.values()), done.out


def test_check_mode_on_a_bare_node_ends_well_and_changes_nothing(fleet: Lab) -> None:
    more = str(len(fleet.nodes) + 1)
    bare = f"gfa{more}"
    added = fleet.run("ansible-playbook", "lab/up.yml", LAB_NODES=more)
    try:
        assert added.code == 0, added.out
        before = fleet.ssh(bare, "find /etc /usr -newer /run/systemd -type f | wc -l")
        done = fleet.run(
            *("ansible-playbook", "-i", "inventory/lab", "playbooks/site.yml"),
            *("--check", "--diff", "--limit", f"localhost,{bare}"),
        )
        assert done.code == 0, done.out
        assert changes(done)[bare] > 0
        assert "tcp://0.0.0.0:2375" in done.out
        after = fleet.ssh(bare, "find /etc /usr -newer /run/systemd -type f | wc -l")
        assert after.out == before.out
        assert fleet.ssh(bare, "command -v dockerd").code != 0
        assert fleet.ssh(bare, "id sdss").code != 0
    finally:
        removed = fleet.run(
            "ansible-playbook", "lab/up.yml", LAB_NODES=str(len(fleet.nodes))
        )
    assert removed.code == 0, removed.out
