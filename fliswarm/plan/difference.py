"""Desired and observed to differences and actions: pure, and read by every caller.

A dry run prints a plan, a real run carries it out, a report shows what is left of it:
all three hold the same object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fliswarm.model import Container, ContainerSpec, Observation, Volume

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
        if isinstance(self.wanted, Mapping) and self.field == "environment":
            return f"{self.field}: {self._names(self.wanted)}"
        return f"{self.field}: wanted {self.wanted}, found {self.found}"

    def _names(self, wanted: Mapping[str, object]) -> str:
        """Return the variables that differ, without values: these may be secret."""
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


def plan(wanted: ContainerSpec, seen: Observation, *, force: bool = False) -> Plan:
    """Compare one node with what it should be.

    Parameters
    ----------
    wanted
        The container that should run there.
    seen
        What its engine has, with the wanted image if that is known.
    force
        Replace the container even when nothing differs.
    """
    if seen.foreign is not None:
        return Plan(
            wanted.node,
            blocked=f"a container that fliswarm did not make has the name "
            f"{wanted.name} ({seen.foreign[:12]}); rename or remove it first",
        )
    current = next((c for c in seen.containers if c.name == wanted.name), None)
    volumes = [v for v in wanted.volumes if v.docker_name not in seen.volumes]
    changed = _container(wanted, seen, current)
    differences = [
        Difference(f"volumes/{v.name}", v.docker_name, None) for v in volumes
    ]
    differences += changed
    actions: list[Action] = [CreateVolume(volume) for volume in volumes]
    others = tuple(c for c in seen.containers if c is not current)
    if current is None or force or not _will_do(current, changed):
        actions.append(ReplaceContainer((*([current] if current else []), *others)))
    else:
        if not current.running:
            actions.append(StartContainer(current))
        actions += [RemoveContainer(container) for container in others]
    needed = {volume.docker_name for volume in wanted.volumes}
    actions += [RemoveVolume(name) for name in sorted(_unused(seen) - needed)]
    return Plan(wanted.node, tuple(differences), tuple(actions))


def removal(seen: Observation) -> Plan:
    """Return the plan that leaves nothing of ours on a node."""
    containers = (
        Difference(f"containers/{c.name}", None, c.short_id) for c in seen.containers
    )
    volumes = sorted(_unused(seen))
    return Plan(
        seen.node,
        (*containers, *(Difference(f"volumes/{name}", None, name) for name in volumes)),
        (
            *(RemoveContainer(container) for container in seen.containers),
            *(RemoveVolume(name) for name in volumes),
        ),
    )


def _unused(seen: Observation) -> frozenset[str]:
    """Return the volumes of ours that no other node on the same engine mounts."""
    return seen.volumes.difference(*(other.volumes for other in seen.others))


def _will_do(current: Container, differences: list[Difference]) -> bool:
    """Return whether a container is as wanted, but for a start that it may need."""
    startable = current.running or current.state in STARTABLE
    return startable and all(d.field == "state" for d in differences)


def _container(
    wanted: ContainerSpec, seen: Observation, current: Container | None
) -> list[Difference]:
    if current is None:
        return [Difference("container", wanted.name, None)]
    differences = [
        Difference(name, value, current.spec.get(name))
        for name, value in wanted.fields().items()
        if current.spec.get(name) != value
    ]
    if seen.image is not None and seen.image.id != current.image_id:
        differences.append(Difference("image_id", seen.image.id, current.image_id))
    if not current.running:
        differences.append(Difference("state", "running", current.state))
    return differences
