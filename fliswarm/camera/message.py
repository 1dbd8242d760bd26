"""The lines that flicamera speaks: ``<id> <command>`` in, JSON objects out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

FINAL = frozenset(":f!")
"""Message codes that end a command."""

DEPTH = 32
"""Levels of a value within values; no keyword has more than three."""

Code = Literal[">", "i", "d", "w", "e", ":", "f", "!"]
"""Message codes: running, information, debug, warning, error, done, failed, fatal."""


class Reply(msgspec.Struct, frozen=True, gc=False):
    """One line from a camera.

    ``command`` is the number of the command it answers, or ``None`` for a line that
    answers nobody; the order of ``data`` is part of its meaning.
    """

    command: int | None
    code: str
    sender: str
    data: Mapping[str, Any]


class _Header(msgspec.Struct, gc=False):
    command_id: int | None
    message_code: Code
    sender: str


class _Message(msgspec.Struct, gc=False):
    header: _Header
    data: dict[str, Any]


_read = msgspec.json.Decoder(_Message).decode

_DECODER = json.JSONDecoder()


def parse(line: bytes) -> Reply | None:
    """Read one line; ``None`` for a message without a header, which says nothing.

    Raises
    ------
    ValueError
        When the line is not JSON, or not of flicamera's form.
    """
    message: _Message | None
    try:
        message = _read(line)
    except (ValueError, RecursionError):
        message = _read_any(line.decode("utf-8", "replace"))
    if message is None:
        return None
    header, data = message.header, message.data
    if line.count(b"[") + line.count(b"{") > DEPTH:
        _check_depth(data)
    return Reply(header.command_id, header.message_code, header.sender, data)


def _read_any(line: str) -> _Message | None:
    """Read a line that keeps to no standard, as Python's own ``json`` writes it.

    Such as a temperature of ``NaN``, half of a surrogate pair, or no header at all.
    """
    try:
        message, end = _DECODER.raw_decode(line)
        if end < len(line) and not line[end:].isspace():
            raise ValueError("more than one message")
        if not message["header"]:
            return None
        return msgspec.convert(
            {"header": message["header"], "data": message["data"]}, _Message
        )
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a reply: {error!r}") from error


def _check_depth(data: object) -> None:
    level = [data]
    for _ in range(DEPTH):
        level = [inner for item in level for inner in _inside(item)]
    if level:
        raise ValueError(f"values of over {DEPTH} levels")


def _inside(item: object) -> Iterable[object]:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list) else ()
