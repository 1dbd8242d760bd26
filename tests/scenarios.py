"""Run Molecule's scenarios: ``python -m tests.scenarios [--at-once N] [NAME ..]``."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOGS = ROOT / ".lab" / "molecule"
LIMIT = 1800.0
"""Seconds after which a scenario has failed; on a quiet machine one takes a tenth."""

REHEARSED = ("kept",)
"""Scenarios that are run by their names alone: one takes half as long as all others."""

SHOWN = 60
"""Lines of a failed scenario's log to show; Molecule's own report is 20 of them."""


def find() -> list[str]:
    """Return the names of all scenarios."""
    return sorted(file.parent.name for file in ROOT.glob("molecule/*/molecule.yml"))


def environment() -> dict[str, str]:
    """Return what Molecule is run with: it looks for Ansible on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {
        **os.environ,
        "PATH": path,
        "NO_COLOR": "1",
        "MOLECULE_COMMAND_BORDERS": "false",
    }


async def run(name: str, log: Path) -> bool:
    """Run a scenario from bare hosts to none, and tell whether it passed."""
    words = ("molecule", "test", "--scenario-name", name, "--destroy", "always")
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *words,
            cwd=ROOT,
            env=environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return await asyncio.wait_for(process.wait(), LIMIT) == 0
        except TimeoutError:
            return False
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)


async def report(name: str, log: Path) -> bool:
    """Run a scenario, and print how it ended."""
    began = time.monotonic()
    passed = await run(name, log)
    seconds = time.monotonic() - began
    print(f"{name:<20} {'ok' if passed else 'FAILED':<6} {seconds:4.0f} s", flush=True)
    if not passed:
        lines = log.read_text(errors="replace").splitlines()[-SHOWN:]
        print("\n".join([f"the end of {log}:", *lines, ""]), flush=True)
    return passed


async def attempt(name: str, slots: asyncio.Semaphore) -> tuple[bool, bool]:
    """Run a scenario when there is a slot, and once more if it fails.

    Returns whether it passed, and whether it failed before that.
    """
    async with slots:
        if await report(name, LOGS / f"{name}.log"):
            return True, False
        return await report(name, LOGS / f"{name}.again.log"), True


async def main(names: list[str], at_once: int) -> int:
    """Run these scenarios, and return the number of those that failed twice."""
    LOGS.mkdir(parents=True, exist_ok=True)
    slots = asyncio.Semaphore(at_once)
    began = time.monotonic()
    ended = await asyncio.gather(*(attempt(name, slots) for name in names))
    seconds = time.monotonic() - began
    passed = [good for good, _ in ended]
    print(f"{sum(passed)} of {len(names)} scenarios passed in {seconds:.0f} s")
    for name, (good, failed) in zip(names, ended, strict=True):
        if failed:
            print(f"RERUN {name}: {'passed' if good else 'failed'} at the second try")
    return passed.count(False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    # One more than there are processors, as hosts wait for disk and for each other.
    at_once = (os.cpu_count() or 1) + 1
    parser.add_argument("--at-once", type=int, default=at_once)
    parser.add_argument("names", nargs="*", metavar="NAME")
    given = parser.parse_args()
    every = [name for name in find() if name not in REHEARSED]
    if unknown := set(given.names) - set(find()):
        parser.error(
            f"{', '.join(unknown)}: no such scenario among {', '.join(find())}"
        )
    sys.exit(bool(asyncio.run(main(given.names or every, given.at_once))))
