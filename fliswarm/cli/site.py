"""The operator's life: provision a site, bring its fleet up, take it down."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from fliswarm.cli.console import console, table, tabulate, terminal
from fliswarm.cli.fleet import LOCK, give
from fliswarm.cli.table import print_fleet, view
from fliswarm.commands.group import terms
from fliswarm.errors import ProvisionError
from fliswarm.faces.control.address import default_socket
from fliswarm.faces.control.client import SshControl, connect_here
from fliswarm.faces.control.stream import StreamControl
from fliswarm.model.terms import Terms
from fliswarm.site.passed import answered
from fliswarm.site.provision import (
    Event,
    Site,
    Summary,
    read_site,
    run_playbook,
)

F = TypeVar("F", bound=Callable[..., Any])

STYLES = {
    "changed": "yellow",
    "warning": "bold yellow",
    "failed": "bold red",
    "unreachable": "bold red",
}


def site_options(function: F) -> F:
    """Add the options of a command that works on a site's inventory."""
    for option in (
        click.argument("args", nargs=-1, type=click.UNPROCESSED),
        click.option("--json", "as_json", is_flag=True, help="Events as JSON lines."),
        click.option(
            "-i",
            "--inventory",
            required=True,
            envvar="FLISWARM_INVENTORY",
            type=click.Path(path_type=Path),
            help="The site's inventory. Default: $FLISWARM_INVENTORY.",
        ),
    ):
        function = option(function)
    return function


@contextmanager
def opened(inventory: Path, args: tuple[str, ...]) -> Iterator[Site]:
    """Yield the site, with what the user hands through and answers to its questions."""

    def ask(question: str) -> str:
        return str(click.prompt(question, hide_input=True, prompt_suffix="", err=True))

    with answered(args, ask) as passed:
        yield read_site(inventory, passed)


@click.command()
@site_options
@click.option("--check", is_flag=True, help="Say what would change, change nothing.")
@click.option("--limit", help="Only these hosts, as Ansible writes it.")
@click.option("--tags", help="Only these tags.")
def provision(
    inventory: Path,
    limit: str | None,
    tags: str | None,
    args: tuple[str, ...],
    *,
    check: bool,
    as_json: bool,
) -> None:
    """Run the playbooks over the site.

    What follows -- goes to ansible-playbook: -- -K, -- --ask-vault-pass.
    """
    options = ["--check", "--diff"] if check else []
    options += ["--limit", limit] if limit else []
    options += ["--tags", tags] if tags else []
    with opened(inventory, args) as site:
        _require(play("site", site, options, as_json=as_json))


@click.command()
@site_options
@terms
@click.option("--raw", is_flag=True, help="The controller's replies as keywords.")
def up(
    inventory: Path, args: tuple[str, ...], terms: Terms, *, as_json: bool, raw: bool
) -> None:
    """Provision the site, start the controller, launch all cameras.

    A node that fails is named, and the rest of the fleet is brought up. What follows --
    goes to ansible-playbook: -- -K, -- --ask-vault-pass.
    """
    with opened(inventory, args) as site:
        summary = play("site", site, [], as_json=as_json)
    if site.manager in summary.failed:
        _require(summary)
    with control_of(site) as control:
        if key := os.environ.get(LOCK):
            control.introduce(lock=key)
        words = ["reconnect", *terms.words]
        exit_code = give(control, words, as_json=as_json, raw=raw)
        print_fleet(view(control), as_json=as_json)
    _require(summary)
    raise click.exceptions.Exit(exit_code)


def control_of(site: Site) -> StreamControl:
    """Connect to the controller of a site, on its manager."""
    if site.manager_ssh is None:
        return connect_here(default_socket())
    return SshControl(site.manager_ssh)


@click.command()
@site_options
@terms
def down(
    inventory: Path, args: tuple[str, ...], terms: Terms, *, as_json: bool
) -> None:
    """Remove the camera containers and stop the controller.

    What follows -- goes to ansible-playbook: -- -K, -- --ask-vault-pass.
    """
    with opened(inventory, args) as site:
        given = ["--extra-vars", json.dumps({"down_terms": terms.words})]
        _require(play("down", site, given, as_json=as_json))


def push_archive(inventory: Path, file: Path, args: tuple[str, ...]) -> None:
    """Put the image of an archive into the site's registry."""
    said = {
        "flicamera_image_source": "archive",
        "flicamera_image_archive": str(file),
    }
    options = ["--tags", "flicamera_image", "-e", json.dumps(said)]
    with opened(inventory, args) as site:
        _require(play("site", site, options, as_json=False))


def _require(summary: Summary) -> None:
    if summary.failed:
        words = "; ".join(
            f"{host}: {summary.problems.get(host, 'failed')}" for host in summary.failed
        )
        raise ProvisionError(words)


def play(playbook: str, site: Site, options: list[str], *, as_json: bool) -> Summary:
    """Run a playbook of ours, and show how far it is."""
    if as_json:
        summary = run_playbook(playbook, site, _print_json, options)
        print(json.dumps({"kind": "summary", "hosts": summary.hosts}), flush=True)
        return summary
    out = console()
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=out,
        transient=True,
        disable=not terminal(),
    ) as progress:
        shown = progress.add_task(f"{playbook}: {site.inventory}", total=None)

        def on_event(event: Event) -> None:
            if event.kind == "task":
                progress.update(shown, description=event.task)
            elif event.kind in STYLES:
                text = f"{event.host:<10} {event.kind:<11} {event.task}"
                text += f": {event.text}" if event.text else ""
                style = STYLES[event.kind]
                progress.console.print(text, style=style, markup=False, highlight=False)

        summary = run_playbook(playbook, site, on_event, options)
    tabulate(out, _table(summary))
    return summary


def _print_json(event: Event) -> None:
    print(json.dumps(asdict(event)), flush=True)


def _table(summary: Summary) -> Table:
    kinds = ("ok", "changed", "failures", "dark")
    shown = table(
        "host", *("unreachable" if kind == "dark" else kind for kind in kinds)
    )
    for host, counts in sorted(summary.hosts.items()):
        shown.add_row(host, *(str(counts.get(kind, 0)) for kind in kinds))
    return shown
