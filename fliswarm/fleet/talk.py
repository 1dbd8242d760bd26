"""One command for many cameras, until each has ended or is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from fliswarm.camera import Exchange, Outcome, Reply
from fliswarm.errors import CameraError
from fliswarm.fleet.node import LiveNode


@dataclass(frozen=True, slots=True)
class TalkResult:
    """How one camera's part of a `talk` ended."""

    node: str
    outcome: Outcome
    problem: str | None = None


async def talk(
    nodes: Sequence[LiveNode],
    message: str,
    on_reply: Callable[[Reply], None],
    limit: float | None = None,
) -> list[TalkResult]:
    """Send a command to cameras and wait until each has ended or is lost.

    Parameters
    ----------
    nodes
        Whose cameras.
    message
        The command, as the cameras understand it.
    on_reply
        Gets each camera's replies as they come.
    limit
        Seconds after which a camera is not waited for any longer.
    """
    results: dict[str, TalkResult] = {}
    under_way: list[tuple[LiveNode, Exchange]] = []
    all_ended = asyncio.get_running_loop().create_future()

    left = 0

    def on_end() -> None:
        nonlocal left
        left -= 1
        if left == 0 and not all_ended.done():
            all_ended.set_result(None)

    for node in nodes:
        try:
            exchange = node.link.send(message, on_reply, on_end)
            under_way.append((node, exchange))
            left += 1
        except CameraError as error:
            results[node.node.name] = TalkResult(
                node.node.name, Outcome.LOST, error.problem
            )
    try:
        if under_way:
            with suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    await all_ended
    finally:
        for node, exchange in under_way:
            results[node.node.name] = _settle(node, exchange, limit)
    return [results[node.node.name] for node in nodes]


def _settle(node: LiveNode, exchange: Exchange, limit: float | None) -> TalkResult:
    """Return how an exchange ended; one that has not is not waited for any more."""
    if not exchange.ended.done():
        node.link.forget(exchange)
        exchange.problem = (
            "abandoned" if limit is None else f"no answer within {limit:g} s"
        )
    return TalkResult(node.node.name, exchange.ended.result(), exchange.problem)
