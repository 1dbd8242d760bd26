"""How replies look to people, and to programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from rich.console import Console

from fliswarm.faces.control.stream import Message

STYLES = {"w": "yellow", "e": "red", "f": "bold red", "!": "bold red", "d": "dim"}


def print_message(console: Console, message: Message) -> None:
    """Print one reply for people; the start and a bare end say nothing."""
    if not message.data:
        return
    style = STYLES.get(message.code, "")
    words = "  ".join(f"{key}={value(item)}" for key, item in message.data.items())
    line = f"{message.sender:<10} {message.code} {words}"
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def value(item: object) -> str:
    """Return a keyword's value as people read it."""
    if isinstance(item, Mapping):
        return " ".join(f"{key}={value(inner)}" for key, inner in item.items())
    if isinstance(item, list):
        return ",".join(value(inner) for inner in item)
    return str(item)


def message_json(message: Message) -> str:
    """Return one reply as a JSON line."""
    return json.dumps(asdict(message))
