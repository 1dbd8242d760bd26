"""What is seen of a site to what is wrong with it: pure.

The checks of a computer are in order, and each knows what it stands on: what follows
from a fault is not told beside it. What is wrong for all nodes alike is told once, of
the manager.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from fliswarm.errors import EXIT_DONE, EXIT_FAILED, EXIT_UNREACHABLE
from fliswarm.model.signs import Finding, ManagerSigns, NodeSigns, Outcome
from fliswarm.plan import (
    camera_checks,
    container_checks,
    engine_checks,
    host_checks,
    manager_checks,
)
from fliswarm.plan.verdict import Judge, Verdict, unknown

MANAGER = ""
"""The node of the manager's findings."""

ENABLED = "enabled"
CHANGE = "change"

TOLD = (ENABLED, CHANGE)
"""Checks that say why a node is not judged; people are told."""


class Check(NamedTuple):
    """A check of a node.

    ``needs`` are checks of the same node whose faults explain one of this;
    ``manager`` one of the manager's that does. ``alike`` is how many nodes make a fault
    that all of them have one of the manager's, 0 when none do.
    """

    name: str
    judge: Judge
    needs: tuple[str, ...] = ()
    manager: str = ""
    alike: int = 0


LINK = ("name", "host", "container", "restarts", "identity", "mounts")
"""What a link to a camera stands on."""

CHECKS = (
    Check("name", host_checks.name, alike=1),
    Check("host", host_checks.host, ("name",), alike=3),
    Check("ssh", host_checks.ssh, ("name", "host")),
    Check("engine", engine_checks.engine, ("name", "host")),
    Check("certificate", engine_checks.engine_certificate, ("engine",)),
    Check("clock", host_checks.clock, ("engine",), alike=3),
    Check("api", engine_checks.api, ("engine",)),
    Check("storage", engine_checks.storage, ("engine",)),
    Check("live-restore", engine_checks.live_restore, ("engine",)),
    Check("warnings", engine_checks.warnings, ("engine",)),
    Check("registry", engine_checks.registry, ("engine",), "registry", 2),
    Check("settled", engine_checks.settled, ("engine",)),
    Check("memory", container_checks.memory, ("engine",)),
    Check("container", container_checks.container, ("engine", "memory", "settled")),
    Check("image", container_checks.image, ("container",)),
    Check("configuration", container_checks.configuration, ("container",)),
    Check("volumes", container_checks.volumes, ("container",)),
    Check("left-over", container_checks.left_over, ("engine", "settled")),
    Check("restarts", container_checks.restarts, ("container", "memory")),
    Check("mounts", camera_checks.mounts, ("container", "volumes"), alike=2),
    Check("data", camera_checks.data, ("container", "volumes"), alike=2),
    Check("disk", camera_checks.disk, ("container",)),
    Check("usb", camera_checks.usb, ("container",)),
    Check("identity", camera_checks.identity, ("container",)),
    Check("link", camera_checks.link, LINK),
    Check("camera", camera_checks.answer, ("link", "usb", "mounts")),
    Check("temperature", camera_checks.temperature, ("camera", "usb")),
)
"""The checks of a node, in order: each after those that it needs."""

Verdicts = dict[str, Verdict]

TOLD_ONCE = unknown("it is told of the manager")
"""The verdict on a node in the place of one that all nodes have alike."""


def examine(manager: ManagerSigns, nodes: Sequence[NodeSigns]) -> list[Finding]:
    """Return what each check of the manager and of each node comes to, in order."""
    ours = {name: judge(manager) for name, judge in manager_checks.CHECKS.items()}
    judged = [signs for signs in nodes if signs.enabled]
    theirs = {
        signs.node.name: {check.name: check.judge(signs, manager) for check in CHECKS}
        for signs in judged
    }
    at_rest = [theirs[signs.node.name] for signs in judged if signs.change is None]
    for check in CHECKS:
        if check.alike:
            _tell_once(check, ours, at_rest)
    findings = [_finding(MANAGER, name, found) for name, found in ours.items()]
    for signs in nodes:
        name = signs.node.name
        if not signs.enabled:
            findings.append(_disabled(signs))
            continue
        if signs.change is not None:
            findings.append(_busy(signs, signs.change))
        findings += [
            _finding(name, check, found)
            for check, found in _without_consequences(signs, theirs[name], ours)
        ]
    return findings


def faults(findings: Sequence[Finding]) -> list[Finding]:
    """Return what is wrong, and why nodes are not judged: what people are told."""
    return [f for f in findings if f.outcome is Outcome.BAD or f.check in TOLD]


def exit_code(findings: Sequence[Finding]) -> int:
    """Return what findings come to for a shell."""
    wrong = [found for found in findings if found.outcome is Outcome.BAD]
    if any(found.away for found in wrong):
        return EXIT_UNREACHABLE
    return EXIT_FAILED if wrong else EXIT_DONE


def _tell_once(check: Check, ours: Verdicts, theirs: Sequence[Verdicts]) -> None:
    """Make a fault that all nodes have alike one of the manager's."""
    told = [every[check.name] for every in theirs]
    known = [found for found in told if found.outcome is not Outcome.UNKNOWN]
    shared = [found.shared for found in known if found.shared is not None]
    if check.name == "name":
        # Those that are known by an address need nobody to ask.
        known = [found for found in known if found.shared is not None]
    if len(shared) < max(check.alike, 1) or len(shared) < len(known):
        return
    if any(other.seen != shared[0].seen for other in shared):
        return
    before = ours.get(check.name)
    if before is None or before.outcome is not Outcome.BAD:
        ours[check.name] = shared[0]
    for every in theirs:
        if every[check.name].shared is not None:
            every[check.name] = TOLD_ONCE


def _without_consequences(
    signs: NodeSigns, verdicts: Mapping[str, Verdict], ours: Mapping[str, Verdict]
) -> Iterator[tuple[str, Verdict]]:
    """Return a node's verdicts, without faults that others explain."""
    roots: dict[str, str] = {}
    for check in CHECKS:
        found = verdicts[check.name]
        root = next((roots[need] for need in check.needs if need in roots), None)
        if check.manager and ours[check.manager].outcome is Outcome.BAD:
            root = f"{check.manager} of the manager"
        if found is TOLD_ONCE:
            root = f"{check.name} of the manager"
        if found.outcome is not Outcome.GOOD:
            if root is not None:
                roots[check.name] = root
                found = unknown(f"it stands on {root}")
            elif found.outcome is Outcome.BAD:
                if signs.change is not None:
                    found = unknown(f"{signs.change} is under way")
                roots[check.name] = check.name
        yield check.name, found


def _finding(node: str, check: str, found: Verdict) -> Finding:
    return Finding(
        node,
        check,
        found.outcome,
        found.seen,
        found.meaning,
        found.remedy,
        found.away,
    )


def _disabled(signs: NodeSigns) -> Finding:
    since = f" since {signs.disabled_since}" if signs.disabled_since else ""
    why = f": {signs.disabled_reason}" if signs.disabled_reason else ""
    return Finding(
        signs.node.name,
        ENABLED,
        Outcome.UNKNOWN,
        f"disabled by {signs.disabled_by}{since}{why}",
        "Commands leave it out, and it is not judged.",
        f"fliswarm enable {signs.node.name}",
    )


def _busy(signs: NodeSigns, change: str) -> Finding:
    return Finding(
        signs.node.name,
        CHANGE,
        Outcome.UNKNOWN,
        f"{change} is under way",
        "It is not judged until that is over.",
        f"fliswarm status --detail -n {signs.node.name}",
    )
