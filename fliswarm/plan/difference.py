"""Desired and observed to differences and actions: pure, and read by every caller.

A dry run prints a plan, a real run carries it out, a report shows what is left of it:
all three hold the same object.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from fliswarm.model import Container, ContainerSpec, Observation, Volume
from fliswarm.model.imagename import digest_of

STARTABLE = ("created", "exited", "paused")
"""States from which a start brings a container back. One that restarts again and again
is started already, and one that is half removed never will be."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as wanted, by the name of its field."""

    field: str
    wanted: object
    found: object

    def __str__(self) -> str:
        if isinstance(self.wanted, Mapping):
            return f"{self.field}: {self._names(self.wanted)}"
        return f"{self.field}: wanted {self.wanted}, found {self.found}"

    def _names(self, wanted: Mapping[str, object]) -> str:
        """Return the names that differ, without values: these may be secret."""
        found = self.found if isinstance(self.found, Mapping) else {}
        names = {*wanted, *found}
        different = sorted(n for n in names if wanted.get(n) != found.get(n))
        return f"{', '.join(different)} differs"


@dataclass(frozen=True, slots=True)
class CreateVolume:
    """Make a volume that is missing."""

    volume: Volume


@dataclass(frozen=True, slots=True)
class ReplaceContainer:
    """Run the wanted container in the place of all of ours that are there.

    They are kept aside until the new camera answers; the first is put back if not.
    """

    old: tuple[Container, ...]


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Start the container that is there and is as wanted."""

    container: Container


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Remove a container of ours that nothing wants any more."""

    container: Container


@dataclass(frozen=True, slots=True)
class RemoveVolume:
    """Remove a volume of ours, by its Docker name, that nothing wants any more."""

    docker_name: str


Action = (
    CreateVolume | ReplaceContainer | StartContainer | RemoveContainer | RemoveVolume
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What differs on one node and what to do about it, in order.

    ``blocked`` says why nothing can be done; there are no actions then.
    """

    node: str
    differences: tuple[Difference, ...] = ()
    actions: tuple[Action, ...] = ()
    blocked: str | None = None

    @property
    def empty(self) -> bool:
        """Whether the node is as wanted."""
        return not self.actions and self.blocked is None


def plan(
    wanted: ContainerSpec,
    seen: Observation,
    *,
    force: bool = False,
    published: str | None = None,
    silent: str | None = None,
    neighbours: Collection[str] = (),
) -> Plan:
    """Compare one node with what it should be.

    Parameters
    ----------
    wanted
        The container that should run there.
    seen
        What its engine has, with the wanted image if that is known.
    force
        Replace the container even when nothing differs.
    published
        The digest that the registry has for the image, when it was asked instead of
        pulled from.
    silent
        Why there is no camera although the container runs; ``None`` when it answers,
        or was not asked.
    neighbours
        Names of other nodes of the configuration that have the same engine: their
        containers are theirs.
    """
    if seen.original is not None:
        return Plan(wanted.node, blocked=_original(seen.original))
    if seen.foreign is not None:
        return Plan(
            wanted.node,
            blocked=f"a container that fliswarm did not make has the name "
            f"{wanted.name} ({seen.foreign[:12]}); rename or remove it first",
        )
    current = next((c for c in seen.containers if c.name == wanted.name), None)
    changed = _container(wanted, seen, current, published, silent)
    others = _others(wanted, seen, current, neighbours)
    # Whoever else of ours is alive there may hold the camera and its port.
    alone = all(container.at_rest for container in others)
    starts = current is not None and current.state in STARTABLE and alone
    replaced = (
        current is None
        or force
        or any(d.field != "state" for d in changed)
        or not (current.running or starts)
    )
    # What it mounts in the place of ours is of no use to the container after it.
    has = seen.volumes
    if current is not None and not replaced:
        has |= current.stand_ins
    volumes = [v for v in wanted.volumes if v.docker_name not in has]
    differences = [
        *(Difference(f"volumes/{v.name}", v.docker_name, None) for v in volumes),
        *changed,
        *(Difference(f"containers/{c.name}", None, c.short_id) for c in others),
    ]
    actions: list[Action] = [CreateVolume(volume) for volume in volumes]
    if current is None or replaced:
        actions.append(ReplaceContainer((*([current] if current else []), *others)))
    else:
        if not current.running:
            actions.append(StartContainer(current))
        actions += [RemoveContainer(container) for container in others]
    needed = {volume.docker_name for volume in wanted.volumes}
    unused = sorted(_unused(seen, neighbours) - needed)
    actions += [RemoveVolume(name) for name in unused]
    return Plan(wanted.node, tuple(differences), tuple(actions))


def _original(found: Container) -> str:
    return (
        f"a container of sdss-fliswarm runs here ({found.name}, {found.short_id}); "
        "remedy: fliswarm reconnect --adopt makes it ours, or stop it there"
    )


def _others(
    wanted: ContainerSpec,
    seen: Observation,
    current: Container | None,
    neighbours: Collection[str],
) -> tuple[Container, ...]:
    """Return our containers that nothing wants: of this node, or of one that left."""
    own = (container for container in seen.containers if container is not current)
    return (*own, *_left(wanted, seen, neighbours))


def _unused(seen: Observation, neighbours: Collection[str]) -> frozenset[str]:
    """Return the volumes of ours that no other node of the engine mounts."""
    theirs = (other.volumes for other in seen.others if other.node in neighbours)
    return seen.volumes.difference(*theirs)


def _left(
    wanted: ContainerSpec | None, seen: Observation, neighbours: Collection[str]
) -> tuple[Container, ...]:
    """Return the containers of nodes that left, as far as they are this node's to take.

    A neighbour that has no container yet may be such a node under another name, and
    its camera the one that runs: it goes when the neighbour's own takes its place.
    """
    left = tuple(c for c in seen.others if c.node not in neighbours)
    there = {seen.node, *(c.node for c in seen.others)}
    if there.issuperset(neighbours):
        return left
    if seen.containers:
        return ()
    # This node and a neighbour may both have got other names.
    port = _port(wanted.fields()) if wanted is not None else None
    return tuple(c for c in left if port is None or _port(c.spec) == port)


def _port(spec: Mapping[str, object]) -> object:
    """Return the port of a container's camera, which no neighbour has as well."""
    environment = spec.get("environment")
    found = environment if isinstance(environment, Mapping) else {}
    return found.get("FLICAMERA_ACTOR_PORT")


def removal(
    seen: Observation,
    neighbours: Collection[str] = (),
    wanted: ContainerSpec | None = None,
) -> Plan:
    """Return the plan that leaves nothing of ours on a node, but what is another's.

    ``wanted`` is the node's own container, by which its camera is known.
    """
    containers = (*seen.containers, *_left(wanted, seen, neighbours))
    differences = (
        Difference(f"containers/{c.name}", None, c.short_id) for c in containers
    )
    volumes = sorted(_unused(seen, neighbours))
    return Plan(
        seen.node,
        (*differences, *(Difference(f"volumes/{v}", None, v) for v in volumes)),
        (
            *(RemoveContainer(container) for container in containers),
            *(RemoveVolume(name) for name in volumes),
        ),
    )


def _container(
    wanted: ContainerSpec,
    seen: Observation,
    current: Container | None,
    published: str | None,
    silent: str | None,
) -> list[Difference]:
    if current is None:
        return [Difference("container", wanted.name, None)]
    image = seen.image or seen.running
    # A name with a digest means what is in the image, whatever else it is called.
    same = image is not None and image.id == current.image_id
    pinned = same and digest_of(wanted.image) is not None
    differences = [
        Difference(name, value, current.spec.get(name))
        for name, value in wanted.fields().items()
        if current.spec.get(name) != value and not (pinned and name == "image")
    ]
    if image is not None and image.id != current.image_id:
        differences.append(Difference("image_id", image.id, current.image_id))
    elif image is not None and published not in (None, image.digest):
        differences.append(Difference("image_digest", published, image.digest))
    if not current.running:
        differences.append(Difference("state", "running", current.state))
    elif silent is not None:
        differences.append(Difference("camera", "one that answers", silent))
    return differences


def told(todo: Plan) -> tuple[str, ...]:
    """Return what a plan does to a node, a line each, without values of secrets."""
    lines = [_told(difference) for difference in todo.differences]
    for action in todo.actions:
        match action:
            case RemoveVolume(volume):
                lines.append(f"volume {volume}: is removed")
            case ReplaceContainer(old) if old:
                lines.append("its container is replaced: its camera stops meanwhile")
            case StartContainer():
                lines.append("its container is started")
    return tuple(dict.fromkeys(lines))


def _told(difference: Difference) -> str:
    kind, _, name = difference.field.partition("/")
    match kind, difference.wanted, difference.found:
        case "container", wanted, None:
            return f"container {wanted}: is made"
        case "containers", None, found:
            return f"container {name} ({found}): is removed"
        case "volumes", str(wanted), None if name:
            return f"volume {wanted}: is made"
        case "volumes", None, str(found) if name:
            return f"volume {found}: is removed"
        case "camera", _, found:
            return f"camera: {found}"
    return str(difference)
