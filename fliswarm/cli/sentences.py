"""Replies as sentences: the words that people read in the place of keywords.

A keyword without a sentence of its own is ``name: value``. None is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from fliswarm.cli.console import colour
from fliswarm.cli.show import STYLES, value
from fliswarm.faces.control.stream import Message

OF_A_NODE = re.compile(r"([A-Za-z0-9][\w.-]*): (.+)", re.DOTALL)
"""A sentence about a node, as the controller begins it."""

REMEDY = re.compile(r"\b[Rr]emedy: ")

STATES = {
    "integrating": "exposes",
    "reading": "reads out",
    "done": "has exposed",
    "idle": "is idle",
    "failed": "failed to expose",
    "aborted": "stopped the exposure",
}
"""What a camera's word for an exposure says of it."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence; of no node when ``node`` is empty. ``code`` is its reply's."""

    node: str
    text: str
    code: str = "i"

    @property
    def plain(self) -> str:
        """All of it as text."""
        return f"{self.node}: {self.text}" if self.node else self.text

    def rich(self) -> Text:
        """All of it in colours; a remedy stands out from what went wrong."""
        line = Text()
        if self.node:
            line.append(f"{self.node}: ", colour(self.node))
        style = STYLES.get(self.code, "")
        found = REMEDY.search(self.text)
        if found is None:
            return line.append(self.text, style)
        line.append(self.text[: found.start()], style)
        return line.append(self.text[found.start() :], "bold")


def sentences(message: Message, own: str) -> Iterator[Sentence]:
    """Return what a reply says.

    Parameters
    ----------
    message
        The reply.
    own
        The controller's name for itself: other senders are cameras.
    """
    camera = "" if message.sender == own else message.sender
    for key, item in message.data.items():
        for node, text in _said(key, item, camera):
            code = "e" if key in ("error", "failed") else message.code
            yield Sentence(node, text, code)


Said = Iterator[tuple[str, str]]


def _said(key: str, item: object, camera: str) -> Said:
    if key in ("text", "error"):
        yield _split(value(item), camera)
    elif key == "help":
        yield "", value(item)
    elif key in ("exposure_state", "filename") and isinstance(item, Mapping):
        name = camera or str(item.get("camera", ""))
        yield name, (_exposure if key == "exposure_state" else _file)(item)
    elif key in LISTS and isinstance(item, list):
        yield "", LISTS[key].format(", ".join(map(value, item)) or "none")
    elif key in OF_NODES and isinstance(item, list) and item:
        try:
            yield str(item[0]), OF_NODES[key](*item[1:])
        except (TypeError, ValueError):
            # A controller of another release has more to say, or less.
            yield camera, f"{key}: {value(item)}"
    else:
        yield camera, f"{key}: {value(item)}"


def _split(text: str, camera: str) -> tuple[str, str]:
    """Return whom a text is about, and the rest."""
    if camera:
        return camera, text
    found = OF_A_NODE.fullmatch(text)
    return (found[1], found[2]) if found else ("", text)


def _exposure(state: Mapping[str, Any]) -> str:
    word = str(state.get("state"))
    text = STATES.get(word, word.replace("_", " "))
    seconds, stack = state.get("exposure_time"), state.get("n_stack")
    if word == "integrating" and isinstance(seconds, int | float):
        text += f" for {seconds:g} s"
    about = [str(state["image_type"])] if state.get("image_type") else []
    if isinstance(stack, int) and stack > 1:
        about.append(f"{state.get('current_stack')} of {stack}")
    if word == "integrating" and about:
        text += f" ({', '.join(about)})"
    why = state.get("error")
    return f"{text}: {why}" if why else f"{text}."


def _file(written: Mapping[str, Any]) -> str:
    name = written.get("filename")
    return "wrote no file." if name is None else f"wrote {value(name)}"


def _node(host: str, engine: str, alive: bool, docker: bool) -> str:
    how = "answers" if docker else "does not answer"
    there = "" if alive else f"; {host} does not answer either"
    return f"Docker Engine {engine} {how}{there}."


def _container(number: str) -> str:
    return "no container runs." if number == "NA" else f"container {number} runs."


def _volume(name: str, there: bool, device: str) -> str:
    return f"volume {name} ({device}) is there." if there else f"no volume {name}."


def _change(verb: str, how: str, more: object) -> str:
    if how == "began":
        return f"{verb} began, by {more}."
    if how == "ended":
        return f"{verb} failed: {more}" if more else f"{verb} ended."
    raise ValueError(how)


def _disabled(who: str, since: str, why: str) -> str:
    when = "" if since == "NA" else f" since {since}"
    return f"disabled by {who}{when}{f': {why}' if why else '.'}"


def _left(engine: str) -> str:
    return f"something of it may be left on {engine}."


def _output(line: str) -> str:
    return line


OF_NODES: Mapping[str, Callable[..., str]] = {
    "node": _node,
    "container": _container,
    "volume": _volume,
    "change": _change,
    "disabled": _disabled,
    "left": _left,
    "output": _output,
    "exit": "exit code {}.".format,
    "exposing": "exposes ({}).".format,
}
"""Sentences of keywords whose first value names a node."""

LISTS = {
    "enabledNodes": "Enabled nodes: {}.",
    "failed": "Failed: {}.",
    "nodes": "Nodes: {}.",
    "filename_bundle": "Files: {}",
}
"""Sentences of keywords that are lists."""
