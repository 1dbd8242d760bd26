"""Tell what a host has of Docker Engine: one JSON object, nothing changed.

Run on the host as ``python3 - FILES ADDRESS`` with a JSON object of name: path
and the ``host:port`` at which the API has to answer.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

PACKAGED = "/usr/sbin/dockerd --containerd=/run/containerd/containerd.sock $DOCKER_OPTS"
SNAP = "/var/lib/snapd/snaps"


def read(path: str) -> str | None:
    """Return the text of a file, or None when there is no such file."""
    file = Path(path)
    return file.read_text(encoding="utf-8-sig") if file.is_file() else None


def show(unit: str, key: str) -> str:
    """Return one property of a systemd unit, empty when there is none."""
    command = ["systemctl", "show", "--property", key, "--value", unit]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    except OSError:
        return ""
    return done.stdout.decode().strip()


def exec_start() -> str:
    """Return the command of the packaged unit without the addresses it listens on."""
    unit = read(show("docker.service", "FragmentPath") or "/nonexistent") or ""
    unit = unit.replace("\\\n", " ")
    found = re.findall(r"^ExecStart=(\S.*)$", unit, re.MULTILINE)
    if not found:
        dockerd = shutil.which("dockerd")
        return PACKAGED.replace("/usr/sbin/dockerd", dockerd) if dockerd else PACKAGED
    command = re.sub(r"\s(-H|--host)[=\s]?\s*\S+", "", " " + found[-1])
    return " ".join(command.split())


def answers(address: str) -> bool:
    """Tell whether the API answers at this address."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}/_ping", timeout=3) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def main(files: dict[str, str], address: str) -> dict[str, Any]:
    """Look at the host."""
    texts = {name: read(path) for name, path in files.items()}
    daemon: Any = {}
    refusals = []
    try:
        daemon = json.loads(texts["daemon"] or "{}")
    except ValueError as error:
        refusals.append(f"{files['daemon']} is not valid JSON: {error}")
    if not isinstance(daemon, dict):
        refusals.append(f"{files['daemon']} is not a JSON object")
        daemon = {}
    if any(Path(SNAP).glob("docker_*.snap")) or Path("/snap/bin/docker").exists():
        refusals.append(
            "Docker is installed as a snap: it is confined, reads neither"
            f" {files['daemon']} nor a drop-in of docker.service, and cannot bind"
            " /dev/bus/usb. Remove it with: sudo snap remove docker"
        )
    if not shutil.which("apt-get"):
        refusals.append("the host has no apt-get: Debian or Ubuntu is needed")
    parents = {str(Path(path).parent) for path in files.values()}
    return {
        "files": texts,
        "daemon": daemon,
        "refusals": refusals,
        "missing": sorted(path for path in parents if not Path(path).is_dir()),
        "engine": shutil.which("dockerd") is not None,
        "exec_start": exec_start(),
        "socket": show("docker.socket", "ActiveState") == "active",
        "answers": answers(address),
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]), sys.argv[2])))
