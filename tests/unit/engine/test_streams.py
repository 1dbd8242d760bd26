"""What an engine sends without an end, taken apart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from fliswarm.engine import streams
from fliswarm.engine.docker import DockerEngine, DockerEngines
from fliswarm.engine.streams import Frames, printed, query
from fliswarm.errors import EngineError
from fliswarm.model import ContainerSpec, Executed, Image, Node, Printed
from fliswarm.model.printed import is_stamp, since_epoch, stamp
from tests.unit.support.engine import Answer, FakeEngine, framed

AT = "2026-12-01T10:30:00.000000001Z"

IMAGE = "hub:5000/flicamera:1"

WANTED = ContainerSpec("flicamera-gfa1", "gfa1", IMAGE, {}, ())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 1000])
def test_frames_are_cut_anyhow(size: int) -> None:
    sent = framed("one\n") + framed("") + framed("zwei \N{SNOWFLAKE}\n") + framed("3")
    frames = Frames()
    found = [
        frames.feed(sent[begin : begin + size]) for begin in range(0, len(sent), size)
    ]
    assert b"".join(found).decode() == "one\nzwei \N{SNOWFLAKE}\n3"


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        (f"{AT} a line", Printed(AT, "a line")),
        (f"{AT} ", Printed(AT, "")),
        (AT, Printed(AT, "")),
        ("a line", Printed("", "a line")),
        (
            "2026-13-01T10:30:00.000000001Z x",
            Printed("", "2026-13-01T10:30:00.000000001Z x"),
        ),
        ("", Printed("", "")),
    ],
)
def test_a_line_and_its_moment(line: str, meant: Printed) -> None:
    assert printed(line) == meant


def test_moments_of_engines() -> None:
    there = timezone(timedelta(hours=-3))
    moment = datetime(2026, 12, 1, 7, 30, 0, 250, tzinfo=there)
    assert stamp(moment) == "2026-12-01T10:30:00.000250000Z"
    assert is_stamp(stamp(moment))
    seconds = int(datetime(2026, 12, 1, 10, 30, tzinfo=UTC).timestamp())
    assert since_epoch(AT) == f"{seconds}.000000001"
    assert since_epoch("2026-12-01T10:30:00Z") == f"{seconds}.000000000"
    for text in ("", "now", AT[:-1], f"{AT}x", "2026-12-01T10:30:00.xZ"):
        assert not is_stamp(text)


def test_what_is_asked_of_an_engine() -> None:
    whole = query(None, None, follow=False)
    assert whole == {"stdout": 1, "stderr": 1, "timestamps": 1, "tail": "all"}
    some = query(5, AT, follow=True)
    assert (some["tail"], some["follow"]) == (5, 1)
    assert some["since"] == since_epoch(AT)


@pytest.fixture
async def fake() -> AsyncIterator[FakeEngine]:
    async with FakeEngine().listening() as fake:
        fake.images[IMAGE] = Image("sha256:one")
        yield fake


@pytest.fixture
async def door(fake: FakeEngine) -> AsyncIterator[DockerEngine]:
    engine = DockerEngines()(Node("gfa1", "127.0.0.1", fake.address))
    yield engine
    engine.close()


async def test_a_program_that_prints_without_end_is_cut(
    fake: FakeEngine, door: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "OUTPUT_LIMIT", 10)
    container = await door.run(WANTED)
    fake.programs["yes"] = Executed(0, "0123456789abcdef")
    done = await door.execute(container, ["yes"], 20)
    assert done == Executed(0, f"0123456789{streams.CUT}")


async def test_a_log_that_cannot_be_read_says_so(
    fake: FakeEngine, door: DockerEngine
) -> None:
    said = "configured logging driver does not support reading"

    def instead(_: str, path: str) -> Answer | None:
        return (501, {"message": said}) if path.endswith("/logs") else None

    async def take(_: object) -> None:
        pytest.fail("there is nothing to take")

    container = await door.run(WANTED)
    fake.instead = instead
    with pytest.raises(EngineError, match="cannot be read from here"):
        await door.printed(container, take)


async def test_no_more_at_once_than_an_engine_is_asked_for(door: DockerEngine) -> None:
    container = await door.run(WANTED)
    door._long._turns._value = 0
    with pytest.raises(EngineError, match="as many logs and programs as it may be"):
        await door.execute(container, ["true"], 20)
    # Its other calls have turns of their own.
    await door.ping()
