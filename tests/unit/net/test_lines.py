from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fliswarm.net.lines import LineReader

LIMIT = 20


@st.composite
def split_stream(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """Lines, and the stream they make cut at any byte."""
    alphabet = st.sampled_from([b"a", b"\xc3\xa9", b"\r", b" "])
    lines = draw(st.lists(st.lists(alphabet, max_size=2 * LIMIT).map(b"".join)))
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(draw(st.sets(st.integers(0, len(stream)))))
    edges = [0, *cuts, len(stream)]
    return lines, [stream[a:b] for a, b in pairwise(edges)]


@given(split_stream())
def test_the_same_lines_wherever_the_stream_is_cut(
    case: tuple[list[bytes], list[bytes]],
) -> None:
    lines, chunks = case
    reader = LineReader(LIMIT)
    dropped = False
    found: list[str] = []
    for chunk in chunks:
        found += reader.feed(chunk)
        dropped |= reader.dropped
    assert found == [line.decode() for line in lines if 0 < len(line) <= LIMIT]
    assert dropped == any(len(line) > LIMIT for line in lines)


def feed(reader: LineReader, data: bytes) -> tuple[list[str], bool]:
    """Return the lines, and whether one was dropped."""
    return reader.feed(data), reader.dropped


def test_a_line_at_the_limit_passes() -> None:
    reader = LineReader(5)
    assert feed(reader, b"abcde") == ([], False)
    assert feed(reader, b"\n") == (["abcde"], False)


def test_a_line_over_the_limit_is_dropped_alone() -> None:
    reader = LineReader(5)
    assert feed(reader, b"ok\nabcdef") == (["ok"], True)
    assert feed(reader, b"more of it") == ([], False)
    assert feed(reader, b" and its end\nnext\n") == (["next"], False)


def test_a_line_over_the_limit_that_comes_whole_is_dropped_too() -> None:
    reader = LineReader(5)
    assert feed(reader, b"one\nabcdef\ntwo\n") == (["one", "two"], True)


def test_a_character_that_is_cut_in_two() -> None:
    reader = LineReader(10)
    assert reader.feed("é".encode()[:1]) == []
    assert reader.feed("é".encode()[1:] + b"\n") == ["é"]


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert LineReader(10).feed(b"a\xffb\n") == ["a\ufffdb"]


def test_empty_lines_say_nothing() -> None:
    assert LineReader(10).feed(b"\n\na\n\n") == ["a"]
