"""A camera on CLU's own server, as flicamera is one, whose every reply is foreseen."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click
from clu.actor import JSONActor
from clu.parsers.click import CluCommand, CluGroup, command_parser

from tests.unit.support.site import free_port

NASTY: dict[str, object] = {
    "semicolon": "a;b",
    "comma": "a,b",
    "equals": "a=b",
    "double": 'say"so',
    "single": "it's",
    "quoted": '"a whole string"',
    "half": '"begun and never ended',
    "backslash": "C:\\new",
    "tab": "a\tb",
    "empty": "",
    "blank": " ",
    "nothing": None,
    "yes": True,
    "number": -1.5e-07,
    "no_values": [],
    "mixed": ["a b", 1, None, False, ""],
    "mapping": {"camera": "x", "state": "done; really", "last": None},
    "accent": "Ñandú",
}
"""Values that separators, quotes and types may be lost from, by keyword."""


class Camera:
    """A camera of one node; ``close`` and ``start`` take it away and bring it back."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = free_port()
        self.received: list[str] = []
        self.images = 0
        hook = sys.excepthook
        self._actor: Any = JSONActor(name, host="127.0.0.1", port=0, validate=False)
        # Its logger takes the place of Python's own, and prints all that is said.
        sys.excepthook = hook
        self._actor.log.sh.setLevel(1000)
        self._actor.parser = _commands
        self._actor.camera = self

    async def start(self) -> Camera:
        """Begin to listen."""
        self._actor.server.port = self.port
        await self._actor.start()
        # Its own handler raises at each client that leaves.
        asyncio.get_running_loop().set_exception_handler(_ignore)
        return self

    async def close(self) -> None:
        """End, and let all clients go."""
        if self._actor.server._server is not None:
            await self._actor.stop()
        self.hang_up()

    def hang_up(self) -> None:
        """Break all connections."""
        for transport in list(self._actor.transports.values()):
            transport.close()

    def say(self, **keywords: object) -> None:
        """Tell all clients something that answers no command."""
        self._actor.write("i", keywords, broadcast=True, validate=False)


def _ignore(_: asyncio.AbstractEventLoop, __: dict[str, Any]) -> None:
    """Do nothing about an error in CLU's handling of a client that left."""


async def _status(command: Any) -> None:  # noqa: ANN401  CLU's own
    name = command.actor.name
    command.info(
        status={
            "camera": name,
            "model": "MicroLine ML4240",
            "serial": f"SIM-{name}",
            "fwrev": 0,
            "temperature_ccd": -25.0,
            "exposure_time_left": None,
            "cooler_power": 54.2,
        }
    )
    command.finish()


async def _expose(command: Any, seconds: float, n: int, flavour: str | None) -> None:  # noqa: ANN401
    camera: Camera = command.actor.camera
    name = camera.name
    camera.received.append(f"expose {seconds} n={n} flavour={flavour}")
    command.info(text=f"exposing camera {name!r}")
    for state in ("integrating", "reading"):
        values = {"camera": name, "state": state, "image_type": flavour or "object"}
        command.info(exposure_state=values)
        await asyncio.sleep(seconds if state == "integrating" else 0)
    camera.images = n or camera.images + 1
    path = f"/data/{name}/gimg-{name}-{camera.images:04d}.fits"
    command.info(filename={"camera": name, "filename": path})
    command.info(exposure_state={"camera": name, "state": "idle", "image_type": "NA"})
    command.finish()


async def _fail(command: Any, words: tuple[str, ...]) -> None:  # noqa: ANN401
    if words and command.actor.name not in words:
        command.finish()
    else:
        command.fail(error="boom")


async def _echo(command: Any, words: tuple[str, ...]) -> None:  # noqa: ANN401
    command.actor.camera.received.append(repr(words))
    command.finish(text=" ".join(words), count=len(words))


async def _levels(command: Any) -> None:  # noqa: ANN401
    command.debug(text="a detail")
    command.warning(text="a warning")
    command.error(error="an error")
    command.finish(text="the end", temperature=[1.5, -2])


async def _quiet(command: Any) -> None:  # noqa: ANN401
    command.finish()


async def _announce(command: Any) -> None:  # noqa: ANN401
    name = command.actor.name
    command.actor.camera.say(temperature={"camera": name, "ccd_temp": -10.0})
    command.finish(text="announced")


async def _help_text(command: Any) -> None:  # noqa: ANN401
    command.finish(help="one line of help")


async def _nasty(command: Any, keywords: tuple[str, ...]) -> None:  # noqa: ANN401
    for keyword in keywords or tuple(NASTY):
        command.info({keyword: NASTY[keyword]})
    command.finish()


async def _hang_up(command: Any, words: tuple[str, ...]) -> None:  # noqa: ANN401
    if words and command.actor.name not in words:
        command.finish()
        return
    command.info(text="before")
    await asyncio.sleep(0.05)
    command.actor.camera.hang_up()


async def _sleep(command: Any, seconds: float) -> None:  # noqa: ANN401
    await asyncio.sleep(seconds)
    command.finish(text=f"slept {seconds:g}")


def _words(name: str) -> click.Argument:
    return click.Argument([name], nargs=-1)


def _seconds() -> click.Argument:
    return click.Argument(["seconds"], type=float)


_commands: Any = CluGroup(name="camera")

for _command in (
    *command_parser.commands.values(),
    CluCommand("status", callback=_status, params=[]),
    CluCommand(
        "expose",
        callback=_expose,
        params=[
            _seconds(),
            click.Option(["-n"], type=int, default=0),
            click.Option(["--flavour"]),
        ],
    ),
    CluCommand("fail", callback=_fail, params=[_words("words")]),
    CluCommand("echo", callback=_echo, params=[_words("words")]),
    CluCommand("levels", callback=_levels, params=[]),
    CluCommand("quiet", callback=_quiet, params=[]),
    CluCommand("announce", callback=_announce, params=[]),
    CluCommand("print-help", callback=_help_text, params=[]),
    CluCommand("nasty", callback=_nasty, params=[_words("keywords")]),
    CluCommand("hangup", callback=_hang_up, params=[_words("words")]),
    CluCommand("sleep", callback=_sleep, params=[_seconds()]),
):
    _commands.add_command(_command)
