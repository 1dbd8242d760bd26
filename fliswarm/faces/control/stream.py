"""Commands and their replies over a stream, whose other end may be slow or frozen."""

from __future__ import annotations

import base64
import json
import os
import select
import shlex
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

from fliswarm.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    CommandError,
    ControlError,
    NotRunningError,
    UsageError,
)
from fliswarm.faces.control import peer

PING = b"0 ping\n"
"""Asks whether somebody is there; the answer belongs to no command of ours."""


PART = 45_000
"""Bytes of a file in one line: as text, less than the longest line."""

AHEAD = 16
"""Parts that are sent before the first one is known to have come: the way is long."""


@dataclass(frozen=True, slots=True)
class Message:
    """One reply: its code, who sent it (we or a camera), and its keywords.

    ``exit_code`` is the command's, in the reply that ends it.
    """

    code: str
    sender: str
    data: dict[str, Any]
    exit_code: int = EXIT_DONE

    @property
    def final(self) -> bool:
        """Whether it ends the command."""
        return self.code in (":", "f")


class StreamControl:
    """A control connection over a pair of descriptors.

    Parameters
    ----------
    source, target
        Where answers are read, and commands written.
    first
        Seconds for the first answer.
    """

    silence = peer.SILENCE_LIMIT
    """Seconds without a word after which the controller is asked whether it is there,
    and for its answer."""

    def __init__(self, source: int, target: int, first: float) -> None:
        os.set_blocking(source, False)
        os.set_blocking(target, False)
        self._source = source
        self._target = target
        self._number = 0
        self._limit = first
        self._rest = b""
        self._lines: deque[bytes] = deque()

    def command(self, words: Sequence[str]) -> Iterator[Message]:
        """Give a command, and yield its replies up to the one that ends it.

        However long that takes: a controller that is silent is asked whether it is
        there.

        Raises
        ------
        UsageError
            When no command line can hold these words.
        ControlError
            When the connection ends before the command does, or the controller gives
            no sign of life.
        """
        self._number += 1
        line = f"{self._number} {shlex.join(words)}"
        if "\n" in line:
            raise UsageError("a command cannot hold the end of a line")
        self._write(line.encode("utf-8", "surrogateescape") + b"\n")
        while True:
            number, reply = _read(self._readline())
            if reply is None or number not in (0, self._number):
                continue
            if number == 0 and reply.code != "f":
                # A ping is answered.
                continue
            yield reply
            if reply.final:
                return

    def send(self, token: str, file: BinaryIO, on_sent: Callable[[int], None]) -> None:
        """Send a file, for which the controller has made room, part by part.

        Raises
        ------
        CommandError
            When the controller does not take it.
        """
        offset, under_way = 0, 0
        while True:
            part = file.read(PART)
            if part:
                self._number += 1
                text = base64.b64encode(part).decode()
                self._write(f"{self._number} part {token} {offset} {text}\n".encode())
                offset, under_way = offset + len(part), under_way + 1
            while under_way > (AHEAD if part else 0):
                number, reply = _read(self._readline())
                if reply is None or (number == 0 and reply.code != "f"):
                    # A ping is answered.
                    continue
                if reply.code == "f":
                    problem = str(reply.data.get("error", "the file is refused"))
                    raise CommandError(problem, reply.exit_code)
                under_way -= reply.final
            on_sent(offset)
            if not part:
                return

    def introduce(self, **said: str) -> None:
        """Say something of ourselves, which has no answer."""
        self._write(f"0 as {json.dumps(said)}\n".encode())

    def __enter__(self) -> Self:
        """Return the connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        raise NotImplementedError

    def _write(self, data: bytes) -> None:
        deadline = time.monotonic() + self._limit
        while data:
            if not ready(self._target, select.POLLOUT, deadline - time.monotonic()):
                raise self._frozen()
            try:
                data = data[os.write(self._target, data) :]
            except ConnectionError as error:
                raise self._ended() from error

    def _readline(self) -> bytes:
        asked = False
        while not self._lines:
            if not ready(self._source, select.POLLIN, self._limit):
                if asked:
                    raise self._frozen()
                self._write(PING)
                asked = True
                continue
            try:
                data = os.read(self._source, 65536)
            except ConnectionError as error:
                raise self._ended() from error
            if not data:
                raise self._ended()
            self._limit, asked = self.silence, False
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._lines.extend(lines)
        return self._lines.popleft()

    def _frozen(self) -> ControlError:
        return ControlError(peer.FROZEN)

    def _ended(self) -> ControlError | NotRunningError:
        return ControlError("fliswarm ended before the command did")


def ready(descriptor: int, event: int, limit: float) -> bool:
    """Return whether something can be read or written within some seconds."""
    ready = select.poll()
    ready.register(descriptor, event)
    return bool(ready.poll(max(0.0, limit) * 1000))


def _read(line: bytes) -> tuple[int, Message | None]:
    """Return a reply, and the number of its command; none of what is no reply.

    A shell on another computer may greet its user before anything else is said.
    """
    try:
        message = json.loads(line)
        header, data = message["header"], message["data"]
        number, code, sender = (
            header[key] for key in ("command_id", "message_code", "sender")
        )
        failed = EXIT_FAILED if code == "f" else EXIT_DONE
        exit_code = header.get("exit_code", failed)
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0, None
    if not (isinstance(data, dict) and isinstance(exit_code, int)):
        return 0, None
    return number, Message(code, str(sender), data, exit_code)
