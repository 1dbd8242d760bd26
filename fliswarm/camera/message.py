"""The lines that flicamera speaks: ``<id> <command>`` in, JSON objects out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

CODES = frozenset(">:iwdef!")
"""Message codes: running, done, information, warning, debug, error, failed, fatal."""

FINAL = frozenset(":f!")
"""Message codes that end a command."""

DEPTH = 32
"""Levels of a value within values; no keyword has more than three."""


_DECODER = json.JSONDecoder()


class Reply(NamedTuple):
    """One line from a camera.

    ``command`` is the number of the command it answers, or ``None`` for a line that
    answers nobody; ``code`` is one of ``> i d w e : f !``; the order of ``data`` is
    part of its meaning.
    """

    command: int | None
    code: str
    sender: str
    data: Mapping[str, Any]


def parse(line: str) -> Reply | None:
    """Read one line; ``None`` for a message without a header, which says nothing.

    Raises
    ------
    ValueError
        When the line is not JSON, or not of flicamera's form.
    """
    try:
        message, end = _DECODER.raw_decode(line)
        if end < len(line) and not line[end:].isspace():
            raise ValueError("more than one message")
        header = message["header"]
        if not header:
            return None
        command = header["command_id"]
        code = header["message_code"]
        sender = header["sender"]
        data = message["data"]
        if not (
            (command is None or type(command) is int)
            and type(code) is str
            and code in CODES
            and type(sender) is str
            and type(data) is dict
        ):
            raise ValueError("not a reply")
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a reply: {error!r}") from error
    if line.count("[") + line.count("{") > DEPTH:
        _check_depth(data)
    return Reply(command, code, sender, data)


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
