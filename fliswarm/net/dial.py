"""Connecting to another program: the one way, and its failures in words."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager


async def dial(host: str, port: int, limit: float) -> asyncio.StreamWriter:
    """Connect by TCP.

    Parameters
    ----------
    host
        Name or address of the computer.
    port
        Where the program listens there.
    limit
        Seconds for it to accept, its name's look-up included.

    Raises
    ------
    OSError
        Whatever is wrong, with the address itself too; `reason` puts it in words.
        `ConnectionRefusedError` when the computer is there and nobody listens.
    """
    with dialling(host):
        async with asyncio.timeout(limit):
            return (await asyncio.open_connection(host, port))[1]


@contextmanager
def dialling(host: str) -> Iterator[None]:
    """Make one kind of error, `OSError`, of all that can go wrong in connecting."""
    try:
        yield
    except (ValueError, OverflowError) as error:
        # Such as a name with an empty part, or a port beyond the last one.
        raise OSError(f"{host!r} is no address to connect to: {error}") from error


def reason(error: OSError) -> str:
    """Return why connecting failed, as the end of a sentence about a peer."""
    if isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    if error.errno:
        return os.strerror(error.errno)
    return str(error) or "does not answer"
