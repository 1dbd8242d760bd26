"""Commands for cameras."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

import click

from fliswarm.camera import Outcome, Reply
from fliswarm.commands.context import Context
from fliswarm.commands.group import SECONDS, SETTINGS, commands, selection
from fliswarm.errors import EXIT_FAILED, EXIT_UNREACHABLE
from fliswarm.fleet.talk import talk as send


@commands.command(everywhere=True, context_settings=SETTINGS)
@click.argument("CAMERA-COMMAND", nargs=-1)
@selection("cameras to command", short=False)
@click.option("--timeout", type=SECONDS, help="Seconds to wait for each camera.")
@click.option("--strict", is_flag=True, help="Fails when any camera does.")
async def talk(
    context: Context,
    camera_command: tuple[str, ...],
    names: str | None,
    category: str | None,
    exclude: str | None,
    timeout: float | None,  # noqa: ASYNC109  the option's name is the protocol's
    *,
    strict: bool,
) -> None:
    """Sends a command to selected or all cameras."""
    call = context.call
    message = _message(camera_command)
    if not message:
        call.fail(error="No camera command was given.")
        return
    nodes = context.fleet.select(names, category, exclude)
    connected = {node.node.name for node in nodes if node.link.up}
    for node in nodes:
        if node.node.name not in connected:
            call.warning(text=f"Failed connecting to {node.node.name}.")
    bundle: list[str] = []

    def on_reply(reply: Reply) -> None:
        call.relay(reply)
        written = reply.data.get("filename")
        # A camera that wrote nothing says so by a null.
        if isinstance(written, Mapping) and written.get("filename") is not None:
            bundle.append(str(written["filename"]))

    results = await send(nodes, message, on_reply, timeout)
    for result in results:
        if result.outcome is not Outcome.DONE:
            lost = result.outcome is Outcome.LOST
            call.note(EXIT_UNREACHABLE if lost else EXIT_FAILED)
        if result.outcome is Outcome.LOST and result.node in connected:
            call.error(error=f"{result.node}: {result.problem}")
    if bundle:
        call.info(filename_bundle=bundle)
    failed = [r.node for r in results if r.outcome is not Outcome.DONE]
    if failed:
        call.warning(failed=failed)
    if all(result.outcome is Outcome.LOST for result in results):
        call.fail(error="No camera answered.")
    elif failed and strict:
        call.fail(error="One or more cameras failed.")
    else:
        call.finish()


def _message(words: tuple[str, ...]) -> str:
    """Return the camera's command; a single word with blanks in it is a whole one."""
    if len(words) == 1 and words[0].split() != [words[0]]:
        return words[0].strip()
    return shlex.join(words)
