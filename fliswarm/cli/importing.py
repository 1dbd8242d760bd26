"""A site of the original, as an inventory."""

from __future__ import annotations

from pathlib import Path

import click

from fliswarm.site.importer import imported, write


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--site", required=True, help="The site in the file, such as apo.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of the inventory. Default: inventory/SITE.",
)
@click.option(
    "--manager",
    metavar="HOST",
    help="The computer fliswarm is to run on. Default: that of the registry.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be written.")
def import_(
    file: Path, site: str, output: Path | None, manager: str | None, *, dry_run: bool
) -> None:
    """Write an inventory from a configuration file of sdss-fliswarm.

    FILE is the file that sdss-fliswarm 0.7 is started with; it is only read. The
    inventory comes to the same fleet. What cannot be taken over is named, and then
    nothing is written; nothing is overwritten.
    """
    inventory = imported(file, site, manager)
    folder = output or Path("inventory") / site.lower()
    if dry_run:
        for path, text in sorted(inventory.files.items()):
            click.echo(f"# {folder / path}\n{text}")
    elif write(inventory, folder):
        for path in sorted(inventory.files):
            click.echo(folder / path)
    else:
        click.echo(f"{folder} is there already, as it would be written.")
    for note in inventory.notes:
        click.echo(note, err=True)
    if not dry_run:
        click.echo(
            "Next: read it, fliswarm provision --check -i "
            f"{folder}, and docs/migrating.md.",
            err=True,
        )
