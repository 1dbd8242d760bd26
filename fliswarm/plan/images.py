"""Which of an engine's images are the cameras', and which of those nothing needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fliswarm.model import StoredImage
from fliswarm.model.imagename import split

RELEASE = "fliswarm-"
"""How the tags begin by which the images of releases are kept."""


def path(name: str) -> str:
    """Return an image's name without its registry and its tag or digest."""
    repository = split(name)[0]
    head, slash, rest = repository.partition("/")
    registry = slash and ("." in head or ":" in head or head == "localhost")
    return rest if registry else repository


def whole(name: str) -> str:
    """Return an image's name as an engine lists it: with a tag, or a digest."""
    repository, tag = split(name)
    return f"{repository}{'@' if '@' in name else ':'}{tag}"


def of_cameras(
    images: Sequence[StoredImage], wanted: str, used: Collection[str]
) -> list[StoredImage]:
    """Return the images that cameras run, have run or could run.

    Parameters
    ----------
    images
        What the engine has.
    wanted
        The name of the image that its camera should run.
    used
        Ids of the images that containers of cameras were made from.
    """
    own = path(wanted)
    return [
        image
        for image in images
        if image.id in used
        or any(path(name) == own for name in (*image.names, *image.digests))
    ]


def unneeded(
    images: Sequence[StoredImage], wanted: str, needed: Collection[str]
) -> list[str]:
    """Return the names, or ids, of the cameras' images that nothing needs.

    Those of releases are kept by a tag, and go with their release.

    Parameters
    ----------
    images, wanted
        As for `of_cameras`.
    needed
        Ids of the images that containers use, and of the wanted one.
    """
    found: list[str] = []
    for image in of_cameras(images, wanted, ()):
        tags = [split(name)[1] for name in image.names]
        if image.id in needed or whole(wanted) in image.names:
            continue
        if any(tag.startswith(RELEASE) for tag in tags):
            continue
        # An image that somebody has given a name of their own is theirs as well.
        found += [n for n in image.names if path(n) == path(wanted)]
        if not image.names:
            found.append(image.id)
    return found
