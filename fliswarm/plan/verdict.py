"""What one check comes to, and the words that remedies have in common: pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from fliswarm.model import CERTIFICATE_DAYS, Node
from fliswarm.model.signs import ManagerSigns, NodeSigns, Outcome, Space

NODE_SPACE = 2 << 30
"""Bytes that a node's engine has to have left: an image beside the one that runs."""

DATA_SPACE = 1 << 30
"""Bytes that have to be left where images, or the controller's notes, are written."""

FILES_LEFT = 1000
"""Files that have to fit on a file system still."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of one computer comes to; see `fliswarm.model.signs.Finding`.

    ``shared`` names what is wrong when it may be wrong for all nodes alike: that is
    told once then, with ``seen`` in the place of what each node has seen of it.
    """

    outcome: Outcome
    seen: str = ""
    meaning: str = ""
    remedy: str = ""
    away: bool = False
    shared: Verdict | None = None


Judge = Callable[[NodeSigns, ManagerSigns], Verdict]
"""Comes to a verdict on one node."""


def good(seen: str = "") -> Verdict:
    """Return that nothing is wrong."""
    return Verdict(Outcome.GOOD, seen)


def bad(
    seen: str,
    meaning: str,
    remedy: str,
    *,
    away: bool = False,
    shared: Verdict | None = None,
) -> Verdict:
    """Return what is wrong, what that means and what to type."""
    return Verdict(Outcome.BAD, seen, meaning, remedy, away, shared)


def unknown(why: str = "it was not asked, or did not tell") -> Verdict:
    """Return that nobody can tell, and why."""
    return Verdict(Outcome.UNKNOWN, meaning=f"Not known: {why}.")


def on(node: Node, command: str) -> str:
    """Return the shell's line that gives a command on a node's computer."""
    port = "" if node.ssh_port == 22 else f"-p {node.ssh_port} "
    return f"ssh {port}{node.user}@{node.host} {shlex.quote(command)}"


def provision(node: Node) -> str:
    """Return what brings a node's computer to what the inventory says."""
    return f"fliswarm provision --limit {node.name}"


def certificate(what: str, ends: datetime, now: datetime, remedy: str) -> Verdict:
    """Return the verdict on a certificate by the day on which it ends."""
    left = (ends - now).days
    day = ends.date().isoformat()
    if left >= CERTIFICATE_DAYS:
        return good(f"ends on {day}")
    when = f"ends in {left} days, on {day}" if ends > now else f"has ended on {day}"
    return bad(
        f"{what} {when}",
        "From then on nobody connects who checks it.",
        remedy,
    )


def too_full(space: Space, wanted: int) -> str | None:
    """Return how full a file system is, when that is too full."""
    if space.free < wanted:
        return f"{space.free / (1 << 20):.0f} MB are free"
    if space.files_left is not None and space.files_left < FILES_LEFT:
        return f"{space.files_left} more files fit on it"
    return None
