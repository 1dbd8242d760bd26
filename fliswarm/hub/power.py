"""Switching the power of a node: through another actor, or with a program."""

from __future__ import annotations

import asyncio
import shlex
from typing import Protocol

from fliswarm.errors import HostError, HubError, HubSilentError, UnsureHostError
from fliswarm.hub.tron import TronLink
from fliswarm.model import Node

SWITCH_LIMIT = 30.0
"""Seconds for a power command to end."""


class PowerSwitch(Protocol):
    """Whatever switches the power of nodes."""

    async def switch(self, node: Node, *, on: bool) -> None:
        """Switch a node on or off.

        Raises
        ------
        HostError
            When it was not switched.
        UnsureHostError
            When it may have been.
        """


class SitePower:
    """The site's way: a command of the node's power actor, or a program here.

    Parameters
    ----------
    hub
        The link to the hub, where there is one.
    """

    def __init__(self, hub: TronLink | None) -> None:
        self._hub = hub

    async def switch(self, node: Node, *, on: bool) -> None:
        """See `PowerSwitch.switch`."""
        power = node.power
        if power is None:
            raise HostError(node.name, "the configuration says no way to switch it")
        command = f"{power.poweron if on else power.poweroff} {power.device}"
        if power.actor is None:
            await _run(node, command)
        elif self._hub is None:
            raise HostError(node.name, "no hub is configured (actor/tron_host)")
        else:
            try:
                await self._hub.command(power.actor, command, SWITCH_LIMIT)
            except HubSilentError as error:
                raise UnsureHostError(node.name, str(error)) from error
            except HubError as error:
                raise HostError(node.name, str(error)) from error


async def _run(node: Node, command: str) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *shlex.split(command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except (OSError, ValueError) as error:
        raise HostError(node.name, f"{command}: {error}") from error
    try:
        async with asyncio.timeout(SWITCH_LIMIT):
            output, _ = await process.communicate()
    except TimeoutError:
        problem = f"{command}: not in {SWITCH_LIMIT:g} s"
        raise UnsureHostError(node.name, problem) from None
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        words = output.decode("utf-8", "replace").strip()
        raise HostError(node.name, f"{command}: {words or process.returncode}")
