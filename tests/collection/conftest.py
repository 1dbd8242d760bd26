"""The collection as others get it: built, then installed into an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"
OURS = Path(sys.executable).parent
IMPORTER = CACHE / "importer" / "bin"
"""The environment of ``make collection``: galaxy-importer, Ansible, no fliswarm."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended: its exit code, and all that it put out."""

    code: int
    out: str


def run(
    *command: str | Path, cwd: Path, programs: Path = OURS, **environment: str
) -> Done:
    """Run a program as a user of the collection does, who has no clone.

    Parameters
    ----------
    command
        The program and its arguments.
    cwd
        Where it runs.
    programs
        Folder of the virtual environment that comes before the system's own programs.
    environment
        Variables beside those of the user, whose settings for Ansible are left out.
    """
    kept = {name: text for name, text in os.environ.items() if "ANSIBLE" not in name}
    done = subprocess.run(
        [programs / command[0], *command[1:]],
        cwd=cwd,
        env={
            **kept,
            "PATH": f"{programs}:/usr/bin:/bin:/usr/sbin:/sbin",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout)


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the file that is published."""
    folder = tmp_path_factory.mktemp("artifact")
    done = run(
        *("ansible-galaxy", "collection", "build", ROOT / "collection"),
        *("--output-path", folder),
        cwd=folder,
    )
    assert done.code == 0, done.out
    (file,) = folder.glob("*.tar.gz")
    return file


@pytest.fixture(scope="session")
def collections(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install it into a folder of collections in which it is alone."""
    folder = tmp_path_factory.mktemp("collections")
    done = run(
        *("ansible-galaxy", "collection", "install", artifact),
        *("--offline", "-p", folder),
        cwd=folder,
        ANSIBLE_COLLECTIONS_PATH=str(folder),
    )
    assert done.code == 0, done.out
    return folder


INVENTORY = """
manager:
  hosts:
    hub: {ansible_connection: local, ansible_become: false}
nodes:
  children:
    gfa:
      hosts: {gfa1: {ansible_host: 192.0.2.1}, gfa2: {ansible_host: 192.0.2.2}}
all:
  vars:
    fliswarm_observatory: APO
    fliswarm_registry: hub:5000
"""

Play = Callable[..., Done]


@pytest.fixture
def play(collections: Path, tmp_path: Path) -> Play:
    """Run a playbook from an empty folder: ``play(NAME, *OPTIONS, programs=...)``.

    The manager is this computer. Only what changes nothing may be run.
    """
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(INVENTORY, encoding="utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()

    def run_it(name: str, *options: str, programs: Path = OURS) -> Done:
        return run(
            "ansible-playbook",
            "-i",
            inventory,
            name,
            *options,
            cwd=empty,
            programs=programs,
            ANSIBLE_COLLECTIONS_PATH=str(collections),
            ANSIBLE_HOME=str(tmp_path / "ansible"),
        )

    return run_it
