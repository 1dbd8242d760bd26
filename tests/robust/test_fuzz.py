"""Whatever comes in by any door, commands end once, and nobody else is troubled."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fliswarm.faces.actor import wire
from tests.robust.program import Program, running, swarm
from tests.robust.user import ENDS, LINE, Wire
from tests.unit.support.camera import line as said
from tests.unit.support.wait import wait_until

LIMIT = 60.0
"""Seconds for a command to end."""

MARKER = 10**18 - 1
"""Number of the command that tells that all before it has been read."""

bounded = settings(
    max_examples=int(os.environ.get("FLISWARM_FUZZ", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

WORDS = st.sampled_from(
    [
        "ping",
        "version",
        "help",
        "status",
        "talk",
        "reconnect",
        "remove",
        "enable",
        "disable",
        "logs",
        "reload",
        "get_schema",
        "keyword",
        "get-command-model",
        "tron-reconnect",
        "-n",
        "-c",
        "-x",
        "--names",
        "--all",
        "--force",
        "--dry-run",
        "--detail",
        "--strict",
        "--timeout",
        "--lines",
        "--help",
        "--",
        "gfa1",
        "gfa2",
        "gfa1..2",
        "gfa*",
        "*",
        "fvc",
        "gfa",
        "0",
        "1",
        "-1",
        "0.05",
        "1e400",
        "nan",
        "inf",
        "expose",
        "burst",
        "die",
        "text",
        "error",
        "'",
        '"',
        "''",
        "\\",
        ";",
        "=",
        ",",
        "#",
        "~",
        ".",
        "[",
        "]",
        "[b-a]",
        "{}",
        "$HOME",
        "`id`",
    ]
)

BODIES = st.lists(WORDS | st.text(max_size=8), min_size=1, max_size=8).map(" ".join)

COMMANDS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "APO.gfa ", ".a ", "a. "]),
    st.integers(0, 99).map("{} ".format) | st.sampled_from(["", "7 0 ", "07 ", "-1 "]),
    BODIES,
)

LINES = st.lists(
    COMMANDS.map(lambda text: text.replace("\n", " ").encode())
    | st.binary(max_size=60),
    max_size=8,
).map(b"\n".join)

SAFE = LINES.filter(lambda data: b"reboot" not in data and b"simulate" not in data)
"""No `reboot`, for it would be this computer's, nothing that goes on by itself."""


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    with swarm("gfa1", "gfa2") as found:
        yield found


@pytest.fixture(scope="module")
def program(
    ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Program]:
    with running(tmp_path_factory.mktemp("fuzz"), ports) as found:
        yield found


@pytest.fixture(scope="module")
def witness(program: Program) -> Iterator[Wire]:
    """Yield a user who has been there all the time."""
    with Wire(program.port, LIMIT) as user:
        user.greeting()
        yield user


def served(witness: Wire) -> None:
    """Check that a user is served as before, and make the fleet whole again."""
    for number, body in enumerate(("enable --all", "ping"), 1):
        witness.send(b"%d %s\n" % (number, body.encode()))
        while not (text := witness.line()).partition(" ")[2].startswith(f"{number} :"):
            assert text, "the connection of another user has ended"
            assert LINE.fullmatch(text), text


def collect(
    read: Callable[[], tuple[int, str] | None], expected: Counter[int], what: str
) -> None:
    """Read number and code of replies until each command has ended."""
    ends: Counter[int] = Counter()
    deadline = time.monotonic() + LIMIT
    while ends != expected:
        assert time.monotonic() < deadline, f"{what}: {expected - ends} did not end"
        reply = read()
        assert reply, f"{what}: the connection has ended"
        number, code = reply
        ends[number] += code in ENDS
        assert ends[number] <= expected[number], f"{what}: {number} ended twice"


def actor_reader(user: Wire, own: int) -> Callable[[], tuple[int, str] | None]:
    def read() -> tuple[int, str] | None:
        while text := user.line():
            match = LINE.fullmatch(text)
            assert match, f"not a line of the protocol: {text[:200]!r}"
            if int(match[1]) == own:
                return int(match[2]), match[3]
        return None

    return read


@bounded
@given(data=SAFE)
def test_actor_port(program: Program, witness: Wire, data: bytes) -> None:
    expected: Counter[int] = Counter()
    for text in data.split(b"\n"):
        if command := wire.parse(text.decode("utf-8", "replace").strip()):
            expected[command.number] += 1
    with Wire(program.port, LIMIT) as user:
        read = actor_reader(user, user.greeting())
        user.send(data + b"\n")
        collect(read, expected, "actor")
        # No second end comes later.
        user.send(b"%d ping\n" % MARKER)
        collect(read, Counter([MARKER]), "actor")
    served(witness)


@bounded
@given(data=SAFE)
def test_control_socket(program: Program, witness: Wire, data: bytes) -> None:
    expected: Counter[int] = Counter()
    for raw in data.split(b"\n"):
        text = raw.decode("utf-8", "replace").strip()
        number, _, body = text.partition(" ")
        good = number.isdecimal() and len(number) < 19 and body.strip()
        if text:
            # A line that is no command is refused under the number 0.
            expected[int(number) if good else 0] += 1
    with Wire(program.socket, LIMIT) as user:

        def read() -> tuple[int, str] | None:
            if not (text := user.line()):
                return None
            header = json.loads(text)["header"]
            return header["command_id"], header["message_code"]

        user.send(data + b"\n")
        collect(read, expected, "control")
        user.send(b"%d ping\n" % MARKER)
        collect(read, Counter([MARKER]), "control")
    served(witness)


@dataclass
class Mad:
    """A camera that this test plays, its link, and a user who commands it."""

    connection: socket.socket
    user: Wire
    number: int
    commands: Iterator[str]
    count: int = 0

    def asked(self) -> int:
        """Return the camera's number of the next command that is no heartbeat."""
        while True:
            number, _, body = next(self.commands).partition(" ")
            if body.strip() != "ping":
                return int(number)
            self.connection.sendall(said(int(number), ":"))

    def replies(self) -> list[tuple[int, int, str]]:
        """Return user, number and code of all lines up to now."""
        self.count += 1
        marker = f"marker=mad,{self.count}"
        self.connection.sendall(said(None, "i", "mad", marker=self.count))
        lines: list[str] = []
        while not lines or not lines[-1].endswith(marker):
            lines.append(self.user.line())
            assert lines[-1], "the connection of the user has ended"
        # All are read before the first is judged, for the next example's sake.
        found = []
        for text in lines[:-1]:
            match = LINE.fullmatch(text)
            assert match, f"not a line of the protocol: {text[:200]!r}"
            found.append((int(match[1]), int(match[2]), match[3]))
        return found


@pytest.fixture(scope="module")
def mad(
    ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mad]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LIMIT)
        cameras = {**ports, "mad": server.getsockname()[1]}
        with running(tmp_path_factory.mktemp("mad"), cameras) as program:
            connection, _ = server.accept()
            connection.settimeout(LIMIT)
            user = Wire(program.port, LIMIT)
            lines = connection.makefile("r", encoding="utf-8", newline="\n")
            yield Mad(connection, user, user.greeting(), iter(lines))
            # Nothing that it said has broken its link.
            server.settimeout(0.5)
            with pytest.raises(TimeoutError):
                server.accept()
            user.close()
            lines.close()
            connection.close()


@bounded
@given(
    data=st.binary(max_size=400)
    | st.text('[]{}",:0e-9 \\n', max_size=60).map(str.encode)
)
def test_camera_says_anything(mad: Mad, data: bytes) -> None:
    mad.connection.sendall(data + b"\n")
    mad.replies()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)

KEYS = st.text(max_size=8) | st.sampled_from(
    ["help", "filename", "a\n1 1 : b", "a;b=c"]
)

CODES = [*">iwde!fF: \n;x", "", "ii"]

REPLIES = st.lists(
    st.fixed_dictionaries(
        {
            "header": st.fixed_dictionaries(
                {
                    "command_id": st.sampled_from(
                        ["ours", None, 0, -1, 1, 2, 10**20, "1", 1.5, True]
                    ),
                    "message_code": st.sampled_from(CODES) | st.text(max_size=2),
                    "sender": st.sampled_from(["mad", "", "a\nb", "gfa1"])
                    | st.text(max_size=4),
                }
            )
            | JSON,
            "data": st.dictionaries(KEYS, JSON, max_size=4) | JSON,
        }
    ),
    max_size=5,
)


@bounded
@given(replies=REPLIES)
def test_camera_replies_anything(mad: Mad, replies: list[dict[str, object]]) -> None:
    number = 5000 + mad.count
    mad.user.send(b"%d talk -n mad hello\n" % number)
    ours = mad.asked()
    for reply in replies:
        header = reply["header"]
        if isinstance(header, dict) and header.get("command_id") == "ours":
            header = {**header, "command_id": ours}
        text = json.dumps({**reply, "header": header})
        mad.connection.sendall(text.encode() + b"\n")
    mad.connection.sendall(said(ours, ":", "mad"))
    seen = mad.replies()
    deadline = time.monotonic() + LIMIT
    while (mad.number, number) not in {(user, n) for user, n, c in seen if c in ENDS}:
        assert time.monotonic() < deadline, "the command did not end"
        seen += mad.replies()
    seen += mad.replies()
    ends = Counter((user, n) for user, n, code in seen if code in ENDS and user)
    assert ends == {(mad.number, number): 1}


def test_users_who_are_gone_at_once(program: Program, witness: Wire) -> None:
    for data in [b"", b"1 status\n", b"1 talk expose 0.1\n2 ta"] * 50:
        user = Wire(program.port, LIMIT)
        reset = struct.pack("ii", 1, 0)
        user.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        user.send(data)
        user.close()
    served(witness)


def test_control_users_who_are_gone_at_once(program: Program, witness: Wire) -> None:
    for data in [b"", b"1 status\n", b"1 talk expose 0.1\n2 ta"] * 50:
        user = Wire(program.socket, LIMIT)
        user.send(data)
        user.close()
    served(witness)


def test_the_program_has_not_grown(program: Program, witness: Wire) -> None:
    served(witness)
    assert program.memory < 120
    # The last of those who left are seen to be gone a moment later.
    wait_until(lambda: program.descriptors < 40, "no descriptor is kept")


def test_files_of_the_site_are_as_they_were(program: Program) -> None:
    folder: Path = program.file.parent
    names = {file.name for file in folder.iterdir()}
    assert names == {"control.sock", "fliswarm.log", "fliswarm.yaml", "state"}
