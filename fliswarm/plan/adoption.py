"""Containers that sdss-fliswarm made: which are a node's, and how far as it wants them.

Its engine keeps no labels of ours for it, and none can be added to a container that is
there. So it is told from strangers by its name and by what is in its environment.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from fliswarm.model import (
    USB_BUS,
    Container,
    ContainerSpec,
    Foreign,
    Image,
    Observation,
)
from fliswarm.model.imagename import split

UNSAID = {"FLICAMERA_ACTOR_PORT": "19995"}
"""Variables that the original does not set, and what a camera takes them for."""

UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def recognised(wanted: ContainerSpec, foreign: Foreign) -> bool:
    """Return whether a container is what sdss-fliswarm makes for a node."""
    name = wanted.environment.get("ACTOR_NAME", wanted.node)
    its = foreign.environment
    return (
        foreign.name == wanted.name
        and its.get("ACTOR_NAME") == name
        and "OBSERVATORY" in its
    )


def with_originals(
    wanted: ContainerSpec,
    seen: Observation,
    foreign: Iterable[Foreign],
    adopted: Mapping[str, str],
) -> Observation:
    """Return what was seen of a node, with what of sdss-fliswarm's is or could be ours.

    Parameters
    ----------
    wanted
        The container that should run there.
    seen
        What was seen by our labels.
    foreign
        Those without our labels that have the wanted name, or were adopted.
    adopted
        Whose those are that were adopted, by id.
    """
    for one in foreign:
        owner = adopted.get(one.id)
        if owner is not None:
            ours = as_ours(wanted, one, seen.image, owner)
            if one.id == seen.foreign:
                seen = replace(seen, foreign=None)
            if owner == wanted.node:
                seen = replace(seen, containers=(*seen.containers, ours))
            else:
                seen = replace(seen, others=(*seen.others, ours))
        elif one.id == seen.foreign and recognised(wanted, one):
            seen = replace(seen, original=as_ours(wanted, one, seen.image, wanted.node))
    return seen


def adopting(seen: Observation) -> Observation:
    """Return what would be seen if what sdss-fliswarm made were adopted."""
    if seen.original is None:
        return seen
    containers = (*seen.containers, seen.original)
    return replace(seen, containers=containers, foreign=None, original=None)


def as_ours(
    wanted: ContainerSpec, foreign: Foreign, image: Image | None, node: str
) -> Container:
    """Return a container as it would be ours: what is as wanted in the wanted's words.

    How it is started again is not compared: the original lets its engine remove it at
    its end, and no engine changes that of one that is there.
    """
    found = {
        **wanted.fields(),
        "image": _image(wanted, foreign, image),
        "environment": _environment(wanted, foreign),
        "privileged": foreign.privileged,
        "network": foreign.network,
        "memory": _memory(wanted, foreign),
        "cpus": foreign.cpus,
        "user": foreign.user,
    }
    found["volumes"], stand_ins = _volumes(wanted, foreign)
    return Container(
        foreign.id,
        foreign.name,
        foreign.state,
        foreign.image_id,
        found,
        node,
        stand_ins,
        foreign.made,
    )


def _image(wanted: ContainerSpec, foreign: Foreign, image: Image | None) -> str:
    same = image is not None and image.id == foreign.image_id
    if same or split(foreign.image) == split(wanted.image):
        return wanted.image
    return foreign.image


def _environment(wanted: ContainerSpec, foreign: Foreign) -> dict[str, str]:
    """Return the wanted variables as it has them; what else it has is its image's."""
    its = {**UNSAID, **foreign.environment}
    return {name: its[name] for name in wanted.environment if name in its}


def _memory(wanted: ContainerSpec, foreign: Foreign) -> str | None:
    if foreign.memory == _bytes(wanted.limits.memory):
        return wanted.limits.memory
    return None if foreign.memory is None else f"{foreign.memory}b"


def _bytes(size: str | None) -> int | None:
    match = re.fullmatch(r"([0-9]+)([bkmg]?)", (size or "").lower())
    return int(match[1]) * UNITS[match[2]] if match else None


def _volumes(
    wanted: ContainerSpec, foreign: Foreign
) -> tuple[dict[str, object], frozenset[str]]:
    """Return its volumes by the names of the wanted, and those that they stand for."""
    left = {posixpath.normpath(place): its for place, its in foreign.volumes.items()}
    found: dict[str, object] = {}
    stand_ins = set()
    for volume in wanted.volumes:
        its = left.pop(posixpath.normpath(volume.target), None)
        if its is None:
            continue
        options = dict(its.options)
        found[volume.name] = {
            "driver": its.driver,
            "options": options,
            "target": volume.target,
        }
        if (its.driver, options) == (volume.driver, dict(volume.options)):
            stand_ins.add(volume.docker_name)
    binds = {**dict.fromkeys((USB_BUS,), ""), **foreign.binds}
    for place, source in binds.items():
        if (place, source) != (USB_BUS, USB_BUS):
            found[place] = source or "not mounted"
    for place, its in left.items():
        found[place] = {"driver": its.driver, "options": dict(its.options)}
    return found, frozenset(stand_ins)
