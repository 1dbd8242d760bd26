"""Runs the playbooks: the only module that imports ``ansible_runner``."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner

from fliswarm.errors import ConfigError, ProvisionError
from fliswarm.site.passed import Passed
from fliswarm.site.share import Share, share

RESULTS = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
    "runner_on_skipped": "skipped",
}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a playbook.

    ``kind`` is ``task`` when a task begins, else the result on one host: ``ok``,
    ``changed``, ``failed``, ``unreachable``, ``skipped``, or a ``warning`` before it;
    ``text`` is the host's own words about a failure or of a warning.
    """

    kind: str
    task: str
    host: str | None = None
    text: str | None = None


@dataclass(slots=True)
class Summary:
    """How a playbook ended, on each host: counts by kind of result."""

    hosts: dict[str, dict[str, int]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        """Hosts on which it did not run to its end."""
        return [
            host
            for host, counts in self.hosts.items()
            if counts.get("failures") or counts.get("dark")
        ]


@dataclass(frozen=True, slots=True)
class Site:
    """What an inventory says about a site, checked.

    ``manager_ssh`` is the ssh command that reaches the manager the way Ansible does,
    or ``None`` where the manager is this computer. ``passed`` is what the user hands
    through to Ansible.
    """

    inventory: Path
    manager: str
    nodes: Sequence[str]
    manager_ssh: Sequence[str] | None
    passed: Passed = Passed()


ASK = """{{
  {'managers': groups['manager'] | default([]), 'nodes': groups['nodes'] | default([])}
  | combine({} if groups['manager'] | default([]) | length != 1 else {
    'connection': manager.ansible_connection | default(''),
    'host': manager.ansible_host
      | default(manager.ansible_ssh_host | default(groups['manager'][0])),
    'user': manager.ansible_user | default(manager.ansible_ssh_user | default('')),
    'port': manager.ansible_port | default(manager.ansible_ssh_port | default('')),
    'key': manager.ansible_ssh_private_key_file
      | default(manager.ansible_private_key_file | default('')),
    'args': [manager.ansible_ssh_common_args | default(''),
      manager.ansible_ssh_extra_args | default('')] | join(' ')})
}}""".replace("manager.", "hostvars[groups['manager'][0]].")
"""What is asked of an inventory; Ansible's own templates are the ones to answer."""

PLAY = [
    {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.debug": {"msg": ASK}}],
    }
]


def read_site(inventory: Path, passed: Passed = Passed()) -> Site:
    """Read an inventory and check that it describes a fleet.

    Parameters
    ----------
    inventory
        File or folder.
    passed
        What the user hands through to Ansible.

    Raises
    ------
    ConfigError
        Naming the inventory and what is wrong with it.
    """
    if not inventory.exists():
        raise ConfigError(str(inventory), "there is no such inventory")
    answers: list[Mapping[str, Any]] = []
    output: list[str] = []

    def handle(event: Mapping[str, Any]) -> bool:
        if event.get("event") == "runner_on_ok":
            answers.append(event["event_data"]["res"]["msg"])
        else:
            output.append(event.get("stdout") or "")
        return False

    # A playbook, since ansible-runner runs a single module in a folder of its own.
    with tempfile.TemporaryDirectory() as folder:
        playbook = Path(folder) / "ask.yml"
        playbook.write_text(json.dumps(PLAY), "utf-8")
        words = [*_inventory(inventory), "--connection", "local", *passed.read]
        with _run(
            playbook=str(playbook), cmdline=shlex.join(words), event_handler=handle
        ) as status:
            said = _said(output) or status
    if not answers:
        raise ConfigError(str(inventory), said)
    found = answers[0]
    if len(found["managers"]) != 1:
        has = ", ".join(found["managers"]) or "none"
        raise ConfigError(
            f"{inventory}: group 'manager'", f"must have exactly one host; it has {has}"
        )
    if not found["nodes"]:
        raise ConfigError(
            f"{inventory}: group 'nodes'", "must have a host; it has none"
        )
    return Site(inventory, found["managers"][0], found["nodes"], _ssh(found), passed)


def _inventory(inventory: Path) -> list[str]:
    return ["-i", str(inventory.resolve())]


def _ssh(found: Mapping[str, Any]) -> list[str] | None:
    if found["connection"] in ("local", "ansible.builtin.local"):
        return None
    command = ["ssh", *shlex.split(found["args"])]
    if found["key"]:
        command += ["-i", found["key"]]
    if found["port"]:
        command += ["-p", str(found["port"])]
    user = f"{found['user']}@" if found["user"] else ""
    return [*command, f"{user}{found['host']}"]


def _said(output: Sequence[str]) -> str:
    """Return what Ansible said that tells a reason, each line once."""
    lines = dict.fromkeys(line.strip() for text in output for line in text.splitlines())
    noise = ("[WARNING]", "[DEPRECATION", "<<<", "(source", "Failed to parse")
    return " ".join(line for line in lines if line and not line.startswith(noise))


def run_playbook(
    name: str,
    site: Site,
    on_event: Callable[[Event], None],
    options: Sequence[str] = (),
) -> Summary:
    """Run one of our playbooks over a site.

    Parameters
    ----------
    name
        Of the playbook, without its suffix.
    site
        Where.
    on_event
        Gets what happens as it happens.
    options
        Further options of ``ansible-playbook`` (``--check``, ``--limit gfa1``).

    Raises
    ------
    ProvisionError
        When it could not be run at all.
    """
    summary = Summary()
    output: list[str] = []

    def handle(event: Mapping[str, Any]) -> bool:
        data = event.get("event_data") or {}
        kind = event.get("event", "")
        if kind == "playbook_on_stats":
            for count in ("ok", "changed", "failures", "dark", "skipped"):
                for host, number in data.get(count, {}).items():
                    summary.hosts.setdefault(host, {})[count] = number
        elif kind == "playbook_on_task_start":
            on_event(Event("task", _task(data)))
        elif kind in RESULTS and not (
            kind == "runner_on_failed" and data.get("ignore_errors")
        ):
            result = _result(RESULTS[kind], data)
            if result.host and result.text:
                summary.problems[result.host] = result.text
            for words in _warnings(data.get("res") or {}):
                on_event(Event("warning", result.task, result.host, words))
            on_event(result)
        else:
            output.append(event.get("stdout") or "")
        # False: no file is written for the event, which may hold secrets.
        return False

    playbook = share().playbooks / f"{name}.yml"
    cmdline = shlex.join([*_inventory(site.inventory), *options, *site.passed.run])
    with _run(playbook=str(playbook), cmdline=cmdline, event_handler=handle) as status:
        if not summary.hosts:
            raise ProvisionError(f"{name}.yml: {_said(output) or status}")
    return summary


def _task(data: Mapping[str, Any]) -> str:
    return str(data.get("task") or data.get("name") or "")


def _result(kind: str, data: Mapping[str, Any]) -> Event:
    result = data.get("res") or {}
    if kind == "ok" and result.get("changed"):
        kind = "changed"
    text = None
    if kind in ("failed", "unreachable"):
        bad = [
            r
            for r in result.get("results", ())
            if r.get("failed") or r.get("unreachable")
        ] or [result]
        text = "; ".join(dict.fromkeys(map(_words, bad)))
    return Event(kind, _task(data), data.get("host"), text)


def _warnings(result: Mapping[str, Any]) -> list[str]:
    """Return what a module warned of, which may come as text or as Ansible's event."""
    return [
        str(one.get("event", one).get("msg", one))
        if isinstance(one, dict)
        else str(one)
        for one in result.get("warnings") or ()
    ]


def _words(result: Mapping[str, Any]) -> str:
    """Return why a task failed, with a program's own last word where it was one."""
    errors = str(result.get("stderr") or "").strip()
    last = errors.rpartition("\n")[2].strip()
    said = str(result.get("msg") or "")
    # The rest of a result may repeat what the task was given, secrets among it.
    return ": ".join(text for text in (said, last) if text) or "it gives no reason"


@contextmanager
def _run(**settings: Any) -> Iterator[str]:  # noqa: ANN401  ansible-runner's own
    """Run Ansible and yield its status; nothing of it stays on disk."""
    with tempfile.TemporaryDirectory() as private:
        # Ansible is run there: the user's relative paths are from where the user is.
        (Path(private) / "project").symlink_to(Path.cwd())
        result = ansible_runner.run(
            private_data_dir=private,
            envvars=ansible_environment(os.environ, Path.cwd(), share()),
            quiet=True,
            suppress_env_files=True,
            **settings,
        )
        yield str(result.status)


DEFAULTS = {
    ("defaults", "forks"): "ANSIBLE_FORKS",
    ("defaults", "interpreter_python"): "ANSIBLE_PYTHON_INTERPRETER",
    ("defaults", "host_key_checking"): "ANSIBLE_HOST_KEY_CHECKING",
    ("defaults", "inject_facts_as_vars"): "ANSIBLE_INJECT_FACT_VARS",
    ("defaults", "localhost_warning"): "ANSIBLE_LOCALHOST_WARNING",
    ("inventory", "enable_plugins"): "ANSIBLE_INVENTORY_ENABLED",
    ("inventory", "any_unparsed_is_failed"): "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED",
    ("inventory", "inventory_unparsed_warning"): "ANSIBLE_INVENTORY_UNPARSED_WARNING",
    ("connection", "pipelining"): "ANSIBLE_PIPELINING",
    ("ssh_connection", "ssh_args"): "ANSIBLE_SSH_ARGS",
}
"""Settings of our ansible.cfg, and the variable that stands for each in a user's."""

COLLECTIONS = "~/.ansible/collections:/usr/share/ansible/collections"
"""Where Ansible itself looks for collections."""


def user_config(environment: Mapping[str, str], folder: Path) -> Path | None:
    """Return the user's own ansible.cfg, looked for as Ansible does, or ``None``."""
    places = [folder / "ansible.cfg", Path("~/.ansible.cfg").expanduser()]
    # Ansible trusts no file in a folder where everybody writes.
    if folder.stat().st_mode & 0o002:
        del places[0]
    if named := environment.get("ANSIBLE_CONFIG"):
        path = Path(named).expanduser()
        places.insert(0, path / "ansible.cfg" if path.is_dir() else path)
    return next((place.absolute() for place in places if place.is_file()), None)


def ansible_environment(
    environment: Mapping[str, str], folder: Path, shared: Share
) -> dict[str, str]:
    """Return what Ansible needs in its environment to find us and itself.

    A setting of ours stands where the user's own ansible.cfg and environment say
    nothing.

    Parameters
    ----------
    environment
        The user's.
    folder
        Where the user is.
    shared
        Our files.
    """
    ours = _settings(shared.config)
    own = user_config(environment, folder)
    theirs = _settings(own) if own else ConfigParser(interpolation=None)
    settings = {
        variable: ours[section][key]
        for (section, key), variable in DEFAULTS.items()
        if variable not in environment and not theirs.has_option(section, key)
    }
    # ansible-runner turns the check off where the environment does not say otherwise.
    checking = "ANSIBLE_HOST_KEY_CHECKING"
    if checking not in environment:
        settings[checking] = theirs.get(
            "defaults", "host_key_checking", fallback="True"
        )
    programs = Path(sys.executable).parent
    return {
        **settings,
        "ANSIBLE_CONFIG": str(own or shared.config),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(
            [str(shared.collections), *_collections(environment, own, theirs)]
        ),
        "PATH": f"{programs}{os.pathsep}{environment.get('PATH', os.defpath)}",
    }


def _collections(
    environment: Mapping[str, str], own: Path | None, theirs: ConfigParser
) -> list[str]:
    """Return where the user's own collections are."""
    if named := environment.get("ANSIBLE_COLLECTIONS_PATH"):
        return [str(Path(p).expanduser().absolute()) for p in named.split(":")]
    written = theirs.get("defaults", "collections_path", fallback=COLLECTIONS)
    base = own.parent if own else Path("/")
    return [str(base / Path(path).expanduser()) for path in written.split(":")]


def _settings(file: Path) -> ConfigParser:
    """Return the settings of an ansible.cfg, whose values may hold a percent sign.

    Raises
    ------
    ConfigError
        When it is not one.
    """
    settings = ConfigParser(
        interpolation=None, inline_comment_prefixes=(";",), strict=False
    )
    try:
        settings.read_string(file.read_text("utf-8"))
    except (OSError, ConfigParserError, UnicodeDecodeError) as error:
        raise ConfigError(str(file), str(error)) from error
    return settings
