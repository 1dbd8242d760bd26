"""The Docker Engine of this host, asked over its own socket."""

from __future__ import annotations

import http.client
import socket
from typing import NamedTuple

API = "/var/run/docker.sock"
"""Where it listens for programs of its host."""


class Answer(NamedTuple):
    """What the engine said."""

    status: int
    text: str


def ask(method: str, path: str, limit: int, place: str = API) -> Answer:
    """Ask the engine for something.

    Parameters
    ----------
    method, path
        Of HTTP.
    limit
        Seconds for it to say something.
    place
        Its socket.

    Raises
    ------
    OSError, http.client.HTTPException
        It does not answer.
    """
    connection = http.client.HTTPConnection("localhost", timeout=limit)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(limit)
    try:
        connection.sock.connect(place)
        connection.request(method, path)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read().decode(errors="replace"))
    finally:
        connection.close()
