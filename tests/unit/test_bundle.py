from __future__ import annotations

import base64
import configparser
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from fliswarm import __version__
from fliswarm.errors import ProvisionError
from fliswarm.site import bundle

NAME = f"fliswarm-{__version__}-py3-none-any.whl"


def opened(wheel: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(wheel))


def test_two_wheels_are_equal() -> None:
    assert bundle._wheel() == bundle._wheel()


def test_the_record_of_the_wheel_is_right() -> None:
    with opened(bundle._wheel()) as archive:
        info = f"fliswarm-{__version__}.dist-info"
        record = archive.read(f"{info}/RECORD").decode().splitlines()
        rows = [line.rsplit(",", 2) for line in record]
        assert [name for name, _, _ in rows] == archive.namelist()
        assert rows.pop() == [f"{info}/RECORD", "", ""]
        for name, digest, size in rows:
            data = archive.read(name)
            wanted = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
            assert digest == f"sha256={wanted.decode().rstrip('=')}", name
            assert int(size) == len(data), name


def test_the_wheel_holds_both_halves() -> None:
    with opened(bundle._wheel()) as archive:
        names = set(archive.namelist())
        assert "fliswarm/cli/app.py" in names
        assert "fliswarm/etc/fliswarm.yaml" in names
        assert "fliswarm/py.typed" in names
        assert "fliswarm/_share/playbooks/site.yml" in names
        assert "fliswarm/_share/ansible.cfg" in names
        collection = "fliswarm/_share/ansible_collections/sdss/fliswarm"
        assert f"{collection}/galaxy.yml" in names
        assert not [name for name in names if "__pycache__" in name]
        info = f"fliswarm-{__version__}.dist-info"
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
        assert metadata["Name"] == "fliswarm"
        entry = configparser.ConfigParser()
        entry.read_string(archive.read(f"{info}/entry_points.txt").decode())
        assert entry["console_scripts"]["fliswarm"] == "fliswarm.__main__:main"


def test_the_wheel_installs_and_runs_without_the_clone(tmp_path: Path) -> None:
    wheel = tmp_path / NAME
    wheel.write_bytes(bundle._wheel())
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install"]
    subprocess.run(
        [*pip, "--quiet", "--no-deps", "--no-index", "--target", str(target), wheel],
        check=True,
        timeout=60,
    )
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import fliswarm\n"
        "from fliswarm.site.share import share\n"
        "print(fliswarm.__file__); print(share().collection)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(target)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    where, collection = done.stdout.splitlines()
    assert Path(where) == target / "fliswarm" / "__init__.py"
    assert (Path(collection) / "roles" / "controller").is_dir()


def test_the_tar_is_the_same_whenever_it_is_made(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    (first / "x.whl").write_bytes(b"x")
    (first / "y.whl").write_bytes(b"y")
    (second / "y.whl").write_bytes(b"y")
    shutil.copyfile(first / "x.whl", second / "x.whl")
    (second / "x.whl").chmod(0o600)
    (second / "note.txt").write_text("not a wheel", "utf-8")
    assert bundle._tar(first) == bundle._tar(second)
    with tarfile.open(fileobj=io.BytesIO(bundle._tar(first))) as archive:
        assert archive.getnames() == ["x.whl", "y.whl"]


def test_what_cannot_be_had_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        ProvisionError, match=r"dependencies for Python 3.11: .*nothing"
    ):
        bundle._download(["./nothing/here.whl"], tmp_path, "3.11", "x86_64")


def test_a_bundle_that_is_there_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the download, which needs a package index."""
    fetched: list[str] = []
    monkeypatch.setattr(
        bundle, "_download", lambda _, __, python, ___: fetched.append(python)
    )
    out = tmp_path / "deep" / "out.tar"
    made = bundle.make(out, "3.11", "x86_64")
    assert made.changed
    assert made.sha256 == hashlib.sha256(out.read_bytes()).hexdigest()
    with tarfile.open(out) as archive:
        assert archive.getnames() == [NAME]
    again = bundle.make(out, "3.11", "x86_64")
    assert not again.changed
    assert (again.sha256, again.path) == (made.sha256, made.path)
    assert fetched == ["3.11"]
    # Another Python needs other wheels.
    assert bundle.make(out, "3.12", "x86_64").changed
    assert fetched == ["3.11", "3.12"]
    assert sorted(path.name for path in out.parent.iterdir()) == ["out.json", "out.tar"]


def test_another_version_alone_needs_no_index_of_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the Internet is out of reach, and this program is newer."""
    fetched: list[str] = []

    def download(_needs: list[str], folder: Path, *_: str) -> None:
        fetched.append(folder.name)
        (folder / "other-1-py3-none-any.whl").write_bytes(b"other")

    monkeypatch.setattr(bundle, "_download", download)
    out = tmp_path / "out.tar"
    bundle.make(out, "3.11", "x86_64")
    monkeypatch.setattr(bundle, "_wheel", lambda: b"newer")
    assert bundle.make(out, "3.11", "x86_64").changed
    assert len(fetched) == 1
    with tarfile.open(out) as archive:
        names = archive.getnames()
        assert names == [NAME, "other-1-py3-none-any.whl"]
        newer = archive.extractfile(NAME)
        assert newer is not None
        assert newer.read() == b"newer"
    # What is not whole any more is fetched anew.
    out.write_bytes(out.read_bytes()[:-512])
    monkeypatch.setattr(bundle, "_wheel", lambda: b"newest")
    bundle.make(out, "3.11", "x86_64")
    assert len(fetched) == 2
