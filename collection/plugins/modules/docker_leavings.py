#!/usr/bin/python
"""Ansible module: take what is fliswarm's from an engine, tell what is not."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_leavings
short_description: Remove the cameras from a Docker Engine, and tell what is others'
version_added: 1.0.0
description:
  - Removes containers, volumes and images that carry a label of fliswarm.
  - Tells what else is there, which would be lost with the engine. It is never touched.
  - Is for the playbook C(reset) of this collection.
options:
  image:
    description: Name of the cameras' image, which carries no label where it is another
      registry's.
    type: str
    default: ""
  containerd:
    description: Whether containerd's data are looked at as well.
    type: bool
    default: false
attributes:
  check_mode:
    description: Says what would be removed.
    support: full
  diff_mode:
    description: Lists what is removed.
    support: full
author:
  - The fliswarm developers (@sdss)
"""

EXAMPLES = r"""
- name: Leave no camera
  sdss.fliswarm.docker_leavings:
"""

RETURN = r"""
engine:
  description: Whether the engine answers.
  returned: always
  type: bool
ours:
  description: Containers, volumes and images that were removed, or would be.
  returned: always
  type: list
  elements: str
foreign:
  description:
    - What others have there; containers and images by name, all else with its kind.
    - Where the engine does not answer, the folders in which there is anything.
  returned: always
  type: list
  elements: str
"""

import http
import json
import shutil
import subprocess
import urllib.parse
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sdss.fliswarm.plugins.module_utils import (
    engine_api,
    registry_copy,
)

OURS = "org.sdss.fliswarm.node"
"""Label of containers and volumes."""

IMAGES = ("org.sdss.fliswarm.recipe", "org.sdss.fliswarm.proof")
"""Labels of images."""

DATA = Path("/var/lib/docker")

CONTAINERD = Path("/var/lib/containerd")

NETWORKS = ("bridge", "host", "none")
"""Those that every engine has."""

NAMESPACES = ("moby", "plugins.moby")
"""Those of containerd that are an engine's."""

LIMIT = 120
"""Seconds for the engine to answer; a camera has ten of them to end."""


class ProblemError(Exception):
    """What stands in the way, in words for the user."""


def ask(method: str, path: str) -> Any:  # noqa: ANN401  what JSON holds
    """Ask the engine, and return what it answers.

    What is not there any more, or is used by others, is as it should be.
    """
    status, said = engine_api.ask(method, path, LIMIT)
    fine = (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.CONFLICT)
    if status >= http.HTTPStatus.BAD_REQUEST and status not in fine:
        message = f"Docker Engine: {method} {path}: {status} {said.strip()}"
        raise ProblemError(message)
    return json.loads(said) if method == "GET" else None


def remove_volumes(names: list[str]) -> None:
    """Remove volumes that no container uses any more.

    An engine before 23 that was started anew beneath a container takes its volumes for
    mounted until its next start.
    """
    answers = [
        engine_api.ask("DELETE", f"/volumes/{name}", LIMIT).text for name in names
    ]
    if any("active mounts" in said for said in answers):
        subprocess.run(["systemctl", "restart", "docker"], check=True)
    # Those that went are not there any more; why another stays is told.
    for name in names:
        ask("DELETE", f"/volumes/{name}")


def filled(folder: Path) -> bool:
    """Tell whether there is something in a folder."""
    return folder.is_dir() and any(folder.iterdir())


def silent() -> list[str]:
    """Return what can be told of an engine that does not answer."""
    folders = [DATA / name for name in ("containers", "volumes", "swarm", "plugins")]
    images = sorted(DATA.glob("image/*/imagedb/content/sha256"))
    there = [f for f in folders if f.is_dir() and any(e.is_dir() for e in f.iterdir())]
    there += [folder for folder in images if filled(folder)]
    return [f"{folder} (Docker Engine does not answer)" for folder in there]


def namespaces() -> list[str]:
    """Return what others than an engine have in containerd."""
    content = CONTAINERD / "io.containerd.content.v1.content/blobs/sha256"
    unknown = [f"{content} (containerd does not answer)"] if filled(content) else []
    if not shutil.which("ctr"):
        return unknown
    try:
        done = subprocess.run(
            ["ctr", "namespaces", "list", "--quiet"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return unknown
    if done.returncode:
        return unknown
    names = done.stdout.decode(errors="replace").split()
    return [f"containerd namespace {name}" for name in names if name not in NAMESPACES]


def repository(reference: str) -> str:
    """Return an image's name without registry, tag and digest."""
    name: str = registry_copy.named(reference).repository
    return name[len("library/") :] if name.startswith("library/") else name


def repositories(image: dict[str, Any]) -> set[str]:
    """Return the names that an image has."""
    names = [*(image["RepoTags"] or []), *(image["RepoDigests"] or [])]
    return {repository(name) for name in names} - {"<none>"}


def shown(image: dict[str, Any]) -> str:
    """Return how a person calls an image."""
    names = [*(image["RepoTags"] or []), *(image["RepoDigests"] or [])]
    named = [name for name in names if not name.startswith("<none>")]
    return f"image {named[0] if named else image['Id'].partition(':')[2][:12]}"


class Found:
    """What an engine has.

    Parameters
    ----------
    image
        Name of the cameras' image.
    """

    def __init__(self, image: str) -> None:
        every = ask("GET", "/containers/json?all=1")
        self.containers = [one for one in every if OURS in (one["Labels"] or {})]
        self._others = [one for one in every if one not in self.containers]
        volumes = ask("GET", "/volumes")["Volumes"] or []
        self.volumes = [one["Name"] for one in volumes if OURS in (one["Labels"] or {})]
        used = {mount.get("Name") for one in self.containers for mount in one["Mounts"]}
        used.update(self.volumes)
        self._volumes = [one["Name"] for one in volumes if one["Name"] not in used]
        images = ask("GET", "/images/json")
        names = {repository(image)} if image else set()
        self.images = [one for one in images if self._is_ours(one, names)]
        self._images = [one for one in images if one not in self.images]

    def _is_ours(self, image: dict[str, Any], names: set[str]) -> bool:
        its = repositories(image)
        # Somebody who has given it a name of their own wants it.
        labelled = any(label in (image["Labels"] or {}) for label in IMAGES)
        known = bool(its) and its <= names
        runs = {one["ImageID"] for one in self.containers}
        wanted = {one["ImageID"] for one in self._others}
        return (labelled or known or image["Id"] in runs) and image["Id"] not in wanted

    def ours(self) -> list[str]:
        """Return the names of what is ours."""
        names = [one["Names"][0].lstrip("/") for one in self.containers]
        return sorted([*names, *self.volumes, *(one["Id"] for one in self.images)])

    def foreign(self) -> list[str]:
        """Return the names of what is not."""
        bases = self._bases()
        found = [one["Names"][0].lstrip("/") for one in self._others]
        found += [f"volume {name}" for name in self._volumes]
        found += [shown(one) for one in self._images if one["Id"] not in bases]
        networks = [one["Name"] for one in ask("GET", "/networks")]
        found += [f"network {name}" for name in networks if name not in NETWORKS]
        found += [f"plugin {one['Name']}" for one in ask("GET", "/plugins") or []]
        if ask("GET", "/info").get("Swarm", {}).get("LocalNodeState") == "active":
            found.append("a Docker Swarm")
        return sorted(found)

    def _bases(self) -> set[str]:
        """Return those of others' images that ours were built on."""
        if not self.images or not self._images:
            return set()
        ours = [layers(one["Id"]) for one in self.images]
        return {
            one["Id"]
            for one in self._images
            if (its := layers(one["Id"])) and any(o[: len(its)] == its for o in ours)
        }

    def remove(self) -> None:
        """Remove what is ours."""
        for one in self.containers:
            ask("POST", f"/containers/{one['Id']}/stop?t=10")
            ask("DELETE", f"/containers/{one['Id']}?force=1&v=1")
        remove_volumes(self.volumes)
        for one in self.images:
            name = urllib.parse.quote(one["Id"])
            ask("DELETE", f"/images/{name}?force=1")


def layers(image: str) -> list[str]:
    """Return the layers of an image, the lowest first."""
    about = ask("GET", f"/images/{urllib.parse.quote(image)}/json")
    return list(about.get("RootFS", {}).get("Layers") or [])


def look_and_remove(module: AnsibleModule) -> dict[str, Any]:
    """Remove what is ours; return what there was and is."""
    beside = namespaces() if module.params["containerd"] else []
    try:
        found = Found(module.params["image"]) if Path(engine_api.API).exists() else None
    except OSError:
        found = None
    if found is None:
        there = silent() + beside
        return {"changed": False, "engine": False, "ours": [], "foreign": there}
    ours, foreign = found.ours(), sorted(found.foreign() + beside)
    if not module.check_mode:
        found.remove()
    return {
        "changed": bool(ours),
        "engine": True,
        "ours": ours,
        "foreign": foreign,
        "diff": {"before": "".join(f"{name}\n" for name in ours), "after": ""},
    }


def main() -> None:
    """Do what the parameters ask for."""
    module = AnsibleModule(
        {
            "image": {"type": "str", "default": ""},
            "containerd": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        result = look_and_remove(module)
    except (ProblemError, OSError, subprocess.CalledProcessError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
