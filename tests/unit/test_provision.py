from __future__ import annotations

import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from fliswarm.errors import ConfigError, ProvisionError
from fliswarm.site.environment import DEFAULTS, ansible_environment
from fliswarm.site.passed import answered
from fliswarm.site.provision import Event, Site, _result, read_site, run_playbook
from fliswarm.site.share import share

GOOD = """\
manager:
  hosts:
    hub: {ansible_host: 10.0.0.1, ansible_user: me, ansible_port: 2222}
nodes:
  children:
    gfa: {hosts: {gfa1: {}, gfa2: {}}}
    fvc: {hosts: {fvc: {}}}
"""


def inventory(folder: Path, text: str) -> Path:
    file = folder / "hosts.yml"
    file.write_text(text, "utf-8")
    return file


def test_a_site(tmp_path: Path) -> None:
    file = inventory(tmp_path, GOOD)
    site = read_site(file)
    assert site.manager == "hub"
    assert list(site.nodes) == ["gfa1", "gfa2", "fvc"]
    assert site.manager_ssh is not None
    assert list(site.manager_ssh)[-3:] == ["-p", "2222", "me@10.0.0.1"]


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        (
            GOOD.replace("manager:", "managers:"),
            ": group 'manager'",
            "must have exactly one host; it has none",
        ),
        (
            GOOD.replace("nodes:\n", "    two: {}\nnodes:\n", 1),
            ": group 'manager'",
            "must have exactly one host; it has hub, two",
        ),
        (
            GOOD[: GOOD.index("nodes:")],
            ": group 'nodes'",
            "must have a host; it has none",
        ),
    ],
)
def test_an_inventory_that_is_no_fleet(
    tmp_path: Path, text: str, where: str, problem: str
) -> None:
    file = inventory(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        read_site(file)
    assert str(error.value) == f"{file}{where}: {problem}"
    assert error.value.exit_code == 3


def test_an_inventory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such inventory"):
        read_site(tmp_path / "missing")


def test_an_inventory_that_is_not_yaml(tmp_path: Path) -> None:
    file = inventory(tmp_path, GOOD + "nodes: [1\n")
    with pytest.raises(ConfigError) as error:
        read_site(file)
    assert str(error.value).startswith(f"{file}")
    # It says that the file cannot be read, not merely that a group is missing.
    assert "pars" in str(error.value).lower()


def test_a_playbook_that_is_not_there(tmp_path: Path) -> None:
    events: list[Event] = []
    site = Site(inventory(tmp_path, GOOD), "hub", ["gfa1"], ["ssh", "hub"])
    with pytest.raises(ProvisionError, match=r"^nothing\.yml: ") as error:
        run_playbook("nothing", site, events.append)
    assert error.value.exit_code == 5
    assert events == []


def test_a_failure_without_a_reason_does_not_repeat_its_task() -> None:
    told = {"failed": True, "invocation": {"module_args": {"token": "SECRET"}}}
    found = _result("failed", {"task": "Write", "host": "gfa1", "res": told})
    assert found == Event("failed", "Write", "gfa1", "it gives no reason")


def test_an_inventory_in_ini(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text(
        "[manager]\nhub ansible_host=10.0.0.1\n[nodes:children]\ngfa\n"
        "[gfa]\ngfa[1:3] ansible_user=me\n",
        "utf-8",
    )
    site = read_site(file)
    assert (site.manager, list(site.nodes)) == ("hub", ["gfa1", "gfa2", "gfa3"])


def test_groups_that_a_plugin_makes(tmp_path: Path) -> None:
    (tmp_path / "1_hosts.ini").write_text(
        "hub role=manager\ngfa1 role=nodes\ngfa2 role=nodes\n", "utf-8"
    )
    (tmp_path / "2_groups.yml").write_text(
        "plugin: ansible.builtin.constructed\n"
        "keyed_groups: [{key: role, prefix: '', separator: ''}]\n",
        "utf-8",
    )
    site = read_site(tmp_path)
    assert (site.manager, list(site.nodes)) == ("hub", ["gfa1", "gfa2"])


def test_a_manager_that_is_this_computer(tmp_path: Path) -> None:
    local = GOOD.replace("ansible_user: me", "ansible_connection: local")
    assert read_site(inventory(tmp_path, local)).manager_ssh is None


def test_the_managers_ssh_is_ansibles(tmp_path: Path) -> None:
    text = GOOD.replace(
        "ansible_user: me, ansible_port: 2222",
        "ansible_ssh_user: me, ansible_ssh_extra_args: -o Compression=yes, "
        "ansible_private_key_file: /key",
    )
    found = read_site(inventory(tmp_path, text)).manager_ssh
    assert found is not None
    assert " ".join(found) == "ssh -o Compression=yes -i /key me@10.0.0.1"


def test_an_inventory_under_a_vault(tmp_path: Path) -> None:
    file = inventory(tmp_path, GOOD)
    (tmp_path / "group_vars").mkdir()
    secret = tmp_path / "group_vars" / "all.yml"
    secret.write_text("ansible_user: hidden\n", "utf-8")
    word = tmp_path / "word"
    word.write_text("sesame\n", "utf-8")
    subprocess.run(
        [
            *(
                Path(sys.executable).parent / "ansible-vault",
                "encrypt",
                "--output",
                "-",
            ),
            *("--vault-password-file", word, secret),
        ],
        check=True,
        stdout=(out := secret.with_suffix(".new").open("wb")),
        stderr=subprocess.DEVNULL,
    )
    out.close()
    secret.with_suffix(".new").replace(secret)
    with pytest.raises(ConfigError, match="vault"):
        read_site(file)
    with answered(["--ask-vault-pass"], lambda _: "sesame") as passed:
        assert read_site(file, passed).manager == "hub"


def test_paths_are_from_where_the_user_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = inventory(tmp_path, GOOD.replace("10.0.0.1", "'{{ where }}'"))
    (tmp_path / "where.yml").write_text("where: 10.0.0.7\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    with answered(["-e", "@where.yml"], str) as passed:
        found = read_site(Path(file.name), passed).manager_ssh
    assert found is not None
    assert found[-1] == "me@10.0.0.7"
    assert (tmp_path / "where.yml").exists()


def test_the_users_own_settings_stand(tmp_path: Path) -> None:
    shared = share()
    ours = ansible_environment({}, tmp_path, shared)
    assert ours["ANSIBLE_CONFIG"] == str(shared.config)
    assert (ours["ANSIBLE_FORKS"], ours["ANSIBLE_PIPELINING"]) == ("32", "True")
    assert ours["ANSIBLE_COLLECTIONS_PATH"].split(":")[0] == str(shared.collections)
    assert ours["ANSIBLE_HOST_KEY_CHECKING"] == "True"

    config = tmp_path / "ansible.cfg"
    config.write_text(
        "[defaults]\nforks = 3 ; few\nhost_key_checking = False\n"
        "collections_path = mine:/others\n[inventory]\n"
        "enable_plugins = my.own.plugin\n",
        "utf-8",
    )
    for environment, folder in (
        ({}, tmp_path),
        ({"ANSIBLE_CONFIG": str(config)}, Path("/")),
    ):
        theirs = ansible_environment(environment, folder, shared)
        assert theirs["ANSIBLE_CONFIG"] == str(config)
        assert "ANSIBLE_FORKS" not in theirs
        assert "ANSIBLE_INVENTORY_ENABLED" not in theirs
        assert theirs["ANSIBLE_HOST_KEY_CHECKING"] == "False"
        assert theirs["ANSIBLE_PIPELINING"] == "True"
        assert theirs["ANSIBLE_COLLECTIONS_PATH"].split(":") == [
            str(shared.collections),
            str(tmp_path / "mine"),
            "/others",
        ]
    assert "ANSIBLE_FORKS" not in ansible_environment(
        {"ANSIBLE_FORKS": "2"}, Path("/"), shared
    )


def test_a_setting_that_nobody_reads_is_none_of_ours() -> None:
    settings = ConfigParser(interpolation=None)
    settings.read(share().config)
    here = {(section, key) for section in settings for key in settings[section]}
    # Our own path is set in any case, and the run's output is not shown.
    only = {("defaults", "collections_path"), ("defaults", "callback_result_format")}
    assert here - only == set(DEFAULTS)
