"""What comes without an end: a container's log, and a program run in it.

Done in a call's thread, as `fliswarm.engine.acts`. What is read goes to the event loop
piece by piece, at its pace, so no more than a piece of a log is ever held.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial

from fliswarm.engine import acts, sdk
from fliswarm.engine.calls import Call
from fliswarm.engine.protocol import OnPrinted
from fliswarm.engine.sdk import Client
from fliswarm.model.printed import Executed, Printed, is_stamp, since_epoch
from fliswarm.net.lines import LineReader

LINE_LIMIT = 1 << 18
"""Bytes of the longest line of a log; an engine keeps them in pieces of 16 KiB."""

OUTPUT_LIMIT = 1 << 20
"""Bytes that are kept of what a program prints. The rest is read, and forgotten."""

END_PAUSE = 0.05
"""Seconds between two questions whether a program has ended."""

CUT = "\n(more was printed, and is not shown)\n"

HEADER = 8
"""Bytes before each piece of output: whose it is, and its length in the last four."""

AT_LENGTH = 30
"""Characters of the moment before each line of a log."""


class Frames:
    """Takes apart what an engine sends of two outputs at once, where it does that."""

    def __init__(self) -> None:
        self._rest = b""
        self._left = 0

    def feed(self, data: bytes) -> bytes:
        """Return what was printed, of what an engine sent."""
        data = self._rest + data
        self._rest = b""
        printed = []
        while data:
            if self._left:
                printed.append(data[: self._left])
                self._left -= len(printed[-1])
                data = data[len(printed[-1]) :]
            elif len(data) < HEADER:
                self._rest, data = data, b""
            else:
                self._left = int.from_bytes(data[4:HEADER], "big")
                data = data[HEADER:]
        return b"".join(printed)


def read_log(
    node: str,
    container: str,
    take: OnPrinted,
    query: dict[str, object],
    api: Client,
    call: Call,
) -> None:
    """Hand over a log, line by line; see `Engine.printed`."""
    whole = api.has_terminal(container)
    frames, lines = Frames(), LineReader(LINE_LIMIT)
    where = f"/containers/{container}/logs"
    with closing(api.pieces("GET", where, params=query)) as pieces:
        try:
            for piece in pieces:
                call.hear()
                data = piece if whole else frames.feed(piece)
                if found := [printed(line) for line in lines.feed(data)]:
                    call.hand(partial(take, found))
        except sdk.APIError as error:
            raise acts.unreadable(node, error) from error


def query(lines: int | None, since: str | None, *, follow: bool) -> dict[str, object]:
    """Return what an engine is asked for of a log."""
    asked: dict[str, object] = {"stdout": 1, "stderr": 1, "timestamps": 1}
    asked["tail"] = "all" if lines is None else lines
    if follow:
        asked["follow"] = 1
    if since is not None:
        asked["since"] = since_epoch(since)
    return asked


def printed(line: str) -> Printed:
    """Return one line of a log, with its moment apart."""
    at, _, text = line.partition(" ")
    if len(at) == AT_LENGTH and is_stamp(at):
        return Printed(at, text)
    return Printed("", line)


def execute(api: Client, container: str, words: Sequence[str]) -> Executed:
    """Run a program in a container to its end; see `Engine.execute`."""
    made = api.exec_create(container, list(words))
    number = str(made["Id"])
    frames, kept, length = Frames(), bytearray(), 0
    how = {"Detach": False, "Tty": False}
    with closing(api.pieces("POST", f"/exec/{number}/start", json=how)) as pieces:
        for piece in pieces:
            found = frames.feed(piece)
            length += len(found)
            kept += found[: OUTPUT_LIMIT - len(kept)]
    output = kept.decode("utf-8", "replace")
    # Its output ends before it does: by a moment, or by much.
    while not isinstance(code := api.exec_inspect(number)["ExitCode"], int):
        time.sleep(END_PAUSE)
    return Executed(code, output + CUT if length > len(kept) else output)
