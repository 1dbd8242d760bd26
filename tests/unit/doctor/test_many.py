"""Many nodes, some of which are off or hang: they cost the others nothing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fliswarm.engine import docker
from fliswarm.errors import EXIT_UNREACHABLE
from fliswarm.model import Fleet
from fliswarm.model.signs import Outcome
from fliswarm.plan.checks import CHECKS, exit_code, faults
from tests.unit.support.clinic import clinic

NAMES = tuple(f"gfa{number}" for number in range(1, 65))

OFF, HANGING, WELL = NAMES[:8], NAMES[8:16], NAMES[16:]


async def test_nodes_that_are_off_or_hang_cost_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Here all 64 engines share one processor with who asks them.
    monkeypatch.setattr(docker, "LOOK_LIMIT", 10.0)
    async with clinic(tmp_path, NAMES) as site:

        def change(fleet: Fleet) -> Fleet:
            port = site.void.port
            off = {
                name: replace(
                    fleet.nodes[name],
                    engine=f"tcp://127.0.0.1:{port}",
                    port=port,
                    ssh_port=port,
                )
                for name in OFF
            }
            return replace(fleet, nodes={**fleet.nodes, **off})

        await site.reconfigure(change)
        for name in HANGING:
            site[name].engine.held["info"] = asyncio.Event()
        began = time.monotonic()
        findings = await site.consult()
        print(f"{time.monotonic() - began:.1f} s")
        told = [(f.node, f.check) for f in faults(findings)]
        assert told == [(name, "host") for name in OFF] + [
            (name, "engine") for name in HANGING
        ]
        assert exit_code(findings) == EXIT_UNREACHABLE
        # Of the others all is known, but the login, which is for smaller sites.
        for name in WELL:
            theirs = {f.check: f.outcome for f in findings if f.node == name}
            assert len(theirs) == len(CHECKS)
            others = {c for c, outcome in theirs.items() if outcome is not Outcome.GOOD}
            assert others == {"ssh"}
