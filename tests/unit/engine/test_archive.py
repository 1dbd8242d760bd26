from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from fliswarm.engine import archive
from fliswarm.errors import ConfigError

CONFIG = "ab" * 32


def packed(**members: object) -> bytes:
    """Return a tar file; a name has ``__`` for a point."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, content in members.items():
            data = content if isinstance(content, bytes) else json.dumps(content)
            data = data.encode() if isinstance(data, str) else data
            member = tarfile.TarInfo(name.replace("__", "."))
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return target.getvalue()


@pytest.mark.parametrize("config", [f"{CONFIG}.json", f"blobs/sha256/{CONFIG}"])
def test_both_ways_in_which_docker_writes_it(tmp_path: Path, config: str) -> None:
    table = [{"Config": config, "RepoTags": ["a/b:1"], "Layers": ["x/layer.tar"]}]
    index = {"manifests": [{"digest": "sha256:cd"}]}
    file = tmp_path / "a.tar"
    file.write_bytes(packed(layer=b"x" * 5000, manifest__json=table, index__json=index))
    found = archive.read(file)
    assert found.size == file.stat().st_size
    (image,) = found.images
    assert (image.id, image.names) == (f"sha256:{CONFIG}", ("a/b:1",))
    # An engine that keeps images as registries do has another id for it.
    assert image.is_(image.id)
    assert image.is_("sha256:cd")
    assert not image.is_("sha256:ef")
    file.write_bytes(gzip.compress(file.read_bytes()))
    assert archive.read(file).images == (image,)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        packed(manifest__json=[]),
        packed(manifest__json={}),
        packed(manifest__json=[{"RepoTags": ["a"]}]),
        packed(manifest__json=b"{"),
        packed(other=b"x"),
        packed(manifest__json=[5]),
        gzip.compress(packed(other=b"x" * 100_000), mtime=0)[:60],
    ],
)
def test_what_is_no_archive(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "a.tar"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=r"is (no|an) archive"):
        archive.read(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        archive.read(tmp_path / "a.tar")
