"""Images by archives, from the command line to engines, through a whole controller."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fliswarm.cli.app import fliswarm
from fliswarm.engine import archive
from fliswarm.errors import CommandError, ConfigError, FliswarmError
from fliswarm.faces.control import stream
from fliswarm.fleet import spool
from fliswarm.model import Image
from tests.unit.control.test_control import beside
from tests.unit.support.observatory import Observatory, observatory
from tests.unit.support.site import IMAGE, PULLED, free_port

NEW = f"sha256:{'ab' * 32}"


class Desk:
    """A controller of two nodes, and whoever sits before its command line."""

    def __init__(self, folder: Path, running: Observatory) -> None:
        self.folder = folder
        self.running = running
        self.file = folder / "flicamera.tar"

    async def __call__(self, *words: str) -> Result:
        given = ["-H", f"unix://{self.folder}/c.sock", "image", *words]
        # What is not told as an exit code is an error of ours, told by main.
        return await beside(lambda: CliRunner().invoke(fliswarm, given))

    def images(self, node: str) -> dict[str, str]:
        """Return the images of a node, by name."""
        every = self.running.engines[node].daemon.images
        return {name: image.id for name, image in every.items()}

    def pack(self, *names: str, size: int = 0) -> None:
        """Write an archive of the image ``NEW``."""
        data = archive.made(NEW, names)
        # Engines and tar do not look at what is behind the end.
        self.file.write_bytes(data + b"\0" * size)

    def spooled(self) -> list[Path]:
        """Return the files that are on their way."""
        folder = self.running.service._spool._folder
        return [] if folder is None else [*folder.iterdir()]


@asynccontextmanager
async def _desk(folder: Path) -> AsyncIterator[Desk]:
    ports = {"gfa1": free_port(), "gfa2": free_port()}
    async with observatory(ports, folder / "c.sock") as running:
        yield Desk(folder, running)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with _desk(tmp_path) as made:
        yield made


async def test_an_archive_comes_to_all_nodes(desk: Desk) -> None:
    """Say, do, say again, do again; of more parts than are sent ahead."""
    desk.pack(IMAGE, size=stream.PART * (stream.AHEAD + 3))
    said = await desk("load", str(desk.file), "--dry-run")
    assert said.output == f"{IMAGE} {NEW}\n"
    assert desk.images("gfa1") == {}
    done = await desk("load", str(desk.file))
    assert done.exit_code == 0, done.output
    for node in ("gfa1", "gfa2"):
        assert f"{node}: {IMAGE} is loaded." in done.output
        assert desk.images(node) == {IMAGE: NEW}
        daemon = desk.running.engines[node].daemon
        assert daemon.archives[NEW] == desk.file.read_bytes()
    again = await desk("load", str(desk.file))
    assert again.exit_code == 0
    assert again.output.count("is there already") == 2
    for node in ("gfa1", "gfa2"):
        assert desk.running.engines[node].calls.count("load") == 1
    assert desk.spooled() == []


async def test_to_some_nodes_and_with_another_name(desk: Desk) -> None:
    desk.pack("sdss/flicamera:try")
    done = await desk("load", str(desk.file), "-n", "gfa2")
    assert done.exit_code == 0
    assert f"remedy: --tag {IMAGE}" in done.output
    assert desk.images("gfa1") == {}
    done = await desk("load", str(desk.file), "-n", "gfa2", "--tag", IMAGE)
    assert "remedy" not in done.output
    assert desk.images("gfa2") == {"sdss/flicamera:try": NEW, IMAGE: NEW}


async def test_a_node_that_fails_is_named_and_the_others_have_it(desk: Desk) -> None:
    desk.pack(IMAGE)
    desk.running.engines["gfa1"].up = False
    done = await desk("load", str(desk.file))
    assert done.exit_code == 4
    assert "gfa1: the engine does not answer" in done.output
    assert desk.images("gfa2") == {IMAGE: NEW}
    assert desk.spooled() == []


async def test_an_engine_that_takes_it_and_has_not_got_it(desk: Desk) -> None:
    desk.pack(IMAGE)
    twin = desk.running.engines["gfa1"]

    def lose(call: str) -> None:
        if call == "done: load":
            twin.daemon.images[IMAGE] = Image("sha256:other")

    twin.on_call = lose
    done = await desk("load", str(desk.file), "-n", "gfa1")
    assert done.exit_code == 1
    assert f"gfa1: {IMAGE} is not there after it was loaded" in done.output


async def test_what_is_no_archive_is_refused_before_it_is_sent(desk: Desk) -> None:
    desk.file.write_text("nothing of the kind", "utf-8")
    done = await desk("load", str(desk.file))
    assert isinstance(done.exception, ConfigError)
    assert "is no archive of images" in str(done.exception)
    assert desk.running.service._spool._sizes == {}


async def test_a_disk_without_room_refuses(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "RESERVE", 1 << 62)
    desk.pack(IMAGE)
    done = await desk("load", str(desk.file))
    assert isinstance(done.exception, CommandError)
    assert "MiB free" in str(done.exception)
    assert desk.images("gfa1") == {}


async def test_a_selection_of_nobody_leaves_no_file(desk: Desk) -> None:
    desk.pack(IMAGE)
    done = await desk("load", str(desk.file), "-n", "gfa7")
    assert isinstance(done.exception, CommandError)
    assert done.exception.exit_code == 2
    assert desk.spooled() == []


# Back


async def test_an_image_comes_from_a_node(desk: Desk) -> None:
    desk.pack(IMAGE, size=stream.PART * 5)
    await desk("load", str(desk.file), "-n", "gfa2")
    target = desk.folder / "saved.tar"
    done = await desk("save", IMAGE, str(target))
    assert done.exit_code == 0, (done.output, done.exception)
    (image,) = archive.read(target).images
    assert (image.id, image.names) == (NEW, (IMAGE,))
    # And to another node.
    assert (await desk("load", str(target), "-n", "gfa1")).exit_code == 0
    assert desk.images("gfa1") == {IMAGE: NEW}
    assert desk.spooled() == []
    done = await desk("save", IMAGE, str(target))
    assert "is not overwritten" in str(done.exception)


async def test_an_image_that_nobody_has_leaves_no_file(desk: Desk) -> None:
    done = await desk("save", "sdss/none:1", str(desk.folder / "saved.tar"))
    assert isinstance(done.exception, FliswarmError)
    said = "sdss/none:1: gfa1 has not got it; gfa2 has not got it"
    assert str(done.exception) == said
    assert [path.name for path in desk.folder.iterdir()] == ["c.sock"]


# What there is, and what is too much


async def test_images_are_listed_with_who_uses_them(desk: Desk) -> None:
    desk.running.engines["gfa1"].daemon.images = {
        IMAGE: PULLED,
        "sdss/flicamera:old": Image("sha256:old"),
        "postgres:15": Image("sha256:theirs"),
    }
    wanted = desk.running.desired.container(desk.running.desired.nodes["gfa1"])
    await desk.running.engines["gfa1"].run(wanted)
    done = await desk("list")
    assert done.exit_code == 0
    assert "flicamera-gfa1" in done.output
    assert "sdss/flicamera:old" in done.output
    assert "postgres" not in done.output
    assert "digest-one" in done.output
    assert f"gfa2: it has no {IMAGE}; remedy: fliswarm image load" in done.output
    lines = (await desk("list", "--json", "-n", "gfa1")).output.splitlines()
    stored = [m["data"] for m in map(json.loads, lines) if "stored" in m["data"]]
    assert {s["stored"][1]: (s["used_by"], s["wanted"]) for s in stored} == {
        "sha256:one": (["flicamera-gfa1"], True),
        "sha256:old": ([], False),
    }


async def test_what_nothing_needs_is_pruned(desk: Desk) -> None:
    """Say, do, say again, do again."""
    twin = desk.running.engines["gfa1"]
    twin.daemon.images = {
        IMAGE: PULLED,
        "sdss/flicamera:old": Image("sha256:old"),
        "hub:5000/sdss/flicamera:fliswarm-3": Image("sha256:three"),
        "hub:5000/sdss/flicamera:run": Image("sha256:run"),
        "postgres:15": Image("sha256:theirs"),
    }
    wanted = desk.running.desired.container(desk.running.desired.nodes["gfa1"])
    run = "hub:5000/sdss/flicamera:run"
    await twin.run(replace(wanted, image=run))
    before = desk.images("gfa1")
    said = await desk("prune")
    assert said.exit_code == 0
    assert "gfa1: sdss/flicamera:old would be removed" in said.output
    assert "gfa2: nothing to remove" in said.output
    assert said.output.count("would be") == 1
    assert desk.images("gfa1") == before
    done = await desk("prune", "--yes")
    assert "gfa1: sdss/flicamera:old is removed." in done.output
    del before["sdss/flicamera:old"]
    assert desk.images("gfa1") == before
    for words in (["prune"], ["prune", "--yes"]):
        again = await desk(*words)
        assert "gfa1: nothing to remove" in again.output
        assert desk.images("gfa1") == before


async def test_what_is_pushed_is_looked_at_before_anybody_is_asked(desk: Desk) -> None:
    desk.file.write_text("nothing of the kind", "utf-8")
    done = await desk("push", str(desk.file), "-i", str(desk.folder / "nowhere"))
    assert "is no archive of images" in str(done.exception)
    desk.pack(IMAGE)
    done = await desk("push", str(desk.file), "-i", str(desk.folder / "nowhere"))
    assert "there is no such inventory" in str(done.exception)
    # An image is taken from a node first.
    done = await desk("push", "sdss/none:1", "-i", str(desk.folder / "nowhere"))
    assert "gfa1 has not got it" in str(done.exception)


async def test_a_site_without_a_registry(tmp_path: Path) -> None:
    """The node's own image serves; who has none is told how to bring it."""
    async with _desk(tmp_path) as desk:
        bare = replace(desk.running.desired, registry=None)
        desk.running.desired = bare
        await beside(
            lambda: CliRunner().invoke(
                fliswarm, ["-H", f"unix://{tmp_path}/c.sock", "reload"]
            )
        )
        for twin in desk.running.engines.values():
            twin.registry_up = False
        desk.pack("sdss/flicamera:latest")
        assert (await desk("load", str(desk.file), "-n", "gfa1")).exit_code == 0
        nodes = desk.running.service._fleet.select()
        plans = await desk.running.service._fleet.plan(nodes)
        said = str(plans[1])
        assert "remedy: fliswarm image load FILE -n gfa2" in said
        assert not isinstance(plans[0], FliswarmError)
        assert "does not tell" not in (await desk("list")).output
