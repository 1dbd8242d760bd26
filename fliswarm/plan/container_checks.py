"""What is wrong with a node's container: signs to verdicts, pure."""

from __future__ import annotations

from datetime import timedelta

from fliswarm.model import Container
from fliswarm.model.signs import ManagerSigns, NodeSigns
from fliswarm.plan.difference import Plan, RemoveVolume, plan
from fliswarm.plan.verdict import Verdict, bad, good, on, unknown

IMAGE_FIELDS = ("image", "image_id", "image_digest")
"""Differences that come from another image."""

LATELY = timedelta(hours=1)
"""Time in which a container that ended by itself and was started again is told."""


def current(signs: NodeSigns) -> Container | None:
    """Return the node's container, whatever its state."""
    seen = signs.observed.containers if signs.observed else ()
    return next((c for c in seen if c.name == signs.wanted.name), None)


def _plan(signs: NodeSigns) -> Plan | None:
    if signs.observed is None:
        return None
    return plan(
        signs.wanted,
        signs.observed,
        published=signs.digest,
        neighbours=signs.neighbours,
    )


def again(signs: NodeSigns, option: str = "") -> str:
    """Return what makes the node as it is wanted."""
    return f"fliswarm reconnect -n {signs.node.name}{option}"


def ran(signs: NodeSigns, manager: ManagerSigns) -> timedelta | None:
    """Return for how long the container has run, by its own computer's clock."""
    if signs.detail is None or signs.detail.started is None or signs.engine is None:
        return None
    there = manager.now + timedelta(seconds=signs.engine.offset)
    return there - signs.detail.started


def container(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether the node's container runs."""
    todo, found, detail = _plan(signs), current(signs), signs.detail
    wanted, node = signs.wanted.name, signs.node
    if todo is None:
        return unknown()
    if todo.blocked is not None:
        command = f"sudo docker rename {wanted} {wanted}-other"
        return bad(
            f"a container that fliswarm did not make has the name {wanted}",
            "The camera cannot be started beside it.",
            f"{on(node, command)}; {again(signs)}",
        )
    if found is None:
        return bad(
            f"there is no container {wanted}",
            "There is no camera: it was not launched, or somebody has removed it.",
            again(signs),
        )
    if found.running:
        return good(found.short_id)
    seen = f"{wanted} is {found.state}"
    if found.state == "paused":
        return bad(seen, "Its program is held still, by docker pause.", again(signs))
    if found.state == "restarting":
        return bad(
            seen,
            "Its program ends soon after each start, and is started again.",
            f"fliswarm logs {node.name}",
        )
    if detail is not None and detail.problem:
        seen = f"{seen}: {detail.problem}"
    elif detail is not None:
        seen = f"{seen}, with code {detail.exit_code}"
    return bad(
        seen,
        "Somebody stopped it, or its engine could not start it, as without a volume.",
        f"fliswarm logs {node.name}; {again(signs)}",
    )


def image(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether the container runs the image that is wanted now."""
    todo = _plan(signs)
    if todo is None:
        return unknown()
    drift = [d for d in todo.differences if d.field in IMAGE_FIELDS]
    if not drift:
        return good(signs.digest or "")
    return bad(
        "; ".join(map(str, drift)),
        "The camera runs another image than the registry's, or the configuration's.",
        f"{again(signs, ' --dry-run')}; {again(signs)}",
    )


def configuration(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether the container was made as the configuration has it now."""
    todo = _plan(signs)
    if todo is None:
        return unknown()
    fields = {*signs.wanted.fields()} - {*IMAGE_FIELDS}
    drift = [d for d in todo.differences if d.field in fields]
    if not drift:
        return good()
    return bad(
        "; ".join(map(str, drift)),
        "The configuration has changed since the container was made.",
        f"{again(signs, ' --dry-run')}; {again(signs)}",
    )


def volumes(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether the volumes of the configuration are there."""
    todo = _plan(signs)
    if todo is None:
        return unknown()
    lacking = [d for d in todo.differences if d.field.startswith("volumes/")]
    if not lacking:
        return good()
    names = ", ".join(d.field.partition("/")[2] for d in lacking)
    return bad(
        f"there is no volume {names}",
        "Images are not written where they are looked for.",
        again(signs),
    )


def left_over(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether anything of ours is there that nothing wants."""
    todo = _plan(signs)
    if todo is None:
        return unknown()
    left = [d.field for d in todo.differences if d.field.startswith("containers/")]
    left += [
        f"volumes/{action.docker_name}"
        for action in todo.actions
        if isinstance(action, RemoveVolume)
    ]
    if not left:
        return good()
    return bad(
        ", ".join(left),
        "It was made for what is no more; a container of it may hold the camera.",
        again(signs),
    )


def restarts(signs: NodeSigns, manager: ManagerSigns) -> Verdict:
    """Whether the camera's program ended by itself of late."""
    detail = signs.detail
    if detail is None:
        return unknown()
    age = ran(signs, manager)
    if not detail.restarts or age is None or age > LATELY:
        return good(f"{detail.restarts} times")
    minutes = max(round(age.total_seconds() / 60), 0)
    return bad(
        f"its program has ended {detail.restarts} times and was started again, the "
        f"last time {minutes} minutes ago",
        "It crashes: exposures that were under way are lost.",
        f"fliswarm logs {signs.node.name}",
    )


def memory(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether the camera's program had memory enough."""
    if signs.detail is None:
        return unknown()
    if not signs.detail.out_of_memory:
        return good()
    limit = signs.wanted.limits.memory or "none"
    return bad(
        f"a program in {signs.wanted.name} was killed for want of memory (its limit: "
        f"{limit})",
        "It needs more than it may have, or another program has eaten the computer's.",
        f"{on(signs.node, 'free -h')}; limits.memory in the configuration; "
        f"{again(signs, ' --force')}",
    )
