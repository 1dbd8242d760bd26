#!/usr/bin/python
"""Ansible module: an image in a registry, as the manager sees it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_image
short_description: Look at an image in a registry, and forget those before it
version_added: 1.0.0
description:
  - Tells what a registry has under a name, and how this host pushes to it.
  - Removes images that were replaced, unless a tag or an index needs them.
options:
  registry:
    description: Address and port of the registry.
    type: str
    required: true
  name:
    description: Name of the image there.
    type: str
    required: true
  reference:
    description: Its tag or its digest.
    type: str
    required: true
  keep:
    description: For C(unneeded), how many of those that were replaced last stay.
    type: int
    default: 0
  size:
    description:
      - Bytes that an image has that is to be pushed.
      - Fails when the registry of this host has not as much room.
    type: int
    default: 0
  state:
    description:
      - C(present) looks alone.
      - C(unneeded) removes the manifests with our label which no tag has and no
        index names, but for the O(keep) that were written last.
      - C(cleared) removes what a power cut has left of the image, so that a push
        brings it again.
      - C(copied) takes it from O(upstream) as it is, with all platforms of an
        index, where it is missing or not whole.
    type: str
    choices: [present, unneeded, cleared, copied]
    default: present
  upstream:
    description:
      - For C(copied), the image in another registry, of which O(reference) is taken.
    type: str
    default: ""
  socket:
    description: Where the engine listens that knows which registries have no TLS.
    type: path
    default: /var/run/docker.sock
  folder:
    description: Folder that M(sdss.fliswarm.registry_writer) has written.
    type: path
    default: /etc/docker/registry/writer
attributes:
  check_mode:
    description: Says what would be removed.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
author:
  - The fliswarm developers (@sdss)
"""

EXAMPLES = r"""
- name: Look at the image
  sdss.fliswarm.registry_image:
    registry: 10.25.1.1:5000
    name: sdss/flicamera
    reference: latest
"""

RETURN = r"""
docker:
  description: Whether the host has the client.
  returned: success
  type: bool
machine:
  description: The host's architecture, as C(uname -m) says it.
  returned: success
  type: str
reason:
  description: Why the registry does not answer; empty if it does.
  returned: success
  type: str
digest:
  description: Digest of the image, or of its index, in the registry, or empty.
  returned: success
  type: str
recipe:
  description: What the image was made from, by its label.
  returned: success
  type: str
lacks:
  description: Digests of what this host's registry has lost of the image.
  returned: success
  type: list
  elements: str
removed:
  description: Digests of the manifests, or of the lost contents, that were removed.
  returned: success
  type: list
  elements: str
push:
  description: Address and port to push to.
  returned: success
  type: str
config:
  description: Folder for C(docker --config) when pushing; empty for no password.
  returned: success
  type: str
"""

import json
import platform
import shutil
from contextlib import suppress
from http.client import HTTPException
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sdss.fliswarm.plugins.module_utils import (
    engine_api,
    registry_copy,
)
from ansible_collections.sdss.fliswarm.plugins.module_utils.registry_api import (
    ARCHITECTURES,
    MIB,
    WRITER,
    Registry,
    RegistryError,
    Writer,
    as_engine,
    children,
    digest,
    writer,
)
from ansible_collections.sdss.fliswarm.plugins.module_utils.registry_shelf import Shelf

LABEL = "org.sdss.fliswarm.recipe"

SPARE = 100 * MIB
"""What is to be left when an image has come."""


def recipe(registry: Registry, manifest: dict[str, Any], machine: str) -> str:
    """Return what an image was made from, empty when it does not say.

    Parameters
    ----------
    registry
        The image's repository.
    manifest
        Its manifest, or an index of several platforms.
    machine
        The architecture, as ``uname -m`` says it.
    """
    own = ARCHITECTURES.get(machine, machine)
    for name, one in children(manifest).items():
        if one.get("platform", {}).get("architecture") == own:
            found = registry.manifest(name)
            return recipe(registry, json.loads(found.body), machine) if found else ""
    if "config" not in manifest:
        return ""
    image = json.loads(registry.blob(manifest["config"]["digest"]) or b"{}")
    labels = image.get("config", {}).get("Labels") or {}
    return str(labels.get(LABEL, ""))


def replaced(registry: Registry, shelf: Shelf) -> list[str]:
    """Return the images of ours that nothing needs, the last that was written first.

    Parameters
    ----------
    registry, shelf
        The image, as the registry gives it and as it keeps it.
    """
    written = shelf.revisions()
    needed = set(registry.tags().values())
    ours = []
    for one in sorted(written, key=lambda name: (-written[name], name)):
        # Of one that is cut off nobody can tell whose it was.
        lost = shelf.lacks(one)
        found = None if one in lost else registry.manifest(one)
        if found is None:
            continue
        manifest = json.loads(found.body)
        needed |= set(children(manifest))
        # What others have pushed without a tag is theirs.
        if not lost and recipe(registry, manifest, platform.machine()):
            ours.append(one)
    return [one for one in ours if one not in needed]


def look(options: dict[str, Any], ours: Writer | None) -> dict[str, Any]:
    """Return what the registry has."""
    result = {
        "docker": shutil.which("docker") is not None,
        "machine": platform.machine(),
        "reason": "",
        "digest": "",
        "recipe": "",
        "lacks": [],
        "push": ours.address if ours else options["registry"],
        "config": options["folder"] if ours else "",
    }
    try:
        registry = Registry(as_engine(options["registry"]), options["name"])
        if ours:
            shelf = Shelf(ours.storage, options["name"])
            own = shelf.digest(options["reference"])
            result["lacks"] = shelf.lacks(own)
        # Of one whose manifest is lost the registry cannot tell anything.
        lost = ours and own in result["lacks"]
        found = None if lost else registry.manifest(options["reference"])
        if found:
            manifest = json.loads(found.body)
            result["digest"] = digest(found.body)
            result["recipe"] = recipe(registry, manifest, platform.machine())
    except (OSError, HTTPException, ValueError, RegistryError) as error:
        result["reason"] = str(error) or type(error).__name__
    return result


def remove(options: dict[str, Any], ours: Writer, check: bool) -> list[str]:
    """Remove the images that were replaced, but for the last; return their digests."""
    registry = Registry(ours.access, options["name"])
    shelf = Shelf(ours.storage, options["name"])
    unwanted = replaced(registry, shelf)[options["keep"] :]
    for one in unwanted:
        if not check:
            registry.need("DELETE", f"manifests/{one}")
    return unwanted


def clear(options: dict[str, Any], ours: Writer, check: bool) -> list[str]:
    """Remove what a power cut has left of an image; return the digests."""
    shelf = Shelf(ours.storage, options["name"])
    own = shelf.digest(options["reference"])
    return list(shelf.cut_off(own) if check else shelf.clear(own))


def take(options: dict[str, Any], ours: Writer | None, check: bool) -> bool:
    """Copy an image that is missing from another registry; return whether it was."""
    access = ours.access if ours else as_engine(options["registry"])
    registry = Registry(access, options["name"])
    lost: list[str] = []
    if ours:
        lost = Shelf(ours.storage, options["name"]).lacks(options["reference"])
        clear(options, ours, check)
    if not lost and registry.manifest(options["reference"]):
        return False
    if not check:
        name = registry_copy.named(options["upstream"])
        theirs = as_engine(name.host)
        open_text = not theirs.authority and registry_copy.plain(
            name.host, options["socket"]
        )
        source = registry_copy.Source(theirs, name.repository, plain=open_text)
        registry_copy.copy(source, registry, options["reference"], "")
    return True


def narrow(ours: Writer, size: int) -> str:
    """Return that an image has no room, empty when it has."""
    free = 0
    with suppress(OSError):
        free = shutil.disk_usage(ours.storage).free
    if free >= size + SPARE:
        return ""
    return (
        f"The image needs up to {(size + SPARE) // MIB} MiB in {ours.storage}, which "
        f"has {free // MIB} MiB free. Nothing was pushed. Remedy: make room there "
        "(systemctl start fliswarm-registry-gc), or have the images elsewhere "
        "(registry_storage)."
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        {
            "registry": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "reference": {"type": "str", "required": True},
            "keep": {"type": "int", "default": 0},
            "size": {"type": "int", "default": 0},
            "state": {
                "type": "str",
                "choices": ["present", "unneeded", "cleared", "copied"],
                "default": "present",
            },
            "upstream": {"type": "str", "default": ""},
            "socket": {"type": "path", "default": engine_api.API},
            "folder": {"type": "path", "default": WRITER},
        },
        supports_check_mode=True,
    )
    options = module.params
    ours = writer(options["folder"])
    if ours and ours.name != options["registry"]:
        ours = None
    changed = False
    removed: list[str] = []
    takes = {"unneeded": remove, "cleared": clear}
    if options["state"] in takes and ours:
        try:
            removed = takes[options["state"]](options, ours, bool(module.check_mode))
        except (OSError, HTTPException, ValueError, RegistryError) as error:
            module.fail_json(msg=f"{ours.address}: {error or type(error).__name__}")
    if options["state"] == "copied":
        try:
            changed = take(options, ours, bool(module.check_mode))
        except (OSError, HTTPException, ValueError, RegistryError) as error:
            module.fail_json(
                msg=f"{options['upstream']} cannot be copied by "
                f"{options['reference']}: {error or type(error).__name__}. Remedy: "
                "look whether the manager reaches it and whether it has that digest "
                "(fliswarm_image, flicamera_image_upstream)."
            )
    if options["size"] and ours:
        problem = narrow(ours, options["size"])
        if problem:
            module.fail_json(msg=problem)
    module.exit_json(
        changed=changed or bool(removed), removed=removed, **look(options, ours)
    )


if __name__ == "__main__":
    main()
