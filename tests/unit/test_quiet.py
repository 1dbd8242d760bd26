"""What is told of the parameters of modules that take secrets, and of texts."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sdss.fliswarm.plugins.module_utils import kept
from ansible_collections.sdss.fliswarm.plugins.module_utils.quiet import masked

from fliswarm.plan.difference import Difference
from tests.readmes import ROLES, load
from tests.unit.support.modules import result, start

ME = pwd.getpwuid(os.getuid()).pw_name

CONTROLLER = next(role for role in ROLES if role.name == "controller")

JOURNAL = """
import pathlib
def sendv(*words, **fields):
    with pathlib.Path(__file__).with_name("told").open("a") as file:
        print(words, fields, file=file)
send = sendv
"""
"""Stands for the journal of a host: what a module sends to it is a line of a file."""

CERTIFICATE = {
    "authority": "A\n",
    "certificate": "C\n",
    "key": "-----BEGIN PRIVATE KEY-----\nMIGHSECRETAgEA\n-----END PRIVATE KEY-----\n",
}


def told(name: str, arguments: dict[str, Any], folder: Path) -> str:
    """Run a module the way Ansible does; return all that it tells of itself."""
    library = folder / "library" / "systemd"
    library.mkdir(parents=True)
    (library / "__init__.py").touch()
    (library / "journal.py").write_text(JOURNAL)
    (library / "daemon.py").write_text("def booted(): return True\n")
    # Ansible's task says whether the module may log, over what the module says.
    flags = {"_ansible_no_log": False, "_ansible_diff": True}
    with start(name, {**arguments, **flags}, library.parent) as process:
        said = result(process)
    lines = library / "told"
    return json.dumps(said) + (lines.read_text() if lines.exists() else "")


@pytest.mark.parametrize("option", ["tls", "registry_tls"])
def test_a_key_of_an_engine_is_not_told(tmp_path: Path, option: str) -> None:
    arguments = {"state": "read", option: CERTIFICATE}
    assert "SECRET" not in told("docker_daemon", arguments, tmp_path)


def test_a_password_of_a_proxy_is_not_told(tmp_path: Path) -> None:
    proxies = {"proxies": {"http-proxy": "http://me:SECRET@proxy:3128"}}
    said = told("docker_daemon", {"state": "read", "options": proxies}, tmp_path)
    assert "SECRET" not in said


def test_neither_contents_nor_secrets_of_files_are_told(tmp_path: Path) -> None:
    file = {
        "path": str(tmp_path / "fliswarm.yaml"),
        "content": 'environment: {"SOME": "SECRET 1"}\nport: 1\n',
        "hide": "^( *)environment:( .+)$",
        "owner": ME,
        "mode": "0600",
    }
    arguments = {
        "name": "test",
        "store": str(tmp_path / "store"),
        "files": [file],
        "secrets": {str(tmp_path / "key"): CERTIFICATE["key"]},
        "secret_owner": ME,
    }
    said = told("owned_files", arguments, tmp_path)
    assert "port: 1" in said
    assert "SECRET" not in said
    assert "SECRET 1" in (tmp_path / "fliswarm.yaml").read_text()


def test_a_failure_does_not_repeat_a_secret(tmp_path: Path) -> None:
    arguments = {
        "name": "test",
        "store": str(tmp_path / "store"),
        "files": [{"path": str(tmp_path / "a"), "content": "a", "owner": ME}],
        "then": [["sh", "-c", "echo bad proxy http://me:SECRET@proxy >&2; exit 1"]],
        "holds": ["true"],
    }
    said = told("owned_files", arguments, tmp_path)
    assert "bad proxy http://********@proxy" in said
    assert "SECRET@" not in said.replace("me:SECRET@proxy >&2", "")


@pytest.mark.parametrize(
    "text",
    [
        '"http-proxy": "http://me:S3CRET@proxy:3128"',
        'API_TOKEN: "S3CRET and more"',
        "password=S3CRET,rw",
        "{'db-password': 'S3CRET'}",
        '{"splunk-token": "S3\\"CRET"}',
        "-----BEGIN EC PRIVATE KEY-----\nS3CRET\n-----END EC PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nS3CRET",
    ],
)
def test_what_is_secret_by_its_form_is_masked(text: str) -> None:
    assert "CRET" not in masked(text).replace("API_", "")
    assert "********" in masked(text)


@pytest.mark.parametrize(
    "text",
    ["http://proxy:3128/a@b", "no secrets here", "key: /etc/fliswarm/tls/server.key"],
)
def test_what_is_not_secret_stays(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    "text",
    [
        '  environment: {"A": "S3CRET", "B": "S3CRET"}\n  port: 1\n',
        "  environment:\n    A: S3CRET\n    B: S3CRET\n  port: 1\n",
    ],
)
def test_an_environment_is_hidden_however_it_is_written(text: str) -> None:
    (hide,) = {
        file["hide"]
        for file in load(CONTROLLER, "vars/main.yml")["__controller_always"]
        if "hide" in file
    }
    assert masked(text, hide).splitlines()[0].endswith("environment:********")
    assert masked(text, hide).endswith("\n  port: 1\n")
    assert "S3CRET" not in masked(text, hide)


def test_that_what_is_hidden_differs_is_told() -> None:
    before, after = kept.File("password: a\n"), kept.File("password: b\n")
    shown = kept.show("file", before, after, secret=False)
    assert shown["before"] == "password: ********\n"
    assert shown["after"] == "password: ********\n(what is hidden differs)\n"


def test_a_difference_of_an_environment_names_variables_alone() -> None:
    said = str(Difference("environment", {"A": "1", "TOKEN": "x"}, {"A": "1"}))
    assert said == "environment: TOKEN differs"
