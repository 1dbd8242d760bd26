from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.support.camera import RawCamera
from tests.unit.support.live import Site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Two nodes, each on a computer of its own, without containers."""
    cameras = {name: await RawCamera().start() for name in ("gfa1", "gfa2")}
    made = Site(tmp_path / "state", cameras)
    made.fleet.start()
    yield made
    await made.fleet.close()
    for camera in cameras.values():
        await camera.close()
