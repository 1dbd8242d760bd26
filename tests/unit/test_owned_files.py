"""The module owned_files, on real files."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.support.modules import run, start
from tests.unit.support.wait import wait_until

ME = pwd.getpwuid(os.getuid()).pw_name


class Host:
    """A folder that stands for a host."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log"
        self.arguments: dict[str, Any] = {
            "name": "test",
            "store": str(root / "store"),
            "secret_owner": ME,
            "then": [["sh", "-c", f"echo $CHANGED >>{self.log}"]],
            "holds": ["true"],
        }

    def file(self, path: str, content: str, **more: object) -> dict[str, Any]:
        place = {"path": str(self.root / path), "content": content}
        return {**place, "owner": ME, **more}

    def run(self, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401  a module's
        flags = {key: arguments.pop(key, False) for key in ("check", "diff")}
        return run("owned_files", {**self.arguments, **arguments}, **flags)

    def tree(self) -> dict[str, str]:
        files = (p for p in self.root.rglob("*") if p.is_file() and p != self.log)
        return {str(p.relative_to(self.root)): p.read_text() for p in files}

    def commands(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_say_do_say_again_do_again_and_give_back(host: Host) -> None:
    theirs = host.root / "etc/theirs"
    theirs.parent.mkdir()
    theirs.write_text("theirs\n")
    theirs.chmod(0o600)
    wanted: dict[str, Any] = {
        "files": [
            host.file("etc/theirs", "ours\n", mode="0640"),
            host.file("etc/new/deep/file", "new\n"),
        ],
        "folders": [{"path": str(host.root / "data"), "owner": ME, "mode": "0750"}],
    }
    before = host.tree()

    said = host.run(**wanted, check=True, diff=True)
    assert said["changed"]
    assert said["ran"]
    assert host.tree() == before
    assert not (host.root / "data").exists()
    assert "-theirs" not in str(said["diff"])
    assert [d.get("after") for d in said["diff"]][:2] == ["new\n", "ours\n"]

    done = host.run(**wanted, diff=True)
    assert done["changed_files"] == said["changed_files"]
    assert done["diff"] == said["diff"]
    assert theirs.read_text() == "ours\n"
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o640
    assert stat.S_IMODE((host.root / "data").stat().st_mode) == 0o750
    assert host.commands() == [f"{host.root}/etc/new/deep/file {theirs}"]

    for check in (True, False):
        again = host.run(**wanted, check=check, diff=True)
        assert (again["changed"], again["diff"]) == (False, [])
    assert len(host.commands()) == 1

    would = host.run(state="absent", check=True)
    assert would["changed"]
    assert theirs.read_text() == "ours\n"
    assert host.run(state="absent")["changed_files"] == would["changed_files"]
    assert host.tree() == before
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o600
    assert not (host.root / "etc/new").exists()
    assert not (host.root / "data").exists()
    assert not (host.root / "store").exists()
    assert not host.run(state="absent")["changed"]


def test_a_file_that_is_not_listed_any_more_is_given_back(host: Host) -> None:
    host.run(files=[host.file("a", "1\n"), host.file("new/b", "2\n")])
    assert host.run(files=[host.file("a", "1\n")])["changed"]
    assert not (host.root / "new").exists()
    assert host.commands()[1:] == [f"{host.root}/new/b"]
    assert not host.run(files=[host.file("a", "1\n")])["changed"]


def test_all_are_judged_before_one_is_written(host: Host) -> None:
    judge = "sh -c 'grep -q good $0 || { echo bad word >&2; exit 1; }' %s"
    files = [host.file("a", "1\n"), host.file("b.yaml", "evil\n", validate=judge)]
    for check in (True, False):
        failed = host.run(files=files, check=check)
        assert failed["failed"]
        assert failed["msg"].startswith(f"{host.root}/b.yaml: ")
        assert "bad word. Nothing was changed." in failed["msg"]
    assert host.tree() == {}
    files[1]["content"] = "good\n"
    assert host.run(files=files)["changed"]


def test_a_dry_run_needs_neither_the_owner_nor_the_judge(host: Host) -> None:
    file = host.file("a", "1\n", validate="/nonexistent/judge %s")
    file["owner"] = "nobody-of-that-name"
    block = {"path": "~nobody-of-that-name/keys", "block": "key"}
    said = host.run(files=[file], blocks=[block], check=True, diff=True)
    assert said["changed_files"] == [f"{host.root}/a", "~nobody-of-that-name/keys"]
    failed = host.run(files=[file])
    assert "nobody-of-that-name" in failed["msg"]
    assert host.tree() == {}


def test_a_secret_is_never_shown(host: Host) -> None:
    path = str(host.root / "key")
    for text in ("hidden one", "hidden two"):
        result = host.run(secrets={path: text}, diff=True)
        assert result["changed"]
        assert "hidden" not in json.dumps(result)
    assert Path(path).read_text() == "hidden two"
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    back = host.run(state="absent", diff=True)
    assert back["changed"]
    assert "hidden" not in json.dumps(back)


def test_a_command_that_fails_is_tried_again_until_it_succeeds(host: Host) -> None:
    files = [host.file("a", "1\n")]
    gate = host.root / "gate"
    then = [["sh", "-c", f"test -e {gate} || {{ echo shut >&2; exit 3; }}"]]
    for _ in range(2):
        failed = host.run(files=files, then=then)
        assert failed["failed"]
        assert failed["msg"].endswith("shut")
    gate.touch()
    assert host.run(files=files, then=then, check=True)["changed"]
    assert host.run(files=files, then=then)["changed"]
    assert not host.run(files=files, then=then)["changed"]


def test_a_command_has_a_time_limit(host: Host) -> None:
    began = time.monotonic()
    failed = host.run(files=[host.file("a", "1\n")], then=[["sleep", "99"]], timeout=1)
    assert failed["msg"] == "sleep 99 took more than 1 s"
    assert time.monotonic() - began < 60


def test_what_does_not_hold_is_brought_about(host: Host) -> None:
    running = host.root / "running"
    wanted: dict[str, Any] = {
        "files": [host.file("a", "1\n")],
        "then": [["touch", str(running)]],
        "holds": ["test", "-e", str(running)],
    }
    assert host.run(**wanted)["ran"]
    assert not host.run(**wanted)["changed"]
    running.unlink()
    said = host.run(**wanted, check=True)
    assert (said["changed"], said["changed_files"]) == (True, [])
    assert not running.exists()
    assert host.run(**wanted)["changed"]
    assert running.exists()


def test_what_does_not_hold_beside_a_change_is_brought_about_too(host: Host) -> None:
    """A file has changed, and what another one brings about is not so."""
    made = host.root / "made"
    script = f'case "$CHANGED" in "" | */b*) touch {made} ;; esac'
    wanted: dict[str, Any] = {
        "files": [host.file("a", "1\n"), host.file("b", "1\n")],
        "then": [["sh", "-c", f"echo >>{host.log}; {script}"]],
        "holds": ["test", "-e", str(made)],
    }
    host.run(**wanted)
    (host.root / "a").write_text("2\n")
    made.unlink()
    assert host.run(**wanted)["changed_files"] == [str(host.root / "a")]
    assert made.exists()
    assert len(host.commands()) == 3
    assert not host.run(**wanted)["changed"]


def test_a_block_leaves_the_rest_alone(host: Host) -> None:
    path = host.root / "hosts"
    path.write_text("127.0.0.1 localhost")
    path.chmod(0o604)
    block = {"path": str(path), "block": "10.0.0.1 gfa1\n"}
    host.run(blocks=[block])
    path.write_text(path.read_text() + "10.9.9.9 theirs\n")
    host.run(blocks=[{**block, "block": "10.0.0.2 gfa2"}])
    assert path.read_text() == (
        "127.0.0.1 localhost\n# BEGIN fliswarm\n10.0.0.2 gfa2\n# END fliswarm\n"
        "10.9.9.9 theirs\n"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    host.run(state="absent")
    assert path.read_text() == "127.0.0.1 localhost\n10.9.9.9 theirs\n"


def test_a_block_whose_last_line_has_no_end_is_replaced(host: Host) -> None:
    path = host.root / "keys"
    block = {"path": str(path), "block": "old"}
    host.run(blocks=[block])
    path.write_text(path.read_text().rstrip("\n"))
    host.run(blocks=[{**block, "block": "new"}])
    assert path.read_text() == "# BEGIN fliswarm\nnew\n# END fliswarm\n"
    # One that came twice, by an editor say, leaves with the other.
    path.write_text(path.read_text() * 2)
    host.run(state="absent")
    assert not path.exists()


@pytest.mark.parametrize("lost", ["# BEGIN fliswarm\n", "# END fliswarm\n"])
def test_a_block_that_lost_its_mark_takes_nothing_of_others(
    host: Host, lost: str
) -> None:
    path = host.root / "hosts"
    block = {"path": str(path), "block": "one"}
    host.run(blocks=[block])
    path.write_text(path.read_text().replace(lost, "") + "theirs\n")
    for _ in range(2):
        host.run(blocks=[block])
        text = "one\ntheirs\n# BEGIN fliswarm\none\n# END fliswarm\n"
        assert path.read_text() == text


@pytest.mark.parametrize("link", ["inner", "inner/keys"])
def test_root_follows_no_link_in_a_home(host: Host, link: str) -> None:
    """A user's own link would have root write to what is not the user's."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    place = Path(tempfile.mkdtemp(dir=home))
    theirs = host.root / "theirs"
    theirs.mkdir(mode=0o755)
    inner = f"~{ME}/{place.name}/inner"
    wanted: dict[str, Any] = {
        "folders": [{"path": inner, "owner": ME, "mode": "0700"}],
        "blocks": [{"path": f"{inner}/keys", "block": "k", "owner": ME}],
    }
    try:
        (place / link).parent.mkdir(exist_ok=True)
        (place / link).symlink_to(theirs if link == "inner" else theirs / "keys")
        failed = host.run(**wanted, diff=True)
        assert failed["msg"] == f"{place / link} is a link. Nothing was changed."
        (place / link).unlink()
        assert host.run(**wanted)["changed"]
        shutil.rmtree(place / "inner")
        (place / "inner").symlink_to(theirs)
        for arguments in (wanted, {"state": "absent"}):
            assert "is a link" in host.run(**arguments)["msg"]
        assert stat.S_IMODE(theirs.stat().st_mode) == 0o755
        assert not list(theirs.iterdir())
        (place / "inner").unlink()
        assert host.run(state="absent")["changed"]
    finally:
        shutil.rmtree(place)


def test_a_file_made_for_a_block_goes_with_it(host: Host) -> None:
    block = {"path": str(host.root / "keys"), "block": "k", "owner": ME}
    host.run(blocks=[block])
    assert not host.run(blocks=[{**block, "block": "", "keep": True}])["changed"]
    assert "k\n" in host.tree()["keys"]
    assert host.run(blocks=[{**block, "block": ""}])["changed"]
    assert "keys" not in host.tree()


def test_what_was_never_run_is_not_undone(host: Host) -> None:
    """The run was stopped before its commands."""
    (host.root / "new").mkdir()
    (host.root / "new/z").touch()
    files = [host.file("a", "1\n"), host.file("new/z/z", "z\n")]
    assert host.run(files=files, undo=[["false"]])["failed"]
    assert host.run(state="absent")["changed"]
    assert host.tree() == {"new/z": ""}


def test_undo_comes_before_the_files_go_and_once(host: Host) -> None:
    path = host.root / "unit"
    undo = [["sh", "-c", f"cat {path} >>{host.root}/undone"]]
    host.run(files=[host.file("unit", "x\n")], undo=undo)
    failed = host.run(state="absent", then=[["false"]])
    assert failed["failed"]
    assert host.run(state="absent")["changed"]
    assert host.commands()[-1] == str(path)
    assert (host.root / "undone").read_text() == "x\n"


@pytest.mark.parametrize("moment", ["writing", "following", "giving back"])
def test_killed_at_any_moment_the_next_run_ends_the_same(
    host: Host, moment: str
) -> None:
    gate = host.root / "gate"
    wait = f"touch {host.root}/here; while [ ! -e {gate} ]; do sleep 0.05; done"
    slow = [["sh", "-c", wait], *host.arguments["then"]]
    files = [host.file(f"new/{n}", f"{n}\n") for n in range(3)]
    wanted: dict[str, Any] = {"files": files, "then": slow}
    if moment == "giving back":
        gate.touch()
        host.run(**wanted)
        gate.unlink()
        wanted = {"state": "absent", "then": slow}
    if moment == "writing":
        # A file in the place of a folder: the run ends with a part written.
        (host.root / "new").mkdir()
        (host.root / "new/z").touch()
        files.append(host.file("new/z/z", "z\n"))
        assert host.run(**wanted)["failed"]
        assert "new/0" in host.tree()
        (host.root / "new/z").unlink()
        files.pop()
    else:
        (host.root / "here").unlink(missing_ok=True)
        with start("owned_files", {**host.arguments, **wanted}) as process:
            wait_until((host.root / "here").exists, "the module is under way")
            os.killpg(process.pid, signal.SIGKILL)
    gate.touch()
    assert host.run(**wanted)["changed"]
    assert not host.run(**wanted)["changed"]
    ours = {path for path in host.tree() if path.startswith("new/")}
    assert ours == (set() if "state" in wanted else {"new/0", "new/1", "new/2"})
    assert host.run(state="absent")["changed"] is ("state" not in wanted)
    assert (host.root / "new").is_dir() is (moment == "writing")


def test_commands_that_nothing_proves_are_refused(host: Host) -> None:
    failed = host.run(files=[host.file("a", "1\n")], holds=[])
    assert "Remedy: give holds or units" in failed["msg"]
    assert host.tree() == {}
    assert not host.run(state="absent", holds=[])["changed"]


def test_what_is_done_and_yet_not_so_is_a_failure(host: Host) -> None:
    files = [host.file("a", "1\n")]
    failed = host.run(files=files, holds=["sh", "-c", "echo no port >&2; exit 1"])
    assert failed["msg"].startswith("test: all was done, and yet: ")
    assert failed["msg"].endswith(": no port")
    # The next run does it again.
    assert host.run(files=files)["ran"]
    assert not host.run(files=files)["changed"]


def test_a_unit_that_is_not_there_does_not_hold(host: Host) -> None:
    units = [{"name": "fliswarm-nothing.service"}]
    failed = host.run(files=[host.file("a", "1\n")], holds=[], units=units)
    assert "fliswarm-nothing.service is not there" in failed["msg"]


@pytest.mark.parametrize("where", ["theirs", "/dev/null"])
def test_a_file_of_ours_that_became_a_link_is_written_again(
    host: Host, where: str
) -> None:
    files = [host.file("a", "1\n")]
    theirs = host.root / where
    (host.root / "theirs").write_text("1\n")
    (host.root / "a").symlink_to(theirs)
    failed = host.run(files=files)
    assert f"{host.root / 'a'} is a link, and a file of fliswarm" in failed["msg"]
    (host.root / "a").unlink()
    host.run(files=files)
    (host.root / "a").unlink()
    (host.root / "a").symlink_to(theirs)
    assert host.run(files=files, check=True)["changed"]
    assert host.run(files=files)["changed_files"] == [str(host.root / "a")]
    assert not (host.root / "a").is_symlink()
    assert (host.root / "theirs").read_text() == "1\n"
    assert not host.run(files=files)["changed"]


def test_what_is_no_text_is_shown_by_its_length(host: Host) -> None:
    host.run(files=[host.file("a", "1\n")])
    (host.root / "a").write_bytes(b"\x7fELF\xd0\x00\xff")
    shown = host.run(files=[host.file("a", "1\n")], diff=True)
    assert shown["diff"][0]["before"] == "(7 bytes, which are no text)\n"
    assert (host.root / "a").read_text() == "1\n"
