"""Images of an engine: listed, saved into archives, loaded from archives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fliswarm.engine import archive
from fliswarm.errors import ConfigError, EngineError, ImageUnavailableError
from tests.contract.test_engine import ADDRESS, KINDS, NO_ENGINE, Bench


@pytest.fixture(
    params=[
        "memory",
        "http",
        pytest.param("docker", marks=pytest.mark.skipif(not ADDRESS, reason=NO_ENGINE)),
    ]
)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async for bench in KINDS[request.param]():
        yield bench


async def identity(bench: Bench) -> str:
    """Return the id of the image that the bench's engine pulls."""
    return (await bench.engine.pull(bench.image)).image.id


async def test_images_are_listed_with_all_their_names(bench: Bench) -> None:
    image = await identity(bench)
    name = f"{bench.mark}:kept"
    await bench.engine.tag_image(bench.image, name)
    (found,) = [one for one in await bench.engine.images() if one.id == image]
    assert {bench.image, name} <= set(found.names)
    await bench.engine.remove_image(name)
    (found,) = [one for one in await bench.engine.images() if one.id == image]
    assert name not in found.names


async def test_there_and_back(bench: Bench, tmp_path: Path) -> None:
    await identity(bench)
    name = f"{bench.mark}:kept"
    await bench.engine.tag_image(bench.image, name)
    file, moved = tmp_path / "image.tar", list[tuple[int, int]]()
    await bench.engine.save(name, file, lambda *far: moved.append(far))
    (saved,) = archive.read(file).images
    assert saved.names == (name,)
    await bench.engine.remove_image(name)
    await bench.engine.load(file, lambda *far: moved.append(far))
    found = [one for one in await bench.engine.images() if name in one.names]
    assert [saved.is_(one.id) for one in found] == [True]
    assert moved[-1][0] <= moved[-1][1] == file.stat().st_size
    await bench.engine.remove_image(name)


async def test_an_image_that_is_not_there_is_not_saved(
    bench: Bench, tmp_path: Path
) -> None:
    with pytest.raises(ImageUnavailableError):
        await bench.engine.save(f"{bench.mark}:none", tmp_path / "image.tar")


async def test_a_broken_archive_is_refused(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "image.tar"
    file.write_bytes(b"no archive " * 5000)
    with pytest.raises((EngineError, ConfigError)):
        await bench.engine.load(file)
