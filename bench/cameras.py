"""Simulated cameras: one process that speaks flicamera's lines on many ports.

``status`` answers like a camera, ``burst N`` with N replies, ``when`` with the moment
at which the command came in.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping

STATUS = {
    "camera": "",
    "model": "MicroLine ML4240",
    "serial": "SIM",
    "fwrev": 0,
    "hwrev": 0,
    "hbin": 1,
    "vbin": 1,
    "visible_area": [0, 0, 512, 512],
    "image_area": [0, 0, 512, 512],
    "temperature_ccd": -25.0,
    "temperature_base": -10.0,
    "exposure_time_left": 0,
    "cooler_power": 60.0,
}
"""What flicamera answers to ``status``, in its order."""

MARK = 987654321
"""Stands for the number of a command in a burst that is kept."""


class Camera(asyncio.Protocol):
    """One connection to one camera."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bursts: dict[int, bytes] = {}
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each command."""
        came = time.monotonic()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            number, _, body = line.decode().partition(" ")
            self._answer(int(number), body.split(), came)

    def _answer(self, number: int, words: list[str], came: float) -> None:
        status = {"status": {**STATUS, "camera": self._name}}
        answer = self._line(number, ">", {})
        if words[0] == "status":
            answer += self._line(number, "i", status)
        elif words[0] == "when":
            answer += self._line(number, "i", {"when": came})
        elif words[0] == "burst":
            count = int(words[1])
            # Made once: the time of a burst is to be the relay's, not the camera's.
            if count not in self._bursts:
                self._bursts[count] = self._line(MARK, "i", self._state()) * count
            answer += self._bursts[count].replace(b"%d" % MARK, b"%d" % number)
        assert self._transport is not None
        self._transport.write(answer + self._line(number, ":", {}))

    def _state(self) -> dict[str, object]:
        """Return what flicamera says most often: how an exposure goes."""
        state: dict[str, object] = {
            "camera": self._name,
            "state": "integrating",
            "image_type": "object",
            "remaining_time": 1.0,
            "exposure_time": 1.0,
            "current_stack": 1,
            "n_stack": 1,
        }
        return {"exposure_state": state}

    def _line(self, number: int, code: str, data: Mapping[str, object]) -> bytes:
        header = {
            "command_id": number,
            "commander_id": "1",
            "message_code": code,
            "internal": False,
            "sender": self._name,
        }
        return json.dumps({"header": header, "data": data}).encode() + b"\n"


async def serve(first: int, count: int) -> None:
    """Serve cameras ``cam0``, ``cam1``, ... on consecutive ports, until ended."""
    loop = asyncio.get_running_loop()
    for number in range(count):
        name = f"cam{number}"

        def camera(name: str = name) -> Camera:
            return Camera(name)

        await loop.create_server(camera, "127.0.0.1", first + number, backlog=1024)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
