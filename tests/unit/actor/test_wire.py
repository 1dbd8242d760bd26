from __future__ import annotations

import json
from typing import Any

import pytest
from clu.legacy.types.parser import ActorReplyParser
from hypothesis import assume, given
from hypothesis import strategies as st

from fliswarm.faces.actor import wire

TRON = ActorReplyParser()


def read_back(line: str) -> dict[str, list[str]]:
    """Return a reply's keywords as Tron's own parser reads them."""
    reply: Any = TRON.parse(line)
    return {
        keyword.name: [str(value) for value in keyword.values]
        for keyword in reply.keywords
    }


def unquoted(sent: str, read: str) -> str:
    """Undo the backslashes, which the parser leaves to the type of the keyword."""
    return json.loads(f'"{read}"') if sent.startswith('"') else read


# Commands


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ping", (None, 0, "ping")),
        ("1 ping", (None, 1, "ping")),
        ("apo.user 2 ping", ("apo.user", 2, "ping")),
        ("APO.User.gfa_1 2 ping", ("APO.User.gfa_1", 2, "ping")),
        (".fliswarm status", (".fliswarm", 0, "status")),
        ("3 4 version", (None, 3, "version")),
        ("3   ping  ", (None, 3, "ping")),
        ("9 --help", (None, 9, "--help")),
        ("8 talk -n gfa1 -- expose 1.0", (None, 8, "talk -n gfa1 -- expose 1.0")),
        ('7 talk "unbalanced', (None, 7, 'talk "unbalanced')),
        ("_x", (None, 0, "_x")),
        ("1 talk a=ü;b", (None, 1, "talk a=ü;b")),
        ("999999999999999999 ping", (None, 999999999999999999, "ping")),
    ],
)
def test_a_command_line(line: str, expected: tuple[str | None, int, str]) -> None:
    assert wire.parse(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "5",
        "18 !!",
        "11 -5 ping",
        "1 2 3 ping",
        "-1 ping",
        "--nope",
        "..",
        "",
        "9" * 19,
        "9" * 19 + " ping",
    ],
)
def test_no_command_line(line: str) -> None:
    assert wire.parse(line) is None


# Replies, as the original writes them


@pytest.mark.parametrize(
    ("line", "keywords"),
    [
        ("1 6 : \n", {}),
        ("1 0 i yourUserID=1; num_users=1\n", {"yourUserID": 1, "num_users": 1}),
        ("0 0 i UserInfo=1,127.0.0.1\n", {"UserInfo": [1, "127.0.0.1"]}),
        ("1 1 : text=Pong.\n", {"text": "Pong."}),
        ("1 6 i enabledNodes=gfa1\n", {"enabledNodes": ["gfa1"]}),
        (
            "1 6 i node=gfa1,127.0.0.1,tcp://127.0.0.1:1,T,F\n",
            {"node": ["gfa1", "127.0.0.1", "tcp://127.0.0.1:1", True, False]},
        ),
        (
            '1 6 w text="No containers running on 127.0.0.1."\n',
            {"text": "No containers running on 127.0.0.1."},
        ),
        ("1 6 d container=gfa1,NA\n", {"container": ["gfa1", "NA"]}),
        (
            "1 6 d volume=gfa1,data,T,:/data\n",
            {"volume": ["gfa1", "data", True, ":/data"]},
        ),
        (
            "1 72 i filename_bundle=/data/gfa1/x.fits,/data/gfa2/y.fits\n",
            {"filename_bundle": ["/data/gfa1/x.fits", "/data/gfa2/y.fits"]},
        ),
        (
            "1 12 f error=\"Command 'bogus' does not exist or cannot be parsed.\"\n",
            {"error": "Command 'bogus' does not exist or cannot be parsed."},
        ),
        (
            "0 0 f error=\"Could not parse command '18 !!'\"\n",
            {"error": "Could not parse command '18 !!'"},
        ),
        ("1 16 w help\n", {"help": ""}),
        ("1 16 w help=Options:\n", {"help": "Options:"}),
        (
            '1 16 w help="  --help  Show this message and exit."\n',
            {"help": "  --help  Show this message and exit."},
        ),
    ],
)
def test_lines_of_the_original(line: str, keywords: dict[str, object]) -> None:
    user, command, code, _ = line.split(" ", 3)
    found = wire.reply(int(user), int(command), code, wire.keywords(keywords))
    assert found == line


@pytest.mark.parametrize(
    ("text", "keywords"),
    [
        ('text=gfa1,"done status"', {"text": "done status"}),
        ("error=gfa1,boom", {"error": "boom"}),
        (
            "filename=gfa1,gfa1,/data/gfa1/x.fits",
            {"filename": {"camera": "gfa1", "filename": "/data/gfa1/x.fits"}},
        ),
        (
            "temperature=gfa1,gfa1,-10.0",
            {"temperature": {"camera": "gfa1", "ccd": -10.0}},
        ),
        ("a=gfa1; b=gfa1,T,F,1", {"a": [], "b": [True, [False, 1]]}),
        ('status=gfa1,""', {"status": ""}),
        ("_x=gfa1,1", {"_x": 1}),
        ("_5x=gfa1,1", {"5x": 1}),
        ("_=gfa1,1", {"": 1}),
        ("a_b_c=gfa1,1", {"a b=c": 1}),
        (f"{'k' * 64}=gfa1,1", {"k" * 65: 1}),
    ],
)
def test_a_camera_s_keywords_begin_with_its_name(
    text: str, keywords: dict[str, object]
) -> None:
    assert wire.relayed("gfa1", keywords) == text


# Values


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("a;b", '"a;b"'),
        ("a,b", '"a,b"'),
        ("a=b", '"a=b"'),
        ("it's", '"it\'s"'),
        ('say "x" ', '"say \\"x\\" "'),
        ("a\nb", '"a\\nb"'),
        ("a\\b", "a\\b"),
        ('"quoted already"', '"quoted already"'),
        ("'quoted already'", "'quoted already'"),
        ('"half', '"\\"half"'),
        ('"two" "strings"', '"\\"two\\" \\"strings\\""'),
        # What its sender has quoted is no string of Tron's with a line's end in it.
        ('"a\n1 5 : b"', '"\\"a\\n1 5 : b\\""'),
        ("'a\n1 5 : b'", "\"'a\\n1 5 : b'\""),
        ('"a\x00b"', '"\\"a\\u0000b\\""'),
        (1.5, "1.5"),
        (None, "None"),
        (True, "T"),
        ((1, "b c"), '1,"b c"'),
        ([], ""),
    ],
)
def test_a_value(item: object, text: str) -> None:
    assert wire.value(item) == text


@given(st.text() | st.text().map('"{}"'.format) | st.text().map("'{}'".format))
def test_no_text_ends_a_line(text: str) -> None:
    line = wire.reply(1, 2, "i", wire.relayed("gfa1", {"text": text, "of": [text]}))
    assert line.count("\n") == 1


@given(st.text())
def test_tron_reads_back_any_text(text: str) -> None:
    # A string that its sender has quoted stays as it is, as the original has it.
    assume(text[:1] not in ("'", '"') or text[:1] != text[-1:])
    assume(text)
    sent = wire.value(text)
    line = wire.reply(1, 2, "i", wire.keywords({"text": text, "after": 1}))
    assert line.count("\n") == 1
    found = read_back(line)
    assert unquoted(sent, found["text"][0]) == text
    assert found["after"] == ["1"]


SCALARS = st.one_of(
    st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(min_size=1)
)


@given(st.dictionaries(st.sampled_from(["a", "b_c", "D1"]), st.lists(SCALARS)))
def test_tron_reads_back_as_many_values_as_were_sent(
    data: dict[str, list[object]],
) -> None:
    line = wire.reply(1, 2, "i", wire.relayed("gfa1", data))
    found = read_back(line)
    assert {name: len(values) for name, values in found.items()} == {
        name: 1 + len(values) for name, values in data.items()
    }
    assert all(values[0] == "gfa1" for values in found.values())
