"""What the fleet asks of a Docker Engine. Each call ends within its time limit."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from fliswarm.model import (
    ContainerDetail,
    ContainerSpec,
    EngineInfo,
    Executed,
    Node,
    Observation,
    Printed,
    Pulled,
    PullProgress,
    StoredImage,
    Volume,
)

OnProgress = Callable[[PullProgress], None]
"""Is told how far a pull is, in the event loop's thread, at most once a second."""

OnPrinted = Callable[[Sequence[Printed]], Coroutine[None, None, None]]
"""Takes lines of a log, in the event loop's thread; the next ones wait for it."""


def ignore(_: PullProgress) -> None:
    """Take a pull's progress, and do nothing."""


OnMoved = Callable[[int, int], None]
"""Is told how many bytes of how many an image has come or gone, 0 when nobody knows how
many there are; in the event loop's thread, at most once a second."""


def ignore_moved(_done: int, _total: int) -> None:
    """Take the progress of an image, and do nothing."""


class Engine(Protocol):
    """The Docker Engine of one node.

    Every method raises `fliswarm.errors.EngineError`; when nothing answered in time,
    its subclass `fliswarm.errors.EngineUnreachableError`. A call whose caller is
    cancelled, or has no more patience, asks nothing more of the engine.

    Attributes
    ----------
    certificate_ends
        When the first of its certificate and ours ends, as far as is known.
    adopted
        Containers without our labels that are ours all the same, by id, and whose.
    """

    certificate_ends: datetime | None
    adopted: Mapping[str, str]

    async def ping(self) -> None:
        """Return when the engine answers."""

    async def observe(
        self, wanted: ContainerSpec, *, image: bool = True
    ) -> Observation:
        """Return what the engine has of ours, with what was adopted.

        With ``image``, also the image that ``wanted`` names, and volumes that
        ``wanted`` has not.
        """

    async def identity(self) -> str:
        """Return what the engine calls itself, whatever its address is."""

    async def info(self) -> EngineInfo:
        """Return what the engine says of itself, and of its computer's clock."""

    async def digest(self, image: str) -> str | None:
        """Return the digest that a registry has for an image's name at this moment.

        The node's engine asks the registry, and pulls nothing. ``None`` is the answer
        of a registry that has the image and tells no digest.

        Raises
        ------
        fliswarm.errors.ImageUnavailableError
            When the registry does not tell, with the reason.
        """

    async def pull(self, image: str, on_progress: OnProgress = ignore) -> Pulled:
        """Bring an image from its registry, or take the node's own copy.

        It may take as long as it takes, while it goes on.

        Raises
        ------
        fliswarm.errors.ImageUnavailableError
            When it is in neither place.
        """

    async def tag_image(self, image: str, name: str) -> None:
        """Give an image of the engine a further name, with a tag.

        What was pulled by its digest has none, and is taken for rubbish without.
        """

    async def remove_image(self, image: str) -> None:
        """Take a name from an image, and the image with its last one.

        Nothing is done when the engine does not have it. One that a container uses
        stays, which is an `fliswarm.errors.EngineError`.
        """

    async def images(self) -> list[StoredImage]:
        """Return all images that the engine has, whoever's they are."""

    async def load(self, archive: Path, on_progress: OnMoved = ignore_moved) -> None:
        """Bring the images of an archive to the engine, with their names.

        The file is read piece by piece. It may take as long as it takes, while it goes
        on.
        """

    async def save(
        self, image: str, archive: Path, on_progress: OnMoved = ignore_moved
    ) -> None:
        """Write an image, with this name, into a file, as `load` takes it.

        Raises
        ------
        fliswarm.errors.ImageUnavailableError
            When the engine does not have it.
        """

    async def create_volume(self, volume: Volume) -> None:
        """Make a volume with our label, or do nothing when there is one."""

    async def remove_volume(self, docker_name: str) -> None:
        """Remove a volume; the data it mounts are elsewhere, and stay."""

    async def run(self, wanted: ContainerSpec) -> str:
        """Make and start a container with our labels; return its id."""

    async def again(self, name: str, made: Mapping[str, Any]) -> str:
        """Make and start a container that was not ours once more; return its id.

        ``made`` is what `fliswarm.model.Foreign` has of it.
        """

    async def start(self, container: str) -> None:
        """Start a container that exists, by id; a paused one goes on."""

    async def stop(self, container: str, grace: float) -> None:
        """Ask a container to end, by id; kill it after ``grace`` seconds.

        One that is paused goes on for that; one that is restarted again and again is
        not restarted any more.
        """

    async def rename(self, container: str, name: str) -> None:
        """Give a container, by id, another name."""

    async def remove(self, container: str) -> None:
        """Remove a container, by id, running or not."""

    async def logs(self, container: str, lines: int) -> str:
        """Return the last lines that a container, by id, has printed."""

    async def detail(self, container: str) -> ContainerDetail:
        """Return what is known of one container, by id, and is in no list."""

    async def printed(
        self,
        container: str,
        take: OnPrinted,
        *,
        lines: int | None = None,
        since: str | None = None,
        follow: bool = False,
    ) -> None:
        """Hand over what a container, by id, has printed, in the order of time.

        Parameters
        ----------
        container
            Which one.
        take
            Gets the lines. It may take as long as it takes.
        lines
            Only so many of the last ones.
        since
            Only those from a moment on, as `Printed.at` has it.
        follow
            Go on with what is printed from now on, until the container ends. How long
            it says nothing does not matter: whether the engine is there must be asked
            apart from it.
        """

    async def execute(
        self, container: str, words: Sequence[str], limit: float
    ) -> Executed:
        """Run a program in a container, by id, to its end.

        Parameters
        ----------
        container
            Which one; it runs.
        words
            The program and its arguments; no shell reads them.
        limit
            Seconds for all of it. Nothing ends a program that takes longer: it is not
            waited for any more, which is an `fliswarm.errors.EngineError`.
        """

    def close(self) -> None:
        """Give back what the engine's client holds."""


Connect = Callable[[Node], Engine]
"""Makes the engine of a node; contacts nobody yet."""
