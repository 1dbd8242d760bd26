from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from fliswarm.model import Container, ContainerSpec, Image, Observation
from fliswarm.plan.difference import (
    Action,
    CreateVolume,
    Difference,
    Plan,
    RemoveContainer,
    RemoveVolume,
    ReplaceContainer,
    StartContainer,
    plan,
    removal,
    told,
)
from tests.unit.support.site import DATA, IMAGE, PULLED, engine, fleet

CASES = sorted((Path(__file__).parents[1] / "cases" / "plan").glob("*.yaml"))


def container_spec() -> ContainerSpec:
    desired = fleet({"gfa1": 19995})
    return desired.container(desired.nodes["gfa1"])


def observed(wanted: ContainerSpec, seen: dict[str, Any]) -> Observation:
    image = seen.get("image", PULLED.id)
    names = {DATA.name: DATA.docker_name}
    return Observation(
        wanted.node,
        tuple(
            container(wanted, number, found)
            for number, found in enumerate(seen.get("containers", ()))
        ),
        frozenset(names.get(name, name) for name in seen.get("volumes", ())),
        image and Image(image, PULLED.digest),
        seen.get("foreign"),
        tuple(
            container(wanted, number, found)
            for number, found in enumerate(seen.get("others", ()), 100)
        ),
        Image(PULLED.id, seen["running"]) if "running" in seen else None,
    )


def container(wanted: ContainerSpec, number: int, found: dict[str, Any]) -> Container:
    spec = {**wanted.fields(), **found.get("spec", {})}
    for name in found.get("without", ()):
        del spec[name]
    volumes = frozenset(volume.docker_name for volume in wanted.volumes)
    return Container(
        f"{number:064x}",
        found["name"],
        found.get("state", "running"),
        PULLED.id,
        spec,
        found.get("node", wanted.node),
        frozenset(found.get("volumes", volumes)),
    )


def words(action: Action) -> str:
    """Return an action as the cases write it."""
    name = type(action).__name__
    match action:
        case CreateVolume(volume):
            return f"{name} {volume.name}"
        case ReplaceContainer(old):
            return " ".join([name, *(container.name for container in old)])
        case StartContainer(container) | RemoveContainer(container):
            return f"{name} {container.name}"
        case RemoveVolume(docker_name):
            return f"{name} {docker_name}"


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_case(file: Path) -> None:
    case = yaml.safe_load(file.read_text("utf-8"))
    wanted = container_spec()
    if "wanted" in case:
        volumes = tuple(case["wanted"].pop("volumes", wanted.volumes))
        wanted = replace(wanted, volumes=volumes, **case["wanted"])
    found = plan(
        wanted,
        observed(wanted, case["seen"]),
        force=case.get("force", False),
        published=case.get("published"),
        silent=case.get("silent"),
        neighbours=case.get("neighbours", ()),
    )
    assert [difference.field for difference in found.differences] == case["differences"]
    assert [words(action) for action in found.actions] == case["actions"]
    if "blocked" in case:
        assert found.blocked is not None
        assert found.blocked.endswith(case["blocked"])
    else:
        assert found.blocked is None
    assert found.empty is (not case["actions"] and "blocked" not in case)


def test_there_are_cases() -> None:
    assert len(CASES) > 10


def test_each_field_has_a_case() -> None:
    cases = (yaml.safe_load(file.read_text("utf-8")) for file in CASES)
    fields = (field for case in cases for field in case["differences"])
    covered = {field.partition("/")[0] for field in fields}
    others = {"container", "containers", "image_id", "image_digest", "state", "camera"}
    assert covered >= {*container_spec().fields(), *others}


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_what_people_are_told_names_each_thing(file: Path) -> None:
    """No value of an environment or of a volume's options is told."""
    case = yaml.safe_load(file.read_text("utf-8"))
    wanted = container_spec()
    if "wanted" in case:
        volumes = tuple(case["wanted"].pop("volumes", wanted.volumes))
        wanted = replace(wanted, volumes=volumes, **case["wanted"])
    options = {k: case[k] for k in ("force", "published", "silent") if k in case}
    found = plan(
        wanted,
        observed(wanted, case["seen"]),
        neighbours=case.get("neighbours", ()),
        **options,
    )
    said = told(found)
    assert bool(said) is bool(found.actions)
    assert "addr=" not in str(said)
    assert "{" not in str(said)


def test_a_difference_says_what_is_wanted_and_what_is_found() -> None:
    wanted = container_spec()
    seen = observed(
        wanted,
        {"containers": [{"name": wanted.name, "spec": {"user": "5"}}]},
    )
    found = plan(wanted, seen)
    assert Difference("user", wanted=None, found="5") in found.differences
    assert str(Difference("user", None, "5")) == "user: wanted None, found 5"


def test_removal_leaves_nothing_of_ours() -> None:
    wanted = container_spec()
    names = [wanted.name, "other"]
    seen = observed(
        wanted,
        {
            "containers": [{"name": name} for name in names],
            "volumes": ["data", "a-1"],
            "foreign": "0" * 64,
        },
    )
    found = removal(seen)
    assert [words(action) for action in found.actions] == [
        "RemoveContainer flicamera-gfa1",
        "RemoveContainer other",
        "RemoveVolume a-1",
        f"RemoveVolume {DATA.docker_name}",
    ]
    assert [difference.field for difference in found.differences] == [
        "containers/flicamera-gfa1",
        "containers/other",
        "volumes/a-1",
        f"volumes/{DATA.docker_name}",
    ]
    assert removal(Observation("gfa1")) == Plan("gfa1")


@pytest.mark.parametrize(
    ("own", "neighbours", "left", "taken"),
    [
        # All who are wanted there have a container: nobody needs what is left.
        (["flicamera-gfa1"], ["gfa3"], ["gfa2"], ["gfa1", "gfa2"]),
        # It may be that of a neighbour under its former name.
        (["flicamera-gfa1"], ["gfa3", "gfa4"], ["gfa2"], ["gfa1"]),
        ([], ["gfa3"], ["gfa2"], ["gfa2"]),
        # Two got other names: each takes what has its port.
        ([], ["gfa3", "gfa4"], ["gfa2"], []),
    ],
)
def test_removal_leaves_what_may_be_a_neighbour_s(
    own: list[str], neighbours: list[str], left: list[str], taken: list[str]
) -> None:
    wanted = container_spec()
    there: list[dict[str, Any]] = [{"name": "flicamera-gfa3", "node": "gfa3"}]
    other = {"environment": {"FLICAMERA_ACTOR_PORT": "19996"}}
    there += [{"name": f"flicamera-{n}", "node": n, "spec": other} for n in left]
    seen = observed(
        wanted, {"containers": [{"name": name} for name in own], "others": there}
    )
    actions = [words(action) for action in removal(seen, neighbours, wanted).actions]
    assert actions == [f"RemoveContainer flicamera-{name}" for name in taken]


def test_removal_leaves_what_a_neighbour_mounts() -> None:
    wanted = container_spec()
    seen = observed(
        wanted,
        {
            "containers": [{"name": wanted.name}],
            "volumes": ["data", "a-1"],
            "others": [{"name": "flicamera-gfa2", "node": "gfa2"}],
        },
    )
    assert [words(action) for action in removal(seen, {"gfa2"}).actions] == [
        "RemoveContainer flicamera-gfa1",
        "RemoveVolume a-1",
    ]


@pytest.mark.parametrize(
    ("state", "running", "at_rest"),
    [
        ("created", False, True),
        ("running", True, False),
        ("paused", False, False),
        ("restarting", False, False),
        ("removing", False, False),
        ("exited", False, True),
        ("dead", False, True),
    ],
)
def test_what_a_state_means(state: str, *, running: bool, at_rest: bool) -> None:
    found = Container("0" * 64, "flicamera-gfa1", state, PULLED.id)
    assert (found.running, found.at_rest) == (running, at_rest)


async def test_four_beats() -> None:
    """Would change, changed, nothing, nothing: with the engine's own rules."""
    wanted = container_spec()
    twin = engine("gfa1")
    await twin.pull(IMAGE)
    first = plan(wanted, await twin.observe(wanted))
    assert not first.empty
    assert plan(wanted, await twin.observe(wanted)) == first
    for action in first.actions:
        match action:
            case CreateVolume(volume):
                await twin.create_volume(volume)
            case ReplaceContainer(()):
                await twin.run(wanted)
            case other:
                pytest.fail(f"unexpected: {other}")
    for _ in range(2):
        assert plan(wanted, await twin.observe(wanted)) == Plan("gfa1")
