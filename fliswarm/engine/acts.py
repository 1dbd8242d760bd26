"""What is asked of an engine, one request after the other, in a call's thread."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from fliswarm.engine import answers, sdk
from fliswarm.engine.calls import Call
from fliswarm.engine.protocol import OnProgress
from fliswarm.engine.sdk import Client
from fliswarm.errors import EngineError
from fliswarm.model import (
    LABEL_NODE,
    LABEL_SPEC,
    USB_BUS,
    ContainerSpec,
    EngineInfo,
    Foreign,
    Observation,
    Volume,
)
from fliswarm.plan.adoption import with_originals

USB_DEVICES = "c 189:* rmw"
"""Device cgroup rule for the major number of USB device files."""

CPU_PERIOD = 100_000
"""Scheduling period in microseconds. A quota of it may exceed the host's processors,
where the engine refuses a plain number of processors that the host has not."""

UNBOUNDED_LOGS = ("json-file", "local")
"""Log drivers that write to the node's disk, the first one without end."""

LOG_BOUNDS = {"max-size": "10m", "max-file": "5"}
"""What is kept of a log: the noise of some nights, on disks that are small."""


def observe(
    api: Client, wanted: ContainerSpec, image: bool, adopted: Mapping[str, str]
) -> Observation:
    """See `Engine.observe`."""
    containers = api.containers(all=True)
    labels = {"label": LABEL_NODE}
    volumes = api.volumes(filters=labels) if image or wanted.volumes else {}
    found = api.image(wanted.image) if image else None
    seen = answers.observation(wanted, containers, volumes, found)
    if image and found is None:
        made_from = (c.image_id for c in seen.containers if c.name == wanted.name)
        running = next((api.image(wanted.image, by) for by in made_from), None)
        seen = replace(seen, running=running)
    looked_at = (answers.container(c) for c in containers)
    foreign = [
        _foreign(api, container.id)
        for container in looked_at
        if not container.node and container.id in {*adopted, seen.foreign}
    ]
    return with_originals(wanted, seen, [f for f in foreign if f], adopted)


def info(api: Client) -> EngineInfo:
    """See `Engine.info`."""
    before = time.time()
    said = api.info()
    return answers.info(said, api.newest, before, time.time())


def _foreign(api: Client, container: str) -> Foreign | None:
    """Return all of a container of somebody else's, unless it has just gone."""
    try:
        found = api.inspect_container(container)
        names = {m["Name"] for m in found["Mounts"] if m["Type"] == "volume"}
        return answers.foreign(found, {n: api.inspect_volume(n) for n in names})
    except sdk.APIError as error:
        if not sdk.is_gone(error):
            raise
    return None


def again(api: Client, name: str, made: Mapping[str, Any]) -> str:
    """See `Engine.again`."""
    return _started(api, api.from_config(made, name))


def create_volume(api: Client, volume: Volume, node: str) -> None:
    """Make a volume that is a node's; an engine that has it already says so."""
    labels = {LABEL_NODE: node}
    options = dict(volume.options)
    api.create_volume(volume.docker_name, volume.driver, options, labels=labels)


def digest(api: Client, name: str) -> str | None:
    """See `Engine.digest`."""
    login = api.credentials(name)
    try:
        return answers.digest(api.distribution(name, login))
    except sdk.APIError as error:
        if sdk.is_outdated(error):
            raise
        error.explanation = login.explain(sdk.words(error))
        raise


def pull(api: Client, name: str, call: Call, on_progress: OnProgress) -> str | None:
    """Pull an image; return why it did not come, if so."""
    login = api.credentials(name)
    problem = None
    progress = answers.Progress()
    try:
        for event in api.pulling(name, login):
            problem = problem or answers.failure(event)
            progress.take(event)
            if call.hear():
                call.tell(partial(on_progress, progress.so_far))
    except sdk.APIError as error:
        if sdk.is_outdated(error):
            raise
        problem = sdk.words(error)
    return problem and login.explain(problem)


def tag_image(api: Client, image: str, name: str) -> None:
    """See `Engine.tag_image`."""
    repository, tag = answers.split(name)
    api.tag(answers.exact(image), repository, tag)


def remove_image(api: Client, image: str, node: str) -> None:
    """See `Engine.remove_image`."""
    # Engines take names away from beneath containers that run, and keep the rest.
    found = api.image(image)
    if found is None:
        return
    for container in api.containers(all=True):
        if container.get("ImageID") == found.id:
            name = answers.container(container).name
            raise EngineError(node, f"image {image} is used by {name}")
    api.remove_image(answers.exact(image))


def start(api: Client, container: str) -> None:
    """See `Engine.start`."""
    if api.state(container) == "paused":
        api.unpause(container)
    else:
        api.start(container)


def stop(api: Client, container: str, grace: int) -> None:
    """See `Engine.stop`."""
    # Engines refuse to stop a paused one, or wait for its grace in vain.
    if api.state(container) == "paused":
        api.unpause(container)
    api.stop(container, timeout=grace)


def logs(api: Client, container: str, lines: int, node: str) -> str:
    """See `Engine.logs`."""
    try:
        output: bytes = api.logs(container, tail=lines)
    except sdk.APIError as error:
        raise unreadable(node, error) from error
    return output.decode("utf-8", "replace")


def unreadable(node: str, error: sdk.APIError) -> Exception:
    """Return why a log cannot be read; the error itself where there are no words."""
    said = sdk.words(error)
    if "does not support reading" not in said:
        return error
    return EngineError(
        node,
        "its log goes where it cannot be read from here, by the log driver of the "
        f"node's engine ({said})",
    )


def run(api: Client, wanted: ContainerSpec) -> str:
    """See `Engine.run`."""
    created = api.create_container(
        answers.exact(wanted.image),
        name=wanted.name,
        environment=dict(wanted.environment),
        user=wanted.user,
        labels={
            LABEL_NODE: wanted.node,
            LABEL_SPEC: json.dumps(wanted.fields(), sort_keys=True),
        },
        host_config=_host_config(api, wanted),
        # Proxies in the settings of whoever started us are no camera's.
        use_config_proxy=False,
    )
    return _started(api, str(created["Id"]))


def _started(api: Client, container: str) -> str:
    try:
        api.start(container)
    except sdk.APIError:
        api.remove_container(container, force=True)
        raise
    return container


def _host_config(api: Client, wanted: ContainerSpec) -> dict[str, object]:
    mounts = [sdk.Mount(volume.target, volume.docker_name) for volume in wanted.volumes]
    # A container's own /dev is a copy made at its start. Only the bind shows the
    # device file of a camera that is plugged in, or switched on, later.
    mounts.append(sdk.Mount(USB_BUS, USB_BUS, type="bind"))
    # An option of the container is of no concern to its specification: it differs by
    # the engine, and no camera is replaced for it.
    try:
        driver = api.info().get("LoggingDriver")
    except sdk.APIError:
        # What is asked next fares better, or is told in the engine's words.
        driver = None
    log = None
    if driver in UNBOUNDED_LOGS:
        log = sdk.LogConfig(type=driver, config=LOG_BOUNDS)
    made: dict[str, object] = api.create_host_config(
        privileged=wanted.privileged,
        device_cgroup_rules=None if wanted.privileged else [USB_DEVICES],
        network_mode=wanted.network,
        mounts=mounts,
        mem_limit=wanted.limits.memory,
        cpu_period=None if wanted.limits.cpus is None else CPU_PERIOD,
        cpu_quota=_quota(wanted),
        restart_policy={"Name": wanted.restart_policy},
        init=True,
        log_config=log,
        # An engine with userns-remap refuses, without it, both privileges and the
        # host's network; to any other it says nothing new.
        userns_mode="host",
    )
    return made


def _quota(wanted: ContainerSpec) -> int | None:
    if wanted.limits.cpus is None:
        return None
    try:
        return round(wanted.limits.cpus * CPU_PERIOD)
    except (OverflowError, ValueError) as error:
        raise EngineError(
            wanted.node, f"{wanted.limits.cpus} is no number of processors"
        ) from error
