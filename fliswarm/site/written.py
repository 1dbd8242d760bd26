"""YAML as a person writes it: blocks for what is long, one line for what is short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fliswarm.config.file import entry, flow

WIDTH = 110
"""Characters of a line that a mapping is put on."""


def block(values: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """Yield the lines of a mapping; an inner one of plain values has one line."""
    for key, value in values.items():
        head = f"{'  ' * depth}{flow(key)}:"
        if not isinstance(value, Mapping) or not value:
            yield f"{'  ' * depth}{entry(key, value)}\n"
            continue
        plain = not any(isinstance(item, Mapping) for item in value.values())
        short = f"{head} {flow(value)}\n"
        if depth and plain and len(short) <= WIDTH:
            yield short
        else:
            yield f"{head}\n"
            yield from block(value, depth + 1)
