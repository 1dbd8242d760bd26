"""Decide how the lab is to be made, and print it as JSON, or what stands in the way.

    plan.py LAB_DIR

LAB_NODES, LAB_SUBNET and DOCKER_HOST are read from the environment; what an earlier
run settled (LAB_DIR/lab.json) stays. Nothing is changed here.
"""

import ipaddress
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = {
    "docker": "docker.io",
    "mmdebstrap": "mmdebstrap",
    "ssh-keygen": "openssh-client",
}
ENDPOINT = "{{.Endpoints.docker.Host}}"
POOL = ipaddress.ip_network("10.77.0.0/16")


def docker(*words: str) -> str:
    """Ask the docker command, with the address that the user has chosen for it."""
    done = subprocess.run(
        ["docker", *words], check=True, capture_output=True, text=True, timeout=30
    )
    return done.stdout.strip()


def find_engine(lab: Path) -> tuple[str, bool]:
    """Return the address of the engine, and whether it is the lab's own."""
    own = lab / "engine"
    if not own.exists():
        try:
            docker("version")
        except (OSError, subprocess.SubprocessError):
            pass
        else:
            address = docker("context", "inspect", "--format", ENDPOINT)
            if not address.startswith("unix://"):
                sys.exit(
                    "The lab's hosts are reached by their addresses: its Docker Engine "
                    f"must be on this machine, not at {address}."
                )
            return address, False
    return f"unix://{own}/docker.sock", True


def find_needs(private: bool) -> list[str]:
    """Return the packages to install."""
    programs = PROGRAMS | (
        {"dockerd": "docker.io", "umount": "mount"} if private else {}
    )
    missing = {programs[name] for name in programs if not shutil.which(name)}
    if missing and os.geteuid():
        packages = " ".join(sorted(missing))
        sys.exit(f"The lab needs packages: sudo apt-get install {packages}")
    if private and os.geteuid():
        sys.exit(
            "No Docker Engine answers. Remedy: start one that you may use "
            "(sudo systemctl start docker), or be root here."
        )
    return sorted(missing)


def find_routes() -> list[ipaddress.IPv4Network]:
    """Return the networks that this machine has routes to."""
    found = []
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        # The kernel writes addresses in hexadecimal, the low byte first.
        fields = [bytes.fromhex(line.split()[n])[::-1] for n in (1, 7)]
        destination, mask = (int.from_bytes(field) for field in fields)
        if mask:
            found.append(ipaddress.IPv4Network((destination, mask.bit_count())))
    return found


def choose_prefix(settled: str | None) -> str:
    """Return the first three numbers of the lab's addresses."""
    if asked := os.environ.get("LAB_SUBNET"):
        try:
            network = ipaddress.IPv4Network(asked)
        except ValueError as error:
            sys.exit(f"LAB_SUBNET: {error}.")
        if network.prefixlen != 24:
            sys.exit(f"LAB_SUBNET must be like 10.77.0.0/24, not {asked}.")
        wanted = str(network.network_address).rpartition(".")[0]
        if wanted != (settled or wanted):
            sys.exit(
                f"LAB_SUBNET: the lab's network is {settled}.0/24. "
                "Remedy: to change it, run lab/down.yml first."
            )
        return wanted
    if settled:
        return settled
    taken = find_routes()
    for free in POOL.subnets(new_prefix=24):
        if not any(free.overlaps(other) for other in taken):
            return str(free.network_address).rpartition(".")[0]
    sys.exit(f"No network in {POOL} is free. Remedy: name one with LAB_SUBNET.")


def choose_nodes(settled: int) -> int:
    """Return the number of camera computers."""
    asked = os.environ.get("LAB_NODES") or str(settled)
    if not asked.isdecimal() or not 1 <= int(asked) <= 180:
        sys.exit(f"LAB_NODES must be a number from 1 to 180, not {asked}.")
    return int(asked)


def main(lab: Path) -> None:
    """Print the plan for the lab whose state is in this folder."""
    file = lab / "lab.json"
    settled = json.loads(file.read_text()) if file.exists() else {}
    address, private = find_engine(lab)
    if address != settled.get("docker_host", address):
        sys.exit(
            f"The lab was made on the Docker Engine {settled['docker_host']}, and the "
            f"one found is {address}. Remedy: set DOCKER_HOST to the former, and start "
            "it if it does not answer."
        )
    plan = {
        "needs": find_needs(private),
        "private": private,
        "lab": {
            "docker_host": address,
            "nodes": choose_nodes(settled.get("nodes", 3)),
            "prefix": choose_prefix(settled.get("prefix")),
        },
    }
    json.dump(plan, sys.stdout)


main(Path(sys.argv[1]))
