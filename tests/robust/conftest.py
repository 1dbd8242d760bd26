"""What the program did in each fault, for the table of the documentation."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FIGURES = Path(__file__).parents[2] / ".cache" / "faults.json"

Note = Callable[..., None]
"""Takes the figures of one fault, by name."""

_figures: dict[str, dict[str, float | str]] = {}


@pytest.fixture(scope="session")
def _kept() -> Iterator[dict[str, dict[str, float | str]]]:
    yield _figures
    FIGURES.parent.mkdir(exist_ok=True)
    with FIGURES.open("a+", encoding="utf-8") as file:
        # Several processes of one run have figures to add.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = json.loads(file.read() or "{}")
        file.truncate(0)
        file.write(json.dumps({**known, **_figures}, indent=1) + "\n")


@pytest.fixture
def note(_kept: dict[str, dict[str, float | str]]) -> Note:
    """Return what takes a fault's name and its figures."""

    def take(fault: str, **figures: float | str) -> None:
        _kept[fault] = {
            key: round(item, 4) if isinstance(item, float) else item
            for key, item in figures.items()
        }

    return take


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _figures:
        return
    terminalreporter.section("faults")
    for fault, figures in _figures.items():
        words = ", ".join(
            f"{key} {item:.4g}" if isinstance(item, float) else f"{key} {item}"
            for key, item in figures.items()
        )
        terminalreporter.write_line(f"{fault}: {words}")
