"""Decide how the lab is to be made, and print it as JSON; say in one line what stands in the way.

    plan.py LAB_DIR     LAB_NODES, LAB_SUBNET and DOCKER_HOST are read from the environment

Nothing is changed here. What an earlier run settled (LAB_DIR/lab.json) stays.
"""

import ipaddress
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = {"docker": "docker.io", "mmdebstrap": "mmdebstrap", "ssh-keygen": "openssh-client"}
POOL = ipaddress.ip_network("10.77.0.0/16")


def engine(lab: Path) -> tuple[str, bool]:
    """The address of the engine, and whether it is the lab's own."""
    own = lab / "engine"
    if not own.exists():
        try:
            subprocess.run(["docker", "version"], check=True, capture_output=True, timeout=10)
        except (OSError, subprocess.SubprocessError):
            pass
        else:
            inspect = ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
            address = subprocess.run(inspect, check=True, capture_output=True, text=True).stdout.strip()
            if not address.startswith("unix://"):
                sys.exit(f"The lab's hosts are reached by their addresses, so its engine must be here, not {address}.")
            return address, False
    return f"unix://{own}/docker.sock", True


def needs(private: bool) -> list[str]:
    """The packages to install."""
    programs = PROGRAMS | ({"dockerd": "docker.io"} if private else {})
    packages = sorted({package for program, package in programs.items() if not shutil.which(program)})
    if packages and os.geteuid():
        sys.exit(f"The lab needs {' and '.join(packages)}: sudo apt-get install {' '.join(packages)}")
    if private and os.geteuid():
        sys.exit("No Docker Engine answers: start one that you may use (sudo systemctl start docker), or be root here.")
    return packages


def routes() -> list[ipaddress.IPv4Network]:
    """The networks that this machine has routes to (/proc/net/route, in hexadecimal, the low byte first)."""
    found = []
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        destination, mask = (int.from_bytes(bytes.fromhex(line.split()[n]), "little") for n in (1, 7))
        if mask:
            found.append(ipaddress.ip_network((destination, mask.bit_count())))
    return found


def prefix(settled: str | None) -> str:
    """The first three numbers of the lab's addresses: as asked for, as settled, or of a free network."""
    if asked := os.environ.get("LAB_SUBNET"):
        try:
            network = ipaddress.IPv4Network(asked)
        except ValueError as error:
            sys.exit(f"LAB_SUBNET: {error}.")
        if network.prefixlen != 24:
            sys.exit(f"LAB_SUBNET must be a network of 256 addresses such as 10.77.0.0/24, not {asked}.")
        wanted = str(network.network_address).rpartition(".")[0]
        if wanted != (settled or wanted):
            sys.exit(f"LAB_SUBNET: the lab's network is {settled}.0/24; to change it, run lab/down.yml first.")
        return wanted
    taken = [] if settled else routes()
    for network in POOL.subnets(new_prefix=24):
        if not any(network.overlaps(other) for other in taken):
            return settled or str(network.network_address).rpartition(".")[0]
    sys.exit(f"No network in {POOL} is free: name one with LAB_SUBNET.")


def nodes(settled: int) -> int:
    asked = os.environ.get("LAB_NODES") or str(settled)
    if not asked.isdecimal() or not 1 <= int(asked) <= 200:
        sys.exit(f"LAB_NODES must be a number from 1 to 200, not {asked}.")
    return int(asked)


def main(lab: Path) -> dict[str, object]:
    file = lab / "lab.json"
    settled = json.loads(file.read_text()) if file.exists() else {}
    address, private = engine(lab)
    if address != settled.get("docker_host", address):
        sys.exit(
            f"The lab was made on the Docker Engine {settled['docker_host']}, which does not answer; start it, or set "
            "DOCKER_HOST to it."
        )
    return {
        "needs": needs(private),
        "private": private,
        "lab": {
            "docker_host": address,
            "nodes": nodes(settled.get("nodes", 3)),
            "prefix": prefix(settled.get("prefix")),
        },
    }


print(json.dumps(main(Path(sys.argv[1]))))
