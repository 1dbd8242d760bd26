"""Runs the playbooks: the only module that imports ``ansible_runner``."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner

from fliswarm.errors import ConfigError, ProvisionError
from fliswarm.share import share

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
    ``changed``, ``failed``, ``unreachable``, ``skipped``; ``text`` is the host's own
    words about a failure.
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
    """What an inventory says about a site, checked."""

    inventory: Path
    manager: str
    nodes: Sequence[str]


def read_site(inventory: Path) -> Site:
    """Read an inventory and check that it describes a fleet.

    Raises
    ------
    ConfigError
        Naming the inventory and what is wrong with it.
    """
    if not inventory.exists():
        raise ConfigError(str(inventory), "there is no such inventory")
    output, errors = ansible_runner.interface.get_inventory(
        "list",
        [str(inventory.resolve())],
        response_format="json",
        envvars=_environment(),
        quiet=True,
    )
    if not isinstance(output, dict):
        raise ConfigError(str(inventory), errors.strip() or "cannot be read")
    managers = _hosts(output, "manager")
    nodes = _hosts(output, "nodes")
    if len(managers) != 1:
        found = f"it has {', '.join(managers)}" if managers else "it has none"
        raise ConfigError(
            f"{inventory}: group 'manager'", f"must have exactly one host; {found}"
        )
    if not nodes:
        raise ConfigError(f"{inventory}: group 'nodes'", "has no host")
    return Site(inventory, managers[0], nodes)


def _hosts(listing: Mapping[str, Any], group: str) -> list[str]:
    entry = listing.get(group, {})
    found = list(entry.get("hosts", ()))
    for child in entry.get("children", ()):
        found += _hosts(listing, child)
    return list(dict.fromkeys(found))


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
            on_event(result)
        else:
            output.append(event.get("stdout") or "")
        # False: no file is written for the event, which may hold secrets.
        return False

    playbook = share().playbooks / f"{name}.yml"
    cmdline = shlex.join(["-i", str(site.inventory.resolve()), *options])
    with _run(playbook=str(playbook), cmdline=cmdline, event_handler=handle) as status:
        if not summary.hosts:
            said = " ".join(text.strip() for text in output if text.strip())
            raise ProvisionError(f"{name}.yml: {said or status}")
    return summary


def manager_ssh(site: Site) -> list[str]:
    """Return the ssh command that reaches the manager the way Ansible does."""
    answers: list[Any] = []

    def handle(event: Mapping[str, Any]) -> bool:
        if event.get("event") == "runner_on_ok":
            answers.append(event["event_data"]["res"]["msg"])
        return False

    asked = (
        "{{ {'host': ansible_host | default(inventory_hostname),"
        " 'user': ansible_user | default(''), 'port': ansible_port | default(''),"
        " 'key': ansible_ssh_private_key_file | default(''),"
        " 'args': ansible_ssh_common_args | default('')} | to_json }}"
    )
    with _run(
        host_pattern=site.manager,
        module="ansible.builtin.debug",
        module_args=f'msg="{asked}"',
        cmdline=shlex.join(["-i", str(site.inventory.resolve())]),
        event_handler=handle,
    ) as status:
        if not answers:
            raise ProvisionError(f"{site.inventory}: cannot tell the manager: {status}")
    known = answers[0] if isinstance(answers[0], dict) else json.loads(answers[0])
    command = ["ssh", *shlex.split(known["args"])]
    if known["key"]:
        command += ["-i", known["key"]]
    if known["port"]:
        command += ["-p", str(known["port"])]
    user = f"{known['user']}@" if known["user"] else ""
    return [*command, f"{user}{known['host']}"]


def _task(data: Mapping[str, Any]) -> str:
    return str(data.get("task") or data.get("name") or "")


def _result(kind: str, data: Mapping[str, Any]) -> Event:
    result = data.get("res") or {}
    if kind == "ok" and result.get("changed"):
        kind = "changed"
    text = None
    if kind in ("failed", "unreachable"):
        text = str(result.get("msg") or result.get("stderr") or result)
    return Event(kind, _task(data), data.get("host"), text)


@contextmanager
def _run(**settings: Any) -> Iterator[str]:  # noqa: ANN401  ansible-runner's own
    """Run Ansible and yield its status; nothing of it stays on disk."""
    with tempfile.TemporaryDirectory() as private:
        result = ansible_runner.run(
            private_data_dir=private,
            envvars=_environment(),
            quiet=True,
            suppress_env_files=True,
            **settings,
        )
        yield str(result.status)


def _environment() -> dict[str, str]:
    """Return what Ansible needs in its environment to find us and itself."""
    shared = share()
    programs = Path(sys.executable).parent
    return {
        "ANSIBLE_CONFIG": str(shared.config),
        "ANSIBLE_COLLECTIONS_PATH": str(shared.collections),
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
