"""The record itself: on the disk, only added to, whatever happens to the program."""

from __future__ import annotations

import asyncio
import random
import resource
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fliswarm.errors import RecordError
from fliswarm.record.record import Record
from fliswarm.record.row import CUT_OFF, UNDER_WAY, Beginning, Ending
from tests.unit.support.wait import LIMIT

BEGINNING = Beginning(
    "alice", "control socket", "reconnect", "--force", ("gfa1",), {"gfa1": {"a": 1}}
)

ENDING = Ending(1.5, True, outcomes={"gfa1": "changed"}, after={"gfa1": {"a": 2}})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the record is."""
    return tmp_path / "state" / "record.sqlite"


async def test_what_was_written_is_read(path: Path) -> None:
    record = Record(path)
    assert await record.rows(last=10) == []
    number = await record.begin(BEGINNING)
    (row,) = await record.rows(last=10)
    assert (row.number, row.ending, row.outcome) == (number, None, UNDER_WAY)
    assert (row.beginning.who, row.beginning.before) == ("alice", {"gfa1": {"a": 1}})
    await record.end(number, ENDING)
    (row,) = await Record(path).rows(last=10)
    assert row.ending == ENDING
    assert row.outcome == "done"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_the_last_ones_since_a_moment(path: Path) -> None:
    record = Record(path)
    for _ in range(5):
        await record.begin(BEGINNING)
    assert [row.number for row in await record.rows(last=2)] == [4, 5]
    moment = datetime.fromisoformat((await record.rows(last=1))[0].at)
    await asyncio.sleep(0.002)
    await record.begin(BEGINNING)
    found = await record.rows(since=moment + timedelta(milliseconds=1), last=10)
    assert [row.number for row in found] == [6]
    assert len(await record.rows(since=moment, last=10)) >= 2
    assert await record.rows(since=datetime.now(UTC) + timedelta(days=1), last=10) == []


async def test_one_without_an_end_after_a_start(path: Path) -> None:
    await Record(path).begin(BEGINNING)
    again = Record(path)
    await again.end(await again.begin(BEGINNING), ENDING)
    assert [row.outcome for row in await again.rows(last=9)] == [CUT_OFF, "done"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE begun SET who = 'nobody'",
        "DELETE FROM begun",
        "UPDATE ended SET problem = ''",
        "DELETE FROM ended",
    ],
)
async def test_nothing_is_changed_or_removed(path: Path, statement: str) -> None:
    record = Record(path)
    await record.end(await record.begin(BEGINNING), ENDING)
    with (
        closing(sqlite3.connect(path)) as file,
        pytest.raises(sqlite3.IntegrityError, match="only added to"),
    ):
        file.execute(statement)


async def test_no_record_is_kept_without_a_file() -> None:
    record = Record(None)
    await record.end(await record.begin(BEGINNING), ENDING)
    assert await record.rows(last=9) == []


# What is in the way


async def test_a_file_that_is_no_record(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"rubbish" * 1000)
    record = Record(path)
    for act in (record.begin(BEGINNING), record.rows(last=1)):
        with pytest.raises(RecordError, match=rf"not a database. Remedy: .*mv {path}"):
            await act
    assert path.read_bytes() == b"rubbish" * 1000
    path.rename(path.with_suffix(".broken"))
    assert await record.begin(BEGINNING) == 1


async def test_a_file_that_is_damaged(path: Path) -> None:
    record = Record(path)
    for _ in range(200):
        await record.end(await record.begin(BEGINNING), ENDING)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(RecordError, match=r"malformed. Remedy: keep the file"):
        await record.begin(BEGINNING)


async def test_a_folder_in_its_place(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(RecordError, match="Is a directory"):
        await Record(path).begin(BEGINNING)


async def test_one_of_a_newer_program(path: Path) -> None:
    await Record(path).begin(BEGINNING)
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA user_version = 99")
    with pytest.raises(RecordError, match=r"newer fliswarm.*Remedy: install that one"):
        await Record(path).begin(BEGINNING)


async def test_an_end_that_is_late(path: Path) -> None:
    record = Record(path)
    number = await record.begin(BEGINNING)
    aside = path.with_suffix(".aside")
    path.rename(aside)
    path.mkdir()
    with pytest.raises(RecordError):
        await record.end(number, ENDING)
    path.rmdir()
    aside.rename(path)
    # Who asks now is told, and the file has it with the next one.
    assert [row.outcome for row in await record.rows(last=9)] == ["done"]
    await record.begin(BEGINNING)
    found = [row.outcome for row in await Record(path).rows(last=9)]
    assert found == ["done", CUT_OFF]


FULL = """
import asyncio, resource, signal, sys
from pathlib import Path
from fliswarm.errors import RecordError
from fliswarm.record.record import Record
from fliswarm.record.row import Beginning, Ending

async def main():
    record = Record(Path(sys.argv[1]))
    number = await record.begin(Beginning("a", "b", "c", "d"))
    size = Path(sys.argv[1]).stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, -1))
    done = 0
    try:
        while done < 1000:
            await record.begin(Beginning("a", "b", "c", "x" * 100))
            done += 1
    except RecordError as error:
        print(error)
    print(len(await record.rows(last=10000)) == done + 1)
    try:
        await record.end(number, Ending(1, True, problem="x" * 5000))
    except RecordError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
    await record.begin(Beginning("a", "b", "c", "d"))
    rows = await record.rows(last=10000)
    print(len(rows) == done + 2, rows[0].outcome)

asyncio.run(main())
"""


def test_a_disk_that_is_full(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    refused, same, late, after = done.stdout.splitlines()
    for text in (refused, late):
        assert text.startswith(f"the record {path}: ")
        assert text.endswith(f"Remedy: make room on the disk that {path.parent} is on")
    assert (same, after) == ("True", "True done")
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == -1


# Killed


WRITING = """
import asyncio, sys
from pathlib import Path
from fliswarm.record.record import Record
from fliswarm.record.row import Beginning, Ending

async def main():
    record = Record(Path(sys.argv[1]))
    while True:
        number = await record.begin(Beginning("a", "b", "c", "x" * 3000))
        print("begun", number, flush=True)
        await record.end(number, Ending(1, True))
        print("ended", number, flush=True)

asyncio.run(main())
"""


def killed(path: Path, lines: int, pause: float) -> list[str]:
    """Kill a program that writes, after it has said so much; return what it said."""
    words = [sys.executable, "-c", WRITING, str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        time.sleep(pause)
        process.kill()
        return said + process.stdout.readlines()


async def test_killed_at_any_moment(path: Path) -> None:
    chance = random.Random(1)  # noqa: S311  any will do
    begun, ended = set[str](), set[str]()
    for _ in range(12):
        lines, pause = chance.randrange(1, 9), chance.random() / 100
        for line in await asyncio.to_thread(killed, path, lines, pause):
            word, number = line.split()
            (begun if word == "begun" else ended).add(number)
        rows = await Record(path).rows(last=10000)
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        there = {str(row.number): row.outcome for row in rows}
        # What was said to be written is there.
        assert begun <= set(there)
        assert {there[number] for number in ended} <= {"done"}
        assert set(there.values()) <= {"done", CUT_OFF}
        with closing(sqlite3.connect(path)) as file:
            assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_others_are_served_while_it_waits(path: Path) -> None:
    record = Record(path)
    await record.begin(BEGINNING)
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("BEGIN EXCLUSIVE")
        task = asyncio.create_task(record.begin(BEGINNING))
        loop = asyncio.get_running_loop()
        before = loop.time()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not task.done()
        assert loop.time() - before < LIMIT
        file.execute("ROLLBACK")
    assert await task == 2
