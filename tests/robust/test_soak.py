"""A long night in a minute: nothing grows, and nothing is left over."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from tests.robust.conftest import Note
from tests.robust.program import Program, running, swarm
from tests.robust.user import User
from tests.unit.support.wait import until

TALKS = int(os.environ.get("FLISWARM_SOAK", "20000"))
"""How many commands are given."""

USERS = 8

UNDER_WAY = 16
"""Commands that each user has under way."""

DEATHS = 100
"""How often a camera dies in a command, and comes back."""

CAMERAS = tuple(f"gfa{number}" for number in range(1, 8))


async def test_soak(tmp_path: Path, note: Note) -> None:
    with swarm(*CAMERAS) as ports, running(tmp_path, ports) as program:
        users = [await User.connect(program.port) for _ in range(USERS)]
        for name in CAMERAS:
            while (await users[0].command(f"talk --strict -n {name} x")).code != ":":
                await asyncio.sleep(0.05)
        descriptors, threads = program.descriptors, program.threads
        began, processor = time.monotonic(), program.processor
        left = iter(range(TALKS))
        memory: list[float] = []
        codes = {":": 0, "f": 0}
        worst = 0.0

        async def talk(user: User) -> None:
            nonlocal worst
            for number in left:
                if number % (TALKS // DEATHS) == TALKS // DEATHS - 1:
                    text = f"talk -n {CAMERAS[number % 7]} die 0.05"
                elif number % 10 == 0:
                    text = f"talk all {number}"
                elif number % 101 == 0:
                    text = "status"
                else:
                    text = f"talk -n {CAMERAS[number % 7]} hello {number}"
                ended = await user.command(text)
                codes[ended.code] += 1
                worst = max(worst, ended.seconds)
                if number % (TALKS // 10) == 0:
                    memory.append(program.memory)

        await asyncio.gather(*(talk(user) for user in users for _ in range(UNDER_WAY)))
        seconds = time.monotonic() - began
        used = program.processor - processor
        for name in CAMERAS:
            while (await users[0].command(f"talk --strict -n {name} x")).code != ":":
                await asyncio.sleep(0.05)
        memory.append(program.memory)
        for user in users[1:]:
            await user.close()
        await settled(program, descriptors - USERS + 1)
        # A command's number is free for the next one: nothing has been forgotten.
        assert all(set(user.ends.values()) == {1} for user in users)
        await users[0].close()
        left_threads, left_descriptors = program.threads, program.descriptors
    assert sum(codes.values()) == TALKS
    assert codes["f"] >= DEATHS
    assert memory[-1] - memory[2] < 3, memory
    assert left_threads <= threads
    note(
        "soak",
        talks=TALKS,
        seconds=seconds,
        per_s=TALKS / seconds,
        processor_s=used,
        failed=codes["f"],
        worst_ms=worst * 1000,
        mb_at_20=memory[2],
        mb_at_end=memory[-1],
        descriptors=left_descriptors,
        threads=left_threads,
    )


async def settled(program: Program, descriptors: int) -> None:
    """Return when no more descriptors are open than there were."""
    what = f"{descriptors} descriptors"
    await until(lambda: program.descriptors <= descriptors, what)
