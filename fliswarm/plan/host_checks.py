"""What is wrong with a node's computer: signs to verdicts, pure."""

from __future__ import annotations

from fliswarm.model.signs import ManagerSigns, NodeSigns
from fliswarm.plan.verdict import Verdict, bad, good, on, provision, unknown

CLOCK_LIMIT = 1.0
"""Seconds by which two clocks may differ: computers that ask a time server differ by
thousandths, and the times of exposures are compared with the telescope's."""


def name(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether the name of the computer resolves."""
    node, problem = signs.node, signs.name_problem
    if problem is None:
        return good(node.host)
    shared = None
    if signs.nobody_to_ask:
        shared = bad(
            "no name server answers the manager",
            "Computers that are known by their names are not found.",
            f"resolvectl status; getent hosts {node.host}",
            away=True,
        )
    return bad(
        f"{node.host}: {problem}",
        "The manager does not know where this computer is.",
        f"getent hosts {node.host} (on the manager); then the name server, /etc/hosts, "
        f"or an address as ansible_host of {node.name} in the inventory",
        away=True,
        shared=shared,
    )


def host(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether anything on the computer answers."""
    node, away = signs.node, signs.engine_away
    linked = signs.camera is not None and signs.camera.up
    if signs.engine is not None or signs.engine_problem or signs.ssh_alive or linked:
        return good()
    if away is None or signs.ssh_alive is None:
        return unknown()
    if away.host_alive:
        return good()
    power = f"fliswarm reboot --hard -n {node.name}" if node.power else "its power"
    return bad(
        f"{node.host}: neither its engine nor ssh nor its camera answers",
        "The computer is off, frozen, or cut off from the network.",
        f"ping -c 3 {node.host} (on the manager); then {power}",
        away=True,
        shared=bad(
            "no node at all answers the manager",
            "The manager, or the switch between it and the nodes, is cut off.",
            f"ip route get {node.host}; ping -c 3 {node.host}",
            away=True,
        ),
    )


def ssh(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether the controller may log in."""
    node, problem = signs.node, signs.ssh_problem
    if problem is None:
        return unknown()
    if not problem:
        return good()
    return bad(
        problem,
        "fliswarm reboot cannot ask this computer to start anew.",
        f"sudo -u fliswarm {on(node, 'true')} (on the manager); {provision(node)}",
        away=True,
    )


def clock(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether the computer's clock is the manager's."""
    if signs.engine is None:
        return unknown()
    offset = signs.engine.offset
    if abs(offset) <= CLOCK_LIMIT:
        return good()
    where = "ahead of" if offset > 0 else "behind"
    return bad(
        f"its clock is {abs(offset):.1f} s {where} the manager's",
        "Times in the headers of images are wrong; certificates may seem to be over.",
        on(signs.node, "timedatectl timesync-status; sudo timedatectl set-ntp true"),
        shared=bad(
            f"the clocks of all nodes are {where} the manager's",
            "The manager's own clock is wrong, or no node asks a time server.",
            "timedatectl timesync-status; sudo timedatectl set-ntp true",
        ),
    )
