"""Archives of images, as ``docker save`` writes and ``docker load`` reads them."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fliswarm.errors import ConfigError

TABLE_LIMIT = 1 << 20
"""Bytes of the longest table of contents."""

NO_ARCHIVE = "is no archive of images; remedy: docker save REF > FILE"


@dataclass(frozen=True, slots=True)
class Archived:
    """One image of an archive; ``id`` is the digest of its configuration.

    ``manifests`` are the digests of what a registry would know it by: engines that keep
    images as registries do take them for its id.
    """

    id: str
    names: tuple[str, ...] = ()
    manifests: frozenset[str] = frozenset()

    def is_(self, identity: str) -> bool:
        """Whether an image of an engine, by its id, is this one."""
        return identity == self.id or identity in self.manifests


@dataclass(frozen=True, slots=True)
class Archive:
    """What is in an archive; ``size`` is the file's, in bytes."""

    images: tuple[Archived, ...]
    size: int


def read(path: Path) -> Archive:
    """Return what is in an archive, without its layers.

    Raises
    ------
    ConfigError
        When the file cannot be read, or is none.
    """
    try:
        size = path.stat().st_size
        with tarfile.open(path) as tar:
            tables = {
                member.name.removeprefix("./"): _table(tar, member)
                for member in tar
                if member.name.removeprefix("./") in ("manifest.json", "index.json")
            }
    except tarfile.TarError as error:
        raise ConfigError(str(path), NO_ARCHIVE) from error
    except (OSError, EOFError) as error:
        # gzip has its own words, and no number, for what it does not understand.
        problem = getattr(error, "strerror", None) or NO_ARCHIVE
        raise ConfigError(str(path), problem) from error
    try:
        manifests = frozenset(
            str(one["digest"])
            for one in tables.get("index.json", {}).get("manifests", ())
        )
        images = tuple(_image(one, manifests) for one in tables["manifest.json"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(str(path), NO_ARCHIVE) from error
    if not images:
        raise ConfigError(str(path), "is an archive of no image")
    return Archive(images, size)


def _table(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Any:  # noqa: ANN401  JSON
    file = tar.extractfile(member)
    if file is None or member.size > TABLE_LIMIT:
        return None
    with file:
        try:
            return json.loads(file.read())
        except ValueError:
            return None


def _image(found: dict[str, Any], manifests: frozenset[str]) -> Archived:
    config = str(found["Config"]).rpartition("/")[2].removesuffix(".json")
    names = tuple(str(name) for name in found.get("RepoTags") or ())
    return Archived(f"sha256:{config}", names, manifests)


def made(identity: str, names: tuple[str, ...]) -> bytes:
    """Return an archive of an image that has no layers."""
    config = f"{identity.removeprefix('sha256:')}.json"
    table = [{"Config": config, "RepoTags": list(names), "Layers": []}]
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, content in ((config, {}), ("manifest.json", table)):
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return target.getvalue()
