#!/usr/bin/python
"""Ansible module: whether the registry of this host does what it is there for."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_proof
short_description: Prove that the registry of this host takes images and gives them
version_added: 1.0.0
description:
  - Asks the registry under the name that nodes use for a small image that no
    other registry has, and writes it anew where it is missing.
  - Begins an upload and gives it up, each time, so that a full disk and a
    password that does not fit are noticed before an image comes.
  - Fails when something else answers under the name, when others than who has
    the password may write, and when little room is left.
options:
  name:
    description: Name or address and port under which the nodes reach the registry.
    type: str
    required: true
  tls:
    description:
      - Folder with the authority's C(ca.pem), and C(puller.pem) and C(puller.key)
        of this host; empty for a registry without TLS.
    type: path
  room:
    description: MiB that have to be free on the disk of the images.
    type: int
    default: 200
  folder:
    description: Folder that M(sdss.fliswarm.registry_writer) has written.
    type: path
    default: /etc/docker/registry/writer
attributes:
  check_mode:
    description: Asks all that can be asked without writing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
author:
  - The fliswarm developers (@sdss)
"""

EXAMPLES = r"""
- name: Prove that the registry works
  sdss.fliswarm.registry_proof:
    name: 10.25.1.1:5000
    tls: /etc/docker/registry/tls
"""

RETURN = r"""
image:
  description: The small image, as engines name it.
  returned: success
  type: str
digest:
  description:
    - Its digest, by which no other registry has it.
    - Empty in check mode before the first run.
  returned: success
  type: str
reason:
  description: Why it was written, or would be; empty when it was there.
  returned: success
  type: str
"""

import io
import json
import platform
import shutil
import struct
import tarfile
import zlib
from http import HTTPStatus
from http.client import HTTPException
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sdss.fliswarm.plugins.module_utils.registry_api import (
    ARCHITECTURES,
    MIB,
    SINGLE,
    WRITER,
    Access,
    Registry,
    RegistryError,
    Writer,
    digest,
    refusal,
    writer,
)
from ansible_collections.sdss.fliswarm.plugins.module_utils.registry_shelf import Shelf

REPOSITORY = "fliswarm/proof"

TAG = "latest"

LABEL = "org.sdss.fliswarm.proof"

DOCKER = "application/vnd.docker"

MANIFEST = SINGLE[0]


def compress(data: bytes) -> bytes:
    """Return less than 64 KiB as gzip, of the same bytes wherever that is done."""
    size = len(data)
    stored = struct.pack("<BHH", 1, size, size ^ 0xFFFF) + data
    end = struct.pack("<II", zlib.crc32(data), size)
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + stored + end


def image(machine: str, mark: str) -> tuple[bytes, dict[str, bytes]]:
    """Return the manifest of a small image, and its contents by their digests.

    Parameters
    ----------
    machine
        The architecture, as ``uname -m`` says it.
    mark
        What makes it an image of one registry alone.
    """
    words = b"This image proves that a registry works.\n"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo("fliswarm")
        member.size = len(words)
        tar.addfile(member, io.BytesIO(words))
    layer = compress(packed.getvalue())
    config = _json(
        {
            "architecture": ARCHITECTURES.get(machine, machine),
            "config": {"Labels": {LABEL: mark}},
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [digest(packed.getvalue())]},
        }
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _part(f"{DOCKER}.container.image.v1+json", config),
        "layers": [_part(f"{DOCKER}.image.rootfs.diff.tar.gzip", layer)],
    }
    return _json(manifest), {digest(data): data for data in (config, layer)}


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _part(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(data), "digest": digest(data)}


def lacks(registry: Registry, manifest: bytes, blobs: dict[str, bytes]) -> str:
    """Return the first part of an image that a registry does not give."""
    found = registry.manifest(TAG)
    if found is None or found.body != manifest:
        return f"manifest {digest(manifest)}"
    for name, data in blobs.items():
        if registry.blob(name) != data:
            return f"blob {name}"
    return ""


def open_to_all(registry: Registry) -> bool:
    """Return whether who reaches a registry may write to it."""
    answer = registry.ask("POST", "blobs/uploads/")
    if answer.status == HTTPStatus.ACCEPTED:
        registry.ask("DELETE", answer.headers["location"])
    return bool(answer.status < HTTPStatus.BAD_REQUEST)


class Proof:
    """Asks a registry.

    Parameters
    ----------
    ours
        What the host knows of its registry.
    options
        The module's.
    """

    def __init__(self, ours: Writer, options: dict[str, Any]) -> None:
        tls = options["tls"]
        pems = [f"{tls}/{name}" for name in ("ca.pem", "puller.pem", "puller.key")]
        self._ours = ours
        self._options = options
        self._name = options["name"]
        self._pulled = Registry(Access(self._name, *(pems if tls else [])), REPOSITORY)
        self._pushed = Registry(ours.access, REPOSITORY)
        self._manifest, self._blobs = image(platform.machine(), ours.mark)
        self.digest = digest(self._manifest)

    def look(self) -> str:
        """Return what lacks, for a dry run; empty when nothing does."""
        try:
            return lacks(self._pulled, self._manifest, self._blobs) or self._wrong()
        except (OSError, ValueError, HTTPException, RegistryError) as error:
            return str(error) or type(error).__name__

    def act(self) -> str:
        """Write the image where it is missing; return what lacked.

        Raises
        ------
        RegistryError
            What does not work.
        """
        try:
            self._pushed.wait()
            self._pulled.wait()
            missing = lacks(self._pulled, self._manifest, self._blobs)
            if missing:
                self._push()
            wrong = self._wrong()
        except (OSError, ValueError, HTTPException) as error:
            raise RegistryError(
                f"The registry {self._name} does not work: "
                f"{error or type(error).__name__}. Remedy: see "
                "journalctl -u docker-registry -u fliswarm-registry-writer."
            ) from error
        if wrong:
            raise RegistryError(wrong)
        return missing

    def _push(self) -> None:
        Shelf(self._ours.storage, REPOSITORY).clear(self.digest)
        for name, data in self._blobs.items():
            self._pushed.push_blob(name, data)
        self._pushed.push_manifest(TAG, self._manifest, MANIFEST)
        missing = lacks(self._pulled, self._manifest, self._blobs)
        if missing:
            raise RegistryError(
                f"What this host's registry has taken, {self._name} does not give "
                f"back ({missing}): something else answers there. Remedy: look with "
                f"ss -tlnp who has the port, and whether the name is of this host."
            )

    def _wrong(self) -> str:
        """Return what is not as it should be, beside the image."""
        free = shutil.disk_usage(self._ours.storage).free // MIB
        if free < self._options["room"]:
            return (
                f"{self._ours.storage} has {free} MiB free, less than the "
                f"{self._options['room']} that images need. Remedy: make room there, "
                "or have the images elsewhere (registry_storage)."
            )
        answer = self._pushed.ask("POST", "blobs/uploads/")
        if answer.status != HTTPStatus.ACCEPTED:
            words = refusal(self._ours.address, "POST", "an upload", answer)
            return (
                f"The registry takes no image: {words}. Remedy: see df "
                f"{self._ours.storage} and journalctl -u fliswarm-registry-writer."
            )
        self._pushed.ask("DELETE", answer.headers["location"])
        stranger = Registry(Access(self._ours.address), REPOSITORY)
        for registry in (self._pulled, stranger):
            if open_to_all(registry):
                return (
                    f"{registry.name} takes images from whoever reaches it: it is not "
                    "the registry that was configured here. Remedy: look with "
                    "ss -tlnp who has the port."
                )
        return ""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        {
            "name": {"type": "str", "required": True},
            "tls": {"type": "path"},
            "room": {"type": "int", "default": 200},
            "folder": {"type": "path", "default": WRITER},
        },
        supports_check_mode=True,
    )
    target = f"{module.params['name']}/{REPOSITORY}:{TAG}"
    ours = writer(module.params["folder"])
    if ours is None:
        if not module.check_mode:
            module.fail_json(
                msg=f"{module.params['folder']} does not say where images are written "
                "to. Remedy: run the whole role registry."
            )
        reason = "there is no registry yet"
        module.exit_json(changed=True, image=target, digest="", reason=reason)
    try:
        proof = Proof(ours, module.params)
        reason = proof.look() if module.check_mode else proof.act()
    except (OSError, RegistryError) as error:
        if not module.check_mode:
            module.fail_json(msg=str(error))
        module.exit_json(changed=True, image=target, digest="", reason=str(error))
    module.exit_json(
        changed=bool(reason), image=target, digest=proof.digest, reason=reason
    )


if __name__ == "__main__":
    main()
