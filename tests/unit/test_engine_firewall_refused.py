"""What the role docker_engine does where no firewall can be set."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.support.modules import ROOT

ROLE = ROOT / "collection/roles/docker_engine"

NO_RULES = {"rc": 4, "stdout": "iptables: Permission denied"}


def tasks(*names: str) -> list[dict[str, Any]]:
    """Return tasks of the role by their names."""
    files = [ROLE / "tasks" / f"{phase}.yml" for phase in ("preflight", "configure")]
    every = [task for file in files for task in yaml.safe_load(file.read_text("utf-8"))]
    chosen = [task for task in every if task["name"] in names]
    assert len(chosen) == len(names)
    return chosen


def run(folder: Path, names: list[str], **known: Any) -> tuple[int, str]:  # noqa: ANN401
    """Run tasks of the role on this computer with what those before them found."""
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")],
        "tasks": tasks(*names),
    }
    file = folder / "play.yml"
    file.write_text(yaml.safe_dump([play]), "utf-8")
    settings = {
        "ansible_python_interpreter": sys.executable,
        "fliswarm_docker_transport": "tcp",
        "docker_engine__host": {"packages": [], "records": []},
        **known,
    }
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            *(str(file), "--extra-vars", json.dumps(settings)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("required", "packages", "refused"),
    [
        (True, [], True),
        ("true", [], True),
        (False, [], False),
        ("false", [], False),
        # What is to be installed brings iptables with it.
        (True, ["docker.io"], False),
    ],
)
def test_a_host_where_no_rules_can_be_set_is_refused_first(
    tmp_path: Path, *, required: bool | str, packages: list[str], refused: bool
) -> None:
    code, said = run(
        tmp_path,
        ["Refuse a port that is open to anybody"],
        docker_engine__firewall=NO_RULES,
        docker_engine__host={"packages": packages, "records": []},
        docker_engine_firewall_required=required,
    )
    assert bool(code) is refused, said
    if refused:
        assert "no firewall can be set (iptables: Permission denied)" in said
        assert "Nothing was changed. Remedy: fliswarm_docker_transport tls" in said


@pytest.mark.parametrize("required", [True, False])
def test_a_host_where_none_can_be_set_after_all(
    tmp_path: Path, *, required: bool
) -> None:
    """The run stops there, unless the site has said that it closes the port itself."""
    again, told = (
        "Look again whether a firewall can be set",
        "Say that anybody is let in",
    )
    code, said = run(
        tmp_path,
        [again, told],
        docker_engine__firewall=NO_RULES,
        docker_engine_firewall_required=required,
        __docker_engine_look=["sh", "-c", "echo iptables: no such table; exit 3"],
    )
    assert bool(code) is required, said
    if not required:
        assert "No firewall can be set here (iptables: no such table)" in said
        assert "port 2375 of localhost is root there" in said
