"""What is published: nothing but the collection, and it works without this clone."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.collection.conftest import IMPORTER, ROOT, Play, run

SOURCE = ROOT / "collection"
PLAYBOOKS = sorted(path.stem for path in SOURCE.glob("playbooks/*.yml"))


def versioned() -> set[str]:
    """Return the files of the collection that git keeps, or would keep."""
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
    done = subprocess.run(command, cwd=SOURCE, check=True, stdout=subprocess.PIPE)
    return {name for name in done.stdout.decode().split() if (SOURCE / name).exists()}


def test_nothing_else_gets_in(artifact: Path) -> None:
    with tarfile.open(artifact) as archive:
        names = {member.name for member in archive if member.isfile()}
    made = {"MANIFEST.json", "FILES.json"}
    assert names == versioned() - {"galaxy.yml"} | made


def test_the_wheel_has_the_same_files(tmp_path: Path) -> None:
    built = run(
        *("python", "-m", "pip", "wheel", "--quiet", "--no-deps"),
        *("--wheel-dir", tmp_path, ROOT),
        cwd=tmp_path,
    )
    assert built.code == 0, built.out
    (wheel,) = tmp_path.glob("fliswarm-*.whl")
    prefix = "fliswarm/_share/ansible_collections/sdss/fliswarm/"
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith(prefix)}
    shutil.unpack_archive(wheel, tmp_path, "zip")
    assert {name.removeprefix(prefix) for name in names} == versioned()
    share = tmp_path / "fliswarm" / "_share"
    for name in PLAYBOOKS:
        listed = run(
            *("ansible-playbook", "--list-tasks", share / "playbooks" / f"{name}.yml"),
            cwd=tmp_path,
            ANSIBLE_CONFIG=str(share / "ansible.cfg"),
            ANSIBLE_COLLECTIONS_PATH=str(share),
        )
        assert listed.code == 0, listed.out
        assert "TAGS: [" in listed.out


@pytest.mark.parametrize("option", ["--syntax-check", "--list-tasks"])
@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_playbook_is_found_by_its_name(play: Play, name: str, option: str) -> None:
    done = play(f"sdss.fliswarm.{name}", option)
    assert done.code == 0, done.out
    assert "[WARNING]" not in done.out
    assert ("TAGS: [" in done.out) == (option == "--list-tasks")


def test_without_fliswarm_the_remedy_is_named(play: Play) -> None:
    done = play(
        *("sdss.fliswarm.site", "--limit", "localhost,hub"),
        *("--tags", "controller_preflight"),
        programs=IMPORTER,
    )
    assert done.code == 2, done.out
    assert done.out.count("fatal: [") == 1
    assert re.search(rf"{IMPORTER}/python\S* -m pip install fliswarm", done.out)
    assert "Look at the host" not in done.out


def test_with_fliswarm_the_preflight_goes_on(play: Play) -> None:
    done = play(
        *("sdss.fliswarm.site", "--limit", "localhost,hub"),
        *("--tags", "controller_preflight"),
    )
    assert done.code == 0, done.out
    assert "Look at the host" in done.out


def test_the_changelog_tells_of_this_version() -> None:
    version = yaml.safe_load((SOURCE / "galaxy.yml").read_text("utf-8"))["version"]
    changelog = yaml.safe_load(
        (SOURCE / "changelogs/changelog.yaml").read_text("utf-8")
    )
    new = {
        module["name"]
        for release in changelog["releases"].values()
        for module in release.get("modules", ())
    }
    assert version in changelog["releases"]
    assert new == {path.stem for path in SOURCE.glob("plugins/modules/*.py")}


def test_the_changelog_is_the_generated_one(artifact: Path, tmp_path: Path) -> None:
    with tarfile.open(artifact) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "galaxy.yml").write_bytes((SOURCE / "galaxy.yml").read_bytes())
    done = run("antsibull-changelog", "generate", cwd=tmp_path, programs=IMPORTER)
    assert done.code == 0, done.out
    for name in ("CHANGELOG.rst", "changelogs/changelog.yaml"):
        assert (tmp_path / name).read_text() == (SOURCE / name).read_text(), name
