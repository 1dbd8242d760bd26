"""The original in an environment of its own, and both programs' answers to a script."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.oracle.script import Play
from tests.oracle.steps import STEPS
from tests.oracle.world import OURS, world

ROOT = Path(__file__).parents[2]

ORIGINAL = (
    "sdss-fliswarm==0.7.0",
    "sdss-clu==2.6.1",
    # It words some of the answers, in both programs.
    f"click=={importlib.metadata.version('click')}",
)


class Answers(NamedTuple):
    """What both programs said, by step, and what the hub heard from each."""

    original: dict[str, list[str]]
    ours: dict[str, list[str]]
    hub_original: list[str]
    hub_ours: list[str]


@pytest.fixture(scope="session")
def original() -> Path:
    """Return the original's program, installed once in ``.cache/oracle``.

    ``$FLISWARM_ORACLE`` names an environment that has it already.
    """
    if named := os.environ.get("FLISWARM_ORACLE"):
        return Path(named) / "bin" / "fliswarm"
    folder = ROOT / ".cache" / "oracle"
    wanted = "\n".join((*ORIGINAL, sys.version))
    installed = folder / "installed"
    if not installed.exists() or installed.read_text("utf-8") != wanted:
        venv.create(folder, clear=True, with_pip=True)
        done = subprocess.run(
            [folder / "bin" / "pip", "install", "--quiet", *ORIGINAL],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"the original cannot be installed: {done.stderr}")
        installed.write_text(wanted, "utf-8")
    return folder / "bin" / "fliswarm"


@pytest.fixture(scope="session")
def answers(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """Return what both programs answer to the same script, run side by side."""

    async def play(
        folder: Path, program: tuple[str, ...]
    ) -> tuple[dict[str, list[str]], list[str]]:
        async with world(folder, program) as running:
            return await Play(running).run(STEPS), running.hub.received

    async def both() -> Answers:
        folder = tmp_path_factory.mktemp("side-by-side")
        async with asyncio.timeout(400):
            (theirs, their_hub), (ours, our_hub) = await asyncio.gather(
                play(folder / "original", (str(original),)), play(folder / "ours", OURS)
            )
        return Answers(theirs, ours, their_hub, our_hub)

    return asyncio.run(both())
