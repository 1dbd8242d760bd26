"""Carries a plan out, in the order in which nothing is lost, and tells how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from rich.text import Text

from fliswarm.cli.console import console, table, terminal
from fliswarm.cli.people import People
from fliswarm.cli.show import message_json
from fliswarm.cli.site import play
from fliswarm.cli.survey import names
from fliswarm.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_PROVISION,
    FliswarmError,
    ProvisionError,
)
from fliswarm.faces.control.stream import StreamControl
from fliswarm.model.terms import Terms
from fliswarm.plan.edits import ADD, CHANGE, MOVE, REMOVE, RENAME, SWAP
from fliswarm.plan.whole import CONTROLLER, HOST, LEAVE, LEFT, NODE, Item, Whole
from fliswarm.site.left import LeftHost, left_inventory
from fliswarm.site.provision import Site

DONE = {
    ADD: "added",
    REMOVE: "removed",
    RENAME: "renamed",
    SWAP: "changed places",
    MOVE: "moved",
    CHANGE: "changed",
    LEAVE: "given back as it was found",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one part of a plan ended; ``problem`` is ``None`` when it was done."""

    what: str
    name: str
    outcome: str
    problem: str | None = None


@dataclass(slots=True)
class Outcomes:
    """How a plan ended; ``exit_code`` is of the first thing that failed."""

    whole: Whole
    found: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    exit_code: int = EXIT_DONE

    def fail(self, item: Item, problem: str, exit_code: int = EXIT_FAILED) -> None:
        """Note that a part failed; the first reason is the one that counts."""
        failed = Outcome(item.what, item.name, "failed", problem)
        self.found.setdefault(item.key, failed)
        self.exit_code = self.exit_code or exit_code

    def failed(self, what: str, name: str) -> bool:
        """Whether a part failed already."""
        return (what, name) in self.found

    def all(self) -> list[Outcome]:
        """Return how each part ended, in the order of the plan."""
        return [self.found.get(item.key) or _good(item) for item in self.whole.items]


def _good(item: Item) -> Outcome:
    return Outcome(item.what, item.name, DONE.get(item.kind, "as it was"))


def carry(
    site: Site,
    whole: Whole,
    control: Callable[[Site], StreamControl],
    terms: Terms = Terms(),
    *,
    as_json: bool,
) -> Outcomes:
    """Carry a plan out; what cannot be done is an outcome, and the rest goes on.

    Hosts first, those alone that change, and the manager with them, as it knows all of
    them. The manager's run has the controller follow its new configuration; then
    containers, then what is left behind, and at last computers that left.
    """
    work = _Work(site, whole, control, terms, as_json, Outcomes(whole))
    for item in whole.problems:
        work.outcomes.fail(item, item.problem or "")
    work.remove_by_ssh()
    if work.provision():
        work.reconnect()
        work.remove_left()
        work.give_back()
    return work.outcomes


@dataclass(frozen=True, slots=True)
class _Work:
    site: Site
    whole: Whole
    control: Callable[[Site], StreamControl]
    terms: Terms
    as_json: bool
    outcomes: Outcomes

    def remove_by_ssh(self) -> None:
        """Remove containers of nodes that leave, where the way to them leaves as well.

        The manager forgets the host key of a computer that is in the inventory no more.
        """
        going = [item for item in self._nodes(REMOVE) if _by_ssh(item) and item.enabled]
        if going:
            self._give(["remove", "-n", names(going)], going)

    def provision(self) -> bool:
        """Provision the hosts that change; return whether the manager was well."""
        hosts = [
            item
            for item in self.whole.of(HOST)
            if item.kind == CHANGE and item.problem is None
        ]
        manager = self.site.manager
        if self.outcomes.failed(HOST, manager):
            self._stop("the manager could not be looked at")
            return False
        if not hosts:
            return True
        limit = ",".join(dict.fromkeys((manager, *(item.name for item in hosts))))
        try:
            summary = play("site", self.site, ["--limit", limit], as_json=self.as_json)
        except ProvisionError as error:
            for item in hosts:
                self.outcomes.fail(item, str(error), EXIT_PROVISION)
            self._stop("the hosts were not provisioned")
            return False
        for item in self.whole.of(HOST):
            if item.name in summary.failed:
                why = summary.problems.get(item.name, "it does not say why")
                self.outcomes.fail(item, why, EXIT_PROVISION)
        if manager in summary.failed:
            self._stop("the manager was not provisioned")
            return False
        return True

    def _stop(self, why: str) -> None:
        for item in self.whole.pending:
            self.outcomes.fail(item, f"not done: {why}", EXIT_PROVISION)

    def reconnect(self) -> None:
        """Make the containers of those nodes that change as they are to be."""
        todo = [item for item in self.whole.of(NODE) if item.reconnect]
        for item in todo:
            if self.outcomes.failed(HOST, item.name):
                self.outcomes.fail(item, "not done: its host was not provisioned")
        todo = [item for item in todo if not self.outcomes.failed(NODE, item.name)]
        if todo:
            self._give(["reconnect", "-n", names(todo)], todo)

    def remove_left(self) -> None:
        """Remove what is on engines that no node has any more, and forget these."""
        going = self._nodes(REMOVE)
        for item in going:
            if _by_ssh(item) and not self.outcomes.failed(NODE, item.name):
                self._give(["remove", "--forget", item.name], [item], quietly=True)
        left = [item for item in self.whole.of(LEFT) if item.problem is None]
        if left or going:
            self._give(["remove", "--left"], [*left, *going])

    def give_back(self) -> None:
        """Give computers that left back as they were found, and forget them."""
        hosts = [i for i in self.whole.of(HOST) if i.kind == LEAVE]
        for item in hosts:
            if not self.outcomes.failed(HOST, item.name):
                one = LeftHost(item.name.partition(" at ")[0], "node", item.was or "")
                self._give_back(item, one)

    def _give_back(self, item: Item, one: LeftHost) -> None:
        forget = json.dumps({"site_forget": [one.connection]})
        last = ["--limit", self.site.manager, "--tags", "site_computers", "-e", forget]
        try:
            with left_inventory([one]) as options:
                summary = play("reset", self.site, options, as_json=self.as_json)
            problem = ""
            if summary.failed:
                problem = summary.problems.get(one.alias, "it does not say why")
            elif play("site", self.site, last, as_json=self.as_json).failed:
                problem = "it is given back, and not forgotten"
        except ProvisionError as error:
            problem = str(error)
        if problem:
            problem = f"{problem}. Remedy: {one.remedy}"
            self.outcomes.fail(item, problem, EXIT_PROVISION)

    def _nodes(self, kind: str) -> list[Item]:
        return [item for item in self.whole.of(NODE) if item.kind == kind]

    def _give(
        self, words: Sequence[str], items: Sequence[Item], *, quietly: bool = False
    ) -> None:
        """Give the controller a command, and note which of the items it failed."""
        said: list[str] = []
        failed: set[str] = set()
        error, code = "", EXIT_FAILED
        try:
            with self.control(self.site) as control, People(last=False) as people:
                given = [*words, *self.terms.words, "--plan", self.whole.fingerprint]
                for message in control.command(given):
                    if self.as_json:
                        print(message_json(message), flush=True)
                    elif not quietly:
                        people.show(message)
                    failed.update(message.data.get("failed", ()))
                    if text := message.data.get("error"):
                        error = str(text)
                        said.append(error)
                    code = message.exit_code
        except FliswarmError as trouble:
            error, code = str(trouble), trouble.exit_code
        if code == EXIT_DONE or quietly:
            return
        for item in items:
            if not failed or item.name in failed:
                own = [s for s in said if s.startswith(f"{item.name}: ")]
                why = own[-1].partition(": ")[2] if own else error
                self.outcomes.fail(item, why or "it does not say why", code)


def _by_ssh(item: Item) -> bool:
    return (item.was or "").startswith("ssh://")


def print_outcomes(outcomes: Outcomes, *, as_json: bool) -> None:
    """Print how each host and node ended."""
    every = [o for o in outcomes.all() if o.what != CONTROLLER or o.problem]
    if as_json:
        for outcome in every:
            print(json.dumps({"kind": "outcome", **asdict(outcome)}), flush=True)
        return
    shown = table("", "name", "outcome")
    for outcome in every:
        text = outcome.outcome
        if outcome.problem is not None:
            text = f"{text}: {outcome.problem}"
        if not terminal():
            print(outcome.what, outcome.name, text)
        style = "red" if outcome.problem is not None else ""
        shown.add_row(outcome.what, outcome.name, Text(text, style))
    if terminal():
        console().print(shown)
