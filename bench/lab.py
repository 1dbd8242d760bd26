"""``reconnect --force`` of the lab's real nodes: the original, ours, and the floor."""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker

from bench.client import Client
from bench.programs import PORTS, launched
from bench.report import Figure

ROUNDS = 3
CAMERA_PORT = 19995


def reconnect(folder: Path, oracle: Path) -> Figure:
    """Measure how long all cameras are away, from the command to the last answer."""
    lab = json.loads(Path(".lab/lab.json").read_text("utf-8"))
    nodes = {f"gfa{n}": f"{lab['prefix']}.{10 + n}" for n in range(1, lab["nodes"] + 1)}
    registry = f"{lab['prefix']}.10:5000"
    seconds: dict[str, list[float]] = {"original": [], "fliswarm": [], "floor": []}
    for name in ("original", "fliswarm"):
        clear(nodes)
        file = configuration(folder, name, nodes, registry)
        with launched(name, file, folder, oracle) as program:
            client = Client(program.port)
            client.command("reconnect")
            for _ in range(ROUNDS):
                took, replies = client.command("reconnect --force")
                if b" : " not in replies[-1]:
                    raise RuntimeError(f"{name}: {replies[-1].decode()}")
                seconds[name].append(took)
            client.close()
    for _ in range(ROUNDS):
        seconds["floor"].append(floor(nodes))
    clear(nodes)
    found = {name: statistics.median(values) for name, values in seconds.items()}
    return Figure(
        f"reconnect --force, {len(nodes)} nodes",
        "s",
        found["fliswarm"],
        found["original"],
        found["floor"],
        to_floor=1.15,
    )


def configuration(
    folder: Path, program: str, nodes: dict[str, str], registry: str
) -> Path:
    """Write a configuration for the lab's nodes, in the original's format."""
    described = {
        name: {
            "user": "sdss",
            "host": address,
            "port": CAMERA_PORT,
            "docker-client": f"tcp://{address}:2375",
            "category": "gfa",
        }
        for name, address in nodes.items()
    }
    actor = {"name": "fliswarm", "host": "127.0.0.1", "port": PORTS[program]}
    volume = {"type": "none", "o": "bind", "device": "/data"}
    config: dict[str, Any] = {
        "actor": {**actor, "additional_properties": True},
        "registry": registry,
        "image": "sdss/flicamera:latest",
        "container_name": "flicamera",
        "ping_timeout": 0.6,
        "enabled_nodes": {"APO": list(nodes)},
        "nodes": {"APO": described},
        "volumes": {"data": {"driver": "local", "opts": volume}},
    }
    if program == "fliswarm":
        config["control"] = {"socket": str(folder / "lab.sock")}
    file = folder / f"lab-{program}.yaml"
    file.write_text(json.dumps(config), "utf-8")
    return file


def clear(nodes: dict[str, str]) -> None:
    """Remove the cameras' containers, by their exact names, whoever made them."""
    for name, address in nodes.items():
        with (
            contextlib.closing(docker.APIClient(f"tcp://{address}:2375")) as api,
            contextlib.suppress(docker.errors.NotFound),
        ):
            api.remove_container(f"flicamera-{name}", force=True)


def floor(nodes: dict[str, str]) -> float:
    """Replace all containers with nothing but Docker's own calls."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(_replace, nodes.items()))
    return time.monotonic() - began


def _replace(node: Sequence[str]) -> None:
    name, address = node
    with contextlib.closing(docker.APIClient(f"tcp://{address}:2375")) as api:
        container = f"flicamera-{name}"
        known = api.inspect_container(container)
        settings = known["HostConfig"]
        api.remove_container(container, force=True)
        wanted = {**known["Config"], "HostConfig": settings}
        created = api.create_container_from_config(  # type: ignore[no-untyped-call]
            wanted, container
        )
        api.start(created["Id"])
    while True:
        try:
            with socket.create_connection((address, CAMERA_PORT), 1) as camera:
                camera.sendall(b"1 ping\n")
                while b'":"' not in camera.recv(4096):
                    pass
                return
        except OSError:
            time.sleep(0.02)
