"""A healthy fleet is silent, however it is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from fliswarm.errors import EXIT_DONE
from fliswarm.model.signs import Outcome
from fliswarm.plan.checks import CHECKS, exit_code
from tests.unit.support.certificates import Authority
from tests.unit.support.clinic import NAMES, SIMULATED, YEAR, clinic


async def test_a_healthy_fleet_is_silent(tmp_path: Path) -> None:
    async with clinic(tmp_path) as site:
        findings = await site.consult()
        assert [f for f in findings if f.outcome is not Outcome.GOOD] == []
        assert exit_code(findings) == EXIT_DONE
        assert len([f for f in findings if f.node == "gfa1"]) == len(CHECKS)


async def test_a_healthy_fleet_behind_tls_is_silent(tmp_path: Path) -> None:
    authority = Authority(lasts=YEAR)
    async with clinic(tmp_path, authority=authority) as site:
        assert await site.told() == []


async def test_a_doctor_changes_nothing(tmp_path: Path) -> None:
    async with clinic(tmp_path) as site:
        for name in NAMES:
            site[name].engine.asked.clear()
        await site.consult()
        asked = {request for name in NAMES for request in site[name].engine.asked}
        # Nothing but questions, and a program in the container that only looks.
        posts = {path.rpartition("/")[2] for verb, path in asked if verb != "GET"}
        assert posts == {"exec", "start"}
        assert all("exec" in path for verb, path in asked if verb == "POST")
        notes = site.state / "journal"
        assert [file.name for file in site.state.iterdir()] == ["engines.json"] or (
            notes.is_dir() and not list(notes.iterdir())
        )


@pytest.mark.parametrize("program", [SIMULATED, "python3 -m flicamera -s start"])
async def test_a_simulated_camera_needs_no_device(tmp_path: Path, program: str) -> None:
    async with clinic(tmp_path) as site:
        for name in NAMES:
            site[name].plug(vendor="1d6b")
            site[name].inspected(program)
        assert await site.told() == []


async def test_of_an_unknown_program_nobody_knows_what_it_needs(
    tmp_path: Path,
) -> None:
    async with clinic(tmp_path) as site:
        site["gfa2"].plug(vendor="1d6b")
        site["gfa2"].inspected("exec /our/own/camera")
        findings = await site.consult()
        (unknown,) = (f for f in findings if f.outcome is not Outcome.GOOD)
        assert (unknown.node, unknown.check) == ("gfa2", "usb")
        assert unknown.outcome is Outcome.UNKNOWN


async def test_a_registry_that_asks_for_a_login_is_there(tmp_path: Path) -> None:
    async with clinic(tmp_path) as site:
        site.registry.login = "user:password"
        assert await site.told() == []


async def test_a_crash_of_long_ago_is_no_fault(tmp_path: Path) -> None:
    async with clinic(tmp_path) as site:
        site["gfa2"].inspected(RestartCount=7)
        assert await site.told() == []


async def test_warnings_that_are_no_camera_s_are_no_fault(tmp_path: Path) -> None:
    async with clinic(tmp_path) as site:
        site["gfa2"].engine.about["Warnings"] = [
            "WARNING: No swap limit support",
            "WARNING: No kernel memory limit support",
            "WARNING: bridge-nf-call-iptables is disabled",
            # The configuration says that it is to be reached so.
            "WARNING: API is accessible on http://0.0.0.0:2375 without encryption.",
        ]
        assert await site.told() == []


async def test_a_file_system_without_inodes_is_not_full(tmp_path: Path) -> None:
    async with clinic(tmp_path) as site:
        site["gfa2"].mount(str(site.data), "echo 9999999 4096 0 0; exit")
        assert await site.told() == []


async def test_a_container_without_a_shell_is_no_fault(tmp_path: Path) -> None:
    async with clinic(tmp_path) as site:
        site["gfa2"].engine.here = lambda _: ["echo", "OCI runtime exec failed"]
        findings = await site.consult()
        others = {f.check for f in findings if f.outcome is not Outcome.GOOD}
        assert others == {"mounts", "data", "disk", "usb"}
        assert await site.told() == []
