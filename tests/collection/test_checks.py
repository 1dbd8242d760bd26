"""What the two outside checkers of collections say: nothing.

galaxy-importer is what a Galaxy server runs on what is uploaded, ansible-lint with it.

``ansible-test sanity`` runs on the installed copy, all its tests, without containers:

- ``compile`` and ``import`` run with those of Python 3.8 to 3.13 that this computer
  has. That modules compile with 3.8 is checked by ruff, whose target for them that is.
- ``pslint`` finds nothing to look at, as there is no PowerShell.
- ``validate-modules`` wants modules under the GPL. Ours are under the licence of the
  project; of that one finding they are exempt.
- ``shellcheck`` needs the program of that name.
"""

from __future__ import annotations

import re
import shutil
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.collection.conftest import CACHE, IMPORTER, OURS, run

EXPECTED = re.compile(
    "WARNING: (Using locale|Reviewing previous|"
    r'Skipping sanity test "(compile|import)" on Python \S+ because it could not)'
)
"""Warnings of ansible-test that speak of this computer, not of the collection."""

BOOTSTRAP = """
# In place of a script that ansible-test would fetch: pip, from the package index.
import subprocess, sys
words = [word for word in sys.argv[1:] if not word.startswith("--no-")]
sys.exit(subprocess.call([{pip!r}, "--python", sys.executable, "install", *words]))
"""


def complaints(output: str) -> str:
    """Return the warnings and errors in what a checker put out."""
    found = re.findall(r"^(?:WARNING|ERROR|CRITICAL|FATAL).*", output, re.MULTILINE)
    return "\n".join(line for line in found if not EXPECTED.match(line))


def test_galaxy_importer(artifact: Path, tmp_path: Path) -> None:
    done = run(
        *("python", "-m", "galaxy_importer.main", artifact),
        cwd=tmp_path,
        programs=IMPORTER,
    )
    assert done.code == 0, done.out
    assert not complaints(done.out), done.out
    assert "...ansible-lint run complete" in done.out
    assert "Importer processing completed successfully" in done.out


@pytest.fixture
def home() -> Path:
    """Make a home for ansible-test, which keeps its environments there.

    The settings of pip are the user's.
    """
    home = CACHE / "ansible-test"
    bootstrap = home / ".ansible/test/cache/get_pip_24_2.py"
    bootstrap.parent.mkdir(parents=True, exist_ok=True)
    bootstrap.write_text(BOOTSTRAP.format(pip=str(OURS / "pip")), encoding="utf-8")
    config = home / ".config"
    if not config.is_symlink():
        config.symlink_to(Path.home() / ".config")
    return home


@pytest.fixture
def place(collections: Path) -> Path:
    """Give the installed collection the list of what it is exempt from."""
    place = collections / "ansible_collections/sdss/fliswarm"
    core = ".".join(version("ansible-core").split(".")[:2])
    ignored = place / "tests/sanity" / f"ignore-{core}.txt"
    ignored.parent.mkdir(parents=True, exist_ok=True)
    modules = sorted(place.glob("plugins/modules/*.py"))
    ignored.write_text(
        "".join(
            f"plugins/modules/{module.name} validate-modules:missing-gplv3-license\n"
            for module in modules
        ),
        encoding="utf-8",
    )
    return place


def test_sanity(place: Path, home: Path) -> None:
    assert shutil.which("shellcheck"), (
        "shellcheck is needed: apt-get install shellcheck"
    )
    sanity = partial(run, "ansible-test", "sanity", cwd=place, HOME=str(home))
    # What pip says while the environments are made is no finding.
    primed = sanity("--requirements", "--prime-venvs")
    assert primed.code == 0, primed.out
    listed = sanity("--list-tests")
    done = sanity("--requirements", "--color", "no")
    assert not complaints(done.out), done.out
    assert done.code == 0, done.out
    ran = set(re.findall(r'^Running sanity test "(\S+)"', done.out, re.MULTILINE))
    assert ran == set(re.findall(r"^[a-z0-9-]+$", listed.out, re.MULTILINE))
