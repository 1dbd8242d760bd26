"""Many nodes, some of which are off or hang: they cost the others nothing."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from fliswarm.engine import Engine
from fliswarm.engine.docker import DockerEngines
from fliswarm.engine.memory import MemoryEngine
from fliswarm.errors import EXIT_UNREACHABLE
from fliswarm.fleet.doctor import examine
from fliswarm.fleet.live import LiveFleet
from fliswarm.host.memory import MemoryHost
from fliswarm.hub.power import SitePower
from fliswarm.model import ContainerDetail, Node
from fliswarm.model.signs import Outcome
from fliswarm.plan.checks import CHECKS, exit_code, faults
from tests.unit.support.camera import RawCamera
from tests.unit.support.clinic import REAL, TIMES, Void, camera
from tests.unit.support.engine import FakeEngine
from tests.unit.support.registry import Registry, Store, serving
from tests.unit.support.site import PULLED, fleet
from tests.unit.support.wait import until

NAMES = tuple(f"gfa{number}" for number in range(1, 65))

OFF, HANGING, WELL = NAMES[:8], NAMES[8:16], NAMES[16:]

SEEN = """\
bus
usb 000a /dev/bus/usb/001/005 open
place 0 0 9999999 4096 0 0
place 1 0 9999999 4096 0 0
end
"""
"""What a healthy container sees."""


async def test_nodes_that_are_off_or_hang_cost_the_others_nothing(
    tmp_path: Path,
) -> None:
    """The real door knocks at those; the twins of the others answer at once."""
    void, hanging, store = Void(), FakeEngine(), Store()
    store.manifests["sha256:one"] = (b"{}", "application/json")
    store.tags["latest"] = "sha256:one"
    registry = Registry(store)
    cameras = {name: await RawCamera(camera, name).start() for name in WELL}
    desired = fleet({n: cameras[n].port if n in cameras else void.port for n in NAMES})
    desired = replace(desired, registry=registry.name)
    image = desired.image_reference
    real = DockerEngines()
    twins: dict[str, MemoryEngine] = {}

    def connect(node: Node) -> Engine:
        if node.name in OFF:
            address = f"tcp://127.0.0.1:{void.port}"
            return real(replace(node, engine=address))
        if node.name in HANGING:
            return real(replace(node, engine=hanging.address))
        twins[node.name] = MemoryEngine(node.name, {image: PULLED})
        return twins[node.name]

    async with AsyncExitStack() as stack:
        stack.callback(void.close)
        stack.enter_context(serving(registry))
        await stack.enter_async_context(hanging.listening())
        listening = await asyncio.start_server(_greet, "127.0.0.1", 0)
        stack.callback(listening.close)
        port = listening.sockets[0].getsockname()[1]
        nodes = {
            name: replace(node, ssh_port=void.port if name in OFF else port)
            for name, node in desired.nodes.items()
        }
        desired = replace(desired, nodes=nodes)
        state = tmp_path / "state"
        live = LiveFleet(
            desired, connect, lambda n: MemoryHost(n.name), SitePower(None), state
        )
        live.start()
        for name in WELL:
            (result,) = await live.apply(live.select(name), lambda _: None)
            assert result.error is None
            daemon = twins[name].daemon
            (container,) = daemon.containers
            daemon.details[container] = ContainerDetail(program=REAL)
            daemon.programs = lambda _: SEEN
        chosen = live.select(",".join(WELL))
        await until(lambda: all(node.link.up for node in chosen), "all cameras")
        hanging.held["info"] = asyncio.Event()

        began = time.monotonic()
        findings = await examine(live, live.select(), list, times=TIMES)
        print(f"{time.monotonic() - began:.1f} s")

        told = [(f.node, f.check) for f in faults(findings)]
        assert told == [(name, "host") for name in OFF] + [
            (name, "engine") for name in HANGING
        ]
        assert exit_code(findings) == EXIT_UNREACHABLE
        # Of the others all is known, but the login, which is for smaller sites.
        for name in WELL:
            theirs = {f.check: f.outcome for f in findings if f.node == name}
            assert len(theirs) == len(CHECKS)
            others = {c for c, outcome in theirs.items() if outcome is not Outcome.GOOD}
            assert others == {"ssh"}
        await live.close()
        for one in cameras.values():
            await one.close()


async def _greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
