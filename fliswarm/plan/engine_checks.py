"""What is wrong with a node's engine: signs to verdicts, pure."""

from __future__ import annotations

from typing import NamedTuple

from fliswarm.model import Node
from fliswarm.model.signs import ManagerSigns, NodeSigns
from fliswarm.plan.verdict import (
    Verdict,
    bad,
    certificate,
    good,
    on,
    provision,
    unknown,
)

API_OLDEST = (1, 41)
"""The API of Docker 20.10, the oldest engine with which all of this is tried."""

POOR_STORAGE = {
    "aufs": "newer engines do not read it any more",
    "devicemapper": "newer engines do not read it any more",
    "overlay": "newer engines do not read it any more",
    "vfs": "each layer of an image is a whole copy, and each container one more",
}
"""Storage drivers with which a node does not last."""

DOCKER_LOG = "journalctl -u docker -n 50 --no-pager"


class _Cause(NamedTuple):
    """What an engine's silence means, by a part of the words for it."""

    part: str
    meaning: str
    command: str
    """On the node, or none where the playbook is the remedy."""


CAUSES = (
    _Cause(
        "no Docker Engine listens",
        "The computer is there, and no engine listens on it at this address. A camera "
        "that runs goes on, and nothing can be started or looked at.",
        f"sudo systemctl restart docker; {DOCKER_LOG}",
    ),
    _Cause(
        "not valid yet",
        "One of the two clocks is wrong, so that nobody trusts a new certificate.",
        "timedatectl",
    ),
    _Cause(
        "an expired certificate",
        "The controller connects to no engine whose certificate has ended.",
        "",
    ),
    _Cause(
        "another authority",
        "The computer was set up by another authority than the site's, or is another.",
        "",
    ),
    _Cause(
        "of another host",
        "What answers there is another computer, or its certificate is without this "
        "name or address.",
        "",
    ),
    _Cause(
        "refuses our certificate",
        "The engine does not know the controller's authority, or its clock is wrong.",
        "",
    ),
    _Cause(
        "a certificate that is not acceptable",
        "The controller does not trust what the engine shows.",
        "",
    ),
    _Cause(
        "not speak TLS",
        "The engine is set up for another transport than the controller.",
        "",
    ),
    _Cause(
        "in the group docker",
        "The computer is reached by ssh, and its engine is not.",
        f"systemctl status docker; id; {DOCKER_LOG}",
    ),
    _Cause(
        "Permission denied",
        "The computer does not let the controller log in.",
        "",
    ),
    _Cause(
        "host key",
        "The computer is another one than that which the controller knows.",
        "",
    ),
    _Cause(
        "did not answer in",
        "The engine takes connections and answers nothing: it hangs. Cameras go on.",
        f"sudo systemctl restart docker; {DOCKER_LOG}",
    ),
    _Cause(
        "does not answer as it should",
        "What listens there is no Docker Engine, or a broken one.",
        f"sudo ss -ltnp; {DOCKER_LOG}",
    ),
)
"""From what tells most to what tells least."""

UNCLEAR = _Cause(
    "",
    "The computer is there, and its engine does not do as it should.",
    f"systemctl status docker; {DOCKER_LOG}",
)

FIREWALLED = _Cause(
    "",
    "The computer is there and drops what is sent to its engine's port: a firewall, "
    "or an address that is not the engine's.",
    "sudo iptables -S INPUT; sudo ss -ltn",
)

UNSUPPORTED = {
    "No memory limit support": "memory",
    "No cpu cfs quota support": "cpus",
    "No cpu cfs period support": "cpus",
}
"""Warnings of engines that limits of the configuration do not hold."""


def engine(signs: NodeSigns, manager: ManagerSigns) -> Verdict:
    """Whether the engine answers."""
    node, away = signs.node, signs.engine_away
    if signs.engine is not None and signs.engine_problem is None:
        return good(signs.engine.version)
    if away is None and signs.engine_problem is None:
        return unknown()
    problem = signs.engine_problem or (away.problem if away else "")
    ours = "certificate" in problem or "docker-tls" in problem
    if ours and _spent(manager):
        return unknown("the controller's own certificate does not serve")
    cause = next((cause for cause in CAUSES if cause.part in problem), None)
    if cause is None:
        alive = away is None or away.host_alive
        cause = UNCLEAR if alive else FIREWALLED
    remedy = on(node, cause.command) if cause.command else provision(node)
    return bad(problem, cause.meaning, remedy, away=True)


def _spent(manager: ManagerSigns) -> bool:
    ends = manager.certificate_ends
    return manager.certificate_problem is not None or (
        ends is not None and ends <= manager.now
    )


def engine_certificate(signs: NodeSigns, manager: ManagerSigns) -> Verdict:
    """Whether the engine's certificate lasts."""
    if not signs.node.engine.startswith("https://"):
        return good("none is needed")
    ends, ours = signs.certificate_ends, manager.certificate_ends
    if ends is None:
        return unknown()
    if ours is not None and ends >= ours:
        # The first of the two is the controller's own, which is told once.
        return good()
    what = f"the certificate of {signs.node.engine}"
    return certificate(what, ends, manager.now, provision(signs.node))


def api(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether the engine is new enough."""
    if signs.engine is None:
        return unknown()
    spoken = signs.engine.api
    try:
        version = tuple(int(part) for part in spoken.split("."))
    except ValueError:
        return unknown(f"the engine calls its API {spoken!r}")
    if version >= API_OLDEST:
        return good(spoken)
    return bad(
        f"Docker {signs.engine.version} speaks API {spoken}",
        "It is older than Docker 20.10, the oldest with which fliswarm is tried.",
        on(signs.node, "sudo apt-get update && sudo apt-get install docker.io")
        + " (or docker-ce)",
    )


def storage(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether the engine keeps images as it should."""
    if signs.engine is None:
        return unknown()
    driver = signs.engine.storage
    why = POOR_STORAGE.get(driver)
    if why is None:
        return good(driver)
    return bad(
        f"its storage driver is {driver}",
        f"With it, {why}.",
        f'"storage-driver": "overlay2" in docker_engine_options of the inventory; '
        f"{provision(signs.node)}; fliswarm reconnect -n {signs.node.name}",
    )


def live_restore(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether cameras outlive a new start of the engine."""
    if signs.engine is None:
        return unknown()
    if signs.engine.live_restore:
        return good()
    return bad(
        "live-restore is off",
        "The camera ends with each new start or upgrade of the engine.",
        provision(signs.node),
    )


def warnings(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether the engine warns of what concerns a camera."""
    if signs.engine is None:
        return unknown()
    told = [text for text in signs.engine.warnings if _concerns(text, signs)]
    if not told:
        return good()
    meaning = "The limits of the configuration do not hold on this computer."
    remedy = on(signs.node, "cat /proc/cgroups; cat /proc/cmdline")
    if any("accessible" in text for text in told):
        meaning = "Whoever reaches that port is root there, beside the safe transport."
        remedy = provision(signs.node)
    return bad("; ".join(told), meaning, remedy)


def _concerns(text: str, signs: NodeSigns) -> bool:
    if "is accessible" in text and "without encryption" in text:
        # Where the site has chosen that transport, it knows.
        return not signs.node.engine.startswith("tcp://")
    limits = signs.wanted.limits
    return any(
        part in text and getattr(limits, limit) is not None
        for part, limit in UNSUPPORTED.items()
    )


def registry(signs: NodeSigns, manager: ManagerSigns) -> Verdict:
    """Whether the engine gets images from the registry."""
    problem = signs.registry_problem
    if not signs.registry_asked:
        return unknown()
    if problem is None:
        return good(signs.digest or "")
    here = signs.observed is not None and signs.observed.image is not None
    meaning = (
        "The node goes on with the copy that it has, and cannot be given another."
        if here
        else "The node has no copy either: no camera can be started there."
    )
    remedy = _registry_remedy(problem, signs.node, manager)
    general = _registry_remedy(problem, None, manager)
    return bad(problem, meaning, remedy, shared=bad(problem, meaning, general))


def _registry_remedy(problem: str, node: Node | None, manager: ManagerSigns) -> str:
    said = problem.lower()
    if "manifest" in said or "not found" in said or "does not have it" in said:
        return "fliswarm provision --tags flicamera_image"
    trust = ("x509", "certificate", "http response to https", "tls:")
    again = "fliswarm provision" if node is None else provision(node)
    if any(part in said for part in trust):
        return again
    place = manager.registry_name or "https://registry-1.docker.io"
    where = f"curl -k {place if '://' in place else f'https://{place}'}/v2/"
    return f"{where} (on the manager)" if node is None else on(node, where)


def settled(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether all that was begun is over."""
    if signs.unfinished is None:
        return good()
    return bad(
        signs.unfinished,
        "It is tried again every ten seconds; until then the node is half changed.",
        f"fliswarm reconnect -n {signs.node.name}; fliswarm status --detail",
    )
