from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fliswarm.config import table
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


def among(names: list[str], pattern: str) -> list[str]:
    nodes = {name: Node(name, name, f"tcp://{name}:2375") for name in names}
    return [node.name for node in select(nodes, pattern)]


@pytest.mark.parametrize(
    ("pattern", "names", "expected"),
    [
        # A name is itself, and never the beginning or the end of another one.
        ("gfa1", ["gfa1", "gfa1-x", "gfa10", "x-gfa1", "gfa1.x"], ["gfa1"]),
        ("gfa1-x", ["gfa1", "gfa1-x"], ["gfa1-x"]),
        ("1", ["1", "01", "11"], ["1"]),
        ("lco.gfa1", ["lco.gfa1", "lco-gfa1"], ["lco.gfa1"]),
        # A range is of those with the same beginning alone.
        ("gfa1..3", ["2", "gfa2", "fvc2", "xgfa2"], ["gfa2"]),
        ("1..3", ["1", "gfa2", "03", "4"], ["1", "03"]),
        ("gfa1..3", ["gfa2-x", "gfa2a", "gfa", "gfa02"], ["gfa02"]),
        ("lco2-gfa1..3", ["lco2-gfa1", "lco2-gfa4", "gfa1"], ["lco2-gfa1"]),
        ("a.b_1..2", ["a.b_2", "axb_2"], ["a.b_2"]),
        ("gfa1..3", ["gfa1", "gfa3", "gfa0", "gfa4"], ["gfa1", "gfa3"]),
        ("gfa1..999999999", ["gfa999999999", "gfa1000000000"], ["gfa999999999"]),
        # What Unicode calls a digit is no number here.
        ("gfa1..3", ["gfa²", "gfa٢", "gfa2"], ["gfa2"]),
        ("gfa*", ["gfa²", "fvc"], ["gfa²"]),
        ("gfa?,fvc", ["gfa1", "gfa10", "fvc"], ["gfa1", "fvc"]),
    ],
)
def test_whom_a_pattern_means(
    pattern: str, names: list[str], expected: list[str]
) -> None:
    assert among(names, pattern) == expected


@pytest.mark.parametrize(
    "pattern", ["gfa1..1234567890", "gfa..3", "gfa1..", "gfa1..²", "gfa1..3..5"]
)
def test_what_is_no_range(pattern: str) -> None:
    with pytest.raises(SelectionError, match="no node"):
        among(["gfa1", "gfa2", "gfa3"], pattern)


@given(
    st.lists(st.from_regex(table.NAME.pattern, fullmatch=True), min_size=1).filter(
        lambda names: all(map(table.NAME.take, names))
    )
)
def test_each_name_that_a_file_may_hold_selects_its_node(names: list[str]) -> None:
    for name in names:
        assert among(names, name) == [name]
