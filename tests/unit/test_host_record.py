"""The module host_record, on this host as it is; what it removes, bare hosts show."""

from __future__ import annotations

import grp
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sdss.fliswarm.plugins.modules import host_record

from tests.unit.support.modules import run

NOBODY = "nobody-of-that-name"


def record(store: Path, *, check: bool = False, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    arguments = {"name": "test", "store": str(store), **more}
    return run("host_record", arguments, check=check)


def test_what_there_is_and_what_lacks(tmp_path: Path) -> None:
    wanted: dict[str, Any] = {
        "packages": ["dpkg", "no-such-package"],
        "users": ["root", NOBODY],
        "groups": ["root", NOBODY],
    }
    store = tmp_path / "store"
    said = record(store, check=True, **wanted)
    assert not store.exists()
    did = record(store, **wanted)
    assert said == did
    assert did["lacking"] == ["no-such-package"]
    assert did["users"].keys() == {"root"}
    assert did["users"]["root"]["uid"] == 0
    assert did["missing_groups"] == [NOBODY]
    assert not did["changed"]
    assert (store / "test.json").stat().st_mode & 0o777 == 0o600
    assert store.stat().st_mode & 0o777 == 0o700


def test_folders_that_were_empty_are_told(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    (theirs / "image").touch()
    folders = [str(theirs), str(ours)]
    assert record(tmp_path / "s", folders=folders)["own_folders"] == [str(ours)]
    ours.mkdir()
    (ours / "image").touch()
    for state in ("kept", "restored"):
        said = record(tmp_path / "s", folders=folders, state=state, check=True)
        assert said["own_folders"] == [str(ours)]


def test_the_first_sight_counts(tmp_path: Path) -> None:
    """What an earlier run has installed does not pass for what the host had."""
    record(tmp_path, packages=["no-such-package"])
    file = tmp_path / "test.json"
    known = json.loads(file.read_text())
    known["packages"].remove("dpkg")
    known["listed"].append("dpkg")
    file.write_text(json.dumps(known))
    record(tmp_path, packages=["dpkg"])
    assert "dpkg" not in json.loads(file.read_text())["packages"]


def test_what_was_there_is_never_removed(tmp_path: Path) -> None:
    there: dict[str, Any] = {
        "packages": ["dpkg"],
        "users": ["root"],
        "groups": ["root"],
    }
    record(tmp_path / "store", **there)
    said = record(tmp_path / "store", check=True, state="restored")
    assert (said["packages"], said["users"], said["groups"]) == ([], [], [])
    did = record(tmp_path / "store", state="restored")
    assert said == did
    assert not (tmp_path / "store").exists()
    assert not record(tmp_path / "store", state="restored")["changed"]


def test_somebody_s_own_files_are_told_from_those_of_every_home(tmp_path: Path) -> None:
    home, skeleton = tmp_path / "home", tmp_path / "skel"
    for folder in (home, skeleton):
        folder.mkdir()
        (folder / ".profile").write_text("umask 022\n")
    (home / ".ssh").mkdir()
    (home / ".ssh/authorized_keys").write_text("key\n")
    (home / ".sudo_as_admin_successful").touch()
    assert host_record.own_files(str(home), str(skeleton)) == []
    (home / ".profile").write_text("umask 077\n")
    (home / ".ssh/id_ed25519").write_text("secret\n")
    assert host_record.own_files(str(home), str(skeleton)) == [
        ".profile",
        ".ssh/id_ed25519",
    ]


def test_who_is_not_listed_any_more_is_told_until_taken_out(tmp_path: Path) -> None:
    """Of whom an earlier run has put in; not of whom the host had in before."""
    name, group = member()
    asked: dict[str, Any] = {"users": [name], "groups": [group]}
    record(tmp_path, **asked, members={name: [group]})
    # At first sight the user was in: that membership is the host's own.
    assert record(tmp_path, **asked)["leaving"] == []
    record(tmp_path, **asked, members={name: [group]})
    file = tmp_path / "test.json"
    known = json.loads(file.read_text())
    known["users"][name]["groups"] = []
    file.write_text(json.dumps(known))
    assert record(tmp_path, **asked, members={name: [group]})["leaving"] == []
    for _again in range(2):
        assert record(tmp_path, **asked)["leaving"] == [[name, group]]
    assert record(tmp_path, check=True, **asked)["leaving"] == [[name, group]]


def member() -> tuple[str, str]:
    """Return a user and a group that it is in, making none."""
    for found in grp.getgrall():
        for name in found.gr_mem:
            return name, found.gr_name
    pytest.skip("no group of this computer has a member")
