"""What tests can do with the twin, beyond what an engine does."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fliswarm.engine.memory import MemoryDaemon, MemoryEngine
from fliswarm.errors import EngineError
from fliswarm.model import ContainerSpec, Image, Printed, PullProgress, Volume

IMAGE = "hub:5000/flicamera:1"
WANTED = ContainerSpec("flicamera-gfa1", "gfa1", IMAGE, {}, ())


class PowerCutError(Exception):
    """The end of a program, wherever it is."""


def twin(daemon: MemoryDaemon | None = None) -> MemoryEngine:
    registry = {IMAGE: Image("sha256:one")}
    return MemoryEngine("gfa1", registry, daemon=daemon or MemoryDaemon())


async def test_a_power_cut_before_or_after_a_call() -> None:
    engine = twin()
    await engine.pull(IMAGE)
    for point, there in (("run flicamera-gfa1", 0), ("done: run flicamera-gfa1", 1)):

        def cut(call: str, point: str = point) -> None:
            if call == point:
                raise PowerCutError

        engine.on_call = cut
        with pytest.raises(PowerCutError):
            await engine.run(WANTED)
        # What was done by then is found by the next program.
        after = twin(engine.daemon)
        assert len((await after.observe(WANTED)).containers) == there


async def nobody(_: Sequence[Printed]) -> None:
    """Take lines of a log."""


async def test_every_call_is_told() -> None:
    engine = twin()
    told: list[str] = []
    engine.on_call = told.append
    volume = Volume("data", "local", {"device": ":/data"})
    progress: list[PullProgress] = []
    await engine.ping()
    await engine.digest(IMAGE)
    await engine.pull(IMAGE, progress.append)
    await engine.create_volume(volume)
    container = await engine.run(WANTED)
    await engine.stop(container, 5)
    await engine.start(container)
    await engine.rename(container, "aside")
    await engine.logs(container, 1)
    await engine.printed(container, nobody)
    await engine.execute(container, ["true"], 1)
    await engine.remove(container)
    await engine.remove_volume(volume.docker_name)
    assert [call for call in told if not call.startswith("done: ")] == engine.calls
    ended = [call.removeprefix("done: ") for call in told if call.startswith("done: ")]
    looks = ("ping", "logs", "printed", "execute true", f"digest {IMAGE}")
    assert ended == [call for call in engine.calls if call not in looks]
    assert progress


async def test_a_state_is_one_of_docker_s() -> None:
    engine = twin()
    await engine.pull(IMAGE)
    container = await engine.run(WANTED)
    with pytest.raises(ValueError, match="asleep"):
        engine.set_state(container, "asleep")
    with pytest.raises(EngineError):
        engine.set_state("f" * 64, "paused")
