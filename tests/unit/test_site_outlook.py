"""What a run in check mode says of the hosts of a site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fliswarm.errors import ProvisionError
from fliswarm.site.left import LeftHost, left_inventory
from fliswarm.site.outlook import HostLook, task
from fliswarm.site.provision import read_site
from fliswarm.site.render import render
from tests.unit.test_provision import GOOD, inventory

COPY = "ansible.builtin.copy"


def result(action: str = COPY, name: str = "Write", **res: Any) -> dict[str, Any]:  # noqa: ANN401  Ansible's own
    """Return an event of a task that changes something."""
    told = {"changed": True, **res}
    return {"host": "gfa1", "task": name, "task_action": action, "res": told}


FILE = {"before_header": "/etc/x", "after_header": "/etc/x", "before": "", "after": "K"}


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (result(diff=FILE), "Write (copy): /etc/x"),
        (result(diff=[FILE, {**FILE, "after_header": "/etc/y"}]), "/etc/x, /etc/y"),
        (
            result("sdss.fliswarm.owned_files", diff=[FILE]),
            "Write (owned_files): /etc/x",
        ),
        (result(dest="/etc/z"), "Write (copy): /etc/z"),
        (
            result("user", results=[{"changed": True, "item": "anna"}, {"item": "bo"}]),
            "Write (user): anna",
        ),
        (result("apt", "camera_host : Install"), "Install (apt)"),
        (
            result(diff={"after_header": "/root/.ansible/tmp/ansible-tmp-1/source"}),
            "Write (copy)",
        ),
    ],
)
def test_a_task_is_told_with_what_it_changes(event: dict[str, Any], words: str) -> None:
    assert str(task(event)).endswith(words)


def test_what_differs_in_a_file_is_not_told_and_counts() -> None:
    one, other = (task(result(diff={**FILE, "after": text})) for text in ("K", "L"))
    assert str(one) == str(other)
    assert one.fingerprint != other.fingerprint
    assert one == task(result(diff=FILE))


def test_what_is_another_one_each_time_does_not_count() -> None:
    place = "/root/.ansible/tmp/ansible-tmp-{}/source"
    one, other = (
        task(result(diff={**FILE, "after_header": place.format(n)})) for n in (1, 2)
    )
    assert one == other


def test_hosts_with_their_changes() -> None:
    found = HostLook()
    found.hear(result(diff=FILE))
    found.hear({**result(), "host": "gfa2", "res": {"changed": False}})
    assert list(found.tasks) == ["gfa1"]
    made = HostLook()
    made.hear({**result(), "role": "sdss.fliswarm.flicamera_image"})
    assert (found.image, made.image) == (False, True)
    gone = {"name": "gfa4", "role": "node", "connection": "10.0.0.14", "keys": []}
    named = {"task": "Name those that have left", "res": {"left": [gone]}}
    found.hear({**named, "host": "hub"})
    assert found.left == [LeftHost("gfa4", "node", "10.0.0.14")]


def test_a_computer_that_left_is_a_node_of_the_site_again(tmp_path: Path) -> None:
    """For Ansible alone, which logs in on it as on the others."""
    file = inventory(tmp_path, GOOD)
    with left_inventory([LeftHost("gfa4", "node", "10.0.0.14")]) as options:
        mixed = tmp_path / "both"
        mixed.mkdir()
        for path in (file, Path(options[1])):
            (mixed / path.name).write_text(path.read_text("utf-8"), "utf-8")
        assert set(read_site(mixed).nodes) == {"gfa1", "gfa2", "fvc", "gfa4-left"}
        assert options[2:] == ["--limit", "gfa4-left"]


def test_a_rendering_is_what_the_role_writes(tmp_path: Path) -> None:
    site = read_site(
        inventory(tmp_path, GOOD + "all: {vars: {fliswarm_observatory: APO}}\n")
    )
    text = render(site)
    assert text.startswith("# Rendered from the inventory by the role")
    assert "observatory: APO" in text


def test_an_inventory_that_is_wrong_is_told_in_its_own_words(tmp_path: Path) -> None:
    text = GOOD.replace("gfa2: {}", "gfa2: {fliswarm_portt: 5}")
    site = read_site(inventory(tmp_path, text))
    with pytest.raises(ProvisionError, match="fliswarm_portt"):
        render(site)
