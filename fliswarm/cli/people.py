"""A command's replies for people: sentences, bars, tables, and a last word."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console
from rich.text import Text

from fliswarm.cli.bars import MOVING, Bars
from fliswarm.cli.console import colour, console, say, table, tabulate, terminal
from fliswarm.cli.sentences import Sentence, sentences
from fliswarm.cli.show import value
from fliswarm.commands.words import PULLING
from fliswarm.errors import EXIT_DONE
from fliswarm.faces.control.stream import Message

OCCASION = 10.0
"""Seconds between two lines about one pull in a pipe."""

NODE_WIDTH = 18
"""Columns of a terminal that a node's values take in a table of them."""


class People(AbstractContextManager["People"]):
    """Shows the replies to one command.

    Parameters
    ----------
    last
        Whether a command that ends without a word is told to be done.
    """

    def __init__(self, *, last: bool = True) -> None:
        self._console: Console = console()
        self._bars = Bars(self._console) if terminal() else None
        self._last = last
        self._own = ""
        self._files: list[tuple[str, str]] = []
        self._values: dict[str, Mapping[str, Any]] = {}
        self._pulls: dict[str, float] = {}
        self.failed: list[str] = []

    def __exit__(self, *_: object) -> None:
        """Take what moves from the terminal."""
        if self._bars is not None:
            self._bars.close()

    def show(self, message: Message) -> None:
        """Show a reply."""
        # The first one is the controller's own.
        self._own = self._own or message.sender
        failed = message.data.get("failed")
        if isinstance(failed, list):
            self.failed += [str(name) for name in failed if name not in self.failed]
        if not message.final:
            self._pass(message)
            return
        self._tables()
        self._end(message)

    def _pass(self, message: Message) -> None:
        rest = {k: v for k, v in message.data.items() if not self._kept(message, k, v)}
        if not rest:
            return
        shown = Message(message.code, message.sender, rest)
        for sentence in sentences(shown, self._own):
            if not self._moves(sentence):
                say(self._console, sentence.rich())

    def _kept(self, message: Message, key: str, item: object) -> bool:
        """Return whether a keyword is shown in another place, or at the end."""
        camera = message.sender
        match key, item:
            case "failed", list():
                return True
            case "filename", {"filename": str(name)} if camera != self._own:
                self._files.append((camera, name))
                return True
            case "filename_bundle", list(names):
                return set(names) <= {name for _, name in self._files}
            case "status", Mapping() if camera != self._own:
                if camera in self._values:
                    self._show_values()
                self._values[camera] = item
                return True
            case "exposure_state", Mapping() if self._bars is not None:
                self._bars.expose(camera, item)
                return item.get("state") in (*MOVING, "done", "idle")
        return False

    def _moves(self, sentence: Sentence) -> bool:
        """Return whether a sentence is shown as a bar, or is not worth a line yet."""
        found = PULLING.fullmatch(sentence.text)
        if found is None:
            return False
        part = int(found[1])
        if self._bars is not None:
            self._bars.pull(sentence.node, part, 100)
            return True
        before = self._pulls.get(sentence.node)
        if before is not None and time.monotonic() - before < OCCASION:
            return True
        self._pulls[sentence.node] = time.monotonic()
        return False

    def _tables(self) -> None:
        if self._bars is not None:
            self._bars.close()
        self._show_values()
        if not self._files:
            return
        shown = table("node", "file")
        for node, name in self._files:
            shown.add_row(Text(node, colour(node)), Text(name, overflow="fold"))
        self._files.clear()
        tabulate(self._console, shown)

    def _show_values(self) -> None:
        """Show what cameras say of themselves beside each other, as it fits."""
        nodes, values = list(self._values), dict(self._values)
        self._values.clear()
        keys = list(dict.fromkeys(key for node in nodes for key in values[node]))
        first = max((len(key) for key in keys), default=0)
        fit = max(1, (self._console.width - first) // NODE_WIDTH)
        for begin in range(0, len(nodes), fit):
            some = nodes[begin : begin + fit]
            shown = table("")
            for node in some:
                shown.add_column(Text(node, colour(node)), overflow="fold")
            for key in keys:
                row = [value(values[node].get(key, "")) for node in some]
                shown.add_row(key, *map(Text, row))
            tabulate(self._console, shown)

    def _end(self, message: Message) -> None:
        rest = {key: item for key, item in message.data.items() if key != "failed"}
        code = message.code if message.code == "f" else "i"
        last = list(sentences(Message(code, message.sender, rest), self._own))
        names = ", ".join(self.failed)
        if message.code == "f":
            last += [Sentence("", "Failed.", "f")] if not (last or names) else []
            last += [Sentence("", f"Failed on {names}.", "f")] if names else []
        elif names:
            last.append(Sentence("", f"Done, but not on {names}.", "w"))
        elif message.exit_code != EXIT_DONE:
            last.append(Sentence("", "Done, but not all of it went well.", "w"))
        elif not last and self._last:
            last.append(Sentence("", "Done."))
        for sentence in last:
            say(self._console, sentence.rich())
