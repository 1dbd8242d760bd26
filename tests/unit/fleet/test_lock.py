"""One hand at a time: who has which nodes, and when somebody else gets them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from fliswarm.errors import EXIT_BUSY, LockedError
from fliswarm.fleet.lock import Hold, Locks, Waiting
from fliswarm.model.facts import Fact, Locked, Unlocked
from tests.unit.support.wait import LIMIT, until


class Room:
    """The locks of a fleet, and what was told of them."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.locks = Locks(self.facts.append)

    async def refused(self, hold: Hold, key: str = "", wait: float | None = 0) -> str:
        """Return why a lock is not to be had."""
        with pytest.raises(LockedError) as caught:
            async with self.locks.holding(hold, key, Waiting(wait)):
                pytest.fail("it is held twice")
        assert caught.value.exit_code == EXIT_BUSY
        return str(caught.value)

    async def free(self, hold: Hold, key: str = "") -> None:
        """Take a lock, and let go of it."""
        async with self.locks.holding(hold, key):
            pass


@pytest.fixture
def room() -> Room:
    """Return locks of which nobody has one."""
    return Room()


def command(*nodes: str, computers: bool = True) -> Hold:
    return Hold("bob", "actor protocol", "reconnect", nodes, computers=computers)


def kept(*nodes: str) -> Hold:
    return Hold("alice", "control socket", "new cables", nodes, kept=True)


async def test_the_second_is_told_who_since_when_why_and_what(room: Room) -> None:
    hold = command("gfa1", "gfa2")
    since = hold.since.strftime("%Y-%m-%d %H:%M:%S UTC")
    async with room.locks.holding(hold):
        assert await room.refused(command("gfa2", "gfa3")) == (
            f"gfa2: held by bob (actor protocol) since {since}: reconnect. "
            "Remedy: wait (--wait SECONDS)"
        )
        why = await room.refused(command("gfa1", "gfa2"), wait=0.01)
        assert why.startswith("gfa1, gfa2: held by bob")
        assert ": reconnect, still after 0.01 s. Remedy: " in why
    await room.free(command("gfa2", "gfa3"))
    assert room.locks.holds == []
    # Commands come and go: they are told as changes of their nodes.
    assert room.facts == []


async def test_what_is_kept_is_told_and_may_be_broken(room: Room) -> None:
    async with room.locks.holding(kept("gfa1")):
        assert "Remedy: ask them, or wait (--wait SECONDS), or fliswarm lock break" in (
            await room.refused(command("gfa1"))
        )
        # Who cannot wait is not told to.
        why = await room.refused(command("gfa1", computers=False), wait=None)
        assert "Remedy: ask them, or fliswarm lock break --reason WHY" in why
    assert [type(fact) for fact in room.facts] == [Locked, Unlocked]


async def test_other_nodes_go_beside_each_other(room: Room) -> None:
    async with room.locks.holding(command("gfa1")), room.locks.holding(kept("gfa2")):
        await room.free(command("gfa3"))
        await room.free(kept("gfa3"))
        assert [hold.nodes for hold in room.locks.holds] == [("gfa1",), ("gfa2",)]


@pytest.mark.parametrize(
    ("held", "asked", "refused"),
    [
        (command("gfa1"), command("gfa1"), True),
        (command("gfa1"), kept("gfa1"), True),
        (kept("gfa1"), command("gfa1"), True),
        (kept("gfa1"), kept("gfa1"), True),
        # Who is commanded may be said while computers are changed, and the other way.
        (command("gfa1"), command("gfa1", computers=False), False),
        (command("gfa1", computers=False), command("gfa1"), False),
        (command("gfa1", computers=False), kept("gfa1"), False),
        (kept("gfa1"), command("gfa1", computers=False), True),
    ],
)
async def test_who_keeps_whom_away(
    room: Room, held: Hold, asked: Hold, refused: bool
) -> None:
    async with room.locks.holding(held):
        if refused:
            await room.refused(asked)
        else:
            await room.free(asked)


async def test_a_key_lets_pass(room: Room) -> None:
    mine, theirs = kept("gfa1"), kept("gfa2")
    async with room.locks.holding(mine), room.locks.holding(theirs):
        await room.free(command("gfa1"), mine.key)
        await room.free(command("gfa3"), mine.key)
        assert "held by alice" in await room.refused(command("gfa2"), mine.key)
        # Within it, too, one hand at a time.
        async with room.locks.holding(command("gfa1"), mine.key):
            assert "held by bob" in await room.refused(command("gfa1"), mine.key)
    why = await room.refused(command("gfa1"), mine.key)
    assert "is held no more. Remedy: look who has the fleet now" in why
    assert mine.key not in repr(mine)


async def test_it_is_waited_for(room: Room) -> None:
    whom: list[str] = []
    got: list[str] = []

    async def wait(name: str) -> None:
        hold = Hold(name, "door", "why", ("gfa1",))
        async with room.locks.holding(hold, "", Waiting(LIMIT, whom.append)):
            got.append(name)
            await asyncio.sleep(0)

    async with room.locks.holding(kept("gfa1")):
        tasks = [asyncio.create_task(wait(name)) for name in ("carol", "dan")]
        await until(lambda: len(whom) == 2)
        assert not got
    await asyncio.gather(*tasks)
    # In the order in which they came, and told once.
    assert got == ["carol", "dan"]
    assert all(text.startswith("gfa1: held by alice (control") for text in whom)
    assert len(whom) == 2


async def test_nobody_waits_any_more(room: Room) -> None:
    gone = False
    async with room.locks.holding(kept("gfa1")):
        waiting = Waiting(LIMIT, nobody=lambda: gone)
        task = asyncio.create_task(
            room.locks.holding(command("gfa1"), "", waiting).__aenter__()
        )
        await asyncio.sleep(0)
        gone = True
        with pytest.raises(LockedError):
            await task


async def test_who_waits_may_be_cancelled(room: Room) -> None:
    async with room.locks.holding(kept("gfa1")):
        task = asyncio.create_task(
            room.locks.holding(command("gfa1"), "", Waiting(LIMIT)).__aenter__()
        )
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(room.locks.holds) == 1
    await room.free(command("gfa1"))


async def test_it_is_broken(room: Room) -> None:
    def broken(nodes: Sequence[str]) -> list[str]:
        found = room.locks.break_(nodes, "bob", "she is asleep")
        return [hold.who for hold in found]

    async with (
        room.locks.holding(kept("gfa1", "gfa2")) as gone,
        room.locks.holding(kept("gfa3")),
        room.locks.holding(command("gfa4")),
    ):
        assert broken(["gfa5"]) == []
        assert broken(["gfa2"]) == ["alice"]
        assert gone.result() == "this lock was broken by bob: she is asleep"
        await room.free(command("gfa1"))
        assert broken(["gfa2"]) == []
        # A command that is under way is no lock that somebody keeps.
        assert broken(["gfa4"]) == []
        assert "held by" in await room.refused(command("gfa3"))
    said = [f for f in room.facts if isinstance(f, Unlocked)]
    assert [(f.by, f.reason, f.nodes) for f in said] == [
        ("bob", "she is asleep", ("gfa1", "gfa2")),
        ("alice", "", ("gfa3",)),
    ]


async def test_an_error_lets_go(room: Room) -> None:
    with pytest.raises(RuntimeError):
        async with room.locks.holding(kept("gfa1")):
            raise RuntimeError
    assert room.locks.holds == []
