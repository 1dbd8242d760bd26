"""Take from this host's Docker Engine what is ours: one JSON object tells what.

Run on the host as ``python3 - act|look``.

``engine``
    Whether the engine answers.
``ours``
    Containers, volumes and images that were removed, or would be.
``foreign``
    What others have there: containers, and volumes that none of ours uses. Where the
    engine does not answer, the folder in which there are any.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import Any

API = "/var/run/docker.sock"

OURS = "org.sdss.fliswarm.node"
"""Label of containers and volumes."""

IMAGES = ("org.sdss.fliswarm.recipe", "org.sdss.fliswarm.proof")
"""Labels of images."""

DATA = Path("/var/lib/docker")

LIMIT = 120
"""Seconds for the engine to answer; a camera has ten of them to end."""


def request(method: str, path: str) -> tuple[int, str]:
    """Ask the engine; return the status and the body of its answer."""
    connection = http.client.HTTPConnection("localhost", timeout=LIMIT)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(LIMIT)
    connection.sock.connect(API)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def ask(method: str, path: str) -> Any:  # noqa: ANN401  what JSON holds
    """Ask the engine, and return what it answers.

    What is not there any more, or is used by others, is as it should be.
    """
    status, said = request(method, path)
    fine = (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.CONFLICT)
    if status >= http.HTTPStatus.BAD_REQUEST and status not in fine:
        sys.exit(f"Docker Engine: {method} {path}: {status} {said.strip()}")
    return json.loads(said) if method == "GET" else None


def remove_volumes(names: list[str]) -> None:
    """Remove volumes that no container uses any more.

    An engine before 23 that was started anew beneath a container takes its volumes for
    mounted until its next start.
    """
    answers = [request("DELETE", f"/volumes/{name}")[1] for name in names]
    if any("active mounts" in said for said in answers):
        subprocess.run(["systemctl", "restart", "docker"], check=True)
    # Those that went are not there any more; why another stays is told.
    for name in names:
        ask("DELETE", f"/volumes/{name}")


def labelled(kind: str, label: str) -> Any:  # noqa: ANN401  what JSON holds
    """Return the volumes or images that carry a label."""
    words = urllib.parse.quote(json.dumps({"label": [label]}))
    return ask("GET", f"/{kind}?filters={words}")


def silent() -> dict[str, Any]:
    """Return what can be told of an engine that does not answer."""
    folders = (DATA / "containers", DATA / "volumes")
    filled = [
        f"{folder} (Docker Engine does not answer)"
        for folder in folders
        if folder.is_dir() and any(entry.is_dir() for entry in folder.iterdir())
    ]
    return {"engine": False, "ours": [], "foreign": filled}


def main(act: bool) -> dict[str, Any]:
    """Look, and remove."""
    if not Path(API).exists():
        return silent()
    try:
        containers = ask("GET", "/containers/json?all=1")
    except OSError:
        return silent()
    ours = [one for one in containers if OURS in (one["Labels"] or {})]
    used = {mount.get("Name") for one in ours for mount in one["Mounts"]}
    volumes = labelled("volumes", OURS)["Volumes"] or []
    used.update(one["Name"] for one in volumes)
    others = [one["Names"][0].lstrip("/") for one in containers if one not in ours]
    every = ask("GET", "/volumes")["Volumes"] or []
    others += [f"volume {one['Name']}" for one in every if one["Name"] not in used]
    images = {one["Id"] for label in IMAGES for one in labelled("images/json", label)}
    if act:
        for one in ours:
            ask("POST", f"/containers/{one['Id']}/stop?t=10")
            ask("DELETE", f"/containers/{one['Id']}?force=1&v=1")
        remove_volumes([one["Name"] for one in volumes])
        for name in images:
            ask("DELETE", f"/images/{name}?force=1")
    names = [one["Names"][0].lstrip("/") for one in ours]
    return {
        "engine": True,
        "ours": sorted([*names, *(one["Name"] for one in volumes), *images]),
        "foreign": sorted(others),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1] == "act")))
