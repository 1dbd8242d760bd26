"""Updates and their tables, by the program, at a controller with its sockets."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from tests.unit.support.releasing import TWO, releasing
from tests.unit.support.wait import until


async def run(socket: Path, *words: str) -> tuple[int | None, str]:
    """Run the program; return its exit code and what it printed."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("FLISWARM")}
    state = {"STATE_DIRECTORY": str(socket.parent), "COLUMNS": "250"}
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "fliswarm", *words),
        stdout=asyncio.subprocess.PIPE,
        env={**own, **state, "FLISWARM_HOST": f"unix://{socket}"},
    )
    out, _ = await program.communicate()
    return program.returncode, out.decode()


async def test_an_update_by_the_program(tmp_path: Path) -> None:
    socket = tmp_path / "c.sock"
    async with releasing(tmp_path / "state", 2) as site:
        serving = asyncio.create_task(site.service.run(socket))
        await until(socket.exists, "the control socket")
        code, out = await run(socket, "releases")
        assert (code, "There is no release yet" in out) == (0, True)
        site.publish(TWO)
        code, out = await run(socket, "update", "--monitor", "0")
        assert (code, site.has) == (0, {"gfa1": "two", "gfa2": "two"})
        assert "update, turn 1 of 2, the canary: gfa1" in out
        code, out = await run(socket, "releases")
        assert code == 0
        first, second = (line for line in out.splitlines() if "flicamera" in line)
        assert "digest-one" in first
        assert "gfa" not in first
        assert "digest-two" in second
        assert "done" in second
        assert "gfa1, gfa2" in second
        code, out = await run(socket, "releases", "--json")
        rows = [json.loads(line) for line in out.splitlines()]
        assert [(r["number"], r["nodes"]) for r in rows] == [
            (1, []),
            (2, ["gfa1", "gfa2"]),
        ]
        code, out = await run(socket, "status", "--json")
        shown = [json.loads(line) for line in out.splitlines()]
        assert [(v["release"], v["release_wanted"]) for v in shown] == [(2, 2), (2, 2)]
        assert code == 0
        site.computer("gfa1").temperature = None
        code, out = await run(socket, "rollback", "--monitor", "0")
        assert code == 4
        assert "The rollback stopped at gfa1; back to what they had: gfa1" in out
        assert site.has == {"gfa1": "two", "gfa2": "two"}
        code, out = await run(socket, "rollback", "9")
        assert (code, "there is no release 9" in out) == (2, True)
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
