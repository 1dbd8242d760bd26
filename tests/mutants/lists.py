"""What is broken, and which tests are to see it: ``modules.yaml``, ``by_hand.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.mutants.mutate import Mutant

ROOT = Path(__file__).parents[2]

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Change:
    """A mutant made by hand: what no rule makes.

    Parameters
    ----------
    name
        What goes wrong with it.
    file
        The module.
    before, after
        Text of the module, which it holds once, and what comes in its place.
    """

    name: str
    file: str
    before: str
    after: str

    def mutant(self) -> Mutant:
        """Return it with the whole module."""
        source = (ROOT / self.file).read_text("utf-8")
        head, _, tail = source.partition(self.before)
        line = head.count("\n") + 1
        return Mutant(line, self.name, self.after, head + self.after + tail)


def by_hand() -> list[Change]:
    """Return the changes made by hand."""
    return [Change(**one) for one in _load("by_hand.yaml")]


def modules() -> dict[str, tuple[str, ...]]:
    """Return the files of tests, by module; both are patterns in the file."""
    return {
        str(module.relative_to(ROOT)): tuple(
            str(test.relative_to(ROOT))
            for tests in patterns
            for test in _files(tests, ROOT)
        )
        for modules, patterns in _load("modules.yaml").items()
        for module in _files(modules, ROOT)
        if module.name != "__init__.py"
    }


def _files(pattern: str, root: Path) -> list[Path]:
    found = sorted(root.glob(pattern))
    assert found, f"no file fits {pattern}"
    return found


def _load(name: str) -> Any:  # noqa: ANN401  what the file holds
    return yaml.safe_load((HERE / name).read_text("utf-8"))
