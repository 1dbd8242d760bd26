"""Whole files: the fleets that are made of them, and what is said of wrong ones."""

from __future__ import annotations

import string
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from fliswarm import config
from fliswarm.config import table
from fliswarm.errors import ConfigError
from fliswarm.model import Fleet
from fliswarm.plan.selection import select

FOLDER = Path(__file__).parents[1] / "cases/config"

CASES = sorted((FOLDER / "files").glob("*.yaml"))


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_a_file(file: Path, tmp_path: Path) -> None:
    case: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    written = tmp_path / "f.yaml"
    written.write_text(case["file"], "utf-8")
    environment = case.get("environment", {})
    if "problem" in case:
        with pytest.raises(ConfigError) as error:
            config.load(written, environment=environment)
        told = str(error.value).removeprefix(str(written)).removeprefix(": ")
        assert told.startswith(case["problem"])
        return
    found = asdict(config.load(written, environment=environment))
    _agree(found, case["says"])


def _agree(found: Any, wanted: Any) -> None:  # noqa: ANN401  values of a case
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            _agree(found[key], value)
    else:
        assert (list(found) if isinstance(found, tuple) else found) == wanted


@pytest.mark.parametrize("site", ["APO", "LCO"])
def test_the_original_s_own_file(site: str) -> None:
    notes: list[str] = []
    fleet = config.load(
        FOLDER / "original.txt", environment={"OBSERVATORY": site}, warn=notes.append
    )
    assert fleet.observatory == site
    assert fleet.enabled == (*(f"gfa{n}" for n in range(1, 7)), "fvc")
    assert fleet.nodes["fvc"].engine == "tcp://sdss-fvc:2375"
    assert fleet.ping_timeout == 0.6
    assert notes == []


def test_who_takes_an_observatory_is_told_so(tmp_path: Path) -> None:
    def told(file: Path, **environment: str) -> list[str]:
        notes: list[str] = []
        config.load(file, environment=environment, warn=notes.append)
        return notes

    text = (FOLDER / "original.txt").read_text("utf-8")
    named = tmp_path / "named.yaml"
    named.write_text(f"{text}\nobservatory: LCO\n", "utf-8")
    single = tmp_path / "single.yaml"
    single.write_text("image: x\nnodes: {LAB: {gfa1: {host: h1}}}\n", "utf-8")
    original = FOLDER / "original.txt"
    assert told(original) == ["OBSERVATORY is not set: APO is taken"]
    assert told(original, OBSERVATORY="") == ["OBSERVATORY is not set: APO is taken"]
    assert told(original, OBSERVATORY="APO") == []
    assert told(named) == []
    assert told(single) == []


WORDS = st.sampled_from(
    [
        *("", "gfa1", "gfa 1", "gfa1,gfa2", "../x", "a..b", "fd00::1", "[fd00::1]"),
        *("h1", "tcp://h1:2375", "unix:///x", "ssh://a@b", "https://h1", ":/data"),
        *("/data", "6G", "0", "local", "no", "all", "sha256:", "hub:5000", "\ud800"),
        *("flicamera", "a@sha256:" + "5" * 64, "x'", "a b", "ä", "\0", "\u2028"),
    ]
)
"""Texts of which each is right somewhere, and wrong elsewhere."""

SCALARS = st.one_of(
    WORDS,
    st.text(max_size=8),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.dates(),
    st.datetimes(),
    st.binary(max_size=3),
)

VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(WORDS, st.integers(), st.booleans()), inner),
    ),
    max_leaves=6,
)


def texts(noun: table.Text) -> st.SearchStrategy[str]:
    """Return what a row says is right."""
    found = st.from_regex(noun.pattern, fullmatch=True)
    return found.filter(lambda text: noun.take(text) is not None)


def files(noise: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return files in which each value is right, or else noise."""

    def some(
        must: dict[str, st.SearchStrategy[Any]], **may: st.SearchStrategy[Any]
    ) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries(
            {key: value | noise for key, value in must.items()},
            optional={
                key.replace("__", "-"): value | noise for key, value in may.items()
            },
        )

    names = texts(table.NAME) | noise.filter(lambda item: isinstance(item, str))
    hosts = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,8}[a-z])?", fullmatch=True)
    node = some(
        {"host": hosts | st.ip_addresses().map(str)},
        port=st.integers(1, 65535),
        docker__client=st.sampled_from(["tcp://h2", "tcp://[::1]:2375", "unix:///d"]),
        docker__uid=st.integers(0, 5000),
        category=texts(table.CATEGORY),
        environment=st.dictionaries(
            texts(table.VARIABLE), st.text() | st.integers(), max_size=2
        ),
        power=st.fixed_dictionaries({"device": texts(table.DEVICE)}),
    )
    volume = some({"opts": some({"device": texts(table.MOUNT)}, o=st.text(max_size=5))})
    command = some({key: texts(table.COMMAND) for key in ("poweron", "poweroff")})
    return some(
        {
            "image": texts(table.IMAGE),
            "nodes": some({"LAB": st.dictionaries(names, node, max_size=3)}),
            "power": some({"command": command}, actor=texts(table.ACTOR)),
        },
        registry=texts(table.REGISTRY),
        container_name=texts(table.CONTAINER),
        observatory=st.just("LAB"),
        ping_timeout=st.floats(0.01, 3600),
        privileged=st.booleans(),
        limits=some({}, memory=texts(table.MEMORY), cpus=st.floats(0.01, 8)),
        enabled_nodes=some({}, LAB=st.just([])),
        volumes=st.dictionaries(texts(table.VOLUME), volume, max_size=2),
        actor=some({}, host=hosts, port=st.integers(1, 65535), tron_host=hosts),
        control=some({}, socket=texts(table.SOCKET)),
    )


def loaded(folder: Path, value: object) -> Fleet | None:
    """Put a value through a file; ``None`` when it is refused in words."""
    file = folder / "f.yaml"
    try:
        file.write_text(yaml.safe_dump(value, allow_unicode=False), "utf-8")
    except yaml.YAMLError:
        return None
    try:
        return config.load(file, environment={})
    except ConfigError as error:
        assert str(error).startswith(f"{file}:")
        return None
    finally:
        config.socket(file)


FILES = settings(
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
    ],
    deadline=None,
)
"""A file is written again for each example, and the machine may be slow."""


@given(VALUES | files(VALUES))
@FILES
def test_any_value_is_a_fleet_or_refused_in_words(
    tmp_path: Path, value: object
) -> None:
    loaded(tmp_path, value)


@given(files(st.nothing()))
@FILES
def test_what_is_accepted_fits_docker(tmp_path: Path, value: object) -> None:
    fleet = loaded(tmp_path, value)
    assume(fleet is not None)
    assert fleet is not None
    _fit_docker(fleet)


DOCKER_NAME = set(string.ascii_letters + string.digits + "_.-")


def _fit_docker(fleet: Fleet) -> None:
    """Check what goes to Docker against its own rules, in other words than ours."""
    names = []
    for node in fleet.nodes.values():
        container = fleet.container(node)
        names.append(container.name)
        for name in (container.name, *(v.docker_name for v in container.volumes)):
            assert set(name) <= DOCKER_NAME
            assert name[0] in string.ascii_letters + string.digits
        assert all("=" not in key and key for key in container.environment)
        texts = (*container.environment, *container.environment.values())
        assert all("\0" not in text for text in texts)
        assert all(text.encode() is not None for text in texts)
        assert select(fleet.nodes, node.name) == [node]
    assert len(set(names)) == len(names)
    targets = [volume.target for volume in fleet.volumes]
    assert all(target.startswith("/") and target.strip("/") for target in targets)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode()))
@FILES
@example(b"a: !!timestamp x")
@example(b"a: !!int ''")
@example(b"a: &a [*a]\nimage: *a")
@example(b"nodes: &n {LAB: *n}")
@example(b'image: "\\ud800"')
@example(b"? {a: b}\n: c")
@example(b"[" * 3000)
@example(b"a: " + b"{a: " * 3000)
@example(b"%YAML 9.9\n---\na: b")
def test_any_bytes_are_a_fleet_or_refused_in_words(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(content)
    try:
        config.load(file, environment={})
    except ConfigError as error:
        assert str(error).startswith(f"{file}:")
    config.socket(file)
