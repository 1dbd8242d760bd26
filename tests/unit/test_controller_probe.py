"""What the role controller finds on a manager before it installs anything."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.support.modules import ROOT

FILES = ROOT / "collection/roles/controller/files"


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the program, with its places in a folder."""
    spec = importlib.util.spec_from_file_location(
        "controller_probe", FILES / "controller_probe.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "LINK", tmp_path / "fliswarm")
    monkeypatch.setattr(module, "RECORD", tmp_path / "record.json")
    return module


def test_who_has_its_places_is_told(probe: ModuleType, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert probe.foreign(home) == []
    (home / "bin").mkdir(parents=True)
    probe.LINK.symlink_to("/bin/true")
    assert probe.foreign(home) == [
        f"{home} holds somebody else's files",
        f"{probe.LINK} is another program",
    ]
    probe.RECORD.touch()
    probe.LINK.unlink()
    probe.LINK.symlink_to(home / "bin/fliswarm")
    assert probe.foreign(home) == []


def sums(home: Path) -> str:
    """Return what the installation notes of its files."""
    script = (FILES / "install.sh").read_text("utf-8")
    function = script[script.index("sum() {") : script.index("\n}\n") + 3]
    done = subprocess.run(
        ["sh", "-euc", f"home={home}\n{function}sum"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_file_that_is_another_makes_the_program_another(
    probe: ModuleType, tmp_path: Path
) -> None:
    """What Python has compiled, or was added to be compiled, is no part of it."""
    home = tmp_path / "home"
    program = home / "lib/a file.py"
    program.parent.mkdir(parents=True)
    program.write_text("1\n")
    assert not probe.is_whole(home)
    (home / "bundle.sum").write_text(sums(home))
    (home / "bundle").write_text("stamp\n")
    assert probe.is_whole(home)
    (home / "lib/a.pyc").write_text("compiled\n")
    assert probe.is_whole(home)
    program.write_text("2\n")
    assert not probe.is_whole(home)
    program.write_text("1\n")
    (home / "lib/more.py").write_text("1\n")
    assert not probe.is_whole(home)
