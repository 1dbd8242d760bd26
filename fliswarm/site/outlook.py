"""What Ansible would change on the hosts of a site, from a run in check mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fliswarm.errors import ProvisionError
from fliswarm.plan.edits import CHANGE, KEEP
from fliswarm.plan.whole import HOST, LEAVE, Item, digest
from fliswarm.site.left import LeftHost, left_inventory
from fliswarm.site.provision import Event, Site, Summary, run_playbook

IMAGE_ROLE = "flicamera_image"
"""The role that makes the image and brings it into the registry."""

LEFT_TASK = "Name those that have left"
"""Of the site's playbook: its result has the computers that the inventory has not."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task that would change a host: with which module, and which things by name."""

    name: str
    module: str
    things: tuple[str, ...]
    fingerprint: str

    def __str__(self) -> str:
        """Return it in words; what differs in a file may be secret and is not told."""
        things = f": {', '.join(self.things)}" if self.things else ""
        return f"{self.name} ({self.module}){things}"


@dataclass(slots=True)
class HostLook:
    """What a run in check mode says; ``image`` is whether it would make the image."""

    tasks: dict[str, list[Task]] = field(default_factory=dict)
    left: list[LeftHost] = field(default_factory=list)
    image: bool = False

    def hear(self, data: Mapping[str, Any]) -> None:
        """Take a result as Ansible has it."""
        result, host = data.get("res") or {}, data.get("host")
        if data.get("task") == LEFT_TASK:
            self.left = [LeftHost.read(one) for one in result.get("left") or ()]
        if not result.get("changed") or not host:
            return
        self.tasks.setdefault(str(host), []).append(task(data))
        if str(data.get("role") or "").rpartition(".")[2] == IMAGE_ROLE:
            self.image = True


def task(data: Mapping[str, Any]) -> Task:
    """Return what a result says that would change."""
    result = data.get("res") or {}
    changed = [r for r in result.get("results") or [result] if r.get("changed")]
    things = dict.fromkeys(thing for one in changed for thing in _things(one))
    name = str(data.get("task") or data.get("task_action") or "")
    return Task(
        name.rpartition(" : ")[2],
        str(data.get("task_action") or "").rpartition(".")[2],
        tuple(things),
        digest([name, list(things), [list(_diffs(one)) for one in changed]]),
    )


def _things(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of what would change: files, and the items of a loop."""
    item = result.get("item")
    if isinstance(item, str):
        yield item
    for diff in _diffs(result):
        header = diff.get("after_header") or diff.get("before_header")
        # Where a file has no name of its own, Ansible writes where it is copied from.
        if isinstance(header, str) and "ansible-tmp" not in header:
            yield header
    for key in ("path", "dest"):
        if isinstance(result.get(key), str) and not result.get("diff"):
            yield result[key]


def _diffs(result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the differences of a result, without what is another one each time."""
    diff = result.get("diff") or []
    for one in diff if isinstance(diff, list) else [diff]:
        if isinstance(one, Mapping):
            yield {k: v for k, v in one.items() if "ansible-tmp" not in str(v)}


def look(site: Site, on_event: Callable[[Event], None]) -> tuple[list[Item], HostLook]:
    """Return what a run over the site would change, host by host; it changes nothing.

    Those that have left the inventory are looked at as well: `reset.yml` would give
    them back as they were found.
    """
    found = HostLook()
    summary = run_playbook("site", site, on_event, ["--check", "--diff"], found.hear)
    here = dict.fromkeys((site.manager, *site.nodes))
    items = [_item(name, found.tasks.get(name, ()), summary) for name in here]
    silent = [item.name for item in items if item.problem is not None]
    for one in found.left:
        name = f"{one.name} at {one.connection}" if one.name in here else one.name
        left = Item(HOST, name, LEAVE, was=one.connection)
        if one.role != "node":
            what = "its controller, if it runs, commands the cameras"
            problem = f"it was the manager: {what}. Remedy: {one.remedy}"
            items.append(replace(left, problem=problem))
        elif silent:
            # It may have another address now, under which it would be known.
            problem = f"whether it left is unknown while {', '.join(silent)} fails"
            items.append(replace(left, problem=problem))
        else:
            items.append(_leaving(site, one, left, on_event))
    return items, found


def _item(name: str, tasks: Sequence[Task], summary: Summary) -> Item:
    kind = CHANGE if tasks else KEEP
    lines = tuple(map(str, tasks))
    seen = {"tasks": digest([task.fingerprint for task in tasks])}
    problem = None
    if name in summary.failed:
        problem = summary.problems.get(name, "it does not say why")
    elif name not in summary.hosts:
        problem = "the run did not come to it"
    return Item(HOST, name, kind, lines, seen, problem=problem)


def _leaving(
    site: Site, one: LeftHost, left: Item, on_event: Callable[[Event], None]
) -> Item:
    """Return what would become of a computer that is in the inventory no more."""
    found = HostLook()
    with left_inventory([one]) as options:
        try:
            options = [*options, "--check"]
            summary = run_playbook("reset", site, on_event, options, found.hear)
        except ProvisionError as error:
            return replace(left, problem=f"{error}. Remedy: {one.remedy}")
    item = _item(one.alias, found.tasks.get(one.alias, ()), summary)
    problem = item.problem and f"{item.problem}. Remedy: {one.remedy}"
    return replace(left, lines=item.lines, seen=item.seen, problem=problem)
