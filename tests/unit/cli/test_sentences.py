"""Replies as sentences."""

from __future__ import annotations

from typing import Any

import pytest

from fliswarm.cli.sentences import sentences
from fliswarm.faces.control.stream import Message

EXPOSURE = {
    "camera": "gfa1",
    "state": "integrating",
    "image_type": "object",
    "remaining_time": 0,
    "exposure_time": 5.0,
    "current_stack": 1,
    "n_stack": 1,
}


def said(sender: str = "fliswarm", code: str = "i", **data: Any) -> list[str]:  # noqa: ANN401
    message = Message(code, sender, data)
    return [sentence.plain for sentence in sentences(message, "fliswarm")]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"text": "gfa1: removing x."}, "gfa1: removing x."),
        ({"text": "No node is meant."}, "No node is meant."),
        ({"error": "gfa1: it is off"}, "gfa1: it is off"),
        ({"enabledNodes": ["gfa1", "gfa2"]}, "Enabled nodes: gfa1, gfa2."),
        ({"enabledNodes": []}, "Enabled nodes: none."),
        ({"failed": ["gfa2"]}, "Failed: gfa2."),
        (
            {"node": ["gfa1", "h", "tcp://h:2375", True, True]},
            "gfa1: Docker Engine tcp://h:2375 answers.",
        ),
        (
            {"node": ["gfa1", "h", "tcp://h:2375", False, False]},
            "gfa1: Docker Engine tcp://h:2375 does not answer; "
            "h does not answer either.",
        ),
        ({"container": ["gfa1", "NA"]}, "gfa1: no container runs."),
        ({"container": ["gfa1", "0123"]}, "gfa1: container 0123 runs."),
        (
            {"volume": ["gfa1", "data", True, ":/d"]},
            "gfa1: volume data (:/d) is there.",
        ),
        ({"volume": ["gfa1", "data", False, "NA"]}, "gfa1: no volume data."),
        ({"change": ["gfa1", "remove", "began", "me"]}, "gfa1: remove began, by me."),
        ({"change": ["gfa1", "remove", "ended", None]}, "gfa1: remove ended."),
        ({"change": ["gfa1", "remove", "ended", "why"]}, "gfa1: remove failed: why"),
        ({"disabled": ["gfa1", "me", "NA", ""]}, "gfa1: disabled by me."),
        ({"disabled": ["gfa1", "me", "T", "x"]}, "gfa1: disabled by me since T: x"),
        ({"exposing": ["gfa1", "expose 5"]}, "gfa1: exposes (expose 5)."),
        (
            {"left": ["gfa1", "tcp://h"]},
            "gfa1: something of it may be left on tcp://h.",
        ),
        ({"output": ["gfa1", "a b"]}, "gfa1: a b"),
        ({"exit": ["gfa1", 3]}, "gfa1: exit code 3."),
        ({"version": "1.0"}, "version: 1.0"),
    ],
)
def test_the_controller_s_keywords(data: dict[str, Any], text: str) -> None:
    assert said(**data) == [text]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "gfa1: exposes for 5 s (object)."),
        (
            {"n_stack": 2, "current_stack": 1},
            "gfa1: exposes for 5 s (object, 1 of 2).",
        ),
        ({"state": "reading"}, "gfa1: reads out."),
        ({"state": "failed", "error": "no light"}, "gfa1: failed to expose: no light"),
        ({"state": "post_processing"}, "gfa1: post processing."),
    ],
)
def test_an_exposure(change: dict[str, Any], text: str) -> None:
    assert said("gfa1", exposure_state={**EXPOSURE, **change}) == [text]


def test_what_a_camera_says_has_its_name() -> None:
    assert said("gfa1", text="done: well") == ["gfa1: done: well"]
    assert said("gfa1", shutter="open", n=[1, 2]) == [
        "gfa1: shutter: open",
        "gfa1: n: 1,2",
    ]
    assert said("gfa1", filename={"camera": "x", "filename": "/d/a.fits"}) == [
        "gfa1: wrote /d/a.fits"
    ]
    assert said("gfa1", filename={"camera": "x", "filename": None}) == [
        "gfa1: wrote no file."
    ]


@pytest.mark.parametrize(
    "data",
    [
        {"node": ["gfa1"]},
        {"node": []},
        {"container": ["gfa1", "a", "b"]},
        {"change": ["gfa1", "reconnect", "paused", "x"]},
        {"enabledNodes": "gfa1"},
        {"exposure_state": "integrating"},
        {"a-keyword-of-tomorrow": {"x": [1, {"y": None}]}},
    ],
)
def test_nothing_is_lost(data: dict[str, Any]) -> None:
    """What has another form than today's is told as it is."""
    (key,) = data
    (text,) = said(**data)
    assert text.startswith(f"{key}: ")


@pytest.mark.parametrize(
    ("data", "code", "style"),
    [
        ({"text": "gfa1: all is well"}, "i", ""),
        ({"text": "all is well"}, "i", ""),
        ({"text": "gfa1: it is late"}, "w", "yellow"),
        ({"error": "gfa1: it is off"}, "w", "red"),
        ({"failed": ["gfa1"]}, "w", "red"),
    ],
)
def test_the_colours_of_a_sentence(data: dict[str, Any], code: str, style: str) -> None:
    (sentence,) = sentences(Message(code, "fliswarm", data), "fliswarm")
    line = sentence.rich()
    assert line.plain == sentence.plain
    styles = [str(span.style) for span in line.spans]
    assert ([style] if style else []) == styles[bool(sentence.node) :]


def test_a_remedy_stands_out() -> None:
    message = Message("e", "fliswarm", {"error": "gfa1: it is off. Remedy: push"})
    (sentence,) = sentences(message, "fliswarm")
    spans = {
        sentence.rich().plain[span.start : span.end]: span.style
        for span in sentence.rich().spans
    }
    assert spans["it is off. "] == "red"
    assert spans["Remedy: push"] == "bold"
