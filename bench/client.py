"""Clients that measure: one of an actor, one of cameras without anything between."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from typing import Self


class Client:
    """A blocking client of the actor protocol."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=180)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.socket.makefile("rb", buffering=256 * 1024)
        self._number = 0

    @classmethod
    def wait(cls, port: int, limit: float) -> Self:
        """Connect as soon as somebody listens."""
        deadline = time.monotonic() + limit
        while True:
            try:
                return cls(port)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def send(self, body: str) -> int:
        """Give a command and return its number."""
        self._number += 1
        self.socket.sendall(f"{self._number} {body}\n".encode())
        return self._number

    def command(self, body: str) -> tuple[float, list[bytes]]:
        """Give a command; return its duration in seconds and its replies."""
        began = time.perf_counter()
        number = str(self.send(body)).encode()
        replies = []
        while True:
            line = self._file.readline()
            if not line:
                raise ConnectionError("the actor went away")
            fields = line.split(b" ", 3)
            if fields[1] == number:
                replies.append(line)
                if fields[2] in (b":", b"f"):
                    return time.perf_counter() - began, replies

    def count(self, body: str) -> tuple[float, int]:
        """Give a command; return its duration in seconds and how many lines came.

        Reads as little of them as it can, to leave the machine to what is measured.
        """
        began = time.perf_counter()
        number = self.send(body)
        ends = (b" %d : \n" % number, b" %d f" % number)
        lines, tail = 0, b""
        while not (tail.endswith(ends[0]) or ends[1] in tail):
            data = self.socket.recv(1024 * 1024)
            if not data:
                raise ConnectionError("the actor went away")
            lines += data.count(b"\n")
            tail = (tail + data)[-64:]
        return time.perf_counter() - began, lines

    def close(self) -> None:
        """Leave."""
        self._file.close()
        self.socket.close()


class Direct:
    """Cameras spoken to without anything between: the floor."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._sockets = [socket.create_connection(("127.0.0.1", p)) for p in ports]
        for connection in self._sockets:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def command(self, body: str) -> tuple[float, int]:
        """Give all cameras a command; return its duration and the number of lines."""
        began = time.perf_counter()
        for connection in self._sockets:
            connection.sendall(f"1 {body}\n".encode())
        open_ones = dict.fromkeys(self._sockets, b"")
        lines = 0
        while open_ones:
            for connection in select.select(list(open_ones), [], [])[0]:
                data = connection.recv(256 * 1024)
                lines += data.count(b"\n")
                tail = open_ones[connection] = (open_ones[connection] + data)[-400:]
                if b'"message_code": ":"' in tail and tail.endswith(b"\n"):
                    del open_ones[connection]
        return time.perf_counter() - began, lines

    def close(self) -> None:
        """Leave."""
        for connection in self._sockets:
            connection.close()
