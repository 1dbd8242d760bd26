"""Facts in the words of the actor: a message code and keywords.

The only place where what happens becomes a sentence for those who command.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fliswarm.model import facts
from fliswarm.model.facts import Fact

Words = tuple[str, Mapping[str, object]]
"""A message code of the actor protocol, and keywords."""

PUBLIC = (
    facts.CameraUp,
    facts.CameraDown,
    facts.CameraConfused,
    facts.EngineUp,
    facts.EngineAway,
    facts.Unfinished,
    facts.Settled,
    facts.LeftBehind,
    facts.Cleared,
    facts.RolloutBegan,
    facts.RolloutEnded,
    facts.Follows,
    facts.Followed,
    facts.Locked,
    facts.Unlocked,
    facts.HubUp,
    facts.HubDown,
    facts.NotReloaded,
)
"""What all users are told, whoever they are; the rest is for those who asked."""

STEPS = {
    "Pull": ("d", "{node}: pulling {image}."),
    "MakeVolume": ("d", "{node}: creating {what}."),
    "Run": ("i", "{node}: running {what} from {image}."),
    "Start": ("i", "{node}: starting {what}."),
    "PowerOff": ("i", "{node}: powering off."),
    "PowerOn": ("i", "{node}: powering on."),
    "AwaitHost": ("i", "Restarting {what}."),
    "Remove": ("i", "{node}: removing {what}."),
}
"""What is said of the beginning of a step; the others say nothing."""

PULLING = re.compile(r"(?:pulling|loading), (\d+) % of (\d+) MiB\.")
"""How far a pull is, as it is said: percent, and the whole."""


def words(fact: Fact) -> Words | None:
    """Return what is said of a fact; ``None`` when nothing is."""
    match fact:
        case facts.StepBegan():
            return _step(fact)
        case facts.Disabled():
            code, text = "i", f"disabled by {fact.by}: {fact.reason or 'no reason'}."
        case facts.Enabled():
            code, text = "i", f"enabled by {fact.by}."
        case _:
            said = _camera(fact) or _engine(fact) or _change(fact) or _release(fact)
            if said is None:
                return None
            code, text = said
    return code, {"text": f"{fact.node}: {text}" if fact.node else text}


def _step(fact: facts.StepBegan) -> Words | None:
    if fact.step == "Remove" and fact.change != "remove":
        return None
    said = STEPS.get(fact.step)
    if said is None:
        return None
    code, text = said
    text = text.format(node=fact.node, what=fact.what, image=fact.image)
    return code, {"text": text}


def _camera(fact: Fact) -> tuple[str, str] | None:
    match fact:
        case facts.CameraUp():
            return "i", "camera connected."
        case facts.CameraDown():
            return "w", f"camera disconnected: {fact.reason}."
        case facts.CameraConfused():
            return "w", fact.reason
        case facts.CameraSilent(reason=reason):
            more = "" if reason == "it does not answer" else f" ({reason})"
            return "w", f"the camera does not answer{more}; replacing."
        case facts.NothingToAwait():
            return "w", "there is no container to wait for."
    return None


def _engine(fact: Fact) -> tuple[str, str] | None:
    match fact:
        case facts.EngineUp():
            return "i", "Docker Engine answers again."
        case facts.EngineAway():
            return "w", f"Docker Engine does not answer: {fact.reason}."
        case facts.LocalImageTaken():
            return "w", f"{fact.reason}; using the {fact.image} that is there."
        case facts.ImageMoved(done=done, total=total) if total:
            return "d", f"loading, {_part(done, total)}."
        case facts.ImageLoaded():
            how = "is loaded" if fact.new else "is there already"
            return "i", f"{fact.image} {how}."
        case facts.ImagePruned():
            return "i", f"{fact.image} is removed."
        case facts.Adopted():
            return "i", f"the container of sdss-fliswarm, {fact.container}, is adopted."
        case facts.PullProgressed(done=done, total=total) if total:
            return "d", f"pulling, {_part(done, total)}."
        case facts.VolumeStays():
            return "w", f"volume {fact.volume} stays: {fact.reason}"
        case facts.LeftBehind():
            return "w", (
                f"a container of it may still run on {fact.engine}, which no node "
                "has any more; remedy: fliswarm remove --left"
            )
        case facts.Cleared():
            return "i", f"nothing of it is left on {fact.engine}."
    return None


def _change(fact: Fact) -> tuple[str, str] | None:
    match fact:
        case facts.ExposureAwaited(exposure=exposure, limit=limit):
            return "i", f"{exposure}; its end is waited for, {limit:g} s at most."
        case facts.ExposureLost(exposure=exposure):
            return "w", f"{exposure}; that exposure is lost."
        case facts.Unfinished():
            return "w", (
                f"{fact.change} was cut off at {fact.step} and is not undone yet: "
                f"{fact.reason}"
            )
        case facts.Settled():
            return "i", f"{fact.change} had been cut off; it is {fact.how}."
        case facts.Locked(nodes=nodes):
            return "i", f"{', '.join(nodes)}: locked by {fact.by}: {fact.reason}."
        case facts.Unlocked(nodes=nodes):
            why = f", who broke the lock: {fact.reason}" if fact.reason else ""
            return "i", f"{', '.join(nodes)}: unlocked by {fact.by}{why}."
        case facts.HubUp():
            return "i", "Tron connected."
        case facts.HubDown():
            return "w", f"Tron disconnected: {fact.reason}."
        case facts.NotReloaded():
            return "w", f"not reloaded: {fact.reason}"
    return None


def _release(fact: Fact) -> tuple[str, str] | None:
    match fact:
        case facts.RolloutBegan(verb=verb, by=by):
            numbers = ", ".join(map(str, fact.releases))
            nodes = ", ".join(fact.nodes) or "none"
            return "i", f"{verb} to release {numbers} began, by {by}: {nodes}."
        case facts.TurnBegan(turn=turn, turns=turns, nodes=nodes):
            first = ", the canary" if turn == 1 else ""
            return (
                "i",
                f"{fact.verb}, turn {turn} of {turns}{first}: {', '.join(nodes)}.",
            )
        case facts.Judged(release=release, temperature=cold):
            return "i", f"the camera is good with release {release}, at {cold:g} C."
        case facts.WentBack(release=None):
            return (
                "w",
                "what it had before is not known, or was nothing; left as it is.",
            )
        case facts.WentBack(release=release, problem=None):
            return "w", f"back at release {release}."
        case facts.WentBack(release=release, problem=problem):
            return "w", f"not back at release {release} yet: {problem}"
        case facts.RolloutEnded(verb=verb, problem=None):
            return "i", f"{verb} done."
        case facts.RolloutEnded(verb=verb, problem=problem):
            return "w", f"{verb} stopped: {problem}"
        case facts.Follows(release=release):
            return "i", f"it is back, and gets {_which(release)}."
        case facts.Followed(release=release, problem=None):
            return "i", f"it has {_which(release)} now."
        case facts.Followed(release=release, problem=problem):
            name = fact.node
            return "w", (
                f"it did not come up with {_which(release)}, and is not tried again: "
                f"{problem}; remedy: fliswarm reconnect -n {name}"
            )
        case facts.ImageGone(release=release):
            return "d", f"the image of release {release} is removed."
    return None


def _which(release: int | None) -> str:
    return "the configured image" if release is None else f"release {release}"


def _part(done: int, total: int) -> str:
    return f"{100 * done // total} % of {total // 1024**2} MiB"
