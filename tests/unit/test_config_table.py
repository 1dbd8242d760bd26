"""What may be written for each noun, by examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fliswarm.config import address, table

CASES = Path(__file__).parents[1] / "cases/config/table.yaml"

EXAMPLES: dict[str, dict[str, list[Any]]] = yaml.safe_load(CASES.read_text("utf-8"))

ROWS: dict[str, table.Noun[object]] = {
    name: row for name, row in vars(table).items() if name.isupper() and name[0] != "_"
}


def test_each_row_has_examples() -> None:
    assert list(EXAMPLES) == list(ROWS)
    assert all(case["accepted"] and case["refused"] for case in EXAMPLES.values())


@pytest.mark.parametrize("row", ROWS)
def test_what_a_row_accepts_and_refuses(row: str) -> None:
    noun, case = ROWS[row], EXAMPLES[row]
    assert [value for value in case["accepted"] if noun.take(value) is None] == []
    assert [value for value in case["refused"] if noun.take(value) is not None] == []


@pytest.mark.parametrize("row", ROWS)
def test_a_row_changes_nothing_that_it_accepts(row: str) -> None:
    for value in EXAMPLES[row]["accepted"]:
        if row != "HOST":
            assert ROWS[row].take(value) == value


def test_a_text_may_not_be_longer_than_its_row_has_it() -> None:
    longest = "a" * table.CONTAINER.longest
    assert table.CONTAINER.take(longest) == longest
    assert table.CONTAINER.take(f"{longest}a") is None


def test_half_a_character_is_no_text() -> None:
    for row in (table.VALUE, table.FOLDER, table.PATH, table.COMMAND, table.MOUNT):
        assert row.take("/a\ud800") is None


def test_a_host_has_no_brackets() -> None:
    assert table.HOST.take("[fd00::1]") == "fd00::1"


def test_the_longest_name_of_a_host() -> None:
    name = ".".join(["a" * 63] * 4)[:253]
    assert address.host(name) == name
    assert address.host(f"{name}a") is None
    # What is asked for is longer than what is written.
    assert address.host(".".join(["ä" * 30] * 7)) is None


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("sdss-gfa1", "SDSS-GFA1", True),
        ("fd00::1", "FD00:0:0::0001", True),
        ("süd", "xn--sd-xka", True),
        ("gfa1", "gfa1.apo", False),
        ("fd00::1", "fd00::2", False),
    ],
)
def test_two_ways_to_write_a_host(one: str, other: str, alike: bool) -> None:
    assert (address.same(one) == address.same(other)) is alike


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("tcp://h1", "tcp://H1:2375/", True),
        ("https://h1", "https://h1:2376", True),
        ("ssh://h1", "ssh://me@h1:22", True),
        ("tcp://[fd00::1]", "tcp://[FD00:0::1]:2375", True),
        ("tcp://h1:2375", "tcp://h1:2376", False),
        ("tcp://h1:2376", "https://h1:2376", False),
        ("unix:///a", "unix:///b", False),
    ],
)
def test_two_ways_to_write_an_engine(one: str, other: str, alike: bool) -> None:
    assert None not in (address.engine(one), address.engine(other))
    assert (address.engine(one) == address.engine(other)) is alike
