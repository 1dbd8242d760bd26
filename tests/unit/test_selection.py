from __future__ import annotations

import pytest

from fliswarm.errors import SelectionError
from fliswarm.model import Node
from fliswarm.plan.selection import select

CATEGORIES = {"gfa1": "gfa", "gfa2": "gfa", "gfa10": "gfa", "fvc": "fvc", "bare": None}

NODES = {
    name: Node(name, name, f"tcp://{name}:2375", category=category)
    for name, category in CATEGORIES.items()
}


def chosen(
    names: str | None = None, category: str | None = None, exclude: str | None = None
) -> list[str]:
    return [node.name for node in select(NODES, names, category, exclude)]


@pytest.mark.parametrize(
    ("names", "category", "exclude", "expected"),
    [
        (None, None, None, ["gfa1", "gfa2", "gfa10", "fvc", "bare"]),
        (None, None, "", ["gfa1", "gfa2", "gfa10", "fvc", "bare"]),
        ("gfa2,gfa1", None, None, ["gfa1", "gfa2"]),
        (" gfa1 , ,gfa1", None, None, ["gfa1"]),
        ("gfa1", None, None, ["gfa1"]),
        ("gfa*", None, None, ["gfa1", "gfa2", "gfa10"]),
        ("gfa[12]", None, None, ["gfa1", "gfa2"]),
        ("gfa?", None, None, ["gfa1", "gfa2"]),
        ("gfa2..10", None, None, ["gfa2", "gfa10"]),
        ("gfa1..1", None, None, ["gfa1"]),
        (None, "gfa", None, ["gfa1", "gfa2", "gfa10"]),
        (None, "fvc, gfa", None, ["gfa1", "gfa2", "gfa10", "fvc"]),
        ("bare", "fvc", None, ["fvc", "bare"]),
        (None, None, "gfa*", ["fvc", "bare"]),
        (None, "gfa", "gfa2", ["gfa1", "gfa10"]),
    ],
)
def test_selection(
    names: str | None,
    category: str | None,
    exclude: str | None,
    expected: list[str],
) -> None:
    assert chosen(names, category, exclude) == expected


@pytest.mark.parametrize(
    ("names", "category", "exclude", "words"),
    [
        ("gfa3", None, None, "no node 'gfa3'; did you mean 'gfa"),
        ("gfa1,xyz", None, None, "no node 'xyz'; there is gfa1, gfa2, gfa10, fvc"),
        ("GFA1", None, None, "no node 'GFA1'"),
        ("gfa3..9", None, None, "no node 'gfa3..9'"),
        ("gfa2..1", None, None, "no node 'gfa2..1'"),
        (None, "gf", None, "no category 'gf'; did you mean 'gfa'?"),
        (None, "gfa,zzz", None, "no category 'zzz'; there is gfa, fvc"),
        (None, None, "nope", "no node 'nope'"),
        ("gfa1", None, "gfa*", "the selection leaves no node"),
    ],
)
def test_a_selection_is_never_silently_empty(
    names: str | None, category: str | None, exclude: str | None, words: str
) -> None:
    with pytest.raises(SelectionError) as error:
        chosen(names, category, exclude)
    assert words in str(error.value)
    assert error.value.exit_code == 2


def test_no_categories_at_all() -> None:
    nodes = {"bare": NODES["bare"]}
    with pytest.raises(SelectionError, match=r"^no category 'gfa'$"):
        select(nodes, category="gfa")


@pytest.mark.parametrize(("names", "category"), [("", None), (None, " , ")])
def test_an_option_that_names_nobody(names: str | None, category: str | None) -> None:
    with pytest.raises(SelectionError, match="names nobody"):
        select(NODES, names, category)
