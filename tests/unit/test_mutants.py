"""That what `make mutants` works with is sound; it is not run here itself."""

from __future__ import annotations

import pytest

from tests.mutants.lists import ROOT, Change, by_hand, modules
from tests.mutants.mutate import mutants

SOURCE = """\
LIMIT: int = 3

@dataclass(frozen=True)
class Thing:
    def take(self, count: int = 1) -> int | None:
        if self.open and not count < LIMIT:
            return count
        return None
"""


def test_each_thing_is_changed_once() -> None:
    found = [str(mutant) for mutant in mutants(SOURCE)]
    assert found == [
        "1: 3  ->  4",
        "5: 1  ->  2",
        "6: count < LIMIT  ->  count <= LIMIT",
        "6: not count < LIMIT  ->  count < LIMIT",
        "6: self.open and (not count < LIMIT)  ->  self.open or not count < LIMIT",
        "7: return count  ->  return None",
        "6: self.open and (not count < LIMIT)"
        "  ->  not (self.open and (not count < LIMIT))",
    ]
    assert len({mutant.source for mutant in mutants(SOURCE)}) == len(found)


def test_modules_and_their_tests_are_there() -> None:
    assert all(modules().values())


@pytest.mark.parametrize("change", by_hand(), ids=lambda change: change.name)
def test_a_change_by_hand_fits_its_file(change: Change) -> None:
    assert change.file in modules()
    assert (ROOT / change.file).read_text("utf-8").count(change.before) == 1
    compile(change.mutant().source, change.file, "exec")
