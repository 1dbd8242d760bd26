from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import parts

ROOT = Path(__file__).parents[2]


def maker(folder: Path, *failing: str) -> list[str]:
    """Return what stands for make: it fails for some targets, and notes all."""
    program = folder / "make"
    program.write_text(
        "#!/bin/sh\n"
        "shift $(($# - 2))\n"
        f'echo "$2" >>{folder}/made; echo "making $2"\n'
        'case $2 in unit) echo "RERUN test_x.py::test_y";; esac\n'
        f"case $2 in {'|'.join(failing) or 'none'}) exit 2;; esac\n"
    )
    program.chmod(0o755)
    return [str(program)]


def made(folder: Path) -> set[str]:
    return set((folder / "made").read_text().split())


ALL = {part for stage in parts.STAGES for part in stage}


def test_each_part_is_a_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE)) >= ALL


async def test_what_was_tried_again_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await parts.main(maker(tmp_path))
    assert made(tmp_path) == ALL
    out = capsys.readouterr().out
    assert "       lint | making lint\n" in out
    assert "each a fault to mend:\n  unit: RERUN test_x.py::test_y\n" in out


async def test_a_part_that_fails_keeps_no_other_from_being_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not await parts.main(maker(tmp_path, "unit"))
    assert made(tmp_path) == ALL
    assert re.search(r"^unit +FAILED", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize("part", parts.STAGES[0])
async def test_what_the_others_need_comes_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    assert not await parts.main(maker(tmp_path, part))
    assert made(tmp_path) == set(parts.STAGES[0])
    assert re.search(r"^molecule +not run", capsys.readouterr().out, re.MULTILINE)


async def test_another_pair_has_fewer_parts(tmp_path: Path) -> None:
    make = [*maker(tmp_path), "SCENARIO=docker_engine"]
    assert await parts.main(make, parts.SHORT)
    short = {part for stage in parts.SHORT for part in stage}
    assert made(tmp_path) == short
    assert short < ALL


def test_both_ends_are_run_by_continuous_integration() -> None:
    """The machine's pair, which is the oldest on Debian 12, and the newest."""
    script = (ROOT / ".ci/run").read_text()
    commands = [line for line in script.splitlines() if "make " in line[:12]]
    assert commands == ["make test", "exec make short PAIR=newest"]
    assert (ROOT / "molecule/docker_engine/molecule.yml").exists()
    assert "--short $(MAKE) SCENARIO=docker_engine" in (ROOT / "Makefile").read_text()
