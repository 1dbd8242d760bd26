"""What is wrong with a camera, and in its container: signs to verdicts, pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from fliswarm.model import Volume
from fliswarm.model.signs import Inside, ManagerSigns, NodeSigns, Place
from fliswarm.plan.container_checks import again, ran
from fliswarm.plan.verdict import (
    DATA_SPACE,
    NODE_SPACE,
    Verdict,
    bad,
    good,
    on,
    provision,
    too_full,
    unknown,
)

BEGINNING = timedelta(minutes=1)
"""Time that a camera's program has until it listens."""

TEMPERATURE_LIMIT = 200.0
"""Degrees Celsius, above and below zero, beyond which a reading is none."""

SIMULATED = re.compile(r"simulat|\bmock\b|\bflicamera\b.*\s-s\b", re.IGNORECASE)
"""How a container's program says that its camera is none."""

REAL = re.compile(r"\bflicamera\b")
"""How a container's program says that it looks for a device."""


def mounts(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether the volumes answer in the container."""
    if signs.inside is None:
        return unknown()
    wrong = [
        (volume, place)
        for volume, place in _places(signs, signs.inside)
        if place.problem is not None
    ]
    if not wrong:
        return good()
    seen = "; ".join(f"{v.name} ({p.path}): {p.problem}" for v, p in wrong)
    server = _server(wrong[0][0])
    meaning = "Images cannot be written, and whoever tries may hang."
    ask = f"showmount -e {server}" if server else f"ls {wrong[0][1].path}"
    return bad(
        seen,
        meaning,
        f"{on(signs.node, ask)}; then {again(signs, ' --force')}",
        shared=bad(seen, meaning, f"{ask}; then fliswarm reconnect --force"),
    )


def _places(signs: NodeSigns, inside: Inside) -> Iterator[tuple[Volume, Place]]:
    by_path = {place.path: place for place in inside.volumes}
    for volume in signs.wanted.volumes:
        if volume.target in by_path:
            yield volume, by_path[volume.target]


def _server(volume: Volume) -> str:
    """Return the computer that a volume's files are on, by the driver's options."""
    found = re.search(r"(?:^|,)addr=([^,]+)", volume.options.get("o", ""))
    return found[1] if found else ""


def data(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether there is room for images."""
    if signs.inside is None:
        return unknown()
    full = {
        f"{volume.name} ({place.path})": why
        for volume, place in _places(signs, signs.inside)
        if place.space is not None and (why := too_full(place.space, DATA_SPACE))
    }
    if not full:
        return good()
    seen = "; ".join(f"{volume}: {why}" for volume, why in full.items())
    meaning = "The next exposures find no room for their images."
    ask = "df -h " + " ".join(volume.target for volume in signs.wanted.volumes)
    # Nodes that look one after the other see the same disk a little fuller.
    shared = bad(f"almost full: {', '.join(full)}", meaning, ask)
    return bad(seen, meaning, on(signs.node, ask), shared=shared)


def disk(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether there is room for images of containers."""
    inside = signs.inside
    if inside is None or inside.root.space is None:
        return unknown()
    why = too_full(inside.root.space, NODE_SPACE)
    if why is None:
        return good(f"{inside.root.space.free >> 20} MB free")
    return bad(
        f"where its engine keeps images, {why}",
        "A new image does not fit, and a full disk stops the camera.",
        on(signs.node, "df -h; sudo docker system df; sudo docker image prune -a"),
    )


def simulated(signs: NodeSigns) -> bool | None:
    """Return whether the container's camera is none; ``None`` when it does not say."""
    if signs.detail is None:
        return None
    if SIMULATED.search(" ".join((signs.detail.program, *signs.detail.variables))):
        return True
    return False if REAL.search(signs.detail.program) else None


def usb(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether the container has a device of FLI's to itself."""
    kind, inside, node = simulated(signs), signs.inside, signs.node
    if kind is True:
        return good("the camera is simulated")
    if kind is None and signs.detail is not None:
        return unknown("the program does not say whether it needs a device")
    if kind is None or inside is None or not inside.bus:
        return unknown()
    devices = inside.devices
    if not devices:
        return bad(
            "no device of FLI's (0f18) is on its bus",
            "The camera has no power, or its cable or port is bad.",
            f"{on(node, 'lsusb -d 0f18:; sudo dmesg | tail')}; the camera's power and "
            "cable",
        )
    if any(device.access == "open" for device in devices):
        return good(devices[0].file)
    device = devices[0]
    if device.access == "missing":
        return bad(
            f"{device.file} is not in the container",
            "The container does not see devices that come after its start.",
            again(signs, " --force"),
        )
    return bad(
        f"{device.file} cannot be opened in the container",
        "The user of the container, or the container, may not use the device.",
        f"{on(node, f'ls -l {device.file}')}; {provision(node)}",
    )


def link(signs: NodeSigns, manager: ManagerSigns) -> Verdict:
    """Whether the camera's program takes connections."""
    camera, node = signs.camera, signs.node
    if camera is None:
        return unknown()
    if camera.up:
        return good()
    if camera.stranger is not None:
        return unknown(camera.stranger)
    age = ran(signs, manager)
    if age is not None and age < BEGINNING:
        return unknown("its container was started a moment ago")
    return bad(
        f"{node.host}:{node.port}: {camera.problem}",
        "The container runs, and its program does not listen, hangs, or is cut off by "
        "a firewall.",
        f"fliswarm logs {node.name}; {again(signs)}",
        away=True,
    )


def identity(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether the camera is this node's."""
    camera, node = signs.camera, signs.node
    if camera is None:
        return unknown()
    if camera.stranger is None:
        return good() if camera.up else unknown()
    return bad(
        f"{node.host}:{node.port}: {camera.stranger}",
        "Another camera has the port: its images would be taken for this one's.",
        f"{on(node, 'sudo docker ps; sudo ss -ltnp')}; {again(signs, ' --force')}",
    )


def answer(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether the camera answers a command."""
    camera = signs.camera
    if camera is None or camera.ended is None:
        return unknown()
    if camera.ended == "done":
        return good()
    if camera.ended == "failed":
        return bad(
            f"it fails status: {camera.problem or 'it does not say why'}",
            "The program runs, and its camera does not do as it should.",
            f"fliswarm logs {signs.node.name}; {again(signs, ' --force')}",
        )
    if camera.ended == "silent" and not camera.busy:
        return bad(
            "it takes the connection and does not answer status",
            "Its program hangs, as when the device does not answer.",
            f"fliswarm logs {signs.node.name}; {again(signs, ' --force')}",
            away=True,
        )
    return unknown("it works on another command, or has just gone")


def temperature(signs: NodeSigns, _: ManagerSigns) -> Verdict:
    """Whether the camera reads its sensor's temperature."""
    told = signs.camera.told if signs.camera else None
    if not told or "temperature_ccd" not in told:
        return unknown()
    cold = told["temperature_ccd"]
    if isinstance(cold, int | float) and abs(cold) < TEMPERATURE_LIMIT:
        return good(f"{cold:.1f} °C")
    return bad(
        f"the temperature of its sensor is {cold}",
        "The device does not answer its program any more.",
        f"fliswarm logs {signs.node.name}; {again(signs, ' --force')}; then the "
        "camera's power",
    )
