"""Which images are the cameras', and which of those nothing needs."""

from __future__ import annotations

import pytest

from fliswarm.model import StoredImage
from fliswarm.plan.images import of_cameras, path, unneeded, whole

WANTED = "hub:5000/sdss/flicamera:latest"


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("hub:5000/sdss/flicamera:latest", "sdss/flicamera"),
        ("10.1.2.3:5000/sdss/flicamera", "sdss/flicamera"),
        ("ghcr.io/sdss/flicamera@sha256:aa", "sdss/flicamera"),
        ("localhost/sdss/flicamera:1", "sdss/flicamera"),
        ("sdss/flicamera:1", "sdss/flicamera"),
        ("flicamera", "flicamera"),
    ],
)
def test_a_name_without_its_registry(name: str, bare: str) -> None:
    assert path(name) == bare


@pytest.mark.parametrize(
    ("name", "listed"),
    [("a/b", "a/b:latest"), ("h:5/a", "h:5/a:latest"), ("a:1@sha256:f", "a@sha256:f")],
)
def test_a_name_as_engines_list_it(name: str, listed: str) -> None:
    assert whole(name) == listed


@pytest.mark.parametrize(
    ("image", "names"),
    [
        (StoredImage("old", ("sdss/flicamera:old",)), ["sdss/flicamera:old"]),
        # What lost its name to a newer one is known by its digest.
        (StoredImage("old", (), ("hub:5000/sdss/flicamera@sha256:aa",)), ["old"]),
        (StoredImage("used", ("sdss/flicamera:old",)), []),
        (StoredImage("new", (WANTED,)), []),
        (StoredImage("x", ("hub:5000/sdss/flicamera:fliswarm-7",)), []),
        (StoredImage("x", ("hub:5000/sdss/flicamera:fliswarm-7", "a/b:1")), []),
        (StoredImage("theirs", ("postgres:15",)), []),
        (StoredImage("theirs", ("sdss/flicamera2:1",)), []),
        (StoredImage("theirs"), []),
        # The name that somebody gave it stays, and the image with it.
        (
            StoredImage("old", ("sdss/flicamera:old", "mine/keep:1")),
            ["sdss/flicamera:old"],
        ),
    ],
)
def test_what_nothing_needs(image: StoredImage, names: list[str]) -> None:
    assert unneeded([image], WANTED, {"used"}) == names


def test_what_a_camera_runs_is_the_cameras_whatever_its_name() -> None:
    odd, other = StoredImage("odd", ("x/y:1",)), StoredImage("other", ("x/z:1",))
    assert of_cameras([odd, other], WANTED, {"odd"}) == [odd]
