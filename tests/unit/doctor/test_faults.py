"""Each fault is found under its name with its remedy, and nothing is said beside."""

from __future__ import annotations

import asyncio
import inspect
import json
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fliswarm.errors import EXIT_FAILED, EXIT_UNREACHABLE
from fliswarm.model import LABEL_NODE, LABEL_SPEC, Fleet, Image, Limits, Node, facts
from fliswarm.model.signs import Outcome
from fliswarm.plan.checks import exit_code, faults
from tests.unit.support.camera import RawCamera, busy, line, obedient, silent
from tests.unit.support.certificates import Authority
from tests.unit.support.clinic import NAMES, YEAR, Clinic, clinic
from tests.unit.support.engine import Answer
from tests.unit.support.wait import until

Break = Callable[[Clinic], object | Awaitable[object]]


@dataclass(frozen=True)
class Fault:
    """What is broken, and what is to be said of it.

    ``found`` are the checks that fail, by node, empty for the manager; ``seen`` and
    ``remedy`` are parts of what is said.
    """

    name: str
    breaks: Break
    found: tuple[str, ...]
    remedy: str
    seen: str = ""
    code: int = EXIT_FAILED
    tls: bool = False


def _everywhere(act: Callable[[Clinic, str], object]) -> Break:
    def breaks(site: Clinic) -> None:
        for name in NAMES:
            act(site, name)

    return breaks


def _node(**changes: object) -> Break:
    """Give gfa2 other values in the configuration, as the controller reads it."""

    async def breaks(site: Clinic) -> None:
        def change(fleet: Fleet) -> Fleet:
            node: Node = replace(fleet.nodes["gfa2"], **changes)  # type: ignore[arg-type]
            return replace(fleet, nodes={**fleet.nodes, "gfa2": node})

        await site.reconfigure(change)

    return breaks


def _about(**values: object) -> Break:
    return lambda site: site["gfa2"].engine.about.update(values)


def _inspected(**values: object) -> Break:
    return lambda site: site["gfa2"].inspected(**values)  # type: ignore[arg-type]


def _state(state: str, **values: object) -> Break:
    def breaks(site: Clinic) -> None:
        site["gfa2"].state = state
        site["gfa2"].inspected(**values)  # type: ignore[arg-type]

    return breaks


def _mount(place: str, script: str) -> Break:
    def breaks(site: Clinic) -> None:
        site["gfa2"].mount(place or str(site.data), script)

    return breaks


def _told(**status: object) -> Break:
    def answer(camera: RawCamera, number: int, body: str) -> None:
        if body == "status":
            camera.send(line(number, "i", camera.name, status=status))
        camera.send(line(number, ":", camera.name))

    return lambda site: setattr(site["gfa2"].camera, "answer", answer)


def _failing(camera: RawCamera, number: int, body: str) -> None:
    if body == "status":
        camera.send(line(number, "f", camera.name, error="no camera is connected"))
    else:
        obedient(camera, number, body)


async def _camera_ends(site: Clinic) -> None:
    await site["gfa2"].camera.close()
    await until(lambda: not site.fleet.nodes[1].link.up, "the link is down")


async def _camera_freezes(site: Clinic) -> None:
    site["gfa2"].camera.answer = silent


async def _another_camera(site: Clinic) -> None:
    site["gfa2"].camera.name = "gfa7"
    site["gfa2"].camera.hang_up()
    await until(lambda: not site.fleet.nodes[1].link.up, "the link is down")


async def _engine_ends(site: Clinic) -> None:
    await site["gfa2"].stop_engine()


async def _engine_is_another_program(site: Clinic) -> None:
    await site["gfa2"].stop_engine()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nrubbish")
        writer.close()

    other = await asyncio.start_server(serve, "127.0.0.1", site["gfa2"].engine.port)
    site["gfa2"].stack.callback(other.close)


async def _engine_hangs(site: Clinic) -> None:
    site["gfa2"].engine.held["info"] = asyncio.Event()


def _silent(node: Node, port: int) -> Node:
    """Return a node at whose ports nobody answers."""
    return replace(node, engine=f"tcp://127.0.0.1:{port}", port=port, ssh_port=port)


def _engine_is_broken(site: Clinic) -> None:
    def instead(_: str, path: str) -> Answer | None:
        broken = {"message": "layer does not exist"}
        return (500, broken) if path == "containers/json" else None

    site["gfa2"].engine.instead = instead


async def _computer_is_off(site: Clinic) -> None:
    def change(fleet: Fleet) -> Fleet:
        off = _silent(fleet.nodes["gfa2"], site.void.port)
        return replace(fleet, nodes={**fleet.nodes, "gfa2": off})

    site["gfa2"].host.up = False
    await site.reconfigure(change)


async def _network_is_cut(site: Clinic) -> None:
    def change(fleet: Fleet) -> Fleet:
        off = {n: _silent(node, site.void.port) for n, node in fleet.nodes.items()}
        return replace(fleet, nodes=off)

    for name in NAMES:
        site[name].host.up = False
    await site.reconfigure(change)


async def _port_is_dropped(site: Clinic) -> None:
    await _node(engine=f"tcp://127.0.0.1:{site.void.port}")(site)  # type: ignore[misc]


def _registry_ends(site: Clinic) -> None:
    """As the engines see it; the manager finds nobody at the port."""
    site.registry.socket.close()
    site.registry.shutdown()
    for name in NAMES:
        site[name].engine.problem = "dial tcp: connection refused"


def _image_is_gone(site: Clinic) -> None:
    site.store.tags.clear()
    for name in NAMES:
        site[name].engine.problem = "manifest unknown"


def _private_registry_without_image(site: Clinic) -> None:
    site.registry.login = "user:password"
    for name in NAMES:
        site[name].engine.problem = "manifest unknown"


def _problem(text: str) -> Break:
    return lambda site: setattr(site["gfa2"].engine, "problem", text)


def _new_image(site: Clinic) -> None:
    site["gfa2"].engine.registry[site.image] = Image("sha256:two", "sha256:two")


def _container_is_removed(site: Clinic) -> None:
    del site["gfa2"].engine.containers[site["gfa2"].container]


def _container_is_somebody_else_s(site: Clinic) -> None:
    engine = site["gfa2"].engine
    del engine.containers[site["gfa2"].container]
    engine.images["theirs"] = Image("sha256:theirs")
    engine._create("flicamera-gfa2", {"Image": "theirs"})


def _left_over(site: Clinic) -> None:
    engine = site["gfa2"].engine
    ours = engine.containers[site["gfa2"].container]
    labels = {LABEL_NODE: "gfa9", LABEL_SPEC: ours["Labels"][LABEL_SPEC]}
    other = {**ours, "Id": "e" * 64, "Names": ["/flicamera-gfa9"], "Labels": labels}
    engine.containers["e" * 64] = {**other, "State": "exited"}


def _device_is_a_folder(site: Clinic) -> None:
    site["gfa2"].device.unlink()
    site["gfa2"].device.mkdir()


async def _other_limits(site: Clinic) -> None:
    site.change = lambda fleet: replace(fleet, limits=Limits("1g", 1.0))
    await site.service.reload()


async def _node_goes(site: Clinic) -> None:
    def change(fleet: Fleet) -> Fleet:
        nodes = {n: node for n, node in fleet.nodes.items() if n != "gfa3"}
        return replace(fleet, nodes=nodes, enabled=tuple(nodes))

    site.change = change
    await site.service.reload()


def _cut_off(site: Clinic) -> None:
    fact = facts.Unfinished(
        node="gfa2", change="reconnect", step="Run", reason="the disk is full"
    )
    site.fleet.news.tell(fact)


def _note_is_rubbish(site: Clinic) -> None:
    site.state.mkdir(exist_ok=True)
    (site.state / "roster.json.unreadable").write_text("{")


def _state_is_a_file(site: Clinic) -> None:
    shutil.rmtree(site.state)
    site.state.write_text("")


def _wrong_file(site: Clinic) -> None:
    site.file.write_text("{")


def _file_has_changed(site: Clinic) -> None:
    written = json.loads(site.file.read_text())
    written["limits"] = {"memory": "1g"}
    site.file.write_text(json.dumps(written))


def _late_setting_has_changed(site: Clinic) -> None:
    written = json.loads(site.file.read_text())
    written["ping_timeout"] = 2.0
    site.file.write_text(json.dumps(written))


def _moment_ago() -> str:
    return f"{datetime.now(UTC) - timedelta(minutes=5):%Y-%m-%dT%H:%M:%S}.000000000Z"


async def _again(site: Clinic) -> None:
    """Let the engine of gfa2 listen anew, with the certificate that it has now."""
    await site["gfa2"].stop_engine()
    await site["gfa2"].start_engine()


def _certificate(
    *hosts: str, authority: Authority | None = None, days: int = 365, age: int = 0
) -> Break:
    async def breaks(site: Clinic) -> None:
        site.certify_engine(
            site["gfa2"],
            authority or AUTHORITY,
            *hosts,
            lasts=timedelta(days=days),
            age=timedelta(days=age),
        )
        await _again(site)

    return breaks


def _own_certificate(days: int, age: int = 0) -> Break:
    def breaks(site: Clinic) -> None:
        assert site.tls is not None
        lasts, old = timedelta(days=days), timedelta(days=age)
        AUTHORITY.issue(site.tls.cert, site.tls.key, lasts=lasts, age=old)

    return breaks


def _other_key(site: Clinic) -> None:
    assert site.tls is not None
    AUTHORITY.issue(site.folder / "other.pem", site.tls.key)


AUTHORITY = Authority(lasts=YEAR)

AWAY = EXIT_UNREACHABLE

COMPUTERS = (
    Fault("name", _node(host="gfa2..site"), ("gfa2 name",), "getent hosts", code=AWAY),
    Fault("off", _computer_is_off, ("gfa2 host",), "ping -c 3 127.0.0.1", code=AWAY),
    Fault(
        "network is cut", _network_is_cut, (" host",), "ip route get", "no node", AWAY
    ),
    Fault(
        "no login",
        lambda site: setattr(site["gfa2"].host, "up", False),
        ("gfa2 ssh",),
        "fliswarm provision --limit gfa2",
        code=AWAY,
    ),
    Fault(
        "engine is stopped",
        _engine_ends,
        ("gfa2 engine",),
        "systemctl restart docker",
        "no Docker Engine listens",
        AWAY,
    ),
    Fault(
        "engine hangs",
        _engine_hangs,
        ("gfa2 engine",),
        "systemctl restart docker",
        "did not answer in",
        AWAY,
    ),
    Fault(
        "no engine",
        _engine_is_another_program,
        ("gfa2 engine",),
        "ss -ltnp",
        "no Docker Engine's",
        AWAY,
    ),
    Fault(
        "engine is broken",
        _engine_is_broken,
        ("gfa2 engine",),
        "systemctl status docker",
        "layer does not exist",
        AWAY,
    ),
    Fault(
        "port of the engine is dropped",
        _port_is_dropped,
        ("gfa2 engine",),
        "iptables -S INPUT",
        code=AWAY,
    ),
    Fault(
        "clock",
        lambda site: setattr(site["gfa2"].engine, "ahead", 75.0),
        ("gfa2 clock",),
        "timedatectl",
        "ahead of the manager's",
    ),
    Fault(
        "clock of the manager",
        _everywhere(lambda site, name: setattr(site[name].engine, "ahead", -60.0)),
        (" clock",),
        "timedatectl",
        "all nodes are behind",
    ),
    Fault(
        "old engine",
        lambda site: setattr(site["gfa2"].engine, "newest", (1, 40)),
        ("gfa2 api",),
        "apt-get install docker.io",
        "1.40",
    ),
    Fault("vfs", _about(Driver="vfs"), ("gfa2 storage",), "overlay2", "vfs"),
    Fault(
        "live-restore",
        _about(LiveRestoreEnabled=False),
        ("gfa2 live-restore",),
        "fliswarm provision --limit gfa2",
    ),
    Fault(
        "limits do not hold",
        _about(Warnings=["WARNING: No memory limit support"]),
        ("gfa2 warnings",),
        "cat /proc/cgroups",
        "No memory limit",
    ),
    Fault(
        "an open port beside TLS",
        _about(
            Warnings=[
                "WARNING: API is accessible on http://0.0.0.0:2375 without encryption."
            ]
        ),
        ("gfa2 warnings",),
        "fliswarm provision --limit gfa2",
        "accessible",
        tls=True,
    ),
)

CERTIFICATES = (
    Fault(
        "ends soon",
        _certificate(days=10),
        ("gfa2 certificate",),
        "fliswarm provision --limit gfa2",
        "ends in 9 days",
    ),
    Fault(
        "has ended",
        _certificate(days=10, age=20),
        ("gfa2 engine",),
        "fliswarm provision --limit gfa2",
        "expired",
        AWAY,
    ),
    Fault(
        "of another authority",
        _certificate(authority=Authority("other", lasts=YEAR)),
        ("gfa2 engine",),
        "fliswarm provision --limit gfa2",
        "another authority",
        AWAY,
    ),
    Fault(
        "of another host",
        _certificate("elsewhere"),
        ("gfa2 engine",),
        "fliswarm provision --limit gfa2",
        "another host",
        AWAY,
    ),
    Fault(
        "not valid yet",
        _certificate(age=-2),
        ("gfa2 engine",),
        "timedatectl",
        "not valid yet",
        AWAY,
    ),
    Fault(
        "our own ends soon",
        _own_certificate(20),
        (" certificate",),
        "fliswarm provision",
        "ends in 19 days",
    ),
    Fault(
        "our own has another key", _other_key, (" certificate",), "fliswarm provision"
    ),
)

REGISTRY = (
    Fault(
        "registry is stopped",
        _registry_ends,
        (" registry",),
        "systemctl restart docker-registry",
        code=AWAY,
    ),
    Fault(
        "registry is without the image",
        _image_is_gone,
        (" registry",),
        "fliswarm provision --tags flicamera_image",
        "has no sdss/flicamera:latest",
    ),
    Fault(
        "private registry is without the image",
        _private_registry_without_image,
        (" registry",),
        "fliswarm provision --tags flicamera_image",
        "manifest unknown",
    ),
    Fault(
        "a node does not trust it",
        _problem("x509: certificate signed by unknown authority"),
        ("gfa2 registry",),
        "fliswarm provision --limit gfa2",
        "x509",
    ),
    Fault(
        "a node does not reach it",
        _problem("dial tcp: i/o timeout"),
        ("gfa2 registry",),
        "curl -k",
        "i/o timeout",
    ),
)

CONTAINERS = (
    Fault(
        "removed",
        _container_is_removed,
        ("gfa2 container",),
        "fliswarm reconnect -n gfa2",
        "there is no container",
    ),
    Fault(
        "stopped",
        _state("exited", ExitCode=137),
        ("gfa2 container",),
        "fliswarm logs gfa2",
        "exited, with code 137",
    ),
    Fault(
        "its volume did not come",
        _state("exited", Error="error while mounting volume: no route to host"),
        ("gfa2 container",),
        "fliswarm reconnect -n gfa2",
        "error while mounting volume",
    ),
    Fault(
        "paused",
        _state("paused"),
        ("gfa2 container",),
        "fliswarm reconnect -n gfa2",
        "paused",
    ),
    Fault(
        "ends again and again",
        _state("restarting", RestartCount=9),
        ("gfa2 container",),
        "fliswarm logs gfa2",
        "restarting",
    ),
    Fault(
        "crashed of late",
        lambda site: site["gfa2"].inspected(RestartCount=2, StartedAt=_moment_ago()),
        ("gfa2 restarts",),
        "fliswarm logs gfa2",
        "2 times",
    ),
    Fault(
        "out of memory",
        _inspected(OOMKilled=True),
        ("gfa2 memory",),
        "limits.memory",
        "6g",
    ),
    Fault(
        "killed for want of memory",
        _state("exited", OOMKilled=True, ExitCode=137),
        ("gfa2 memory",),
        "limits.memory",
    ),
    Fault(
        "somebody else's has its name",
        _container_is_somebody_else_s,
        ("gfa2 container",),
        "docker rename flicamera-gfa2",
    ),
    Fault(
        "another image",
        _new_image,
        ("gfa2 image",),
        "fliswarm reconnect -n gfa2",
        "sha256:two",
    ),
    Fault(
        "another configuration",
        _node(environment={"TOKEN": "secret"}),
        ("gfa2 configuration",),
        "fliswarm reconnect -n gfa2",
        "TOKEN differs",
    ),
    Fault(
        "another configuration everywhere",
        _other_limits,
        tuple(f"{name} configuration" for name in NAMES),
        "fliswarm reconnect -n gfa",
        "wanted 1g, found 6g",
    ),
    Fault(
        "no volume",
        lambda site: site["gfa2"].engine.volumes.clear(),
        ("gfa2 volumes",),
        "fliswarm reconnect -n gfa2",
        "data",
    ),
    Fault(
        "left over",
        _left_over,
        ("gfa2 left-over",),
        "fliswarm reconnect -n gfa2",
        "flicamera-gfa9",
    ),
    Fault(
        "volume's server is away",
        _mount("", "exec sleep 600"),
        ("gfa2 mounts",),
        "fliswarm reconnect -n gfa2 --force",
        "it does not answer",
    ),
    Fault(
        "volume is stale",
        _mount("", 'echo "stat: $place: Stale file handle" >&2; exit 1'),
        ("gfa2 mounts",),
        "fliswarm reconnect -n gfa2 --force",
        "Stale file handle",
    ),
    Fault(
        "volume is away everywhere",
        _everywhere(
            lambda site, name: site[name].mount(str(site.data), "exec sleep 600")
        ),
        (" mounts",),
        "fliswarm reconnect --force",
        "it does not answer",
    ),
    Fault(
        "volume is full",
        _mount("", "echo 10 4096 99999 100000; exit"),
        ("gfa2 data",),
        "df -h",
        "0 MB are free",
    ),
    Fault(
        "volume is full everywhere",
        _everywhere(
            lambda site, name: site[name].mount(
                str(site.data), f"echo 10{name[3]} 4096 99999 100000; exit"
            )
        ),
        (" data",),
        "df -h",
        "almost full: data",
    ),
    Fault(
        "volume is out of inodes",
        _mount("", "echo 9999999 4096 3 100000; exit"),
        ("gfa2 data",),
        "df -h",
        "3 more files",
    ),
    Fault(
        "engine's disk is full",
        _mount("/", "echo 1000 4096 99999 100000; exit"),
        ("gfa2 disk",),
        "docker image prune",
        "4 MB are free",
    ),
)

CAMERAS = (
    Fault(
        "no device",
        lambda site: site["gfa2"].plug(vendor="1d6b"),
        ("gfa2 usb",),
        "lsusb -d 0f18:",
    ),
    Fault(
        "device that came later is not seen",
        lambda site: site["gfa2"].device.unlink(),
        ("gfa2 usb",),
        "fliswarm reconnect -n gfa2 --force",
        "is not in the container",
    ),
    Fault(
        "device may not be opened",
        # Root may open any file but a folder.
        _device_is_a_folder,
        ("gfa2 usb",),
        "fliswarm provision --limit gfa2",
        "cannot be opened",
    ),
    Fault(
        "camera has ended",
        _camera_ends,
        ("gfa2 link",),
        "fliswarm logs gfa2",
        "Connection refused",
        AWAY,
    ),
    Fault(
        "camera is frozen",
        _camera_freezes,
        ("gfa2 camera",),
        "fliswarm reconnect -n gfa2 --force",
        "does not answer status",
        AWAY,
    ),
    Fault(
        "its device hangs",
        lambda site: setattr(site["gfa2"].camera, "answer", busy),
        ("gfa2 camera",),
        "fliswarm reconnect -n gfa2 --force",
        "does not answer status",
        AWAY,
    ),
    Fault(
        "camera fails",
        lambda site: setattr(site["gfa2"].camera, "answer", _failing),
        ("gfa2 camera",),
        "fliswarm logs gfa2",
        "no camera is connected",
    ),
    Fault(
        "no temperature",
        _told(temperature_ccd=float("nan")),
        ("gfa2 temperature",),
        "the camera's power",
        "nan",
    ),
    Fault(
        "another camera",
        _another_camera,
        ("gfa2 identity",),
        "docker ps",
        "says that it is gfa7",
    ),
)

MANAGER = (
    Fault(
        "file is wrong",
        _wrong_file,
        (" configuration",),
        "mend the file",
        "fliswarm.yaml",
    ),
    Fault(
        "file has changed",
        _file_has_changed,
        (" configuration",),
        "fliswarm reload",
        "limits",
    ),
    Fault(
        "file has changed for the next start",
        _late_setting_has_changed,
        (" configuration",),
        "systemctl restart fliswarm",
        "ping_timeout",
    ),
    Fault("notes cannot be written", _state_is_a_file, (" state",), "df -h"),
    Fault("note is rubbish", _note_is_rubbish, (" journal",), "sudo rm"),
    Fault("node is gone", _node_goes, (" left",), "fliswarm remove --left", "gfa3"),
    Fault(
        "change was cut off",
        _cut_off,
        ("gfa2 settled",),
        "fliswarm reconnect -n gfa2",
        "the disk is full",
    ),
    Fault(
        "Tron is away",
        lambda site: setattr(site, "hub_problem", "Connection refused"),
        (" hub",),
        "tron-reconnect",
        code=AWAY,
    ),
)


def _named(faults: tuple[Fault, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fault", faults, ids=lambda fault: fault.name)


async def _found(fault: Fault, tmp_path: Path, authority: Authority | None) -> None:
    async with clinic(tmp_path, authority=authority) as site:
        done = fault.breaks(site)
        if inspect.isawaitable(done):
            await done
        findings = await site.consult()
        told = faults(findings)
        assert [f"{f.node} {f.check}" for f in told] == list(fault.found), told
        for found in told:
            assert found.outcome is Outcome.BAD
            assert fault.remedy in found.remedy
            assert fault.seen in found.seen
            assert found.meaning.endswith(".")
            assert "secret" not in repr(found)
        assert exit_code(findings) == fault.code


@_named(COMPUTERS)
async def test_a_fault_of_a_computer(fault: Fault, tmp_path: Path) -> None:
    await _found(fault, tmp_path, AUTHORITY if fault.tls else None)


@_named(CERTIFICATES)
async def test_a_fault_of_a_certificate(fault: Fault, tmp_path: Path) -> None:
    await _found(fault, tmp_path, AUTHORITY)


@_named(REGISTRY)
async def test_a_fault_of_the_registry(fault: Fault, tmp_path: Path) -> None:
    await _found(fault, tmp_path, None)


@_named(CONTAINERS)
async def test_a_fault_of_a_container(fault: Fault, tmp_path: Path) -> None:
    await _found(fault, tmp_path, None)


@_named(CAMERAS)
async def test_a_fault_of_a_camera(fault: Fault, tmp_path: Path) -> None:
    await _found(fault, tmp_path, None)


@_named(MANAGER)
async def test_a_fault_of_the_manager(fault: Fault, tmp_path: Path) -> None:
    await _found(fault, tmp_path, None)
