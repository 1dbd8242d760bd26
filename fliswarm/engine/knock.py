"""Whether anybody listens at an engine's address: found out without a thread.

Nodes that are switched off are many at times, and cost the others nothing by this.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from fliswarm.engine import tls
from fliswarm.engine.tls import Credentials
from fliswarm.errors import EngineUnreachableError
from fliswarm.model import Node
from fliswarm.net.dial import dial, reason


async def knock(node: Node, ours: Credentials | None, limit: float) -> datetime | None:
    """Return when an engine accepts a connection, and greets if it has to.

    Parameters
    ----------
    node
        Whose engine it is.
    ours
        Who we are, for an engine behind TLS.
    limit
        Seconds for the connection, and for the greeting.

    Returns
    -------
    certificate_ends
        When the first of its certificate and ours ends. Of ours an engine may tell
        only later that it is not welcome.

    Raises
    ------
    EngineUnreachableError
        When nobody listens.
    OSError
        When the greeting failed.
    """
    address = urlsplit(node.engine)
    if address.hostname is None:
        if not Path(address.path).is_socket():
            raise EngineUnreachableError(
                node.name, f"there is no socket {address.path}", host_alive=True
            )
        return None
    writer = await _dial(node, address.hostname, port(address), limit)
    try:
        if ours is None:
            return None
        # An engine writes each connection that ends before its greeting into its log.
        async with asyncio.timeout(limit):
            await writer.start_tls(ours.context, server_hostname=address.hostname)
        return tls.end(writer.get_extra_info("peercert"), ours)
    finally:
        # Nothing is left to say, and nobody waits for a node to say so too.
        writer.transport.abort()


async def _dial(
    node: Node, host: str, number: int, limit: float
) -> asyncio.StreamWriter:
    try:
        return await dial(host, number, limit)
    except ConnectionRefusedError as error:
        raise EngineUnreachableError(
            node.name,
            f"no Docker Engine listens on {node.engine}",
            host_alive=True,
            refused=True,
        ) from error
    except OSError as error:
        raise EngineUnreachableError(
            node.name, f"{node.engine}: {reason(error)}"
        ) from error


def port(address: SplitResult) -> int:
    """Return the port of an address, or the usual one."""
    return address.port or (2376 if address.scheme == "https" else 2375)
