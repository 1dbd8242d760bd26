"""The door to real engines: what it bears of them, and what it gives up."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from fliswarm.engine import docker, tls, transport
from fliswarm.engine.docker import DockerEngine, DockerEngines
from fliswarm.errors import (
    EngineError,
    EngineUnreachableError,
    ImageUnavailableError,
)
from fliswarm.model import (
    ContainerSpec,
    Image,
    Limits,
    Node,
    PullProgress,
    Volume,
)
from tests.unit.support.certificates import Authority, client
from tests.unit.support.engine import Answer, FakeEngine
from tests.unit.support.wait import until

IMAGE = "hub:5000/flicamera:1"
HERE = Image("sha256:here", "sha256:digest-here")
WANTED = ContainerSpec("flicamera-gfa1", "gfa1", IMAGE, {}, ())


@pytest.fixture
async def fake() -> AsyncIterator[FakeEngine]:
    async with FakeEngine().listening() as fake:
        fake.images[IMAGE] = fake.registry[IMAGE] = HERE
        yield fake


@pytest.fixture
async def door(fake: FakeEngine) -> AsyncIterator[DockerEngine]:
    engine = DockerEngines()(Node("gfa1", "127.0.0.1", fake.address))
    yield engine
    engine.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let limits be over at once, for what never answers."""
    for name in ("LOOK_LIMIT", "ACT_LIMIT", "REGISTRY_LIMIT", "SILENCE_LIMIT"):
        monkeypatch.setattr(docker, name, 0.2)
    monkeypatch.setattr(docker, "MARGIN", 0.0)


def threads() -> int:
    """Return how many calls have a thread."""
    return sum(thread.name == "engine" for thread in threading.enumerate())


async def test_an_engine_on_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    engine = DockerEngines()(Node("gfa1", "h", f"unix://{path}"))
    async with FakeEngine().listening(path) as fake:
        fake.registry[IMAGE] = HERE
        assert (await engine.pull(IMAGE)).image == HERE
        for _ in range(3):
            await engine.observe(WANTED)
        # Its connections are used again.
        assert fake.begun <= 2
        engine.close()
    with pytest.raises(EngineUnreachableError):
        await engine.ping()


# Pulls


async def test_a_pull_may_take_long_while_it_goes_on(
    fake: FakeEngine, door: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "SILENCE_LIMIT", 1.0)
    steps = [asyncio.Event() for _ in range(7)]
    for event in steps:
        fake.steps += [{"status": "Downloading", "id": "a"}, event]
    task = asyncio.create_task(door.pull(IMAGE))
    for event in steps:
        # Longer than the limit in all, by far shorter from one to the next.
        await asyncio.sleep(0.4)
        event.set()
    pulled = await task
    assert (pulled.image, pulled.problem) == (HERE, None)


@pytest.mark.usefixtures("impatient")
async def test_the_node_s_own_copy_serves_when_a_pull_falls_silent(
    fake: FakeEngine, door: DockerEngine
) -> None:
    fake.steps = [{"status": "Pulling from flicamera", "id": "1"}, asyncio.Event()]
    pulled = await door.pull(IMAGE)
    assert pulled.image == HERE
    assert pulled.problem == "the engine said nothing of it for 0.2 s"
    del fake.images[IMAGE]
    with pytest.raises(ImageUnavailableError, match="said nothing of it for"):
        await door.pull(IMAGE)
    await until(lambda: not threads(), "the download ends")


async def test_a_pull_ends_with_its_caller(
    fake: FakeEngine, door: DockerEngine
) -> None:
    fake.steps = [{"status": "Pulling from flicamera", "id": "1"}, asyncio.Event()]
    await door.ping()
    connections = fake.begun
    told: list[PullProgress] = []
    task = asyncio.create_task(door.pull(IMAGE, told.append))
    await until(lambda: told, "the pull has begun")
    assert fake.begun > connections
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not threads(), "the thread ends")
    await until(lambda: fake.idle, "the engine is told")
    # The door is as good as new.
    await door.ping()


async def test_a_pull_that_has_said_nothing_yet_ends_with_its_caller(
    fake: FakeEngine, door: DockerEngine
) -> None:
    fake.held["images/create"] = asyncio.Event()
    task = asyncio.create_task(door.pull(IMAGE))
    await until(lambda: ("POST", "images/create") in fake.asked)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not threads(), "the thread ends")


async def test_how_far_a_pull_is(fake: FakeEngine, door: DockerEngine) -> None:
    def loading(layer: str, current: int, total: int) -> dict[str, object]:
        detail = {"current": current, "total": total}
        return {"status": "Downloading", "id": layer, "progressDetail": detail}

    end = asyncio.Event()
    fake.steps = [
        {"status": "Pulling from flicamera", "id": "1"},
        {"status": "Already exists", "id": "a"},
        {"status": "Pulling fs layer", "id": "b"},
        loading("b", 10, 100),
        *(loading("c", n, 500) for n in range(0, 500, 2)),
        {"status": "Download complete", "id": "b"},
        end,
        {"status": "Pull complete", "id": "b"},
    ]
    told: list[PullProgress] = []
    where: set[int] = set()

    def tell(progress: PullProgress) -> None:
        told.append(progress)
        where.add(threading.get_ident())

    task = asyncio.create_task(door.pull(IMAGE, tell))
    await until(lambda: told)
    assert told[0] == PullProgress(0, 0, 0, 0)
    # Two hundred and fifty events, and one telling a second.
    assert len(told) < 20
    await asyncio.sleep(1.1)
    end.set()
    await task
    await until(lambda: told[-1].layers == 3)
    assert told[-1] == PullProgress(598, 600, 2, 3)
    assert where == {threading.get_ident()}


@pytest.mark.parametrize(
    "said",
    [
        "unauthorized: authentication required",
        "x509: certificate has expired or is not yet valid",
        "manifest unknown",
    ],
)
async def test_why_the_node_s_own_copy_serves(
    fake: FakeEngine, door: DockerEngine, said: str
) -> None:
    fake.problem = said
    pulled = await door.pull(IMAGE)
    assert (pulled.image, pulled.problem) == (HERE, said)
    with pytest.raises(ImageUnavailableError, match=said):
        await door.digest(IMAGE)


async def test_a_manifest_that_is_unknown_is_told(
    fake: FakeEngine, door: DockerEngine
) -> None:
    del fake.registry[IMAGE]
    pulled = await door.pull(IMAGE)
    assert pulled.image == HERE
    assert pulled.problem is not None
    assert "manifest unknown" in pulled.problem


async def test_a_digest_is_asked_without_a_pull(
    fake: FakeEngine, door: DockerEngine
) -> None:
    fake.registry[IMAGE] = Image("sha256:new", "sha256:digest-new")
    assert await door.digest(IMAGE) == "sha256:digest-new"
    fake.registry[IMAGE] = Image("sha256:new")
    assert await door.digest(IMAGE) is None
    assert fake.images[IMAGE] == HERE
    asked = len(fake.asked)
    assert await door.digest("hub:5000/flicamera:1@sha256:5") == "sha256:5"
    assert len(fake.asked) == asked


@pytest.mark.usefixtures("impatient")
async def test_a_registry_that_does_not_tell_in_time(
    fake: FakeEngine, door: DockerEngine
) -> None:
    fake.held[f"distribution/{IMAGE}/json"] = asyncio.Event()
    with pytest.raises(ImageUnavailableError, match="its registry did not answer in"):
        await door.digest(IMAGE)


# Credentials


def settings(folder: Path, monkeypatch: pytest.MonkeyPatch, **words: object) -> None:
    (folder / "config.json").write_text(json.dumps(words), "utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))


def login(fake: FakeEngine, path: str) -> object:
    return json.loads(base64.urlsafe_b64decode(fake.headers[path]["x-registry-auth"]))


async def test_a_helper_that_is_not_there_prevents_no_pull(
    fake: FakeEngine,
    door: DockerEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings(tmp_path, monkeypatch, auths={}, credsStore="nowhere")
    assert (await door.pull(IMAGE)).problem is None
    assert login(fake, "images/create") == {}
    assert await door.digest(IMAGE) == HERE.digest
    # When it may be the reason, it is told.
    fake.problem = "unauthorized"
    problem = (await door.pull(IMAGE)).problem
    assert problem is not None
    assert problem.startswith("unauthorized (")
    assert "docker-credential-nowhere" in problem
    with pytest.raises(ImageUnavailableError, match="docker-credential-nowhere"):
        await door.digest(IMAGE)


async def test_a_login_goes_to_its_registry(
    fake: FakeEngine,
    door: DockerEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    word = base64.b64encode(b"me:secret").decode()
    settings(tmp_path, monkeypatch, auths={"hub:5000": {"auth": word}})
    await door.pull(IMAGE)
    sent = login(fake, "images/create")
    assert isinstance(sent, dict)
    assert (sent["username"], sent["password"]) == ("me", "secret")


async def test_settings_that_are_broken_prevent_nothing(
    door: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text("{broken", "utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert (await door.pull(IMAGE)).problem is None


async def test_settings_of_another_form_are_not_the_engine_s_fault(
    door: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(tmp_path, monkeypatch, auths=["hub:5000"])
    with pytest.raises(EngineError, match=r"\.docker/config\.json") as error:
        await door.ping()
    assert not isinstance(error.value, EngineUnreachableError)


# What is given up


@pytest.mark.usefixtures("impatient")
async def test_a_stop_that_was_given_up_is_not_carried_out_later(
    fake: FakeEngine, door: DockerEngine
) -> None:
    container = await door.run(WANTED)
    door.close()
    again = DockerEngines()(Node("gfa1", "127.0.0.1", fake.address))
    fake.held["version"] = asyncio.Event()
    with pytest.raises(EngineUnreachableError, match="did not answer in"):
        await again.stop(container, 5)
    fake.held["version"].set()
    await until(lambda: not threads(), "the call is over")
    assert ("POST", f"containers/{container}/stop") not in fake.asked
    assert fake.containers[container]["State"] == "running"
    again.close()


@pytest.mark.usefixtures("impatient")
async def test_a_camera_is_not_started_when_its_caller_has_given_up(
    fake: FakeEngine, door: DockerEngine
) -> None:
    await door.ping()
    fake.held["containers/create"] = asyncio.Event()
    with pytest.raises(EngineUnreachableError):
        await door.run(WANTED)
    fake.held["containers/create"].set()
    await until(lambda: not threads(), "the call is over")
    assert not any(path.endswith("/start") for _, path in fake.asked)


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while await reader.read(1000):
            pass
    writer.close()


async def _dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while not reader.at_eof():
            writer.write(b"H")
            await writer.drain()
            await asyncio.sleep(0.02)
    writer.close()


@pytest.mark.parametrize("serve", [_silent, _dripping])
async def test_engines_that_do_not_answer_cost_the_others_nothing(
    door: DockerEngine,
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> None:
    under_way = 0

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way
        under_way += 1
        await serve(reader, writer)
        under_way -= 1

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    address = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    engines = DockerEngines()
    dead = [engines(Node(f"dead{n}", "127.0.0.1", address)) for n in range(30)]
    tasks = [asyncio.create_task(one.ping()) for one in dead for _ in range(4)]
    await until(lambda: threads() >= len(dead) // 3, "threads that wait")
    await door.ping()
    for task in tasks:
        with pytest.raises(EngineUnreachableError):
            await task
    # Nobody holds a thread for longer than its caller waits.
    await until(lambda: not threads(), "all threads end")
    server.close()
    await until(lambda: not under_way)


# Versions


async def test_an_engine_that_was_upgraded_is_spoken_to_anew(
    fake: FakeEngine, door: DockerEngine
) -> None:
    fake.newest = (1, 41)
    await door.ping()
    fake.oldest, fake.newest = (1, 44), (1, 51)
    await door.observe(WANTED)
    assert (await door.pull(IMAGE)).problem is None
    fake.oldest, fake.newest = (1, 24), (1, 41)
    await door.pull(IMAGE)
    assert await door.digest(IMAGE) == HERE.digest
    await door.run(WANTED)


async def test_a_version_is_asked_for_once_more_and_no_more(
    fake: FakeEngine, door: DockerEngine
) -> None:
    await door.ping()
    fake.oldest, fake.newest = (1, 99), (1, 99)
    fake.asked.clear()
    with pytest.raises(EngineError, match="too old") as error:
        await door.observe(WANTED)
    assert not isinstance(error.value, EngineUnreachableError)
    paths = [path for _, path in fake.asked]
    assert paths == ["containers/json", "version", "containers/json"]


# Rubbish

RUBBISH: list[object] = [
    ["text"],
    [["text"]],
    [5],
    5,
    None,
    "text",
    {},
    [{}],
    {"Volumes": ["text"]},
    {"message": ["no", "text"]},
    [{"Id": 5, "Names": ["/flicamera-gfa1"], "State": "running", "ImageID": "x"}],
    [{"Id": "x", "Names": 5, "State": "running", "ImageID": "x"}],
    [{"Id": "x", "Names": [5], "State": {}, "ImageID": "x", "Labels": "y"}],
    [{"Id": "x", "State": "running", "ImageID": "x", "Mounts": [5]}],
    {"Id": "x", "RepoDigests": [5]},
    {"Id": "x", "RepoDigests": 5},
    {"Descriptor": "text"},
    {"LoggingDriver": ["x"]},
    {"ApiVersion": "newest"},
    {"ApiVersion": 5},
    b"",
    b"{broken",
    b"\xff\xfe",
    b"[" * 100_000,
]


@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize("number", range(len(RUBBISH)))
async def test_whatever_an_engine_says_ends_in_words(
    fake: FakeEngine, status: int, number: int
) -> None:
    """Each call ends well, or with an error of ours, whichever answer is rubbish."""
    volume = Volume("data", "local", {"device": ":/data"})
    wanted = replace(WANTED, volumes=(volume,))
    acts: dict[str, Callable[[DockerEngine], Awaitable[object]]] = {
        "ping": lambda door: door.ping(),
        "observe": lambda door: door.observe(wanted),
        "pull": lambda door: door.pull(IMAGE),
        "digest": lambda door: door.digest(IMAGE),
        "run": lambda door: door.run(wanted),
        "stop": lambda door: door.stop("x", 1),
        "logs": lambda door: door.logs("x", 1),
    }
    engines = DockerEngines()

    def rubbish_at(wrong: str) -> Callable[[str, str], Answer | None]:
        answer = status, RUBBISH[number]
        return lambda _, path: answer if path == wrong else None

    failed = 0
    for name, act in acts.items():
        door = engines(Node("gfa1", "127.0.0.1", fake.address))
        fake.containers.clear()
        fake.asked.clear()
        fake.instead = lambda *_: None
        with suppress(EngineError):
            await act(door)
        for path in {path for _, path in fake.asked}:
            fake.instead = rubbish_at(path)
            fake.containers.clear()
            other = engines(Node("gfa1", "127.0.0.1", fake.address))
            try:
                await act(other)
            except EngineError as error:
                failed += 1
                assert error.node == "gfa1", name
                assert "Error(" not in str(error), name
            other.close()
        door.close()
    assert failed


async def test_an_answer_without_end_is_cut_off(
    fake: FakeEngine, door: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "ANSWER_LIMIT", 10_000)
    found = {"Id": "x" * 20_000, "State": "running", "ImageID": "x"}

    def instead(_: str, path: str) -> Answer | None:
        return (200, [found]) if path == "containers/json" else None

    fake.instead = instead
    with pytest.raises(EngineUnreachableError, match="does not answer as it should"):
        await door.observe(WANTED)


@pytest.mark.parametrize(
    "address",
    [
        "tcp://sdss..gfa2:2375",
        f"tcp://{'a' * 64}.example:2375",
        "tcp://127.0.0.1:99999",
        "tcp://127.0.0.1:port",
        "tcp://[::1:2375",
        "https://127.0.0.1:99999",
        "unix:///no\0where",
    ],
)
async def test_addresses_that_are_none(address: str) -> None:
    engine = DockerEngines()(Node("gfa1", "127.0.0.1", address))
    with pytest.raises(EngineError) as error:
        await engine.ping()
    assert "Error(" not in str(error.value)
    engine.close()


@pytest.mark.parametrize(
    "limits",
    [
        Limits(cpus=math.inf),
        Limits(cpus=math.nan),
        Limits(memory="much"),
    ],
)
async def test_what_cannot_be_asked_for_is_no_fault_of_the_engine(
    door: DockerEngine, limits: Limits
) -> None:
    with pytest.raises(EngineError) as error:
        await door.run(replace(WANTED, limits=limits))
    assert not isinstance(error.value, EngineUnreachableError)
    assert "Error(" not in str(error.value)


async def test_a_log_that_cannot_be_read_says_so(
    fake: FakeEngine, door: DockerEngine
) -> None:
    said = "configured logging driver does not support reading"

    def instead(_: str, path: str) -> Answer | None:
        return (501, {"message": said}) if path.endswith("/logs") else None

    container = await door.run(WANTED)
    fake.instead = instead
    with pytest.raises(EngineError, match="cannot be read from here") as error:
        await door.logs(container, 5)
    assert said in str(error.value)


# Certificates


def test_files_are_read_when_they_are_new(tmp_path: Path) -> None:
    authority = Authority()
    files = client(tmp_path / "a", authority)
    store = tls.CredentialStore()
    first = store.get(files)
    assert store.get(replace(files)) is first
    assert first.ends is not None
    other = client(tmp_path / "b", authority)
    assert store.get(other) is not first
    for path in (files.ca, files.cert, files.key):
        known = store.get(files)
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        renewed = store.get(files)
        assert renewed is not known
        assert store.get(files) is renewed
    files.key.unlink()
    with pytest.raises(OSError, match="key"):
        store.get(files)
