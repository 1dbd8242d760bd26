"""Desired fleets for tests."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from pathlib import Path

from fliswarm.engine.memory import MemoryEngine
from fliswarm.model import Fleet, Image, Node, Volume

IMAGE = "hub:5000/sdss/flicamera:latest"

DATA = Volume("data", "local", {"type": "nfs", "o": "addr=hub", "device": ":/data"})

PULLED = Image("sha256:one", "sha256:digest-one")


PORTS = range(20000, 32000)
"""Ports that no system gives by itself to whoever asks for any."""


def free_port() -> int:
    """Return a port on which nothing listens, and nobody will by chance."""
    while listening(port := random.choice(PORTS)):  # noqa: S311  any will do
        pass
    return port


def listening(port: int) -> bool:
    """Return whether somebody listens on a port; not by asking, which would be seen."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def fleet(ports: Mapping[str, int], *, categories: Mapping[str, str] = {}) -> Fleet:
    """Return a fleet of nodes on this computer, by name and camera port."""
    nodes = {
        name: Node(
            name,
            "127.0.0.1",
            f"tcp://{name}:2375",
            port=port,
            category=categories.get(name, "gfa"),
        )
        for name, port in ports.items()
    }
    return Fleet(
        observatory="APO",
        nodes=nodes,
        enabled=tuple(nodes),
        image="sdss/flicamera:latest",
        registry="hub:5000",
        volumes=(DATA,),
    )


def engine(node: str) -> MemoryEngine:
    """Return an engine in memory whose registry has the image."""
    return MemoryEngine(node, registry={IMAGE: PULLED})


ORIGINAL = """\
actor:
  name: fliswarm
  host: 127.0.0.1
  port: {port}
  tron_host: sdss5-hub
  tron_port: 6093
  log_dir: /data/logs/actors/fliswarm
  additional_properties: true

registry: sdss-hub:5000
image: sdss/flicamera:latest
container_name: flicamera
ping_timeout: 0.6
reboot_command: sudo reboot

enabled_nodes:
  APO: [gfa1, fvc]
  LCO: [gfa1]

nodes:
  APO:
    gfa1:
      user: sdss
      host: sdss-gfa1
      port: 19995
      docker-client: tcp://sdss-gfa1:2375
      docker-uid: 2005
      docker-gid: 3005
      category: gfa
      power: {{device: nuc1}}
    gfa2: {{host: sdss-gfa2, category: gfa, power: {{device: nuc2}}}}
    fvc: {{host: sdss-fvc, category: fvc}}
  LCO:
    gfa1: {{host: lco-gfa1, category: gfa}}

power:
  actor: jaeger
  command:
    poweron: ieb switch --on
    poweroff: ieb switch --off

volumes:
  home:
    driver: local
    opts: {{type: nfs, o: "nfsvers=4,addr=hub,ro", device: ":/home/sdss5"}}
  data:
    driver: local
    opts: {{type: nfs, o: "addr=hub,rw", device: ":/data"}}
"""
"""A file in the original's format, with everything that it may hold."""


def original(folder: Path, text: str = "", *, port: int = 19996) -> Path:
    """Write the original's file, with ``text`` after it; return its path."""
    file = folder / "fliswarm.yaml"
    file.write_text(ORIGINAL.format(port=port) + text, "utf-8")
    return file
