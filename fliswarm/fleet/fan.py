"""One deed on many nodes at once: each ends by itself, in a result of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fliswarm.errors import FliswarmError, NodeError
from fliswarm.fleet.node import LiveNode
from fliswarm.model import NodeStatus

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """How one node's part of a change ended; ``error`` is ``None`` when it worked."""

    node: str
    changed: bool
    error: FliswarmError | None = None


async def fan(
    nodes: Sequence[LiveNode], act: Callable[[LiveNode], Awaitable[T]]
) -> list[T | FliswarmError]:
    """Do something on nodes, all at once; return what each came to, in their order.

    One node's trouble is its own result, whatever it is: the others go on.
    """

    async def one(live: LiveNode) -> T | FliswarmError:
        try:
            return await act(live)
        except FliswarmError as error:
            return error
        except Exception as error:
            name = live.node.name
            log.error("%s", name, exc_info=error)  # noqa: TRY400  said, not raised
            return NodeError(name, f"{error!r}; see the log")

    return await asyncio.gather(*map(one, nodes))


async def change(
    nodes: Sequence[LiveNode], act: Callable[[LiveNode], Awaitable[bool]]
) -> list[ApplyResult]:
    """Change nodes, all at once; ``act`` returns whether anything had to be done."""
    return [
        ApplyResult(live.node.name, changed=False, error=result)
        if isinstance(result, FliswarmError)
        else ApplyResult(live.node.name, result)
        for live, result in zip(nodes, await fan(nodes, act), strict=True)
    ]


def unknown(live: LiveNode, error: FliswarmError) -> NodeStatus:
    """Return the status of a node that could not be looked at."""
    up = live.link.up
    return NodeStatus(
        live.node,
        host_alive=up,
        engine_alive=False,
        camera_up=up,
        problem=str(error),
    )
