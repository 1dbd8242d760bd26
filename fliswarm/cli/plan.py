"""``plan`` and ``apply``: what an inventory would change, shown, saved, carried out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.text import Text
from rich.tree import Tree

from fliswarm import store
from fliswarm.cli.carry import carry, print_outcomes
from fliswarm.cli.console import console, say
from fliswarm.cli.fleet import LOCK
from fliswarm.cli.site import control_of, opened, site_options
from fliswarm.cli.survey import survey
from fliswarm.commands.group import terms as terms_options
from fliswarm.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_USAGE,
    CommandError,
    ConfigError,
    FliswarmError,
    StaleError,
    UsageError,
)
from fliswarm.faces.control.stream import StreamControl
from fliswarm.model.terms import Terms
from fliswarm.plan.edits import ADD, CHANGE, KEEP, MOVE, REMOVE, RENAME, SWAP
from fliswarm.plan.whole import (
    CONTROLLER,
    HOST,
    LEAVE,
    LEFT,
    NODE,
    Item,
    Whole,
    moved,
    summary,
)
from fliswarm.site.provision import Site

EXIT_PENDING = 2
"""Changes are pending; nothing else ends `plan` so."""

TITLES = {HOST: "hosts", CONTROLLER: "controller", NODE: "nodes", LEFT: "left behind"}


class _Planning(click.Command):
    """A command that ends with 2 for nothing but changes that are pending."""

    def make_context(self, *arguments: Any, **settings: Any) -> click.Context:  # noqa: ANN401  click's own
        try:
            return super().make_context(*arguments, **settings)
        except click.UsageError as error:
            error.exit_code = EXIT_FAILED  # type: ignore[misc]
            raise


@click.command(cls=_Planning)
@site_options
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Save the plan in this file, for apply.",
)
def plan(
    inventory: Path, out: Path | None, args: tuple[str, ...], *, as_json: bool
) -> None:
    """Say what the inventory would change, on hosts and nodes; change nothing.

    Exits with 0 when there is nothing to do, with 2 when changes are pending, and with
    another code when something could not be looked at. What follows -- goes to
    ansible-playbook: -- -K, -- --ask-vault-pass.
    """
    try:
        with opened(inventory, args) as site:
            whole = survey(site, control_of)
    except FliswarmError as error:
        if error.exit_code == EXIT_USAGE:
            raise CommandError(str(error), EXIT_FAILED) from error
        raise
    show(whole, as_json=as_json)
    if out is not None:
        store.write(out.absolute(), whole.noted())
        if not as_json:
            click.echo(f"Saved. To carry it out: fliswarm apply -i {inventory} {out}")
    code = EXIT_PENDING if whole.pending else EXIT_DONE
    raise click.exceptions.Exit(EXIT_FAILED if whole.problems else code)


@click.command()
@site_options
@terms_options
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def apply(
    inventory: Path,
    args: tuple[str, ...],
    terms: Terms,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Carry out what plan says: [FILE] is a plan that was saved.

    A saved plan is refused when a host or node is not as the plan saw it. Without one,
    the plan is made, shown and asked about. What follows -- goes to ansible-playbook.
    """
    file, rest = _split(args)
    saved = None if file is None else read(file)
    with opened(inventory, rest) as site:
        whole = survey(site, control_of)
        if saved is not None and (differs := moved(saved, whole)):
            raise StaleError(file or "", differs)
        show(whole, as_json=as_json)
        if not whole.pending:
            code = EXIT_FAILED if whole.problems else EXIT_DONE
            raise click.exceptions.Exit(code)
        _confirm(yes=yes or saved is not None)
        outcomes = carry(site, whole, _locked, terms, as_json=as_json)
    print_outcomes(outcomes, as_json=as_json)
    raise click.exceptions.Exit(outcomes.exit_code)


def _locked(site: Site) -> StreamControl:
    """Connect to a site's controller, with the key of our lock."""
    control = control_of(site)
    if key := os.environ.get(LOCK):
        control.introduce(lock=key)
    return control


def _split(args: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """Return the file of a saved plan, and what is Ansible's."""
    if args and not args[0].startswith("-"):
        return args[0], tuple(args[1:])
    return None, tuple(args)


def read(file: str) -> Whole:
    """Return a saved plan.

    Raises
    ------
    ConfigError
        When the file has none.
    """
    content = store.read(Path(file))
    if content is None:
        raise ConfigError(file, "there is no such file")
    try:
        return Whole.read(content)
    except ValueError as error:
        remedy = f"Remedy: fliswarm plan -o {file}"
        raise ConfigError(file, f"{error}. {remedy}") from error


def _confirm(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "apply asks before it changes anything, and there is nobody to answer. "
            "Remedy: --yes; or fliswarm plan -o FILE, and apply FILE"
        )
    click.confirm("Carry this out?", abort=True, err=True)


# What people see

STYLES = {
    ADD: "green",
    REMOVE: "red",
    LEAVE: "red",
}

WORDS = {
    ADD: "is added",
    REMOVE: "is removed",
    RENAME: "is renamed, it was {was}",
    SWAP: "takes the place of {was}",
    MOVE: "is moved",
    CHANGE: "changes",
    KEEP: "stays as it is",
    LEAVE: "leaves; its computer, {was}, is given back as it was found",
}


def show(whole: Whole, *, as_json: bool) -> None:
    """Print a plan: as a tree with a line below, or as JSON, a line an item."""
    if as_json:
        for item in whole.items:
            print(json.dumps({**asdict(item), "pending": item.pending}), flush=True)
        end = {"what": "plan", "fingerprint": whole.fingerprint}
        print(json.dumps({**end, "summary": summary(whole)}), flush=True)
        return
    shown = console()
    if whole.pending or whole.problems:
        shown.print(_tree(whole))
    say(shown, Text(f"Plan {whole.short}: {summary(whole)}"))


def _tree(whole: Whole) -> Tree:
    tree = Tree(Text("what would change"), hide_root=True)
    for what, title in TITLES.items():
        items = [i for i in whole.of(what) if i.pending or i.problem is not None]
        if items:
            branch = tree.add(Text(title, style="bold"))
        for item in items:
            _add(branch, item)
    return tree


def _add(branch: Tree, item: Item) -> None:
    words, style = (
        WORDS[item.kind].format(was=item.was),
        STYLES.get(item.kind, "yellow"),
    )
    if item.what == LEFT:
        words = f"left this on {item.was}, and it is removed"
    if item.kind == KEEP:
        words, style = "cannot be told", "red"
    node = branch.add(Text(f"{item.name} {words}", style))
    for line in item.lines:
        node.add(Text(line))
    if item.unready is not None and item.problem is None:
        node.add(Text(f"not yet: {item.unready}", "dim"))
    if item.problem is not None:
        node.add(Text(item.problem, "bold red"))
