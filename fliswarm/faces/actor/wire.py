"""The actor protocol, line by line: ``[commander] [number] body`` in, keywords out."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_COMMAND = re.compile(
    r"(?:(?P<commander>[a-z0-9]*\.[a-z0-9_.]+)\s+)?"
    r"(?:(?P<number>[0-9]{1,18})(?:\s+[0-9]+)?\s+)?"
    r"(?P<body>[a-z_].*|--help)?",
    re.IGNORECASE | re.DOTALL,
)

NAME_LENGTH = 64
"""Characters of the longest keyword name."""

_SPECIAL = re.compile(r"""[\s;,="'\x00-\x1f\x7f]""")
"""What separates keywords and values, or begins a string, for Tron's parser."""

_QUOTED = re.compile(r"""'(?:[^'\\\x00-\x1f]|\\.)*'|"(?:[^"\\\x00-\x1f]|\\.)*\"""")
"""A string that its sender has quoted already, whole."""


class CommandLine(NamedTuple):
    """A parsed command line: who sent it, under which number, and what it says."""

    commander: str | None
    number: int
    body: str


def parse(line: str) -> CommandLine | None:
    """Read one command line; ``None`` when it has not the form of one."""
    match = _COMMAND.fullmatch(line)
    if match is None or match["body"] is None:
        return None
    return CommandLine(
        match["commander"], int(match["number"] or 0), match["body"].strip()
    )


def reply(user: int, command: int, code: str, keywords: str) -> str:
    """Return a reply line; a blank follows the code even when no keyword does."""
    return f"{user} {command} {code} {keywords}\n"


def keywords(values: Mapping[str, object]) -> str:
    """Return ``key=value; key=value``, a key alone for an empty value."""
    return "; ".join(
        f"{key}={text}" if item != "" and (text := value(item)) else key
        for key, item in values.items()
    )


def relayed(sender: str, values: Mapping[str, object]) -> str:
    """Return a camera's keywords, each with the camera's name as its first value."""
    head = _text(sender)
    texts = []
    for key, item in values.items():
        text = _values(item.values()) if type(item) is dict else value(item)
        start = f"{name(key[:NAME_LENGTH])}={head}"
        texts.append(f"{start},{text}" if text else start)
    return "; ".join(texts)


@functools.lru_cache(maxsize=1024)
def name(key: str) -> str:
    """Return a keyword's name with what a name cannot hold replaced."""
    clean = re.sub(r"[^A-Za-z0-9_-]", "_", key)
    return clean if clean[:1].isalpha() or clean[:1] == "_" else f"_{clean}"


def value(item: object) -> str:
    """Return one value as Tron's parser reads it back.

    Strings that hold a separator or a quote become JSON strings, lists are joined by
    commas, of mappings only the values count, in their order.
    """
    if isinstance(item, dict):
        return _values(item.values())
    if isinstance(item, list | tuple):
        return _values(item)
    if isinstance(item, str):
        return _text(item)
    if isinstance(item, bool):
        return "T" if item else "F"
    return str(item)


def _values(items: Iterable[object]) -> str:
    texts = []
    for item in items:
        # The relay passes here for every value of every reply: what most values are
        # is told first, and without a call.
        kind = type(item)
        if kind is str and item.isalnum():  # type: ignore[attr-defined]
            text = item
        elif kind is int or kind is float:
            text = repr(item)
        else:
            text = value(item)
            if not text:
                # A list within a list is not told apart on the wire; an empty one is
                # no value.
                continue
        texts.append(text)
    return ",".join(texts)  # type: ignore[arg-type]


def _text(text: str) -> str:
    if text.isalnum() or (text and not _SPECIAL.search(text)):
        return text
    if _QUOTED.fullmatch(text):
        return text
    return json.dumps(text)
