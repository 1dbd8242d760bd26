"""The host's operating system and its packages."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Folders of root's programs, which who became root by su has not in the path."""

LIMIT = 60
"""Seconds for apt to think."""


def know_root_programs() -> None:
    """Let this process, and those it starts, find root's programs."""
    path = os.environ.get("PATH") or os.defpath
    there = path.split(os.pathsep)
    lacking = [folder for folder in SBIN if folder not in there]
    os.environ["PATH"] = os.pathsep.join([*there, *lacking])


def unknown(root: str = "/") -> str:
    """Return why this host is none that the roles know, empty when it is one.

    Parameters
    ----------
    root
        Folder of the host's file system.
    """
    said = _release(root)
    family = {said.get("ID", ""), *said.get("ID_LIKE", "").split()}
    name = said.get("PRETTY_NAME") or said.get("ID") or "of an unknown kind"
    if not family & {"debian", "ubuntu"}:
        return f"its system is {name}, and the roles know Debian and Ubuntu"
    if not Path(root, "run/systemd/system").is_dir():
        return f"its system ({name}) is not run by systemd"
    return ""


def _release(root: str) -> dict[str, str]:
    for place in ("etc/os-release", "usr/lib/os-release"):
        file = Path(root, place)
        if file.is_file():
            pairs = re.findall(r"^(\w+)=(.*)$", file.read_text("utf-8"), re.MULTILINE)
            return {key: value.strip().strip("\"'") for key, value in pairs}
    return {}


def removed(simulated: str) -> list[str]:
    """Return the packages that apt would remove, by what it says in a simulation."""
    return sorted(set(re.findall(r"^(?:Remv|Purg) ([^\s:]+)", simulated, re.MULTILINE)))


def removed_by(packages: list[str]) -> list[str]:
    """Return the packages that would go if these were installed.

    What apt cannot tell yet, as it has no lists of packages, it tells when it installs:
    the roles let it remove nothing.
    """
    if not packages:
        return []
    command = ["apt-get", "--simulate", "--no-install-recommends", "install"]
    try:
        done = subprocess.run(
            [*command, *packages],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
            timeout=LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    said = done.stdout.decode(errors="replace")
    return removed(said) if done.returncode == 0 else []


def refusal(packages: list[str], gone: list[str]) -> str:
    """Return the words for packages that others would have to give way to."""
    instead = (
        "install the Docker Engine that goes with it (docker-ce with containerd.io), "
        if "docker.io" in packages
        else ""
    )
    return (
        f"Installing {', '.join(packages)} would remove {', '.join(gone)}, and with it "
        f"what runs by it. Remedy: {instead}or, if nothing on this host needs it, "
        f"sudo apt-get remove {' '.join(gone)}. Nothing was changed."
    )
