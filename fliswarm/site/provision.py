"""Runs the playbooks: the only module that imports ``ansible_runner``."""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner

from fliswarm.errors import ConfigError, ProvisionError
from fliswarm.site.environment import ansible_environment
from fliswarm.site.passed import Passed
from fliswarm.site.share import share

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


OnResult = Callable[[Mapping[str, Any]], None]


def _nobody(_: Mapping[str, Any]) -> None:
    """Tell nobody."""


def run_plays(
    plays: Sequence[Mapping[str, Any]],
    site: Site,
    options: Sequence[str] = (),
) -> None:
    """Run plays of our own over a site, to their end.

    Raises
    ------
    ProvisionError
        When a host fails, or they could not be run at all, in Ansible's words.
    """
    problems: dict[str, None] = {}
    output: list[str] = []

    def handle(event: Mapping[str, Any]) -> bool:
        kind, data = event.get("event", ""), event.get("event_data") or {}
        if kind in RESULTS and (text := _result(RESULTS[kind], data).text):
            problems.setdefault(text)
        elif kind not in RESULTS:
            output.append(event.get("stdout") or "")
        return False

    with tempfile.TemporaryDirectory() as folder:
        playbook = Path(folder) / "plays.yml"
        playbook.write_text(json.dumps(plays), "utf-8")
        words = [*_inventory(site.inventory), *options, *site.passed.run]
        with _run(
            playbook=str(playbook), cmdline=shlex.join(words), event_handler=handle
        ) as status:
            if status != "successful":
                raise ProvisionError("; ".join(problems) or _said(output) or status)


def run_playbook(
    name: str,
    site: Site,
    on_event: Callable[[Event], None],
    options: Sequence[str] = (),
    on_result: OnResult = _nobody,
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
    on_result
        Gets the whole of each result as Ansible has it, which may hold secrets.

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
            on_result(data)
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
