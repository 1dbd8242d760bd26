"""Bars on a terminal: of pulls, and of exposures, which tell only how they begin."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.progress_bar import ProgressBar
from rich.text import Text

WIDTH = 30
"""Columns of a bar: with what is beside it, it fits a terminal of 80."""

MOVING = ("integrating", "reading")
"""Words of a camera after which an exposure goes on."""


class _Bar(ProgressColumn):
    """A bar that goes by what is told, or by the clock."""

    def render(self, task: Task) -> ProgressBar:
        """See `ProgressColumn.render`."""
        done = task.completed if task.fields["began"] is None else _elapsed(task)
        return ProgressBar(
            total=task.total,
            completed=min(done, task.total or 0.0),
            width=WIDTH,
            pulse=not task.total,
            animation_time=task.get_time(),
        )


class _Amount(ProgressColumn):
    """How much of it is there."""

    def render(self, task: Task) -> Text:
        """See `ProgressColumn.render`."""
        if not task.total:
            return Text("")
        if task.fields["began"] is None:
            return Text(f"{100 * task.completed / task.total:3.0f} %")
        return Text(f"{max(0.0, task.total - _elapsed(task)):.0f} s left")


def _elapsed(task: Task) -> float:
    return time.monotonic() - float(task.fields["began"])


class Bars:
    """The bars of one command; there are none before there is something to show.

    Parameters
    ----------
    console
        A terminal. What it prints meanwhile appears above the bars.
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            _Bar(),
            _Amount(),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def pull(self, node: str, done: float, total: float) -> None:
        """Show how far a pull is, in any unit."""
        self._show(f"pull {node}", f"{node} pulls", total, done)
        if done >= total:
            self.end(f"pull {node}")

    def expose(self, node: str, state: Mapping[str, Any]) -> None:
        """Show an exposure, by what its camera says of it."""
        name, word = f"expose {node}", state.get("state")
        seconds = state.get("exposure_time")
        if word == "integrating" and isinstance(seconds, int | float) and seconds > 0:
            left = state.get("remaining_time")
            gone = seconds - left if isinstance(left, int | float) and left else 0.0
            began = time.monotonic() - max(0.0, gone)
            self._show(name, f"{node} exposes", seconds, 0.0, began)
        elif word in MOVING:
            self._show(name, f"{node} reads out", None, 0.0, time.monotonic())
        else:
            self.end(name)

    def end(self, name: str) -> None:
        """Take a bar away."""
        if (task := self._tasks.pop(name, None)) is not None:
            self._progress.remove_task(task)
            # What is printed next would have it below still.
            self._progress.refresh()

    def close(self) -> None:
        """Take all bars away."""
        self._progress.stop()

    def _show(
        self,
        name: str,
        text: str,
        total: float | None,
        done: float,
        began: float | None = None,
    ) -> None:
        if began is not None:
            # Another part of the exposure has a clock of its own.
            self.end(name)
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(text, total=total, began=began)
        self._progress.update(self._tasks[name], completed=done)
        self._progress.start()
