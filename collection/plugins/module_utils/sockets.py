"""Who listens on this host, by the kernel's tables."""

from __future__ import annotations

import os
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Iterator, NamedTuple

LISTENS = "0A"
"""State of a socket that takes connections."""


class Listener(NamedTuple):
    """A socket that listens."""

    address: str
    port: int
    handle: str
    """What a link of a process that has it says."""


def listeners(tables: Path = Path("/proc/net")) -> Iterator[Listener]:
    """Yield all TCP sockets that listen.

    Parameters
    ----------
    tables
        Folder of the kernel's tables, of which a host without IPv6 has one less.
    """
    for name in ("tcp", "tcp6"):
        lines: list[str] = []
        with suppress(OSError):
            lines = (tables / name).read_text("ascii").splitlines()[1:]
        for line in lines:
            fields = line.split()
            if fields[3] == LISTENS:
                place, _colon, port = fields[1].rpartition(":")
                yield Listener(_address(place), int(port, 16), f"socket:[{fields[9]}]")


def _address(words: str) -> str:
    """Return an address of the kernel's table, which has words of 32 bits."""
    data = bytes.fromhex(words)
    parts = [data[at : at + 4][::-1] for at in range(0, len(data), 4)]
    return str(ip_address(b"".join(parts)))


def held(process: Path) -> set[str]:
    """Return what a process has open, as its links say it.

    Parameters
    ----------
    process
        Its folder in ``/proc``.
    """
    found = set()
    # It may close a file, or end, meanwhile.
    with suppress(OSError):
        for link in (process / "fd").iterdir():
            with suppress(OSError):
                found.add(os.readlink(link))
    return found
