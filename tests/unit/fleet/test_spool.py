from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from fliswarm.errors import FliswarmError, StoreError
from fliswarm.fleet import spool
from fliswarm.fleet.spool import Spool


def test_parts_come_in_any_order(tmp_path: Path) -> None:
    made = Spool(tmp_path / "spool")
    data = os.urandom(1000)
    token = made.begin(1000)
    with pytest.raises(FliswarmError, match="1000 bytes of the file have not come"):
        made.whole(token)
    offsets = [*range(0, 1000, 100)]
    random.shuffle(offsets)
    for offset in offsets:
        made.write(token, offset, data[offset : offset + 100])
    path = made.whole(token)
    assert path.read_bytes() == data
    assert path.stat().st_mode & 0o777 == 0o600
    made.remove(token)
    assert not path.exists()
    made.remove(token)


def test_no_more_than_was_asked_for(tmp_path: Path) -> None:
    made = Spool(tmp_path / "spool")
    token = made.begin(10)
    for offset, data in ((0, b"x" * 11), (10, b"x"), (-1, b"x"), (1 << 60, b"x")):
        with pytest.raises(FliswarmError, match="too many"):
            made.write(token, offset, data)


@pytest.mark.parametrize("token", ["", "..", "../engines.json", "x" * 1000])
def test_a_file_that_is_nobody_s(tmp_path: Path, token: str) -> None:
    made = Spool(tmp_path / "spool")
    with pytest.raises(FliswarmError, match="no file is on its way"):
        made.write(token, 0, b"x")
    with pytest.raises(FliswarmError, match="no file is on its way"):
        made.whole(token)


def test_what_is_promised_is_not_promised_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "RESERVE", 0)
    made = Spool(tmp_path)
    half = int(shutil.disk_usage(tmp_path).free * 0.6)
    token = made.begin(half)
    with pytest.raises(FliswarmError, match="Remedy: fliswarm image prune"):
        made.begin(half)
    made.remove(token)
    made.begin(half)


def test_what_nobody_goes_on_with_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Spool(tmp_path / "spool")
    token, came = made.begin(10), made.begin(1)
    held = made.begin(10, held=True)
    made.write(came, 0, b"x")
    made.whole(came)
    assert made.path(token).exists()
    monkeypatch.setattr(spool, "IDLE", -1.0)
    made.begin(10)
    with pytest.raises(FliswarmError):
        made.path(token)
    # What goes to nodes or to people may take its time.
    assert made.path(came).exists()
    assert made.path(held).exists()
    assert len([*(tmp_path / "spool").iterdir()]) == 3


def test_a_start_takes_away_what_was_left(tmp_path: Path) -> None:
    Spool(tmp_path / "spool").begin(10)
    made = Spool(tmp_path / "spool")
    made.clear()
    assert not (tmp_path / "spool").exists()
    made.begin(10)


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("", "utf-8")
    with pytest.raises(StoreError):
        Spool(tmp_path / "spool").begin(10)
