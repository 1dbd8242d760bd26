from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fliswarm.camera.message import DEPTH, Reply, parse
from tests.unit.support.camera import line


def text(command: int | None, code: str, **data: object) -> bytes:
    return line(command, code, "gfa1", **data).rstrip()


def test_a_reply() -> None:
    found = parse(text(3, "i", filename={"camera": "gfa1", "filename": "/x"}))
    data = {"filename": {"camera": "gfa1", "filename": "/x"}}
    assert found == Reply(3, "i", "gfa1", data)


def test_the_order_of_the_data_is_kept() -> None:
    found = parse(text(3, "i", z=1, a=2))
    assert found is not None
    assert list(found.data) == ["z", "a"]


def test_a_reply_to_nobody() -> None:
    found = parse(text(None, "i", a=1))
    assert found is not None
    assert found.command is None


@pytest.mark.parametrize("header", [{}, None])
def test_a_message_without_a_header_says_nothing(header: object) -> None:
    assert parse(json.dumps({"header": header, "data": {}}).encode()) is None


GOOD = {"command_id": 1, "message_code": "i", "sender": "gfa1"}


@pytest.mark.parametrize(
    "message",
    [
        "not JSON",
        "[1, 2]",
        "5",
        '"text"',
        "{}",
        json.dumps({"header": GOOD}),
        json.dumps({"header": GOOD, "data": [1]}),
        json.dumps({"header": "x", "data": {}}),
        json.dumps({"header": {**GOOD, "command_id": "1"}, "data": {}}),
        json.dumps({"header": {**GOOD, "command_id": True}, "data": {}}),
        json.dumps({"header": {**GOOD, "message_code": "ii"}, "data": {}}),
        json.dumps({"header": {**GOOD, "message_code": None}, "data": {}}),
        json.dumps({"header": {**GOOD, "sender": 5}, "data": {}}),
        json.dumps({"header": {"command_id": 1}, "data": {}}),
        "[" * 100_000,
    ],
)
def test_what_is_no_reply(message: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(message.encode())


def test_values_may_be_deep_but_not_endless() -> None:
    def nested(depth: int) -> bytes:
        deep: object = 1
        for _ in range(depth):
            deep = [deep]
        return text(1, "i", deep=deep)

    assert parse(nested(DEPTH // 2)) is not None
    with pytest.raises(ValueError, match="levels"):
        parse(nested(400))


def test_many_values_side_by_side_are_no_depth() -> None:
    assert parse(text(1, "i", wide=[[n] for n in range(1000)])) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_whatever_python_writes_is_read_as_python_reads_it(value: object) -> None:
    written = text(1, "i", value=value, z=1, a=2)
    found = parse(written)
    assert found is not None
    # As text: a value that is no number is not equal to itself.
    assert repr(found.data) == repr(json.loads(written)["data"])


@pytest.mark.parametrize(
    "value",
    [
        "NaN",
        "-Infinity",
        "1e400",
        '"\\ud800"',
        "-0",
        "-0.0",
        "123456789012345678901234567890",
        '{"b": 1, "a": 2, "b": 3}',
        "[]",
    ],
)
def test_values_that_keep_to_no_standard(value: str) -> None:
    header = json.dumps(GOOD)
    found = parse(f'{{"header": {header}, "data": {{"v": {value}}}}}'.encode())
    assert found is not None
    assert repr(found.data) == repr({"v": json.loads(value)})


def test_bytes_that_are_no_text_are_replaced() -> None:
    found = parse(text(1, "i", v="x").replace(b'"x"', b'"\xff"'))
    assert found is not None
    assert found.data == {"v": "\ufffd"}


@pytest.mark.parametrize("command", ["1.0", "true", '"1"', "[]"])
def test_a_number_that_is_none(command: str) -> None:
    for value in ("1", "NaN"):
        written = text(77, "i", v=1).decode().replace("77", command)
        with pytest.raises(ValueError, match="command_id"):
            parse(written.replace('"v": 1', f'"v": {value}').encode())


@given(JSON)
def test_whatever_comes_is_a_reply_or_a_value_error(message: object) -> None:
    try:
        found = parse(json.dumps(message).encode())
    except ValueError:
        return
    assert found is None or isinstance(found, Reply)
