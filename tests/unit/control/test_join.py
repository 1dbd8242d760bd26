"""``dial-stdio`` with whatever its standard input and output are."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fliswarm.errors import ControlError
from fliswarm.faces.control import peer
from fliswarm.faces.control.join import dial_stdio
from tests.unit.support.observatory import observatory
from tests.unit.support.site import free_port


async def joined(path: Path, source: int, folder: Path) -> list[str]:
    """Join a descriptor with a socket, to the end; return the codes of the replies."""
    found = folder / "found"
    target = os.open(found, os.O_WRONLY | os.O_CREAT)
    async with asyncio.timeout(30):
        await asyncio.to_thread(dial_stdio, path, source, target)
    os.close(target)
    lines = map(json.loads, found.read_text("utf-8").splitlines())
    return [line["header"]["message_code"] for line in lines]


@pytest.mark.parametrize(
    ("given", "codes"),
    [
        (b"1 ping", [">", ":"]),
        (b"1 ping\n2 version\n", [">", ":", ">", ":"]),
        (b"\n\n", []),
        (b"", []),
    ],
)
async def test_a_file(tmp_path: Path, given: bytes, codes: list[str]) -> None:
    file = tmp_path / "given"
    file.write_bytes(given)
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock"):
        with file.open("rb") as source:
            found = await joined(tmp_path / "c.sock", source.fileno(), tmp_path)
    assert sorted(found) == sorted(codes)


async def test_a_pipe_that_ends_at_once(tmp_path: Path) -> None:
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock"):
        source, into = os.pipe()
        os.write(into, b"1 ping")
        os.close(into)
        assert await joined(tmp_path / "c.sock", source, tmp_path) == [">", ":"]
        os.close(source)


async def test_no_input_at_all(tmp_path: Path) -> None:
    nothing = 1_000_000  # nobody has so many descriptors
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock"):
        assert await joined(tmp_path / "c.sock", nothing, tmp_path) == []


async def test_nobody_reads_the_answers(tmp_path: Path) -> None:
    source, into = os.pipe()
    outof, target = os.pipe()
    os.close(outof)
    async with observatory({"gfa1": free_port()}, tmp_path / "c.sock"):
        os.write(into, b"1 ping\n")
        async with asyncio.timeout(30):
            await asyncio.to_thread(dial_stdio, tmp_path / "c.sock", source, target)
    for number in (source, into, target):
        os.close(number)


@contextmanager
def silent(path: Path) -> Iterator[None]:
    """Take connections, and say nothing."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        kept: list[socket.socket] = []
        threading.Thread(
            target=lambda: kept.append(server.accept()[0]), daemon=True
        ).start()
        yield
        for connection in kept:
            connection.close()


def test_a_controller_that_is_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "SILENCE_LIMIT", 0.1)
    source, into = os.pipe()
    os.write(into, b"1 ping\n")
    with (
        silent(tmp_path / "c.sock"),
        pytest.raises(ControlError, match="has not answered"),
    ):
        dial_stdio(tmp_path / "c.sock", source, 1)
    os.close(into)
    os.close(source)
