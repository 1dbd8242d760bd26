"""Run the flicamera actor with a simulated camera instead of a USB device.

Everything but the camera's own electronics is the real program: the actor,
its commands and replies, the exposures and the FITS files. The environment
says which camera it is, as it does for a real one:

ACTOR_NAME
    Name of the actor and of its only camera; ``gfa0`` if unset.
FLICAMERA_ACTOR_PORT
    TCP port; 19995 if unset.
FLICAMERA_DATA_DIR
    Folder of the images of all cameras; ``/data`` if unset.
OBSERVATORY
    ``APO`` or ``LCO``; elsewhere, nights are counted as at APO.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import Any, NoReturn
from unittest.mock import patch

from flicamera import __version__
from flicamera.actor import FLIActor
from flicamera.camera import FLICameraSystem
from flicamera.lib import LibFLI
from flicamera.mock import MockFLIDevice, MockLibFLI

DEFAULT_PORT = 19995

ADDRESSES = ["0.0.0.0", "::"]
"""Where the actor listens: on all addresses of both families."""

OBSERVATORIES = ("APO", "LCO")
"""Where flicamera knows when a night begins; it refuses to expose elsewhere."""

SENSOR: dict[str, Any] = {
    "model": "MicroLine ML4240",
    "temperature": {"CCD": -25.0, "base": -10.0},
    "cooler_power": 60.0,
    "ul_x": 0,
    "ul_y": 0,
    "lr_x": 512,
    "lr_y": 512,
}
"""What the device reports: temperatures in Celsius, power in per cent.

A real sensor has 2048 x 2048 pixels. An image of 512 x 512 takes a sixteenth
of the time and of the space.
"""


class SimulatedCameraSystem(FLICameraSystem):  # type: ignore[misc]
    """A camera system that finds one simulated device on its bus.

    Parameters
    ----------
    name
        Name of the camera and of its device.
    observatory
        Where the camera is.
    """

    def __init__(self, name: str, observatory: str) -> None:
        serial = f"SIM-{name}"
        camera = {
            "uid": serial,
            "serial": serial,
            "observatory": observatory,
            "find_calibrations": False,
        }
        super().__init__(simulation_mode=True, camera_config={name: camera})
        with patch("ctypes.cdll.LoadLibrary", MockLibFLI):
            self.lib = LibFLI(simulation_mode=True, log=self.log)
        device = MockFLIDevice(name, {**SENSOR, "serial": serial})
        self.lib.libc.devices.append(device)

    def setup(self) -> SimulatedCameraSystem:
        """Mark the system as running, and keep the bus with its device.

        The parent opens the bus anew here, which for a simulated one means
        an empty one.
        """
        self.running = True
        return self


async def serve(name: str, observatory: str, port: int, data_dir: str) -> None:
    """Serve one simulated camera until cancelled.

    Parameters
    ----------
    name
        Name of the camera and of the actor.
    observatory
        Where the camera is.
    port
        TCP port, on all addresses of the host.
    data_dir
        Folder of the images of all cameras.
    """
    system = SimulatedCameraSystem(name, observatory)
    await system.add_camera(name=name)
    actor = FLIActor(
        system,
        name=name,
        host=ADDRESSES,
        port=port,
        version=__version__,
        data_dir=f"{data_dir}/{{camera.name}}/{{int(sjd)}}",
        image_name="{camera.name[0]}img-{camera.name}-{num:04d}.fits",
    )
    actor.log.sh.setStream(sys.stdout)
    actor.log.sh.setLevel(logging.INFO)
    await actor.start()
    await actor.run_forever()


def stop(*_: object) -> NoReturn:
    """End the program at once, whatever it is doing: no device waits for a word."""
    os._exit(0)


def main() -> None:
    """Run the simulated camera that the environment describes."""
    # The first process of a container has no default action for SIGTERM.
    signal.signal(signal.SIGTERM, stop)
    observatory = os.environ.get("OBSERVATORY", "")
    if observatory not in OBSERVATORIES:
        observatory = os.environ["OBSERVATORY"] = OBSERVATORIES[0]
    asyncio.run(
        serve(
            os.environ.get("ACTOR_NAME", "gfa0"),
            observatory,
            int(os.environ.get("FLICAMERA_ACTOR_PORT", DEFAULT_PORT)),
            os.environ.get("FLICAMERA_DATA_DIR", "/data"),
        )
    )


if __name__ == "__main__":
    main()
