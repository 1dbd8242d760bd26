"""Where this host's registry keeps an image, as its program lays it down."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Iterator

from ansible_collections.sdss.fliswarm.plugins.module_utils.registry_api import (
    children,
    digest,
)

PLACE = "docker/registry/v2"

CHUNK = 1 << 20


def contents(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the contents of which an image consists."""
    if "config" in manifest:
        yield manifest["config"]
    yield from manifest.get("layers") or []


class Shelf:
    """The folders of one image.

    Parameters
    ----------
    storage
        Folder of all images.
    name
        The image's name.
    """

    def __init__(self, storage: str, name: str) -> None:
        self._blobs = Path(storage, PLACE, "blobs/sha256")
        self._own = Path(storage, PLACE, "repositories", name)

    def revisions(self) -> dict[str, float]:
        """Return the digests of all manifests, and when each was written last (s)."""
        folder = self._own / "_manifests/revisions/sha256"
        links = folder.glob("*/link")
        return {f"sha256:{one.parent.name}": one.stat().st_mtime for one in links}

    def digest(self, reference: str) -> str:
        """Return the digest that a tag has, empty for none; a digest is its own."""
        if reference.startswith("sha256:"):
            return reference
        with suppress(OSError):
            link = self._own / "_manifests/tags" / reference / "current/link"
            return link.read_text("utf-8").strip()
        return ""

    def lacks(self, name: str) -> list[str]:
        """Return what is not there of an image, or is cut off, as after a power cut.

        Parameters
        ----------
        name
            The digest of its manifest, or of an index. Nothing lacks of one that
            the registry does not have.
        """
        if name not in self.revisions():
            return []
        body = self._read(name)
        if digest(body) != name:
            return [name]
        manifest = json.loads(body)
        parts = [part for part in contents(manifest) if not self._whole(part)]
        found = [part["digest"] for part in parts]
        for child in children(manifest):
            found += self.lacks(child)
        return found

    def clear(self, name: str) -> list[str]:
        """Remove what is cut off of an image, which a push would not replace.

        What is whole and merely not linked may be another image's as well: it stays.
        """
        found = self.cut_off(name)
        for one in found:
            self._data(one).unlink()
        return found

    def cut_off(self, name: str) -> list[str]:
        """Return what `clear` would remove."""
        return [one for one in self.lacks(name) if self._is_cut_off(one)]

    def _is_cut_off(self, name: str) -> bool:
        """Tell whether there is something else than the content of this digest."""
        read = hashlib.sha256()
        try:
            with self._data(name).open("rb") as file:
                for chunk in iter(lambda: file.read(CHUNK), b""):
                    read.update(chunk)
        except OSError:
            return False
        return name != f"sha256:{read.hexdigest()}"

    def _read(self, name: str) -> bytes:
        try:
            return self._data(name).read_bytes()
        except OSError:
            return b""

    def _data(self, name: str) -> Path:
        code = name.partition(":")[2]
        return self._blobs / code[:2] / code / "data"

    def _whole(self, part: dict[str, Any]) -> bool:
        """Tell whether a content is there, and as long as the image says."""
        code = part["digest"].partition(":")[2]
        try:
            size = self._data(part["digest"]).stat().st_size
        except OSError:
            return False
        linked = (self._own / "_layers/sha256" / code / "link").is_file()
        return linked and bool(size == part.get("size", size))
