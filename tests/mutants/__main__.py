"""``python -m tests.mutants [NAME ..]``: what breaks, and no test sees it.

Takes the modules of ``modules.yaml`` whose path holds one of the names, or all, and
the changes of ``by_hand.yaml`` to files that so do. Each mutant is tried in a process
of its own, in a copy of the tree; one that its tests do not end with is seen.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.lists import ROOT, by_hand, modules
from tests.mutants.mutate import Mutant, mutants

COPIED = ("fliswarm", "tests")
"""Folders that a copy has of its own; the rest of it is the tree's."""

LIMIT = 15.0
"""Seconds that a mutant has, beside five times what the tests take without it."""

FOREVER = 3600.0
"""Seconds for the tests of a module as it is."""


@contextmanager
def tree() -> Iterator[Path]:
    """Yield a copy of the tree."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name)
        for entry in ROOT.iterdir():
            if entry.name in COPIED:
                leave = shutil.ignore_patterns("__pycache__")
                shutil.copytree(entry, folder / entry.name, ignore=leave)
            elif entry.name not in (".git", ".hypothesis"):
                (folder / entry.name).symlink_to(entry)
        yield folder


class Place:
    """A copy of the tree in which tests are run, of one mutant at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: asyncio.subprocess.Process | None = None

    async def test(self, tests: tuple[str, ...], limit: float = FOREVER) -> bool:
        """Run tests; return whether all passed, in so many seconds."""
        if self._server is None:
            self._server = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.mutants.server"),
                cwd=self._folder,
                env={
                    **os.environ,
                    "PYTHONPATH": str(self._folder),
                    # A mutant as long as the last one, of the same second, is another.
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "FLISWARM_TEST_LIMIT": "5",
                },
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(f"{limit} {' '.join(tests)}\n".encode())
        ended = (await self._server.stdout.readline()).decode().strip()
        assert ended, "the process that runs the tests has ended"
        return ended == "0"

    async def lives(
        self, file: str, mutant: Mutant, tests: tuple[str, ...], limit: float
    ) -> bool:
        """Return whether no test sees a mutant."""
        path = self._folder / file
        whole = path.read_text("utf-8")
        path.write_text(mutant.source, "utf-8")
        try:
            return await self.test(tests, limit)
        finally:
            path.write_text(whole, "utf-8")

    async def close(self) -> None:
        """End."""
        if self._server is not None:
            assert self._server.stdin is not None
            self._server.stdin.close()
            await self._server.wait()


@dataclass(frozen=True, slots=True)
class Trial:
    """A module's mutants, and the tests that are to see them."""

    file: str
    mutants: tuple[Mutant, ...]
    tests: tuple[str, ...]

    async def survivors(self, places: asyncio.Queue[Place]) -> list[Mutant]:
        """Return the mutants that no test sees."""
        place = await places.get()
        began = time.monotonic()
        if not await place.test(self.tests):
            sys.exit(f"{self.file}: its tests fail as it is: {' '.join(self.tests)}")
        limit = LIMIT + 5 * (time.monotonic() - began)
        places.put_nowait(place)

        async def lives(mutant: Mutant) -> bool:
            place = await places.get()
            alive = await place.lives(self.file, mutant, self.tests, limit)
            places.put_nowait(place)
            return alive

        lived = await asyncio.gather(*map(lives, self.mutants))
        return [m for m, alive in zip(self.mutants, lived, strict=True) if alive]


def trials(names: list[str]) -> Iterator[Trial]:
    """Yield what is to be tried."""
    tests = modules()
    for file in tests:
        if not names or any(name in file for name in names):
            source = (ROOT / file).read_text("utf-8")
            hand = [change.mutant() for change in by_hand() if change.file == file]
            yield Trial(file, (*mutants(source), *hand), tests[file])


async def main(names: list[str]) -> None:
    """Try all, and print what lives."""
    async with AsyncExitStack() as stack:
        places: asyncio.Queue[Place] = asyncio.Queue()
        for _ in range(os.cpu_count() or 1):
            place = Place(stack.enter_context(tree()))
            stack.push_async_callback(place.close)
            places.put_nowait(place)
        for trial in trials(names):
            began = time.monotonic()
            lived = await trial.survivors(places)
            count = len(trial.mutants)
            seconds = time.monotonic() - began
            seen = f"{count - len(lived)} of {count} seen"
            print(f"{trial.file:<36}{seen:>16}{seconds:6.0f} s", flush=True)
            for mutant in lived:
                print(f"  {mutant}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
