from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from fliswarm.camera import CameraLink, Outcome, Reply
from fliswarm.camera.link import COMPLAINT_PAUSE
from fliswarm.errors import CameraError
from fliswarm.net.link import LINE_LIMIT
from tests.unit.support.camera import GoodCamera, RawCamera, line, silent
from tests.unit.support.site import free_port
from tests.unit.support.wait import until


class Heard:
    """Takes what a link tells."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.broadcasts: list[Reply] = []
        self.changes: list[bool] = []
        self.problems: list[str] = []

    @property
    def texts(self) -> list[object]:
        return [reply.data.get("text") for reply in self.replies]


@asynccontextmanager
async def linked(
    port: int, *, heartbeat: float = 5.0, silence: float = 15.0
) -> AsyncIterator[tuple[CameraLink, Heard]]:
    heard = Heard()
    link = CameraLink(
        "gfa1",
        "127.0.0.1",
        port,
        on_broadcast=heard.broadcasts.append,
        on_change=heard.changes.append,
        on_problem=heard.problems.append,
        heartbeat=heartbeat,
        silence=silence,
        retry=0.05,
    )
    link.start()
    try:
        yield link, heard
    finally:
        await link.close()


@pytest.fixture
async def camera() -> AsyncIterator[RawCamera]:
    camera = await RawCamera().start()
    yield camera
    await camera.close()


# A camera that behaves


async def test_a_command_and_its_replies() -> None:
    camera = await GoodCamera("gfa1").start()
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        exchange = link.send("expose", heard.replies.append)
        assert await exchange.ended is Outcome.DONE
        assert [reply.code for reply in heard.replies] == [">", "i", "i", ":"]
        assert {reply.sender for reply in heard.replies} == {"gfa1"}
        written = {"camera": "gfa1", "filename": "/data/gfa1/x.fits"}
        assert heard.replies[2].data == {"filename": written}
        assert heard.broadcasts == []
        assert heard.changes == [True]
    assert heard.changes == [True, False]
    await camera.close()


async def test_a_command_that_fails() -> None:
    camera = await GoodCamera("gfa1").start()
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        assert await link.send("boom", heard.replies.append).ended is Outcome.FAILED
        assert heard.replies[-1].data == {"error": "boom"}
        assert await link.send("nope", heard.replies.append).ended is Outcome.FAILED
        assert link.up
    await camera.close()


async def test_commands_at_once_have_numbers_of_their_own() -> None:
    camera = await GoodCamera("gfa1").start()
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        slow = link.send("expose 30", heard.replies.append)
        quick = [link.send(f"echo {n}", heard.replies.append) for n in range(5)]
        assert [await e.ended for e in quick] == [Outcome.DONE] * 5
        assert not slow.ended.done()
        numbers = [slow.number, *(e.number for e in quick)]
        assert sorted(numbers) == [1, 2, 3, 4, 5, 6]
    await camera.close()


async def test_a_message_stays_one_line(camera: RawCamera) -> None:
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        await link.send("one\n2 two\r\nthree", heard.replies.append).ended
    assert camera.received == [(1, "one 2 two three")]


# Numbers


async def test_a_number_is_used_again_when_it_is_free(camera: RawCamera) -> None:
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        for _ in range(3):
            await link.send("ping", heard.replies.append).ended
        assert camera.asked("ping") == [1, 1, 1]


async def test_a_late_reply_is_not_taken_for_another_command_s(
    camera: RawCamera,
) -> None:
    camera.answer = silent
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        late = link.send("slow", heard.replies.append)
        link.forget(late)
        assert await late.ended is Outcome.LOST
        other = link.send("other", heard.replies.append)
        assert other.number != late.number
        await until(lambda: camera.asked("other"))
        camera.send(line(late.number, "i", text="late"))
        camera.send(line(late.number, ":"))
        camera.send(line(other.number, ":", text="mine"))
        assert await other.ended is Outcome.DONE
        assert heard.texts == ["mine"]
        assert heard.broadcasts == []
        # Now that the camera has ended it, its number may be used again.
        assert link.send("third", heard.replies.append).number == late.number


# A camera that does not behave


@pytest.mark.parametrize(
    "rubbish",
    [b"this is not JSON\n", b"\xff\xfe\n", b"[]\n", b'{"header": 1}\n', b"[" * 5000],
)
async def test_a_line_that_is_not_understood(camera: RawCamera, rubbish: bytes) -> None:
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        await until(lambda: camera.connections)
        camera.send(rubbish.rstrip(b"\n") + b"\n")
        assert await link.send("ping", heard.replies.append).ended is Outcome.DONE
        assert len(heard.problems) == 1
        assert "not understood from the camera" in heard.problems[0]
        assert heard.changes == [True]


async def test_a_message_without_a_header_is_ignored(camera: RawCamera) -> None:
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        await until(lambda: camera.connections)
        camera.send(b'{"header": {}, "data": {}}\n')
        await link.send("ping", heard.replies.append).ended
        assert (heard.problems, heard.broadcasts) == ([], [])


async def test_replies_to_nobody_are_told_to_all(camera: RawCamera) -> None:
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        await until(lambda: camera.connections)
        for number in (None, 0, 77):
            camera.send(line(number, "i", text=f"to {number}"))
        await link.send("ping", heard.replies.append).ended
        told = [reply.data["text"] for reply in heard.broadcasts]
        assert told == ["to None", "to 0", "to 77"]


async def test_a_long_line_passes(camera: RawCamera) -> None:
    text = "x" * 200_000
    camera.answer = lambda c, number, _: c.send(line(number, ":", text=text))
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        assert await link.send("ping", heard.replies.append).ended is Outcome.DONE
        assert heard.texts == [text]


async def test_a_line_over_the_limit_is_dropped_and_the_link_lives(
    camera: RawCamera,
) -> None:
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        await until(lambda: camera.connections)
        camera.send(line(None, "i", text="x" * LINE_LIMIT))
        assert await link.send("ping", heard.replies.append).ended is Outcome.DONE
        assert heard.broadcasts == []
        assert len(heard.problems) == 1
        assert f"over {LINE_LIMIT} bytes" in heard.problems[0]
        assert heard.changes == [True]


async def test_a_line_in_many_pieces(camera: RawCamera) -> None:
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        await until(lambda: camera.connections)
        for byte in line(None, "i", text="é"):
            camera.send(bytes([byte]))
            await asyncio.sleep(0)
        await until(lambda: heard.broadcasts)
        assert heard.broadcasts[0].data == {"text": "é"}


# Links that break


async def test_the_end_of_a_connection_ends_its_commands(camera: RawCamera) -> None:
    camera.answer = silent
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        exchanges = [link.send("expose 30", heard.replies.append) for _ in range(2)]
        await until(lambda: len(camera.received) == 2)
        camera.hang_up()
        assert [await e.ended for e in exchanges] == [Outcome.LOST] * 2
        assert {e.problem for e in exchanges} == {"connection lost"}
        await link.wait_up()
        await until(lambda: camera.connections == 2)
        assert heard.changes == [True, False, True]
        # The new connection starts anew.
        assert link.send("ping", heard.replies.append).number == 1


async def test_a_forgotten_command_does_not_break_the_end(camera: RawCamera) -> None:
    camera.answer = silent
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        link.forget(link.send("expose 30", heard.replies.append))
        other = link.send("expose 30", heard.replies.append)
        await until(lambda: camera.connections)
        camera.hang_up()
        assert await other.ended is Outcome.LOST


async def test_a_camera_that_comes_late_and_comes_back() -> None:
    port = free_port()
    async with linked(port) as (link, heard):
        await until(lambda: "refused" in link.problem, "the first attempt")
        assert not link.up
        with pytest.raises(CameraError, match=r"gfa1: camera not connected: .*refused"):
            link.send("ping", heard.replies.append)
        camera = await RawCamera().start(port)
        await until(lambda: link.up)
        # The kernel has accepted; a camera that has not yet has nothing to break.
        await until(lambda: camera.connections)
        await camera.close()
        await until(lambda: not link.up)
        await until(lambda: "refused" in link.problem)
        camera = await RawCamera().start(port)
        await until(lambda: link.up and camera.connections)
        assert await link.send("ping", heard.replies.append).ended is Outcome.DONE
        assert heard.changes == [True, False, True]
        await camera.close()


async def test_a_link_that_was_not_started_is_down() -> None:
    link = CameraLink("gfa1", "127.0.0.1", free_port())
    with pytest.raises(CameraError, match="not connected yet"):
        link.send("ping", lambda _: None)
    await link.close()
    assert not link.up


async def test_a_closed_link_ends_its_commands(camera: RawCamera) -> None:
    camera.answer = silent
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        exchange = link.send("expose 30", heard.replies.append)
    assert await exchange.ended is Outcome.LOST
    assert not link.up
    with pytest.raises(CameraError):
        link.send("ping", heard.replies.append)


async def test_a_dropped_link_says_why_and_comes_back(camera: RawCamera) -> None:
    camera.answer = silent
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        exchange = link.send("expose 30", heard.replies.append)
        link.drop("the container is being replaced")
        assert await exchange.ended is Outcome.LOST
        assert exchange.problem == "the container is being replaced"
        await until(lambda: camera.connections == 2)


# Silence


async def test_a_silent_camera_is_asked_and_then_given_up(camera: RawCamera) -> None:
    camera.answer = silent
    async with linked(camera.port, heartbeat=0.02, silence=0.1) as (link, heard):
        await link.wait_up()
        exchange = link.send("expose 30", heard.replies.append)
        assert await exchange.ended is Outcome.LOST
        assert exchange.problem is not None
        assert exchange.problem.startswith("silent for")
        assert camera.asked("ping")
        await until(lambda: camera.connections == 2)


async def test_a_camera_that_answers_pings_may_take_its_time(
    camera: RawCamera,
) -> None:
    def busy(camera: RawCamera, number: int, body: str) -> None:
        if body == "ping":
            camera.send(line(number, ":", text="Pong."))

    camera.answer = busy
    async with linked(camera.port, heartbeat=0.02, silence=0.2) as (link, heard):
        await link.wait_up()
        exchange = link.send("expose 30", heard.replies.append)
        # Twenty heartbeats are twice the silence that breaks a link.
        await until(lambda: len(camera.asked("ping")) > 20)
        assert not exchange.ended.done()
        camera.send(line(exchange.number, ":", text="done"))
        assert await exchange.ended is Outcome.DONE
        # The pings are nobody's business.
        assert heard.texts == ["done"]
        assert heard.broadcasts == []
        assert camera.connections == 1


async def test_a_camera_that_does_not_read_is_not_fed_for_ever() -> None:
    reading, ended = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reading.wait()
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        ended.set()

    # A stream stops reading its socket at twice its limit.
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1)
    port = server.sockets[0].getsockname()[1]
    async with linked(port) as (link, _):
        await link.wait_up()
        with pytest.raises(CameraError, match="does not read its commands"):
            for _ in range(2000):
                link.send("x" * 100_000, lambda _: None)
        reading.set()
    await ended.wait()
    server.close()


async def test_who_is_a_camera_that_has_a_name() -> None:
    """Whatever holds the port counts when it says that it is this camera."""
    said = [line(1, ":", "gfa9"), b"rubbish\n", b'{"header": {}}\n']

    def answer(camera: RawCamera, number: int, _: str) -> None:
        camera.send(said[0] if said else line(number, ":", "gfa1"))

    camera = await RawCamera(answer).start()
    link = CameraLink("gfa1", "127.0.0.1", camera.port, actor="gfa1", heartbeat=0.02)
    link.start()
    problem = "what answers there says that it is gfa9"
    await until(lambda: link.stranger == problem, "a stranger")
    assert (link.up, link.problem) == (False, problem)
    for _ in range(2):
        asked = len(camera.received)
        del said[0]
        await until(lambda asked=asked: len(camera.received) > asked + 2)  # type: ignore[misc]
        assert not link.up
    del said[0]
    await until(lambda: link.up, "the camera")
    assert link.stranger is None
    await link.close()
    await camera.close()


async def test_a_flood_of_rubbish_is_told_once_in_a_while(camera: RawCamera) -> None:
    async with linked(camera.port) as (link, heard):
        await link.wait_up()
        await until(lambda: camera.connections)
        camera.send(b"x\n" * 5)
        await until(lambda: link._unsaid == 4, "the others are counted")
        assert heard.problems == ["not understood from the camera: 'x'"]
        link._complained -= COMPLAINT_PAUSE
        camera.send(b"y\n")
        await until(lambda: len(heard.problems) == 2)
        assert heard.problems[1].endswith("'y' (and 4 lines before)")
        link._complained -= COMPLAINT_PAUSE
        camera.send(b"z\n")
        await until(lambda: len(heard.problems) == 3)
        assert heard.problems[2].endswith("'z'")
