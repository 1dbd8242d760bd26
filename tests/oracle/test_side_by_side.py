"""The same commands to sdss-fliswarm 0.7 and to ours: the same lines, but for a list.

``differences.txt`` is the list. Each of its sections belongs to one row of
``docs/differences.md``, whose first two cells it is named after, and holds the steps
that differ, with the lines that only the original says (``-``) and only ours (``+``).
``...`` stands for any text.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.oracle.conftest import ROOT, Answers
from tests.oracle.steps import STEPS


class Difference(NamedTuple):
    """How one step differs, and the row of the document that says why."""

    row: str
    lines: list[str]


def _differences() -> dict[str, Difference]:
    found: dict[str, Difference] = {}
    row = ""
    step = ""
    for line in Path(__file__).with_name("differences.txt").read_text().splitlines():
        if line.startswith("["):
            row = line[1:-1]
        elif line.startswith("* "):
            step = line[2:]
            assert step not in found, f"twice: {step}"
            found[step] = Difference(row, [])
        elif line.startswith(("- ", "+ ")):
            found[step].lines.append(line)
    return found


DIFFERENCES = _differences()

NAMES = ["(connects)", "B: (connects)", *(step.name for step in STEPS), "(links)"]


def _fits(line: str, pattern: str) -> bool:
    words = map(re.escape, pattern.split("..."))
    return re.fullmatch(".*".join(words), line) is not None


@pytest.mark.parametrize("step", NAMES)
def test_step(answers: Answers, step: str) -> None:
    compared = difflib.ndiff(answers.original[step], answers.ours[step])
    lines = [line.rstrip() for line in compared if line[0] in "-+"]
    wanted = DIFFERENCES[step].lines if step in DIFFERENCES else []
    fitting = len(lines) == len(wanted) and all(map(_fits, lines, wanted))
    assert fitting, "\n".join([step, *lines, "", "listed:", *wanted])


def test_enough_is_compared() -> None:
    assert sum(step.is_command for step in STEPS) > 150


def test_the_list_holds_nothing_else() -> None:
    assert set(DIFFERENCES) <= set(NAMES)


@pytest.mark.parametrize("row", sorted({d.row for d in DIFFERENCES.values()}))
def test_each_section_has_its_row(row: str) -> None:
    document = (ROOT / "docs" / "differences.md").read_text("utf-8")
    assert f"\n| {row} |" in document


def test_the_hub_hears_the_same(answers: Answers) -> None:
    # The original asks to be connected to once, and goes on after a failed power-off.
    assert [line.split(" ", 2)[2] for line in answers.hub_original] == [
        "hub startNubs fliswarm\n",
        "jaeger ieb switch --off nuc-gfa2\n",
        "jaeger ieb switch --on nuc-gfa2\n",
        "jaeger ieb switch --off nuc-gfa1\n",
        "jaeger ieb switch --on nuc-gfa1\n",
    ]
    assert [line.split(" ", 2)[2] for line in answers.hub_ours] == [
        "hub startNubs fliswarm\n",
        "hub startNubs fliswarm\n",
        "jaeger ieb switch --off nuc-gfa2\n",
        "jaeger ieb switch --off nuc-gfa1\n",
        "jaeger ieb switch --on nuc-gfa1\n",
    ]
    senders = {line.split(" ", 1)[0] for line in answers.hub_original}
    assert senders == {line.split(" ", 1)[0] for line in answers.hub_ours}
