from __future__ import annotations

from dataclasses import replace

import pytest

from fliswarm.model import Fleet, Node, Volume
from tests.unit.support.site import DATA, fleet


def test_the_mount_point_is_the_exported_path() -> None:
    assert DATA.target == "/data"
    assert replace(DATA, options={"device": "/srv/x"}).target == "/srv/x"


def test_a_volume_with_other_options_has_another_name() -> None:
    other = Volume("data", "local", {**DATA.options, "o": "addr=other"})
    same = Volume("data", "local", dict(sorted(DATA.options.items(), reverse=True)))
    assert other.docker_name != DATA.docker_name
    assert same.docker_name == DATA.docker_name
    assert DATA.docker_name.startswith("data-")


@pytest.mark.parametrize(
    ("uid", "gid", "user"), [(None, 7, None), (5, None, "5"), (0, 0, "0:0")]
)
def test_the_user_in_the_container(
    uid: int | None, gid: int | None, user: str | None
) -> None:
    node = Node("gfa1", "h", "tcp://h:2375", uid=uid, gid=gid)
    assert fleet({"gfa1": 1}).container(node).user == user


def test_a_node_s_environment_wins() -> None:
    node = Node("gfa1", "h", "tcp://h:1", port=7, environment={"OBSERVATORY": "LAB"})
    assert fleet({"gfa1": 1}).container(node).environment == {
        "ACTOR_NAME": "gfa1",
        "OBSERVATORY": "LAB",
        "FLICAMERA_ACTOR_PORT": "7",
    }


def test_no_registry_is_the_remote_one() -> None:
    desired: Fleet = fleet({"gfa1": 1})
    assert desired.image_reference == "hub:5000/sdss/flicamera:latest"
    remote = replace(desired, registry=None)
    assert remote.image_reference == "sdss/flicamera:latest"


def test_every_field_of_a_container_but_its_names_is_compared() -> None:
    desired = fleet({"gfa1": 1})
    spec = desired.container(desired.nodes["gfa1"])
    changes: list[dict[str, object]] = [
        {"image": "other"},
        {"environment": {}},
        {"volumes": ()},
        {"privileged": False},
        {"network": "none"},
        {"limits": replace(spec.limits, memory="1g")},
        {"limits": replace(spec.limits, cpus=1.0)},
        {"user": "5"},
        {"restart_policy": "no"},
    ]
    for change in changes:
        other = replace(spec, **change)  # type: ignore[arg-type]
        assert other.fields() != spec.fields(), change
    assert replace(spec, name="other").fields() == spec.fields()
