"""An inventory from the original's file, which comes to the same fleet."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from fliswarm import config
from fliswarm.cli.app import fliswarm
from fliswarm.config import address
from fliswarm.errors import ConfigError
from fliswarm.model import Fleet
from fliswarm.site.importer import imported, write
from tests.unit.support.rendered import Render, rendering
from tests.unit.support.site import original

PACKAGED = Path(config.__file__).parents[1] / "etc/fliswarm.yaml"


def meaning(fleet: Fleet) -> Fleet:
    """Return a fleet in which what means the same is the same.

    The service has a control socket of its own, nodes come in the order of their
    groups, and an engine's address may name its usual port.
    """
    nodes = {
        name: replace(node, engine=str(address.engine(node.engine)))
        for name, node in fleet.nodes.items()
    }
    enabled = tuple(sorted(fleet.enabled))
    image = fleet.image_reference
    return replace(
        fleet,
        nodes=nodes,
        enabled=enabled,
        image=image,
        registry=None,
        control_socket=None,
    )


@pytest.fixture(scope="module")
def render() -> Iterator[Render]:
    """Return what renders inventories."""
    with rendering() as render:
        yield render


def there_and_back(
    render: Render, file: Path, site: str, manager: str | None = None
) -> None:
    """Import a site, let the role write its file, and compare what both mean."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "inventory" / "site"
        assert write(imported(file, site, manager), target)
        text, problems = render(target)
        assert problems == []
        rendered = Path(folder) / "fliswarm.yaml"
        rendered.write_text(text, "utf-8")
        before = config.load(file, environment={"OBSERVATORY": site})
        after = config.load(rendered, environment={})
        assert meaning(after) == meaning(before), text


@pytest.mark.parametrize("site", ["APO", "LCO"])
def test_both_sites_of_sdss(render: Render, site: str) -> None:
    there_and_back(render, PACKAGED, site)


@pytest.mark.parametrize("site", ["APO", "LCO"])
def test_a_file_with_all_that_the_original_has(
    render: Render, tmp_path: Path, site: str
) -> None:
    there_and_back(render, original(tmp_path), site)


def test_it_is_written_as_a_person_would(tmp_path: Path) -> None:
    """As the inventory of the site that is in this repository."""
    target = tmp_path / "apo"
    write(imported(PACKAGED, "apo"), target)
    own = Path(__file__).parents[2] / "inventory/apo"
    for file in ("hosts.yml", "group_vars/all.yml", "group_vars/nodes.yml"):
        written = yaml.safe_load((target / file).read_text("utf-8"))
        by_hand = yaml.safe_load((own / file).read_text("utf-8"))
        # It says the port that it would have anyway.
        by_hand.get("controller_actor", {}).pop("tron_port", None)
        assert written == by_hand
    assert max(map(len, (target / "hosts.yml").read_text("utf-8").splitlines())) < 100


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    file = original(tmp_path)
    assert imported(file, "APO").notes == (
        "reboot_command: left out, sdss-fliswarm never reads it",
        "actor/additional_properties: left out, it is for the original's actor library",
        f"nodes/LCO: left out, another site; fliswarm import {file} --site lco",
    )


# Nothing but all of it


def test_again_changes_nothing_and_nothing_is_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "apo"
    inventory = imported(PACKAGED, "apo")
    assert write(inventory, target)
    assert not write(inventory, target)
    hosts = target / "hosts.yml"
    hosts.write_text("mine", "utf-8")
    with pytest.raises(ConfigError, match="is there already"):
        write(inventory, target)
    assert hosts.read_text("utf-8") == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["apo"]
    # A link to nowhere is somebody's too.
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="is there already"):
        write(inventory, tmp_path / "link")


def test_a_disk_that_takes_no_more_leaves_nothing(tmp_path: Path) -> None:
    inventory = imported(PACKAGED, "apo")
    broken = replace(inventory, files={**inventory.files, "x/y/z": "no folder for it"})
    with pytest.raises(ConfigError, match="No such file"):
        write(broken, tmp_path / "apo")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("user: sdss", "user: other"), "nodes/APO/gfa2/user: is sdss, and gfa1 has"),
        (("2375", "4243"), "nodes/APO/gfa1/docker-client: is tcp://sdss-gfa1:4243; "),
        (("tcp://sdss-gfa1:2375", "tcp://elsewhere"), "gfa1/docker-client: is tcp://e"),
        (
            ("tcp://sdss-gfa1:2375", "unix:///run/docker.sock"),
            "engines are reached in one way",
        ),
        (("host: sdss-gfa2", "host: sdss-gfa1, port: 20000"), "gfa2/host: is the comp"),
        (("host: sdss-fvc", "host: SDSS-hub"), "fvc/host: is the computer of the man"),
        (("device: nuc1", "device: nuc1, actor: '{{ a }}'"), "must be an actor's name"),
        (('o: "addr=hub,rw"', "o: '{{ nfs }}'"), "volumes/data/opts/o: has what Ans"),
        (("registry: sdss-hub:5000", "registry: null"), "remedy: --manager HOST"),
        (("registry: sdss-hub:5000", "registry: ghcr.io/sdss"), "remedy: --manager"),
        (("sdss-hub:5000", "sdss_hub.x:5000"), "must be HOST:PORT"),
        (("fvc: {host", "localhost: {host"), "nodes/APO/localhost"),
        (("ping_timeout", "ping_timeuot"), "did you mean 'ping_timeout'?"),
    ],
)
def test_what_cannot_be_taken_over(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    file = original(tmp_path)
    text = file.read_text("utf-8")
    assert change[0] in text
    text = text.replace(*change).replace("[gfa1, fvc]", "[gfa1]")
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as raised:
        imported(file, "APO")
    assert said in str(raised.value)
    assert raised.value.exit_code == 3


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    file = original(tmp_path)
    text = file.read_text("utf-8").replace("user: sdss", "user: other")
    file.write_text(text.replace("host: sdss-fvc", "port: 1, host: sdss-gfa2"), "utf-8")
    with pytest.raises(ConfigError) as raised:
        imported(file, "APO")
    assert len(str(raised.value).splitlines()) == 4


def test_a_site_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="no site 'mcdonald'; it has APO, LCO"):
        imported(PACKAGED, "mcdonald")


# The command


def run(*words: str) -> Result:
    return CliRunner().invoke(fliswarm, ["import", *words])


def test_the_command_writes_and_says_what_it_wrote(tmp_path: Path) -> None:
    target = tmp_path / "new"
    words = (str(PACKAGED), "--site", "apo", "-o", str(target))
    shown = run(*words, "--dry-run")
    assert shown.exit_code == 0
    assert "gfa1: {ansible_host: sdss-gfa1" in shown.output
    assert not target.exists()
    done = run(*words)
    assert done.exit_code == 0
    assert str(target / "hosts.yml") in done.output
    assert "nodes/LCO: left out, another site" in done.output
    assert (target / "hosts.yml").read_text("utf-8") in shown.output
    assert "as it would be written" in run(*words).output


def test_the_command_refuses_in_one_message(tmp_path: Path) -> None:
    done = run(str(tmp_path / "none.yaml"), "--site", "apo")
    assert isinstance(done.exception, ConfigError)
    assert "No such file" in str(done.exception)


# Files as sites may have them

NAMES = st.from_regex(r"[a-zA-Z0-9][a-z0-9_-]{0,6}", fullmatch=True)

HOSTS = st.one_of(
    st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9](\.site)?", fullmatch=True),
    st.ip_addresses().map(str),
)

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="{\x00", exclude_categories=["Cs"]),
    max_size=12,
)

COMMANDS = st.from_regex(r"[a-z]{1,6}( --?[a-z]{1,4}){0,2}", fullmatch=True)

DEVICES = st.from_regex(r"[a-z0-9_.:/-]{1,8}", fullmatch=True)


def some(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return mappings that have some of these keys."""
    return st.fixed_dictionaries({}, optional=keys)


POWER = {
    "actor": st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    "command": st.fixed_dictionaries({"poweron": COMMANDS, "poweroff": COMMANDS}),
}

NODE = st.fixed_dictionaries(
    {},
    optional={
        "port": st.integers(1, 65535),
        "docker-uid": st.integers(0, 2**31 - 1),
        "docker-gid": st.integers(0, 2**31 - 1),
        "ssh-port": st.integers(1, 65535),
        "category": st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,5}", fullmatch=True),
        "power": st.fixed_dictionaries({"device": DEVICES}, optional=POWER),
        "environment": st.dictionaries(
            st.from_regex(r"[A-Za-z_]{1,6}", fullmatch=True), TEXTS, max_size=2
        ),
    },
)


@st.composite
def sites(draw: st.DrawFn) -> dict[str, Any]:
    """Return files of one site."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    places = draw(
        st.lists(
            HOSTS, min_size=len(names), max_size=len(names), unique_by=address.same
        )
    )
    uses = draw(st.sampled_from(["tcp", "ssh"]))
    user = draw(st.sampled_from(["sdss", "observer"]))
    nodes = {}
    for name, place in zip(names, places, strict=True):
        node = {"host": place, "user": user, **draw(NODE)}
        if uses == "ssh":
            port = node.get("ssh-port", 22)
            node["docker-client"] = f"ssh://{user}@{address.bracketed(place)}:{port}"
        nodes[name] = node
    site = draw(st.from_regex(r"[A-Za-z0-9_]{1,6}", fullmatch=True))
    volumes = draw(
        st.dictionaries(
            NAMES, st.dictionaries(st.sampled_from("ot"), TEXTS), max_size=3
        )
    )
    options: dict[str, Any] = draw(
        some(
            ping_timeout=st.floats(0.01, 3600),
            container_name=NAMES,
            privileged=st.booleans(),
            restart_policy=st.sampled_from(["no", "always", "on-failure"]),
            limits=some(memory=st.just("2g"), cpus=st.floats(0.01, 64)),
            registry=st.sampled_from(["hub:5000", "10.9.8.7:5000", "ghcr.io/sdss"]),
            enabled_nodes=st.fixed_dictionaries(
                {site: st.lists(st.sampled_from(names), unique=True)}
            ),
            actor=some(
                name=st.sampled_from(["fliswarm", "other"]),
                port=st.integers(1, 65535),
                tron_host=HOSTS,
                tron_port=st.integers(1, 65535),
                log_dir=st.sampled_from(["/data/logs", "/var/log/fliswarm"]),
                additional_properties=st.booleans(),
            ),
        )
    )
    return {
        "image": draw(st.sampled_from(["sdss/flicamera:latest", "a/b"])),
        "nodes": {site: nodes},
        "power": draw(st.fixed_dictionaries(POWER)),
        "volumes": {
            name: {"opts": {**opts, "device": f":/v{number}"}}
            for number, (name, opts) in zip(
                itertools.count(), volumes.items(), strict=False
            )
        },
        **options,
    }


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(sites())
def test_any_file_comes_to_the_same_fleet(render: Render, raw: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "old.yaml"
        file.write_text(yaml.safe_dump(raw, sort_keys=False), "utf-8")
        (site,) = raw["nodes"]
        try:
            imported(file, site, "the-manager")
        except ConfigError:
            # What no inventory can hold is another test's.
            reject()
        there_and_back(render, file, site, "the-manager")
