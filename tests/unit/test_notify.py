"""What systemd hears of us."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fliswarm import notify
from tests.unit.control.test_control import beside, replies
from tests.unit.support.observatory import observatory
from tests.unit.support.site import free_port
from tests.unit.support.wait import until


class Systemd:
    """A socket where states are told."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)
        self._heard: list[str] = []

    @property
    def heard(self) -> list[str]:
        """The states up to now, without the moment of a reload."""
        while True:
            try:
                data = self._socket.recv(4096)
            except BlockingIOError:
                return self._heard
            self._heard += data.decode().splitlines()

    @property
    def plain(self) -> list[str]:
        """The same without signs of life and without times."""
        return [s for s in self.heard if not s.startswith(("WATCHDOG", "MONOTONIC"))]

    def close(self) -> None:
        """End."""
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    found = Systemd(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    yield found
    found.close()


async def test_a_life(
    systemd: Systemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    path = tmp_path / "c.sock"
    async with observatory({"gfa1": free_port()}, path):
        await until(lambda: systemd.plain == ["READY=1"])
        await until(lambda: systemd.heard.count("WATCHDOG=1") > 2)
        await beside(lambda: replies(path, ["reload"]))
        assert systemd.plain == ["READY=1", "RELOADING=1", "READY=1"]
        moment = next(s for s in systemd.heard if s.startswith("MONOTONIC_USEC="))
        assert 0 <= time.monotonic() - int(moment.partition("=")[2]) / 1e6 < 60
    assert systemd.plain == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]


async def test_a_frozen_loop_gives_no_sign_of_life(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    async with notify.serving():
        await until(lambda: "WATCHDOG=1" in systemd.heard)
        before = systemd.heard.count("WATCHDOG=1")
        time.sleep(0.2)  # noqa: ASYNC251  the loop is to stand still
        assert systemd.heard.count("WATCHDOG=1") == before
        await until(lambda: systemd.heard.count("WATCHDOG=1") > before)
    systemd.heard.clear()
    await asyncio.sleep(0.05)
    assert systemd.heard == []


def test_nobody_wants_to_hear() -> None:
    notify.tell("READY=1", environment={})
    notify.tell("READY=1", environment={"NOTIFY_SOCKET": ""})
    notify.tell("READY=1", environment={"NOTIFY_SOCKET": "/nowhere/at/all"})
    notify.tell("READY=1", environment={"NOTIFY_SOCKET": "vsock:2:1"})


def test_a_name_outside_of_the_file_system() -> None:
    name = f"fliswarm-test-{os.getpid()}"
    found = Systemd(f"\0{name}")
    notify.tell("A=1", "B=2", environment={"NOTIFY_SOCKET": f"@{name}"})
    assert found.heard == ["A=1", "B=2"]
    found.close()


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 10.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 10.0),
        # It is of the program that started this one.
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_how_often(environment: dict[str, str], seconds: float | None) -> None:
    assert notify.period(environment) == seconds
