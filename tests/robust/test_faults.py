"""What each fault does to the command, to other users, and to the fleet after it."""

from __future__ import annotations

import ast
import asyncio
import json
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from pathlib import Path

import pytest

import fliswarm
from tests.robust.conftest import Note
from tests.robust.program import Program, running, swarm
from tests.robust.user import Ended, User, Wire
from tests.unit.support.camera import Answer, RawCamera, line, obedient
from tests.unit.support.site import free_port
from tests.unit.support.wait import LIMIT, until, wait_until

WITNESS = Path(__file__).with_name("witness.py")

SILENCE = 21.0
"""Seconds in which a silent camera is found out: 15, seen by a look every 5."""

SERVED = 1000.0
"""Milliseconds that another user's command may take meanwhile.

It takes one to ten, which `make bench` measures. This is far from that, and further
from the seconds that a fault lasts: how busy the machine is does not matter here.
"""

AT_ONCE = 10.0
"""Seconds within which what waits for nobody has happened, on a busy machine.

What would have to wait instead waits for `SILENCE`, or for an exposure.
"""

BURST = 3000

GARBAGE = "not understood from the camera"
"""What is said of lines that are no replies."""

SEVEN = tuple(f"gfa{number}" for number in range(2, 9))

Figures = dict[str, float]

Fault = Callable[[RawCamera, int], None]
"""What a camera does at the command ``fault``, which has this number."""


@pytest.fixture(scope="module")
def good() -> Iterator[dict[str, int]]:
    """Yield the ports of cameras that are never at fault."""
    with swarm(*SEVEN) as ports:
        yield ports


@pytest.fixture(scope="module")
def apart() -> Iterator[dict[str, int]]:
    """Yield the port of a camera whose process does nothing else."""
    with swarm("fvc") as ports:
        yield ports


@contextmanager
def witness(program: Program, node: str = "fvc") -> Iterator[Figures]:
    """Let another user talk to a good camera all the while; yield its figures."""
    figures: Figures = {}
    process = subprocess.Popen(
        [sys.executable, str(WITNESS), str(program.port), node],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield figures
    finally:
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 0, "the other user's connection ended"
    figures.update(json.loads(told))
    assert not figures["failed"]
    assert figures["count"]


def fair(seconds: float) -> float:
    """Return the milliseconds for another's command while a flood lasts so long."""
    return max(SERVED, seconds * 1000 / 2)


@asynccontextmanager
async def user_of(program: Program, *nodes: str) -> AsyncIterator[User]:
    """Yield a user, once the cameras of these nodes are there."""
    user = await User.connect(program.port)
    try:
        for node in nodes:
            await healed(user, node)
        yield user
        assert user.connected
        assert set(user.ends.values()) <= {1}, "a command ended twice"
    finally:
        await user.close()


async def healed(user: User, node: str, limit: float = LIMIT) -> float:
    """Return the seconds until a node's camera does what it is told."""
    began = time.monotonic()
    while (await user.command(f"talk --strict -n {node} hello")).code != ":":
        assert time.monotonic() - began < limit, f"{node} is not back"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


@asynccontextmanager
async def playing(answer: Answer) -> AsyncIterator[RawCamera]:
    """Yield a camera that answers so."""
    camera = await RawCamera(answer).start()
    try:
        yield camera
    finally:
        await camera.close()


def answering(faulty: Fault) -> AbstractAsyncContextManager[RawCamera]:
    """Return a camera that behaves, but for the command ``fault``."""

    def answer(camera: RawCamera, number: int, body: str) -> None:
        if body == "fault":
            camera.send(line(number, ">"))
            faulty(camera, number)
        else:
            obedient(camera, number, body)

    return playing(answer)


# A camera that fails in a command


def hangs_up(camera: RawCamera, _: int) -> None:
    camera.hang_up()


def resets(camera: RawCamera, _: int) -> None:
    for writer in camera._writers:
        connection = writer.get_extra_info("socket")
        reset = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        writer.transport.abort()


def works_on(_: RawCamera, __: int) -> None:
    """Do not end the command."""


def half_a_line(camera: RawCamera, number: int) -> None:
    camera.send(line(number, "i", text="x")[:-20])
    camera.hang_up()


@pytest.mark.parametrize("fault", [hangs_up, resets, half_a_line])
async def test_camera_is_lost_in_a_command(
    fault: Fault,
    apart: dict[str, int],
    tmp_path: Path,
    note: Note,
) -> None:
    async with answering(fault) as camera:
        with running(tmp_path, {"gfa1": camera.port, **apart}) as program:
            async with user_of(program, "gfa1", "fvc") as user:
                with witness(program) as others:
                    ended = await user.command("talk -n gfa1 fault")
                    back = await healed(user, "gfa1")
                    both = await user.command("talk hello")
    assert ended.code == "f"
    assert any("gfa1: connection lost" in reply for reply in ended.replies)
    assert ended.seconds < AT_ONCE
    assert back < AT_ONCE
    assert both.code == ":"
    assert others["worst_ms"] < SERVED
    note(f"camera {fault.__name__}", ended_s=ended.seconds, healed_s=back, **others)


async def test_camera_says_nothing(
    apart: dict[str, int], tmp_path: Path, note: Note
) -> None:
    mute = False

    def answer(camera: RawCamera, number: int, body: str) -> None:
        if not mute:
            obedient(camera, number, body)

    async with playing(answer) as camera:
        with running(tmp_path, {"gfa1": camera.port, **apart}) as program:
            async with user_of(program, "gfa1", "fvc") as user:
                with witness(program) as others:
                    mute = True
                    ended = await user.command("talk -n gfa1 hello")
                    limited = await user.command("talk -n gfa1 --timeout 0.5 hello")
                    mute = False
                    back = await healed(user, "gfa1")
    assert ended.code == "f"
    assert any("silent" in reply for reply in ended.replies)
    assert limited.code == "f"
    assert limited.seconds < AT_ONCE
    assert others["worst_ms"] < SERVED
    note("camera says nothing", ended_s=ended.seconds, healed_s=back, **others)


async def test_camera_is_silent_but_alive(
    apart: dict[str, int], tmp_path: Path, note: Note
) -> None:
    """A long exposure: the command lasts as long as the camera answers pings."""

    def expose(camera: RawCamera, number: int) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(SILENCE, camera.send, line(number, ":"))

    async with answering(expose) as camera:
        with running(tmp_path, {"gfa1": camera.port, **apart}) as program:
            async with user_of(program, "gfa1") as user:
                ended = await user.command("talk -n gfa1 fault")
        pings = len(camera.asked("ping"))
    assert ended.code == ":"
    assert pings >= 3
    note("exposure longer than the silence limit", ended_s=ended.seconds, pings=pings)


# A camera that says what it should not


def not_json(camera: RawCamera, number: int) -> None:
    camera.send(b"Segmentation fault\n\xff\xfe\x00\n{}\n[]\n{\n")
    camera.send(line(number, ":"))


def long_line(camera: RawCamera, number: int) -> None:
    camera.send(line(number, ":", text="x" * 200_000))


def overlong_line(camera: RawCamera, number: int) -> None:
    camera.send(line(number, "i", text="y" * 5_000_000))
    camera.send(line(number, ":", text="alive"))


def deep_line(camera: RawCamera, number: int) -> None:
    camera.send(b'{"header": ' + b"[" * 400_000 + b"\n")
    camera.send(line(number, ":", text="alive"))


def wrong_ends(camera: RawCamera, number: int) -> None:
    """End commands that are not there, and ours in a way that we do not pass on."""
    for other in (None, 0, -1, number + 1, 10**30):
        camera.send(line(other, ":", text="mine"))
    camera.send(line(number, "!", text="fatal"))
    camera.send(line(number, ":"))


def forged_lines(camera: RawCamera, number: int) -> None:
    data = {"a\n1 9 : b": "\n1 9 : c", "d": ["\n1 9 : e"], "g; h=": "'\\\n1 9 :'"}
    camera.send(line(number, "i", "x\n1 9 : y", **data))
    camera.send(line(number, ":"))


@pytest.mark.parametrize(
    "fault",
    [not_json, long_line, overlong_line, deep_line, wrong_ends, forged_lines],
)
async def test_camera_says_what_it_should_not(
    fault: Fault,
    apart: dict[str, int],
    tmp_path: Path,
    note: Note,
) -> None:
    async with answering(fault) as camera:
        with running(tmp_path, {"gfa1": camera.port, **apart}) as program:
            async with user_of(program, "gfa1", "fvc") as user:
                with witness(program) as others:
                    ended = await user.command("talk -n gfa1 fault")
                    again = await user.command("talk --strict hello")
                assert user.ends[9] == 0
        assert camera.connections == 1
    assert again.code == ":"
    text = "".join(ended.replies)
    assert ("x" * 200_000 in text) == (fault is long_line)
    assert "y" * 1000 not in text
    assert ended.seconds < AT_ONCE
    assert others["worst_ms"] < SERVED
    note(f"camera: {fault.__name__}", ended_s=ended.seconds, **others)


async def test_camera_floods_with_garbage(
    good: dict[str, int], apart: dict[str, int], tmp_path: Path, note: Note
) -> None:
    with running(tmp_path, {**good, **apart}) as program:
        async with user_of(program, "gfa2", "fvc") as user:
            with witness(program) as others:
                # There is much to read: a busy machine takes its time.
                flood = "talk -n gfa2 garbage 500000"
                ended = await user.command(flood, limit=4 * LIMIT)
            told = [text for text in user.broadcasts if GARBAGE in text]
        log = program.log.read_text("utf-8", "replace").splitlines()
    assert ended.code == ":"
    # The first one, and one a second: whatever else is told is not of the flood.
    assert 1 <= len(told) <= 1 + ended.seconds
    # The witness's commands are written down as well, 50 a second.
    logged = [text for text in log if "New command" not in text]
    assert len([text for text in logged if GARBAGE in text]) == len(told)
    assert sum(map(len, logged)) < 100_000
    assert others["worst_ms"] < fair(ended.seconds)
    note("500,000 lines of garbage", ended_s=ended.seconds, **others)


# Users


@pytest.mark.parametrize(
    "text",
    [
        "talk 'x",
        'talk "x',
        "talk -n 'gfa1 x",
        "talk --hel''p",
        "talk '--help' x",
        "talk -n gfa1..1" + "0" * 5000 + " x",
        "talk -n " + "*a" * 200 + " x",
        "talk --timeout nan x",
        "talk --timeout inf x",
        "talk --timeout -1 x",
        "status -n",
        "logs fvc --lines 1" + "0" * 5000,
        "help help help",
        "keyword ''",
        "x" * 60_000,
        "talk " + "'' " * 20_000,
        "simulate a\0b",
        "get-command-model nobody's",
    ],
    ids=lambda text: text[:16],
)
async def test_user_says_what_it_should_not(program: Program, text: str) -> None:
    async with user_of(program) as user:
        first, last = await asyncio.gather(user.command(text), user.command("ping"))
    assert first.seconds < AT_ONCE
    assert last.code == ":"


@pytest.fixture(scope="module")
def program(
    apart: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Program]:
    """Yield a program that several tests share."""
    with running(tmp_path_factory.mktemp("users"), apart) as found:
        yield found


async def test_user_gives_a_time_that_is_none(program: Program) -> None:
    """A limit that is not a number must not confuse everybody's timers."""
    async with user_of(program, "fvc") as user:
        strange = [
            asyncio.create_task(user.command("talk --timeout nan expose 3"))
            for _ in range(40)
        ]
        await asyncio.sleep(0.1)
        limited = await user.command("talk --timeout 0.3 expose 30")
        await asyncio.gather(*strange)
    assert limited.code == "f"
    assert limited.seconds < AT_ONCE


async def test_user_does_not_read(
    good: dict[str, int], apart: dict[str, int], tmp_path: Path, note: Note
) -> None:
    selection = ",".join(SEVEN)
    with running(tmp_path, {**good, **apart}) as program:
        async with user_of(program, *SEVEN, "fvc") as user:
            before = program.memory
            highest = before
            bursts = 0
            with witness(program) as others, Wire(program.port) as deaf:
                deaf.greeting()
                # It is let go when more waits for it than may.
                while "does not read" not in program.said:
                    assert bursts < 40
                    bursts += 1
                    command = f"{bursts} talk -n {selection} burst {BURST}\n"
                    deaf.send(command.encode())
                    for _ in range(5):
                        await asyncio.sleep(0.05)
                        highest = max(highest, program.memory)
            burst = await user.command(f"talk -n {selection} burst {BURST}")
    assert len(burst.replies) > 7 * BURST
    assert highest - before < 60
    assert others["worst_ms"] < SERVED
    note(
        "a user does not read bursts of 7 x 3000 replies",
        bursts=bursts,
        more_mb=highest - before,
        burst_s=burst.seconds,
        **others,
    )


async def test_user_sends_no_newline(program: Program, note: Note) -> None:
    async with user_of(program, "fvc"):
        before = program.memory
        with witness(program) as others:
            for address in (program.port, program.socket):
                with Wire(address) as wire:
                    for _ in range(10):
                        wire.send(b"x" * 1_000_000)
                    wire.send(b"\n7 ping\n")
                    while "Pong" not in (text := wire.line()):
                        assert text, "the connection ended"
        more = program.memory - before
    assert more < 5
    assert others["worst_ms"] < SERVED
    note("10 MB without a newline", more_mb=more, **others)


async def flood(program: Program, commands: bytes, count: int) -> float:
    """Give commands all at once; return the seconds until all have ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", program.port)
    began = time.monotonic()
    writer.write(commands)
    ended: list[bytes] = []
    async with asyncio.timeout(60):
        while len(ended) < count:
            words = (await reader.readline()).split(b" ", 3)
            assert len(words) > 2, f"the connection ended after {len(ended)}"
            if words[1] != b"0" and words[2] in (b":", b"f"):
                ended.append(words[1])
    seconds = time.monotonic() - began
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    assert len(set(ended)) == count
    return seconds


@pytest.mark.parametrize(
    ("command", "count"),
    [
        ("ping", 100_000),
        ("talk -n gfa2 x", 5000),
        ("talk -n gfa2 " + "x " * 30_000, 60),
    ],
    ids=["100,000 pings", "5,000 talks", "60 talks of 60 kB"],
)
async def test_user_sends_a_flood(
    good: dict[str, int],
    apart: dict[str, int],
    tmp_path: Path,
    note: Note,
    command: str,
    count: int,
) -> None:
    commands = "".join(f"{number} {command}\n" for number in range(1, count + 1))
    with running(tmp_path, {**good, **apart}) as program:
        async with user_of(program, "gfa2", "fvc"):
            with witness(program) as others:
                seconds = await flood(program, commands.encode(), count)
    assert others["worst_ms"] < fair(seconds)
    what = f"{len(commands) // count} B {command[:4]}s"
    note(f"a flood of {count} {what}", ended_s=seconds, **others)


async def test_users_words_are_not_kept(program: Program, note: Note) -> None:
    async with user_of(program, "fvc") as user:
        before = program.memory
        for number in range(300):
            words = f"{number} " * (60_000 // len(f"{number} "))
            assert (await user.command(f"talk -n nobody {words}")).code == "f"
        more = program.memory - before
    assert more < 30
    note("300 different commands of 60 kB", more_mb=more)


async def test_users_come_in_crowds(
    good: dict[str, int], apart: dict[str, int], tmp_path: Path, note: Note
) -> None:
    with running(tmp_path, {**good, **apart}) as program:
        async with user_of(program, *SEVEN, "fvc"):
            descriptors, before = program.descriptors, program.memory
            with witness(program) as others:
                began = time.monotonic()
                users = await asyncio.gather(
                    *(User.connect(program.port) for _ in range(200))
                )
                arrived = time.monotonic() - began
                ended: list[Ended] = await asyncio.gather(
                    *(user.command("talk --strict hello", 60) for user in users),
                    *(user.command("status", 60) for user in users),
                )
                served = time.monotonic() - began - arrived
            more = program.memory - before
            await asyncio.gather(*(user.close() for user in users))
            await until(lambda: program.descriptors <= descriptors)
    assert {one.code for one in ended} == {":"}
    # Each arrival is told to all, so that a crowd is work for a moment.
    assert others["worst_ms"] < SERVED
    note(
        "200 users at once, each talk and status",
        arrived_s=arrived,
        ended_s=served,
        more_mb=more,
        **others,
    )


async def test_no_descriptor_is_left(
    apart: dict[str, int], tmp_path: Path, note: Note
) -> None:
    with running(tmp_path, apart, tracebacks=True) as program:
        async with user_of(program, "fvc") as user:
            with limited_descriptors(program, program.descriptors + 20):
                users = 0
                with ExitStack() as wires:
                    # The next one is not served: nothing answers, or it is let go.
                    with suppress(OSError, ValueError):
                        while users < 60:
                            wires.enter_context(Wire(program.port, 0.5)).greeting()
                            users += 1
                    lost = await user.command("talk -n fvc die 0.1")
                back = await healed(user, "fvc")
            assert (await user.command("status")).code == ":"
    assert lost.code == "f"
    assert users < 60
    note("no descriptor left", users=users, ended_s=lost.seconds, healed_s=back)


@contextmanager
def limited_descriptors(program: Program, count: int) -> Iterator[None]:
    """Let the program have so many open descriptors."""
    before = resource.prlimit(program.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(program.pid, resource.RLIMIT_NOFILE, (count, before[1]))
    try:
        yield
    finally:
        resource.prlimit(program.pid, resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("face", ["actor", "control"])
async def test_user_sends_no_more_but_listens(program: Program, face: str) -> None:
    async with user_of(program, "fvc"):
        text = ""
    with Wire(program.port if face == "actor" else program.socket) as wire:
        wire.send(b"1 talk -n fvc expose 0.3\n2 ping\n" + b"3 talk --help\n" * 200)
        wire.socket.shutdown(socket.SHUT_WR)
        while reply := wire.line():
            text += reply + "\n"
    if face == "actor":
        assert " 1 : " in text
        assert " 2 : " in text
        assert text.count(" 3 : ") == 200
    else:
        ends = Counter(
            header["command_id"]
            for header in (json.loads(one)["header"] for one in text.splitlines())
            if header["message_code"] == ":"
        )
        assert ends == {1: 1, 2: 1, 3: 200}


@pytest.mark.parametrize("face", ["actor", "control"])
def test_user_of_events_leaves(program: Program, face: str) -> None:
    before = program.descriptors
    for _ in range(20):
        with Wire(program.port if face == "actor" else program.socket) as wire:
            wire.send(b"1 events\n")
            while not (text := wire.line()).endswith(" 1 > ") and '">"' not in text:
                assert text
    wait_until(lambda: program.descriptors <= before, "no connection is kept")


# The network


class Proxy:
    """A slow line to a camera, which can be cut: then nothing passes or is refused."""

    def __init__(self, target: int, delay: float) -> None:
        self._target = target
        self._delay = delay
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.setblocking(False)
        # The kernel accepts on our behalf; a second connection is not answered.
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._open = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: list[socket.socket] = []
        self._accepting = self._run(self._accept())
        self._open.set()

    def cut(self) -> None:
        """Let nothing through any more, in either direction."""
        self._open.clear()
        self._accepting.cancel()
        # Knocks that nobody answers, so that ours is not answered either.
        for _ in range(2):
            knock = socket.socket()
            knock.setblocking(False)
            knock.connect_ex(("127.0.0.1", self.port))
            self._waiting.append(knock)

    def heal(self) -> None:
        """Let everything through again."""
        for knock in self._waiting:
            knock.close()
        self._open.set()
        self._accepting = self._run(self._accept())

    async def close(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listener.close()

    def _run(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            near = await asyncio.open_connection(sock=connection)
            far = await asyncio.open_connection("127.0.0.1", self._target)
            self._run(self._pass(near[0], far[1]))
            self._run(self._pass(far[0], near[1]))

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while data := await reader.read(65536):
                await asyncio.sleep(self._delay)
                await self._open.wait()
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()


async def test_network_is_slow_then_cut_then_whole(
    good: dict[str, int], apart: dict[str, int], tmp_path: Path, note: Note
) -> None:
    proxy = Proxy(good["gfa2"], 0.2)
    with running(tmp_path, {"gfa2": proxy.port, **apart}) as program:
        async with user_of(program, "gfa2", "fvc") as user:
            with witness(program) as others:
                slow = await user.command("talk --strict hello")
                under_way = asyncio.create_task(user.command("talk -n gfa2 expose 600"))
                await asyncio.sleep(0.5)
                proxy.cut()
                ended = await under_way
                # One connection is accepted by the kernel of a peer that is frozen.
                again = await user.command("talk -n gfa2 hello")
                proxy.heal()
                back = await healed(user, "gfa2")
    await proxy.close()
    assert slow.code == ":"
    assert 0.4 <= slow.seconds < AT_ONCE
    assert ended.code == "f"
    assert again.code == "f"
    assert others["worst_ms"] < SERVED
    note(
        "network: 0.2 s delay, cut, whole",
        slow_s=slow.seconds,
        ended_s=ended.seconds,
        again_s=again.seconds,
        healed_s=back,
        **others,
    )


# Docker Engines


@contextmanager
def strange_engine(answer: bytes, drip: bytes) -> Iterator[int]:
    """Run an engine that accepts, says ``answer``, then ``drip`` ten times a second."""
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(answer)
            while not over.wait(0.1):
                connection.sendall(drip)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=serve, args=(connection,)).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
)


@pytest.mark.parametrize(
    ("answer", "drip"),
    [(b"", b""), (HEAD, b" "), (b"\x00\xff" * 500, b"")],
    ids=["says nothing", "drips", "is no engine"],
)
async def test_docker_engine(
    apart: dict[str, int], tmp_path: Path, note: Note, answer: bytes, drip: bytes
) -> None:
    with strange_engine(answer, drip) as engine:
        program = Program(tmp_path, {"gfa1": free_port(), **apart}, {"gfa1": engine})
        program.start()
        try:
            user = await User.connect(program.port)
            await healed(user, "fvc")
            with witness(program) as others:
                ended = await user.command("status")
            busy = asyncio.create_task(user.command("reconnect -n gfa1"))
            await asyncio.sleep(0.5)
            stopped = await asyncio.to_thread(program.stop)
            told = (await busy).code
            await user.close()
        finally:
            if program.alive:
                program.stop(signal.SIGKILL)
    assert ended.code == ":"
    assert ended.seconds < LIMIT / 2
    assert told == "f"
    assert stopped < AT_ONCE
    assert others["worst_ms"] < SERVED
    kind = "drips" if drip else "is no engine" if answer else "says nothing"
    note(f"engine {kind}", ended_s=ended.seconds, stopped_s=stopped, **others)


# The program itself


async def test_program_is_killed_in_an_exposure(
    apart: dict[str, int], tmp_path: Path, note: Note
) -> None:
    async with answering(works_on) as camera:
        program = Program(tmp_path, {"gfa1": camera.port, **apart})
        program.start()
        try:
            user = await User.connect(program.port)
            await healed(user, "gfa1")
            under_way = asyncio.create_task(user.command("talk -n gfa1 fault", 2))
            await until(lambda: camera.asked("fault"))
            program.stop(signal.SIGKILL)
            with pytest.raises(TimeoutError):
                await under_way
            await user.close()
            # What it leaves behind is in nobody's way.
            assert program.socket.is_socket()
            heard = list(camera.received)
            began = time.monotonic()
            await asyncio.to_thread(program.start)
            started = time.monotonic() - began
            async with user_of(program) as user:
                back = await healed(user, "gfa1")
                await healed(user, "fvc")
            with Wire(program.socket) as wire:
                wire.send(b"1 ping\n")
                assert '">"' in wire.line()
                assert "Pong" in wire.line()
        finally:
            if program.alive:
                program.stop()
    assert [body for _, body in heard if body != "ping"].count("fault") == 1
    assert camera.connections == 2
    await camera.close()
    assert "Traceback" not in program.log.read_text("utf-8")
    note("killed with -9 in an exposure", started_s=started, healed_s=back)


def test_control_socket_that_is_a_file_is_kept(tmp_path: Path) -> None:
    program = Program(tmp_path, {"gfa1": free_port()})
    program.socket.write_text("precious", "utf-8")
    with pytest.raises(AssertionError, match="ended at its start"):
        program.start()
    assert program.socket.read_text("utf-8") == "precious"


def test_a_second_program_leaves_the_first_alone(program: Program) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "fliswarm", "-c", str(program.file)),
            *("start", "--debug"),
        ],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode != 0
    assert "running already" in done.stderr
    with Wire(program.socket) as wire:
        wire.send(b"1 ping\n")
        assert '">"' in wire.line()


async def test_configuration_is_read_twice_at_once(
    good: dict[str, int], apart: dict[str, int], tmp_path: Path
) -> None:
    with running(tmp_path, {**good, **apart}) as program:
        async with user_of(program, *SEVEN, "fvc") as user:
            swapped = {**good, "gfa2": good["gfa3"], "gfa3": good["gfa2"]}
            for ports in ({**swapped, **apart}, apart, good):
                program.write(ports)
                ended = await asyncio.gather(
                    *(user.command("reload") for _ in range(4)),
                    *(user.command("talk hello") for _ in range(4)),
                )
                assert [one.code for one in ended[:4]] == [":"] * 4
            program.write({"gfa1": 1})
            program.file.write_text("nodes: [", "utf-8")
            assert (await user.command("reload")).code == "f"
            await healed(user, "gfa2")


async def test_host_name_that_is_none(apart: dict[str, int], tmp_path: Path) -> None:
    """A name that cannot be looked up is refused, or one node's trouble alone."""
    program = Program(tmp_path, {"gfa1": free_port(), **apart})
    known = program.file.read_text("utf-8")
    name = '"gfa1": {"user": "nobody-at-all", "host": '
    assert name + '"127.0.0.1"' in known
    changed = known.replace(name + '"127.0.0.1"', name + '"sdss..gfa1"')
    program.file.write_text(changed, "utf-8")
    try:
        program.start()
    except AssertionError:
        assert "sdss..gfa1" in program.said
        assert "Traceback" not in program.said
        return
    async with user_of(program, "fvc") as user:
        assert (await user.command("status")).code == ":"
    program.stop()


# The clock

BACKWARDS = """\
import runpy, sys, time
real, start = time.time, time.monotonic()
time.time = lambda: real() - 3600 * (time.monotonic() - start > {after})
sys.argv[0] = "fliswarm"
runpy.run_module("fliswarm", run_name="__main__")
"""


async def test_clock_steps_back(
    apart: dict[str, int], tmp_path: Path, note: Note
) -> None:
    async with answering(works_on) as camera:
        program = Program(tmp_path, {"gfa1": camera.port, **apart})
        program.start(["-c", BACKWARDS.format(after=4)])
        try:
            async with user_of(program, "gfa1", "fvc") as user:
                with witness(program) as others:
                    ended = await user.command("talk -n gfa1 --timeout 5 fault")
                    camera.hang_up()
                    await asyncio.sleep(0.1)
                    back = await healed(user, "gfa1")
        finally:
            program.stop()
    assert ended.code == "f"
    assert 4.9 < ended.seconds < 5 + AT_ONCE
    assert back < AT_ONCE
    assert others["worst_ms"] < SERVED
    note("clock an hour back", ended_s=ended.seconds, healed_s=back, **others)


def test_nothing_depends_on_the_clock() -> None:
    """The wall clock names files and dates what happens; others are compared with it.

    What lasts is measured with the monotonic one.
    """
    allowed = {
        ("daemon.py", "datetime.now"),
        ("fact.py", "datetime.now"),
        ("acts.py", "time.time"),
    }
    package = Path(fliswarm.__file__).parent
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute):
                name = ast.unparse(node)
                if name in ("time.time", "time.time_ns", "datetime.now", "date.today"):
                    assert (file.name, name) in allowed, f"{file}: {name}"
            elif isinstance(node, ast.ImportFrom) and node.module == "time":
                assert {"time", "time_ns"}.isdisjoint(a.name for a in node.names)
