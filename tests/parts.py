"""Run the parts of ``make test`` or, with ``--short``, of ``make short``.

``python -m tests.parts [--short] MAKE [VARIABLE=VALUE ..]``

Each part is a target of the Makefile. Its lines are printed as they come, after the
part's name; what each part took, and what failed once, is told at the end.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from dataclasses import dataclass, field

STAGES: tuple[tuple[str, ...], ...] = (
    # The lab waits for the network. With it comes the engine that the next ones start.
    ("lint", "lab"),
    # Tests that mostly wait, many at a time: nothing heavy runs beside them.
    ("unit",),
    ("behaviour",),
    # The fleet waits for its hosts, the checks of the collection for the processor.
    ("integration", "collection"),
    ("molecule",),
)
"""Parts of a stage run beside each other, the stages one after the other."""

SHORT: tuple[tuple[str, ...], ...] = (("lint", "lab"), ("unit",), ("molecule",))
"""What tells whether another pair of Python and ansible-core does as well."""

MODEST = frozenset({"collection"})
"""Parts that leave the processor to the one beside them."""

LINE_LIMIT = 2**24
"""Bytes of the longest line that a part may print."""

_AGAIN = re.compile(r"RERUN \S")
"""What pytest and `tests.scenarios` print of what failed once."""


@dataclass
class Part:
    """A target of the Makefile, and how it went."""

    name: str
    code: int | None = None
    seconds: float = 0.0
    again: list[str] = field(default_factory=list)

    async def run(self, make: list[str]) -> None:
        """Run it to its end."""
        words = [*make, "--no-print-directory", self.name]
        if self.name in MODEST:
            words = ["nice", *words]
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LINE_LIMIT,
        )
        assert process.stdout is not None
        async for line in process.stdout:
            self.heard(line.decode(errors="replace").rstrip())
        self.code = await process.wait()
        self.seconds = time.monotonic() - began

    def heard(self, line: str) -> None:
        """Print a line, and keep it when it tells of a second try."""
        print(f"{self.name:>11} | {line}", flush=True)
        if _AGAIN.match(line):
            self.again.append(line)

    @property
    def told(self) -> str:
        """How it went, in a line."""
        how = {None: "not run", 0: "ok"}.get(self.code, "FAILED")
        return f"{self.name:<12}{how:<8}{self.seconds:6.0f} s"


def summary(parts: list[Part], seconds: float) -> str:
    """Return what is told at the end."""
    lines = ["", *(part.told for part in parts), f"{'all':<20}{seconds:6.0f} s"]
    again = [f"  {part.name}: {line}" for part in parts for line in part.again]
    if again:
        lines += ["", "FAILED ONCE AND TRIED AGAIN, each a fault to mend:", *again]
    return "\n".join(lines)


async def main(make: list[str], wanted: tuple[tuple[str, ...], ...] = STAGES) -> bool:
    """Run all parts, and return whether all passed.

    What fails in the first stage ends it: without the lab there is nothing to run, and
    what the checks find is mended before anything else.
    """
    began = time.monotonic()
    stages = [[Part(name) for name in names] for names in wanted]
    for stage in stages:
        await asyncio.gather(*(part.run(make) for part in stage))
        if stage is stages[0] and any(part.code for part in stage):
            break
    parts = [part for stage in stages for part in stage]
    print(summary(parts, time.monotonic() - began), flush=True)
    return all(part.code == 0 for part in parts)


if __name__ == "__main__":
    words = sys.argv[1:]
    short = words[:1] == ["--short"]
    passed = asyncio.run(main(words[short:], SHORT if short else STAGES))
    sys.exit(not passed)
