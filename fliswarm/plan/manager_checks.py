"""What is wrong with the manager, and what is around it: signs to verdicts, pure."""

from __future__ import annotations

from collections.abc import Callable

from fliswarm.model.desired import AT_START
from fliswarm.model.signs import ManagerSigns
from fliswarm.plan.verdict import (
    DATA_SPACE,
    Verdict,
    bad,
    certificate,
    good,
    too_full,
    unknown,
)

RESTART = "sudo systemctl restart fliswarm"


def configuration(signs: ManagerSigns) -> Verdict:
    """Whether the controller runs with its file as it is."""
    if signs.file_problem is not None:
        return bad(
            signs.file_problem,
            "The controller goes on with what it read before, and cannot start anew.",
            "mend the file, or: fliswarm provision --tags controller",
        )
    if not signs.stale:
        return good()
    late = any(name in AT_START for name in signs.stale)
    return bad(
        f"not as the file has it: {', '.join(signs.stale)}",
        "The file has changed since the controller read it.",
        RESTART if late else "fliswarm reload",
    )


def state(signs: ManagerSigns) -> Verdict:
    """Whether the controller can write down what it does."""
    if signs.state_problem is None:
        return good(signs.state_folder)
    return bad(
        signs.state_problem,
        "Changes are refused: one that is cut off could not be undone.",
        f"df -h {signs.state_folder}; ls -ld {signs.state_folder}; {RESTART}",
    )


def disk(signs: ManagerSigns) -> Verdict:
    """Whether the manager has room for what the controller notes."""
    if signs.space is None:
        return unknown()
    why = too_full(signs.space, DATA_SPACE)
    if why is None:
        return good(f"{signs.space.free >> 20} MB free")
    return bad(
        f"{signs.state_folder}: {why}",
        "The controller's notes, its log and the registry's images find no room.",
        f"df -h {signs.state_folder}; sudo journalctl --vacuum-size=500M",
    )


def journal(signs: ManagerSigns) -> Verdict:
    """Whether the notes of changes can be read, and are of nodes that there are."""
    if signs.lost:
        return bad(
            f"what was noted in {', '.join(signs.lost)} cannot be read",
            "What was cut off, disabled or released by that is not known any more.",
            f"fliswarm status, fliswarm reconnect; then sudo rm {' '.join(signs.lost)}",
        )
    if signs.cut_off:
        return bad(
            f"changes of {', '.join(signs.cut_off)}, which are no nodes any more, were "
            "cut off",
            "They are tried again, and what they left may hold a camera.",
            "fliswarm remove --left; or fliswarm remove --forget NODE",
        )
    return good()


def left(signs: ManagerSigns) -> Verdict:
    """Whether anything of ours is on engines that no node has any more."""
    if not signs.left:
        return good()
    seen = ", ".join(f"{engine} ({name})" for name, engine in signs.left)
    return bad(
        f"containers may still run on {seen}",
        "No node has that engine any more; what runs there may hold a camera.",
        "fliswarm remove --left",
    )


def own_certificate(signs: ManagerSigns) -> Verdict:
    """Whether the controller's own certificate serves, and lasts."""
    again = "fliswarm provision"
    if signs.certificate_problem is not None:
        return bad(
            signs.certificate_problem,
            "The controller can connect to no engine.",
            again,
        )
    for what, ends in (
        (f"the controller's certificate {signs.certificate}", signs.certificate_ends),
        ("the authority of the engines' certificates", signs.authority_ends),
    ):
        if ends is not None:
            verdict = certificate(what, ends, signs.now, again)
            if verdict != good(verdict.seen):
                return verdict
    return good()


def registry(signs: ManagerSigns) -> Verdict:
    """Whether the registry answers, and has the image."""
    found = signs.registry
    if found is None:
        return good("images come from elsewhere")
    name = signs.registry_name or ""
    host = name.rpartition(":")[0] or name
    if found.problem is not None:
        return bad(
            found.problem,
            "Nodes go on with the images that they have, and can be given no other.",
            f"on {host}: sudo systemctl restart docker-registry; journalctl -u "
            "docker-registry -n 50 --no-pager (where it is a container: docker ps -a)",
            away=True,
        )
    if found.has_image is False:
        return bad(
            f"{name} has no {signs.image}",
            "No node can be given the image of the configuration.",
            "fliswarm provision --tags flicamera_image",
        )
    return good(found.digest or "it wants to know who asks" * found.private)


def registry_certificate(signs: ManagerSigns) -> Verdict:
    """Whether the registry's certificate lasts."""
    if signs.registry is None or signs.registry.certificate_ends is None:
        return good("none is needed")
    what, ends = f"the certificate of {signs.registry_name}", signs.registry
    assert ends.certificate_ends is not None
    remedy = "fliswarm provision"
    return certificate(what, ends.certificate_ends, signs.now, remedy)


def hub(signs: ManagerSigns) -> Verdict:
    """Whether Tron is connected."""
    if signs.hub_problem is None:
        return good()
    return bad(
        f"Tron is not connected: {signs.hub_problem}",
        "Telescope software is not reached, nor power that is switched through it.",
        "fliswarm send tron-reconnect; actor.tron_host in the configuration",
        away=True,
    )


CHECKS: dict[str, Callable[[ManagerSigns], Verdict]] = {
    "configuration": configuration,
    "state": state,
    "disk": disk,
    "journal": journal,
    "left": left,
    "certificate": own_certificate,
    "registry": registry,
    "registry certificate": registry_certificate,
    "hub": hub,
}
"""The checks of the manager, in order."""
