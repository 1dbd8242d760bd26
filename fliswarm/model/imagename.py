"""The names of images: which part is the repository, which the tag or the digest."""

from __future__ import annotations


def split(name: str) -> tuple[str, str]:
    """Split an image's name into repository and tag, or digest; a port is no tag."""
    name, at, digest = name.partition("@")
    head, slash, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{head}{slash}{repository}", digest if at else tag or "latest"


def pinned(name: str, digest: str) -> str:
    """Return the name by which an image is the same one for ever: by its digest."""
    return f"{split(name)[0]}@{digest}"


def digest_of(name: object) -> str | None:
    """Return the digest in an image's name, if it has one."""
    return name.partition("@")[2] or None if isinstance(name, str) else None


def short(digest: str) -> str:
    """Return as much of a digest as people compare."""
    return digest.removeprefix("sha256:")[:12]
