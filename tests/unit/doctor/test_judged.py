"""Signs to findings, where no real part can be made to show them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fliswarm.errors import EXIT_DONE, EXIT_FAILED, EXIT_UNREACHABLE
from fliswarm.fleet import inside
from fliswarm.model import ContainerDetail, ContainerSpec, Node
from fliswarm.model.signs import (
    Away,
    CameraSigns,
    Finding,
    Inside,
    ManagerSigns,
    NodeSigns,
    Outcome,
    Place,
    RegistrySigns,
    Space,
)
from fliswarm.plan.camera_checks import simulated
from fliswarm.plan.checks import CHECKS, examine, exit_code, faults

NOW = datetime(2026, 12, 1, tzinfo=UTC)

MANAGER = ManagerSigns("APO", NOW, state_folder="/var/lib/fliswarm/APO")


def signs(name: str, **seen: object) -> NodeSigns:
    node = Node(name, f"sdss-{name}", f"tcp://sdss-{name}:2375")
    wanted = ContainerSpec(f"flicamera-{name}", name, "flicamera", {}, ())
    return NodeSigns(node, wanted, **seen)  # type: ignore[arg-type]


def told(manager: ManagerSigns, *nodes: NodeSigns) -> list[tuple[str, str]]:
    return [(f.node, f.check) for f in faults(examine(manager, nodes))]


def the(check: str, manager: ManagerSigns, *nodes: NodeSigns) -> Finding:
    (found,) = (f for f in faults(examine(manager, nodes)) if f.check == check)
    return found


def test_each_check_comes_after_those_that_it_needs() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    for number, check in enumerate(CHECKS):
        assert set(check.needs) <= set(names[:number])


def test_of_a_node_that_nobody_asked_nothing_is_known() -> None:
    findings = [f for f in examine(MANAGER, [signs("gfa1")]) if f.node]
    unknown = {f.check for f in findings if f.outcome is not Outcome.GOOD}
    assert not faults(findings)
    assert {"engine", "container", "link", "usb"} <= unknown


def test_a_name_server_that_is_away_is_told_once() -> None:
    lost = {"name_problem": "Temporary failure", "nobody_to_ask": True}
    nodes = [signs(name, **lost) for name in ("gfa1", "gfa2")]
    away = Away("tcp://sdss-gfa1:2375: Temporary failure in name resolution")
    nodes = [replace(n, engine_away=away, ssh_alive=False) for n in nodes]
    # One that is known by its address is none of its concern.
    nodes.append(signs("gfa3"))
    assert told(MANAGER, *nodes) == [("", "name")]
    assert the("name", MANAGER, *nodes).remedy.startswith("resolvectl status")
    # A name that does not exist is beside that.
    nodes.append(signs("gfa4", name_problem="Name or service not known"))
    assert told(MANAGER, *nodes) == [("", "name"), ("gfa4", "name")]


def test_a_name_that_no_server_knows() -> None:
    found = the("name", MANAGER, signs("gfa1", name_problem="Name not known"))
    assert (found.node, found.seen) == ("gfa1", "sdss-gfa1: Name not known")
    assert "getent hosts sdss-gfa1" in found.remedy


def test_two_nodes_that_are_off_are_no_cut_network() -> None:
    away = Away("does not answer")
    off = [
        signs(n, engine_away=away, ssh_alive=False, camera=CameraSigns(up=False))
        for n in ("gfa1", "gfa2")
    ]
    assert told(MANAGER, *off) == [("gfa1", "host"), ("gfa2", "host")]
    third = replace(off[0], node=replace(off[0].node, name="gfa3"))
    assert told(MANAGER, *off, third) == [("", "host")]
    assert told(MANAGER, *off, replace(third, ssh_alive=True)) == [
        ("gfa1", "host"),
        ("gfa2", "host"),
        ("gfa3", "engine"),
    ]


def test_nodes_that_are_started_anew_are_no_cut_network() -> None:
    nodes = [
        signs(n, engine_away=Away("x"), ssh_alive=False, change="reboot")
        for n in ("gfa1", "gfa2", "gfa3")
    ]
    assert told(MANAGER, *nodes) == [(n.node.name, "change") for n in nodes]


@pytest.mark.parametrize(
    ("problem", "alive", "remedy"),
    [
        ("ssh://gfa1: Permission denied (publickey).", True, "fliswarm provision"),
        ("ssh://gfa1: its host key is not the one", True, "fliswarm provision"),
        ("cannot be reached through ssh; in the group docker?", True, "docker; id"),
        ("tcp://gfa1:2375: does not answer", False, "iptables -S INPUT"),
        ("tcp://gfa1:2375: something else", True, "systemctl status docker"),
    ],
)
def test_an_engine_that_is_away(problem: str, alive: bool, remedy: str) -> None:
    away = Away(problem, host_alive=alive)
    found = the("engine", MANAGER, signs("gfa1", engine_away=away, ssh_alive=True))
    assert found.seen == problem
    assert remedy in found.remedy


def test_a_camera_that_runs_without_its_engine() -> None:
    node = signs(
        "gfa1",
        engine_away=Away("no Docker Engine listens on tcp://sdss-gfa1:2375", True),
        ssh_problem="",
        ssh_alive=True,
        camera=CameraSigns(up=True, ended="done", told={"temperature_ccd": -20}),
    )
    findings = examine(MANAGER, [node])
    assert told(MANAGER, node) == [("gfa1", "engine")]
    good = {f.check for f in findings if f.node and f.outcome is Outcome.GOOD}
    assert {"host", "ssh", "link", "camera", "temperature"} <= good


@pytest.mark.parametrize(
    ("program", "variables", "kind"),
    [
        ("python3 -m flicamera actor start --debug", (), False),
        ("/bin/sh -c umask 0002 && flicamera actor start", (), False),
        ("python3 -m simulated_flicamera", (), True),
        ("flicamera -s start", (), True),
        ("flicamera actor --simulate start", (), True),
        ("flicamera start", ("FLICAMERA_SIMULATION",), True),
        ("/opt/camera", (), None),
        ("", (), None),
    ],
)
def test_a_camera_that_is_none(
    program: str, variables: tuple[str, ...], kind: bool | None
) -> None:
    detail = ContainerDetail(program=program, variables=frozenset(variables))
    assert simulated(signs("gfa1", detail=detail)) is kind


def test_a_camera_that_works_is_not_silent() -> None:
    camera = CameraSigns(up=True, busy=True, ended="silent")
    assert told(MANAGER, signs("gfa1", camera=camera)) == []
    camera = replace(camera, busy=False)
    assert told(MANAGER, signs("gfa1", camera=camera)) == [("gfa1", "camera")]


@pytest.mark.parametrize("cold", [None, "cold", float("inf"), -999, 10**400])
def test_a_temperature_that_is_none(cold: object) -> None:
    told_by_it = {"temperature_ccd": cold}
    camera = CameraSigns(up=True, ended="done", told=told_by_it)
    assert told(MANAGER, signs("gfa1", camera=camera)) == [("gfa1", "temperature")]


@pytest.mark.parametrize(
    "printed",
    ["", "end", "place x 0 1 2\nend", "place ² ² ²\nend", "usb\nplace 0\nend"],
)
def test_what_a_container_prints_may_be_anything(printed: str) -> None:
    seen = inside.read(printed, ["/data"])
    assert seen is None or (seen.root.space is None and not seen.devices)


def test_a_folder_that_cannot_be_asked_is_not_known() -> None:
    seen = Inside(Place("/"), (Place("/data"),))
    assert told(MANAGER, signs("gfa1", inside=seen)) == []


@pytest.mark.parametrize(
    ("changes", "check", "remedy"),
    [
        ({"space": Space(500 << 20)}, "disk", "df -h /var/lib/fliswarm/APO"),
        ({"space": Space(9 << 30, 20)}, "disk", "df -h /var/lib/fliswarm/APO"),
        ({"lost": ["gfa1"]}, "journal", "sudo rm"),
        ({"cut_off": ["gfa9"]}, "journal", "fliswarm remove --forget NODE"),
        (
            {"authority_ends": NOW + timedelta(days=20)},
            "certificate",
            "fliswarm provision",
        ),
        (
            {
                "registry_name": "hub:5000",
                "registry": RegistrySigns(certificate_ends=NOW + timedelta(days=3)),
            },
            "registry certificate",
            "fliswarm provision",
        ),
        (
            {
                "registry_name": "hub:5000",
                "registry": RegistrySigns("hub:5000: Connection refused"),
            },
            "registry",
            "on hub: sudo systemctl restart docker-registry",
        ),
    ],
)
def test_a_fault_of_the_manager(
    changes: dict[str, object], check: str, remedy: str
) -> None:
    manager = replace(MANAGER, **changes)  # type: ignore[arg-type]
    assert told(manager, signs("gfa1")) == [("", check)]
    assert remedy in the(check, manager).remedy


@pytest.mark.parametrize("days", [60, 400])
def test_a_certificate_that_lasts(days: int) -> None:
    manager = replace(MANAGER, certificate_ends=NOW + timedelta(days=days))
    assert told(manager) == []


def test_what_findings_come_to() -> None:
    good = Finding("a", "x", Outcome.GOOD)
    bad = Finding("a", "x", Outcome.BAD)
    away = replace(bad, away=True)
    unknown = Finding("a", "x", Outcome.UNKNOWN, away=True)
    assert exit_code([good, unknown]) == EXIT_DONE
    assert exit_code([good, bad, unknown]) == EXIT_FAILED
    assert exit_code([away, bad]) == EXIT_UNREACHABLE
