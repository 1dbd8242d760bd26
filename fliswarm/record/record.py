"""The record in a file of SQLite: on the disk before anything is changed.

Each write is a transaction that is on the disk, the entry of its journal in the folder
included, before it counts. A program that is killed in one leaves what was there.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from fliswarm.errors import RecordError
from fliswarm.model.fact import now
from fliswarm.record.row import CUT_OFF, UNDER_WAY, UNKNOWN, Beginning, Ending, Row

VERSION = 1
"""Of the tables; a file with a higher one was made by a newer program."""

BUSY_LIMIT = 5.0
"""Seconds for another program, such as a copy of the file, to let go of it."""

TABLES = (
    "CREATE TABLE begun (number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " at TEXT NOT NULL, run TEXT NOT NULL, who TEXT NOT NULL, door TEXT NOT NULL,"
    " verb TEXT NOT NULL, words TEXT NOT NULL, nodes TEXT NOT NULL,"
    " before TEXT NOT NULL, plan TEXT NOT NULL)",
    "CREATE TABLE ended (number INTEGER PRIMARY KEY REFERENCES begun (number),"
    " seconds REAL NOT NULL, done INTEGER NOT NULL, exit_code INTEGER NOT NULL,"
    " problem TEXT NOT NULL, outcomes TEXT NOT NULL, after TEXT NOT NULL)",
    *(
        f"CREATE TRIGGER {table}_{act} BEFORE {act} ON {table}"
        " BEGIN SELECT RAISE(ABORT, 'the record is only added to'); END"
        for table in ("begun", "ended")
        for act in ("UPDATE", "DELETE")
    ),
    f"PRAGMA user_version = {VERSION}",
)
"""What a new file holds: rows that nobody changes or removes."""


class Record:
    """What was done, in a file.

    Parameters
    ----------
    path
        The file; ``None`` keeps no record.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._run = f"{stamp()} {os.getpid()}"
        self._lock = threading.Lock()
        self._open: set[int] = set()
        self._late: dict[int, Ending] = {}

    async def begin(self, beginning: Beginning) -> int:
        """Write down that a command begins; return its number.

        Raises
        ------
        RecordError
            When it is not on the disk: the command must not begin.
        """
        if self.path is None:
            return 0
        return await asyncio.to_thread(self._begin, self.path, beginning)

    async def end(self, number: int, ending: Ending) -> None:
        """Write down how a command ended.

        Raises
        ------
        RecordError
            When it is not on the disk; it is tried again before the next one begins.
        """
        if self.path is not None and number:
            await asyncio.to_thread(self._end, self.path, number, ending)

    async def rows(self, *, since: datetime | None = None, last: int) -> list[Row]:
        """Return the ``last`` commands that began ``since`` a moment, oldest first.

        Raises
        ------
        RecordError
            When the file cannot be read.
        """
        if self.path is None:
            return []
        return await asyncio.to_thread(self._rows, self.path, since, last)

    def _begin(self, path: Path, beginning: Beginning) -> int:
        with self._lock, _writing(path) as file:
            late = dict(self._late)
            for number, ending in late.items():
                _add_end(file, number, ending)
            number = _add(file, self._run, beginning)
            file.execute("COMMIT")
            self._open.add(number)
            for done in late:
                del self._late[done]
            return number

    def _end(self, path: Path, number: int, ending: Ending) -> None:
        with self._lock:
            self._open.discard(number)
            self._late[number] = ending
            with _writing(path) as file:
                _add_end(file, number, ending)
                file.execute("COMMIT")
            del self._late[number]

    def _rows(self, path: Path, since: datetime | None, last: int) -> list[Row]:
        with self._lock, _told(path):
            if not path.exists():
                return []
            with closing(_opened(path)) as file:
                return [self._row(found) for found in _found(file, since, last)]

    def _row(self, found: sqlite3.Row) -> Row:
        beginning = Beginning(
            found["who"],
            found["door"],
            found["verb"],
            found["words"],
            json.loads(found["nodes"]),
            json.loads(found["before"]),
            found["plan"],
        )
        number = found["number"]
        ending = self._late.get(number)
        if found["seconds"] is not None:
            ending = Ending(
                found["seconds"],
                bool(found["done"]),
                found["exit_code"],
                found["problem"],
                json.loads(found["outcomes"]),
                json.loads(found["after"]),
            )
        lacking = ""
        if ending is None:
            here = found["run"] == self._run
            lacking = UNKNOWN if here else CUT_OFF
            lacking = UNDER_WAY if number in self._open else lacking
        return Row(number, found["at"], beginning, ending, lacking)


def stamp() -> str:
    """Return the time of day in ISO form, in UTC, so that texts sort as times do."""
    return now().isoformat(timespec="milliseconds")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in our words what is wrong with the file."""
    try:
        yield
    except (sqlite3.Error, OSError, ValueError, UnicodeError) as error:
        problem = getattr(error, "strerror", None) or str(error)
        raise RecordError(path, problem, _remedy(path, error)) from error


def _remedy(path: Path, error: Exception) -> str:
    name = getattr(error, "sqlite_errorname", "").partition("_")[2]
    kind = name.partition("_")[0]
    if kind in ("FULL", "IOERR") or getattr(error, "errno", None) in (27, 28, 122):
        return f"make room on the disk that {path.parent} is on"
    if kind in ("CORRUPT", "NOTADB") or isinstance(error, ValueError):
        return f"keep the file and let a new one be begun: mv {path} {path}.broken"
    if kind == "BUSY":
        return f"end whatever else has {path} open"
    return f"let {path} be written by the controller's user"


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Have the file open in a transaction; what is not committed is not written."""
    with _told(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Who may read it is said before anything is in it.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with closing(_opened(path)) as file:
            file.execute("BEGIN IMMEDIATE")
            if file.execute("PRAGMA user_version").fetchone()[0] == 0:
                for statement in TABLES:
                    file.execute(statement)
            yield file


def _opened(path: Path) -> sqlite3.Connection:
    file = sqlite3.connect(path, timeout=BUSY_LIMIT, isolation_level=None)
    file.row_factory = sqlite3.Row
    try:
        # With EXTRA, that the journal is gone is on the disk too: a command that began
        # is there after a power cut.
        file.execute("PRAGMA synchronous = EXTRA")
        _check(path, file.execute("PRAGMA user_version").fetchone()[0])
    except (sqlite3.Error, RecordError):
        file.close()
        raise
    return file


def _check(path: Path, version: int) -> None:
    if version > VERSION:
        problem = f"was made by a newer fliswarm (form {version})"
        raise RecordError(path, problem, "install that one")


def _add(file: sqlite3.Connection, run: str, beginning: Beginning) -> int:
    values = asdict(beginning)
    values["nodes"] = json.dumps(list(beginning.nodes))
    values["before"] = json.dumps(values["before"])
    done = file.execute(
        "INSERT INTO begun (at, run, who, door, verb, words, nodes, before, plan)"
        " VALUES (:at, :run, :who, :door, :verb, :words, :nodes, :before, :plan)",
        {"at": stamp(), "run": run, **values},
    )
    assert done.lastrowid is not None
    return done.lastrowid


def _add_end(file: sqlite3.Connection, number: int, ending: Ending) -> None:
    values = asdict(ending)
    values["outcomes"] = json.dumps(values["outcomes"])
    values["after"] = json.dumps(values["after"])
    file.execute(
        # One whose commit failed may be there.
        "INSERT OR IGNORE INTO ended"
        " (number, seconds, done, exit_code, problem, outcomes, after)"
        " VALUES (:number, :seconds, :done, :exit_code, :problem, :outcomes, :after)",
        {"number": number, **values},
    )


def _found(
    file: sqlite3.Connection, since: datetime | None, last: int
) -> Sequence[sqlite3.Row]:
    if file.execute("PRAGMA user_version").fetchone()[0] == 0:
        return []
    moment = (
        ""
        if since is None
        else since.astimezone(UTC).isoformat(timespec="milliseconds")
    )
    found = file.execute(
        "SELECT * FROM begun LEFT JOIN ended USING (number) WHERE at >= ?"
        " ORDER BY number DESC LIMIT ?",
        (moment, last),
    )
    return list(reversed(found.fetchall()))
