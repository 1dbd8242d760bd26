"""Docker's nouns to ours: what an engine answers, believed only as far as it fits.

An answer of another form raises an exception of any kind; nothing of it goes further.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from fliswarm.model import (
    LABEL_NODE,
    LABEL_SPEC,
    Container,
    ContainerDetail,
    ContainerSpec,
    EngineInfo,
    Foreign,
    ForeignVolume,
    Image,
    Observation,
    PullProgress,
    StoredImage,
)
from fliswarm.model.imagename import split as split

MADE_OF = ("Cmd", "Entrypoint", "Env", "StopSignal", "Tty", "User", "WorkingDir")
"""What an engine tells of a container that it is made of, beside its host's part."""

LAYERS_LIMIT = 1000
"""Layers of which the progress is followed; an image has at most 127."""

WHOLE = ("Already exists", "Pull complete")
"""What an engine says of a layer that is on the node."""

LOADED = (*WHOLE, "Download complete", "Verifying Checksum", "Extracting")
"""What an engine says of a layer all of whose bytes have come."""


def observation(
    wanted: ContainerSpec,
    containers: Iterable[Mapping[str, Any]],
    volumes: Mapping[str, Any],
    image: Image | None,
) -> Observation:
    """Return what an engine has of ours, by its lists of all that it has."""
    ours, others, foreign = [], [], None
    for found in map(container, containers):
        if found.node == wanted.node:
            ours.append(found)
            continue
        if found.node:
            others.append(found)
        if found.name == wanted.name:
            foreign = found.id
    names = frozenset(_text(volume, "Name") for volume in volumes.get("Volumes") or ())
    return Observation(wanted.node, tuple(ours), names, image, foreign, tuple(others))


def container(found: Mapping[str, Any]) -> Container:
    """Return one container of an engine's list."""
    labels = found.get("Labels") or {}
    names = found.get("Names") or [""]
    mounts = found.get("Mounts") or ()
    return Container(
        id=_text(found, "Id"),
        # A container that others link to has names in theirs.
        name=min((str(name).removeprefix("/") for name in names), key=_depth),
        state=_text(found, "State"),
        image_id=_text(found, "ImageID"),
        spec=_spec(labels.get(LABEL_SPEC)),
        node=str(labels.get(LABEL_NODE, "")),
        volumes=frozenset(
            _text(mount, "Name") for mount in mounts if mount["Type"] == "volume"
        ),
    )


def foreign(
    found: Mapping[str, Any], volumes: Mapping[str, Mapping[str, Any]]
) -> Foreign:
    """Return a container of somebody else's, by what an engine tells of it alone."""
    config, host = found["Config"], found["HostConfig"]
    mounts = found["Mounts"]
    period, quota = host.get("CpuPeriod") or 100_000, host.get("CpuQuota") or 0
    cpus = (host.get("NanoCpus") or 0) / 1e9 or max(quota, 0) / period
    # Its name may be another image's by now.
    made = {key: config.get(key) for key in MADE_OF if config.get(key) is not None}
    return Foreign(
        id=_text(found, "Id"),
        name=_text(found, "Name").removeprefix("/"),
        state=_text(found["State"], "Status"),
        image=_text(config, "Image"),
        image_id=_text(found, "Image"),
        environment=dict(
            word.partition("=")[::2] for word in config.get("Env") or () if "=" in word
        ),
        volumes={
            _text(mount, "Destination"): ForeignVolume(
                _text(volumes[mount["Name"]], "Driver"),
                dict(volumes[mount["Name"]].get("Options") or {}),
            )
            for mount in mounts
            if mount["Type"] == "volume"
        },
        binds={
            _text(mount, "Destination"): str(mount.get("Source", ""))
            for mount in mounts
            if mount["Type"] != "volume"
        },
        privileged=bool(host.get("Privileged")),
        network=str(host.get("NetworkMode")),
        memory=host.get("Memory") or None,
        cpus=cpus or None,
        user=config.get("User") or None,
        made={**made, "Image": found["Image"], "HostConfig": host},
    )


def _depth(name: str) -> int:
    return name.count("/")


def _spec(label: object) -> Mapping[str, object]:
    """Return the specification that a label holds; one that is none fits nothing."""
    try:
        spec = json.loads(label) if isinstance(label, str) else None
    except ValueError:
        return {}
    return spec if isinstance(spec, dict) else {}


def image(found: Mapping[str, Any], name: str) -> Image:
    """Return what an engine tells of the image of a name."""
    repository, tag = split(name)
    named = (digest.split("@") for digest in found.get("RepoDigests") or ())
    digests = [digest for place, digest in named if place == repository]
    # One image may have been pulled by the digest of an index and by its own.
    digest = tag if tag in digests else next(iter(digests), None)
    return Image(_text(found, "Id"), digest)


def info(said: Mapping[str, Any], api: str, before: float, after: float) -> EngineInfo:
    """Return what an engine says of itself.

    Parameters
    ----------
    said
        Its answer.
    api
        The newest version of the API that it speaks.
    before, after
        When it was asked and when it had answered, in seconds by our clock.
    """
    offset = 0.0
    with suppress(KeyError, TypeError, ValueError):
        there = datetime.fromisoformat(said["SystemTime"]).timestamp()
        # It looked at its clock at some moment between the two.
        offset = there - min(max(there, before), after)
    return EngineInfo(
        version=str(said.get("ServerVersion", "")),
        api=api,
        storage=str(said.get("Driver", "")),
        live_restore=said.get("LiveRestoreEnabled") is True,
        warnings=tuple(str(warning) for warning in said.get("Warnings") or ()),
        offset=offset,
    )


def detail(found: Mapping[str, Any]) -> ContainerDetail:
    """Return what an engine tells of one container."""
    state, config = found.get("State") or {}, found.get("Config") or {}
    started = None
    with suppress(KeyError, TypeError, ValueError):
        started = datetime.fromisoformat(state["StartedAt"]).astimezone(UTC)
    words = (found.get("Path"), *(found.get("Args") or ()))
    return ContainerDetail(
        restarts=int(found.get("RestartCount") or 0),
        started=started,
        out_of_memory=state.get("OOMKilled") is True,
        exit_code=int(state.get("ExitCode") or 0),
        problem=str(state.get("Error") or ""),
        program=" ".join(str(word) for word in words if word),
        variables=frozenset(
            str(variable).partition("=")[0] for variable in config.get("Env") or ()
        ),
    )


def stored(found: Mapping[str, Any]) -> StoredImage:
    """Return one image of an engine's list; one without a name has a sign for it."""
    created = datetime.fromtimestamp(int(found.get("Created") or 0), UTC)
    return StoredImage(
        _text(found, "Id"),
        tuple(n for n in map(str, found.get("RepoTags") or ()) if "<none>" not in n),
        tuple(n for n in map(str, found.get("RepoDigests") or ()) if "<none>" not in n),
        int(found.get("Size") or 0),
        created.isoformat(timespec="seconds"),
    )


def digest(found: Mapping[str, Any]) -> str | None:
    """Return the digest by which a registry knows an image, if it tells one."""
    told = (found.get("Descriptor") or {}).get("digest")
    return None if told is None else str(told)


def exact(name: str) -> str:
    """Return an image's name as every engine finds it: without a tag beside a digest.

    Engines that keep what they pulled by digest under that name alone know no other.
    """
    repository, tag = split(name)
    return f"{repository}@{tag}" if "@" in name else name


def failure(event: Mapping[str, Any]) -> str | None:
    """Return why a pull failed, by one of its events: engines differ in its key."""
    detail = event.get("errorDetail") or {}
    said = event.get("error") or detail.get("message")
    return None if said is None else str(said)


class Progress:
    """Adds up what an engine tells of the layers that it pulls."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}
        self._whole: set[str] = set()

    def take(self, event: Mapping[str, Any]) -> None:
        """Take one event of a pull."""
        layer, status = event.get("id"), event.get("status")
        if not isinstance(layer, str) or not isinstance(status, str):
            return
        # The first event of all is about the image, by its tag.
        if status.startswith(("Pulling from", "Digest", "Status")):
            return
        if layer not in self._layers and len(self._layers) >= LAYERS_LIMIT:
            return
        done, total = self._layers.get(layer, (0, 0))
        if status in LOADED:
            done = total
        elif status == "Downloading":
            detail = event.get("progressDetail") or {}
            done = int(detail.get("current", 0))
            total = max(int(detail.get("total", 0)), done, 0)
        self._layers[layer] = done, total
        if status in WHOLE:
            self._whole.add(layer)

    @property
    def so_far(self) -> PullProgress:
        """How far the pull is."""
        done = sum(done for done, _ in self._layers.values())
        total = sum(total for _, total in self._layers.values())
        return PullProgress(done, total, len(self._whole), len(self._layers))


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is no text")
    return value
