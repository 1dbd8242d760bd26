"""A whole controller on twins, to which commands are given and whose images change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from fliswarm.change.world import Patience
from fliswarm.commands.call import Sink
from fliswarm.fleet.live import LiveFleet
from fliswarm.model import ActorSettings, Image
from fliswarm.service import Service
from tests.unit.support.camera import RawCamera
from tests.unit.support.live import PATIENCE, Site
from tests.unit.support.site import IMAGE, free_port

ONE = Image("sha256:one", "sha256:digest-one")
TWO = Image("sha256:two", "sha256:digest-two")
THREE = Image("sha256:three", "sha256:digest-three")

REPOSITORY = IMAGE.rpartition(":")[0]


@dataclass
class Told(Sink):
    """What a command came to."""

    code: str = ""
    exit_code: int = -1
    data: dict[str, object] = field(default_factory=dict)
    replies: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    closed = False

    def write(self, code: str, keywords: Mapping[str, object]) -> None:
        """See `Sink.write`."""
        self.replies.append((code, keywords))

    def relay(self, code: str, sender: str, keywords: Mapping[str, object]) -> None:
        """See `Sink.relay`."""

    async def ready(self) -> None:
        """See `Sink.ready`."""

    def end(self, code: str, keywords: Mapping[str, object], exit_code: int) -> None:
        """See `Sink.end`."""
        self.write(code, keywords)
        self.code, self.exit_code, self.data = code, exit_code, dict(keywords)

    @property
    def text(self) -> str:
        """All that was said in words, a reply a line."""
        words = (data.get("text") or data.get("error") for _, data in self.replies)
        return "\n".join(str(word) for word in words if word)

    def values(self, keyword: str) -> list[list[object]]:
        """Return the values of a keyword, as often as it came."""
        found = [data[keyword] for _, data in self.replies if keyword in data]
        return [value for value in found if isinstance(value, list)]


class Releasing(Site):
    """A site whose controller is the real service, without its sockets."""

    def __init__(
        self,
        state: Path,
        cameras: Mapping[str, RawCamera],
        patience: Patience = PATIENCE,
    ) -> None:
        self.patience = patience
        super().__init__(state, cameras)

    def _made(self) -> LiveFleet:
        actor = ActorSettings(host="127.0.0.1", port=free_port())
        self.desired = replace(self.desired, actor=actor)
        self.service = Service(
            lambda: self.desired,
            lambda node: self.computers[node.engine].engine(node),
            lambda node: self.computers[node.engine].system,
            self.state,
            patience=self.patience,
        )
        self.service._fleet.news.listen(self.facts.append)
        return self.service._fleet

    def publish(self, image: Image, name: str = IMAGE) -> None:
        """Let the registry have an image under a name, and what was there by digest."""
        for computer in self.computers.values():
            before = computer.registry.get(name)
            if before is not None:
                computer.registry[f"{REPOSITORY}@{before.digest}"] = before
            computer.registry[name] = image

    async def give(self, body: str) -> Told:
        """Give a command; return what it came to."""
        told = Told()
        task = self.service._dispatcher.give(body, told, "a test")
        if task is not None:
            await task
        return told

    @property
    def has(self) -> dict[str, str]:
        """The images that run, by node: of one container, where all is well."""
        return {
            name: " ".join(
                c.image_id.removeprefix("sha256:") for c in self.computer(name).running
            )
            for name in self.desired.nodes
        }

    def touched(self) -> list[str]:
        """Return the nodes on which a container was touched since `forget`."""
        deeds = ("run", "stop", "rename", "remove", "start")
        return [
            name
            for name in self.desired.nodes
            if any(
                call.startswith(deeds) and not call.startswith("remove image")
                for call in self.computer(name).calls
            )
        ]

    def forget(self) -> None:
        """Forget what was asked of engines."""
        for computer in self.computers.values():
            computer.calls.clear()


@asynccontextmanager
async def releasing(
    state: Path, number: int = 4, answer: float = PATIENCE.answer
) -> AsyncIterator[Releasing]:
    """Run a site of nodes whose containers are of the first image."""
    names = [f"gfa{n}" for n in range(1, number + 1)]
    cameras = {name: await RawCamera(name=name).start() for name in names}
    site = Releasing(state, cameras, replace(PATIENCE, answer=answer))
    site.fleet.start()
    try:
        assert (await site.give("reconnect")).code == ":"
        assert set(site.has.values()) == {"one"}
        site.forget()
        yield site
    finally:
        await site.fleet.close()
        for camera in cameras.values():
            await camera.close()
