"""What every role of the collection keeps to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.readmes import ROLES, load, readme, specs

each_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)

PHASES = ("preflight", "configure", "service")


def tasks(found: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  what YAML holds
    """Yield the tasks of a file or a playbook, those in blocks too."""
    for task in found or []:
        yield task
        for part in ("block", "rescue", "always", "tasks"):
            yield from tasks(task.get(part))


def test_there_are_roles() -> None:
    assert [role.name for role in ROLES] == [
        "camera_host",
        "controller",
        "docker_engine",
        "flicamera_image",
        "pki",
        "registry",
    ]


@each_role
def test_defaults_are_those_specified(role: Path) -> None:
    options = specs(role)["main"]["options"]
    assert set(options) == set(load(role, "defaults/main.yml"))
    for name, option in options.items():
        assert name.startswith(f"{role.name}_")
        assert option["type"]
        assert option["description"].strip().endswith("."), name


@each_role
def test_each_entry_point_is_specified(role: Path) -> None:
    files = {file.stem for file in role.glob("tasks/*.yml")}
    inner = {*PHASES, "make"}
    assert files - inner == set(specs(role))
    main = specs(role)["main"]["options"]
    for entry in specs(role).values():
        assert entry["short_description"]
        assert entry["description"]
        assert entry["options"].items() <= main.items()


@each_role
def test_readme_is_as_written_by_the_script(role: Path) -> None:
    said = (role / "README.md").read_text("utf-8")
    assert said == readme(role), "run python -m tests.readmes"


@each_role
def test_inner_variables_are_marked(role: Path) -> None:
    names = load(role, "vars/main.yml")
    assert all(name.startswith(f"__{role.name}_") for name in names)


@each_role
def test_phases_and_tags(role: Path) -> None:
    imports = [
        task
        for task in tasks(load(role, "tasks/main.yml"))
        if "ansible.builtin.import_tasks" in task
    ]
    files = [Path(task["ansible.builtin.import_tasks"]).stem for task in imports]
    assert files == [phase for phase in PHASES if phase in files]
    for phase, task in zip(files, imports, strict=True):
        assert {role.name, f"{role.name}_{phase}"} <= set(task["tags"])


@each_role
def test_no_error_is_ignored(role: Path) -> None:
    files = [*role.glob("tasks/*.yml"), *role.glob("handlers/*.yml")]
    for file in files:
        for task in tasks(load(role, str(file.relative_to(role)))):
            assert task["name"], file
            assert "ignore_errors" not in task, task["name"]
            assert task.get("failed_when") is not False, task["name"]


@each_role
def test_a_preflight_looks_and_calls_no_other_role(role: Path) -> None:
    """Another role's phases would write before this one has refused."""
    writing = {"include_role", "import_role", "copy", "file", "template", "apt"}
    found = {
        name.removeprefix("ansible.builtin.")
        for task in tasks(load(role, "tasks/preflight.yml"))
        for name in task
    }
    assert not found & writing


@each_role
def test_what_follows_files_is_asked_for_in_each_run(role: Path) -> None:
    """A task that runs commands after its files says what tells that they hold."""
    for file in sorted(role.glob("tasks/*.yml")):
        for task in tasks(load(role, str(file.relative_to(role)))):
            step = task.get("sdss.fliswarm.owned_files")
            if step and "then" in step and step.get("state") != "absent":
                assert {"holds", "units"} & set(step), (file, task["name"])
