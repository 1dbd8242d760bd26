"""How an engine is reached over HTTP: connections that can be given up.

The docker SDK does HTTP by requests, and that by urllib3.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any, NamedTuple

import requests
import requests.adapters
import urllib3
import urllib3.connection

from fliswarm.engine.calls import AT_ONCE, UNDER_WAY, Call

CONNECT_LIMIT = 2.0
"""Seconds for a node on the same network to accept a connection."""

ANSWER_LIMIT = 64 << 20
"""Bytes of the longest answer: more than ten thousand long lines of a log."""


class Address(NamedTuple):
    """Where an engine listens: a socket here, or a port; with TLS or without."""

    path: Path | None = None
    host: str = "localhost"
    port: int | None = None
    context: ssl.SSLContext | None = None


class _Watched:
    """A connection that tells the call of its thread which socket it uses."""

    sock: socket.socket | None
    _call: Call | None = None

    def request(self, *words: Any, **options: Any) -> None:  # noqa: ANN401
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        if self._call is not None:
            self._call.lets_go()
        self._call = UNDER_WAY.get()
        assert self.sock is not None
        self._call.takes(self.sock)
        # An engine that unpacks an image takes no more of it for seconds.
        self.sock.settimeout(None)
        super().request(*words, **options)  # type: ignore[misc]


class _Plain(_Watched, urllib3.connection.HTTPConnection):
    pass


class _Secure(_Watched, urllib3.connection.HTTPSConnection):
    pass


class _Local(_Watched, urllib3.connection.HTTPConnection):
    def __init__(self, *words: Any, path: Path, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*words, **options)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(CONNECT_LIMIT)
        try:
            self.sock.connect(str(self._path))
        except OSError:
            self.close()
            raise


class _Retiring(urllib3.HTTPConnectionPool):
    """Connections that, once it is retired, end as soon as nobody uses them."""

    retired = False

    def _put_conn(self, conn: Any) -> None:  # noqa: ANN401
        if self.retired and conn is not None:
            conn.close()
        super()._put_conn(conn)

    def retire(self) -> None:
        self.retired = True
        with suppress(Empty, AttributeError):
            while True:
                unused = self.pool.get(block=False)  # type: ignore[union-attr]
                if unused is not None:
                    unused.close()


class _PlainPool(_Retiring):
    ConnectionCls = _Plain


class _SecurePool(_Retiring, urllib3.HTTPSConnectionPool):
    ConnectionCls = _Secure


class _LocalPool(_Retiring):
    ConnectionCls = _Local


def _pool(address: Address) -> _Retiring:
    # Twice: what comes without an end has turns of its own.
    host, port, size = address.host, address.port, 2 * AT_ONCE
    if address.path is not None:
        return _LocalPool(host, port, maxsize=size, path=address.path)
    if address.context is not None:
        return _SecurePool(host, port, maxsize=size, ssl_context=address.context)
    return _PlainPool(host, port, maxsize=size)


class Adapter(requests.adapters.HTTPAdapter):
    """Brings all requests of the SDK to one engine, by connections of ours.

    Who waits for an answer gives it up in time, so reading knows no limit of its own.
    """

    def __init__(self, address: Address) -> None:
        super().__init__()
        self.context = address.context
        self._pool = _pool(address)

    def get_connection_with_tls_context(
        self,
        *_: Any,  # noqa: ANN401
        **__: Any,  # noqa: ANN401
    ) -> _Retiring:
        """See `requests.adapters.HTTPAdapter`: there is one way to an engine."""
        return self._pool

    # Releases of requests before 2.32 ask for it by this name.
    get_connection = get_connection_with_tls_context

    def cert_verify(self, *_: Any) -> None:  # noqa: ANN401
        """Leave certificates to the context of the connections."""

    def send(  # type: ignore[override]
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> requests.Response:
        """Ask; the whole answer is read within the call."""
        options["timeout"] = (CONNECT_LIMIT, None)
        response = super().send(request, stream=True, **options)
        # What comes in pieces without an end is read by whoever asked for it.
        chunked = response.headers.get("Transfer-Encoding") == "chunked"
        endless = response.headers.get("Content-Type", "").endswith("-stream")
        if not (stream and (chunked or endless)):
            response._content = _whole(response)
        return response

    def close(self) -> None:
        """End the connections, those that are in use when they are given back."""
        self._pool.retire()
        super().close()


def _whole(response: requests.Response) -> bytes:
    """Return an answer, of a length that fits into memory."""
    parts, length = [], 0
    for part in response.iter_content(1 << 16):
        length += len(part)
        if length > ANSWER_LIMIT:
            response.close()
            raise ValueError(f"it says more than {ANSWER_LIMIT >> 20} MB")
        parts.append(part)
    return b"".join(parts)
