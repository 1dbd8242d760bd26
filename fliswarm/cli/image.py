"""Images of cameras: listed, and brought to nodes and registry by archives."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.text import Text

from fliswarm.cli.app import Options
from fliswarm.cli.console import console, say, table
from fliswarm.cli.fleet import dial, give
from fliswarm.cli.show import value
from fliswarm.commands.group import selection
from fliswarm.engine import archive
from fliswarm.errors import EXIT_FAILED, CommandError, ConfigError, ControlError
from fliswarm.faces.control.stream import Message, StreamControl

EXISTS = "is there already, and is not overwritten"


@click.group()
def image() -> None:
    """List images of cameras, and bring them to nodes and registry by archives."""


def _words(names: str | None, category: str | None, exclude: str | None) -> list[str]:
    asked = {"--names": names, "--category": category, "--exclude": exclude}
    return [word for pair in asked.items() if pair[1] for word in pair if word]


@image.command(name="list")
@selection("nodes to look at")
@click.option("--json", "as_json", is_flag=True, help="Replies as JSON lines.")
@click.pass_context
def list_(
    context: click.Context,
    names: str | None,
    category: str | None,
    exclude: str | None,
    *,
    as_json: bool,
) -> None:
    """List the images of cameras on the nodes and in the registry.

    An image that no container uses and that is not wanted is one for prune.
    """
    words = ["image-list", *_words(names, category, exclude)]
    with dial(context.obj) as control:
        if as_json:
            context.exit(give(control, words, as_json=True))
        replies = list(control.command(words))
    _print_images(replies)
    context.exit(replies[-1].exit_code)


def _print_images(replies: list[Message]) -> None:
    shown_images = table("node", "image", "id", "digest", "created", "used by")
    shown_images.add_column("size", justify="right")
    notes: list[tuple[str, str]] = []
    for reply in replies:
        data = reply.data
        if "stored" in data:
            node, identity, digest, created, size = data["stored"]
            users = value(data["used_by"]) or ("(wanted)" if data["wanted"] else "")
            called = ", ".join(data["names"]) or "(no name)"
            row = node, called, _short(identity), _short(digest), created[:10], users
            shown_images.add_row(*row, f"{size / 1e6:.0f} MB")
        elif "registry" in data:
            name, digest = data["registry"]
            row = "(registry)", name, "", _short(digest), "", ""
            shown_images.add_row(*row, "")
        colours = {"text": "yellow", "error": "red"}
        notes += [(colours[k], value(data[k])) for k in colours if k in data]
    console().print(shown_images)
    for style, note in notes:
        say(console(), Text(note, style))


def _short(digest: str) -> str:
    return "" if digest == "NA" else digest.removeprefix("sha256:")[:12]


@image.command()
@click.argument("file", type=click.Path(path_type=Path))
@selection("nodes to load it on")
@click.option("--tag", "-t", help="Another name that the image is to have there.")
@click.option("--dry-run", is_flag=True, help="Only say what is in the archive.")
@click.option("--json", "as_json", is_flag=True, help="Replies as JSON lines.")
@click.pass_context
def load(
    context: click.Context,
    file: Path,
    names: str | None,
    category: str | None,
    exclude: str | None,
    tag: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bring an archive from this computer to nodes, by way of the controller.

    FILE is what docker save, or fliswarm image save, has written. A node that has its
    image already is given nothing.
    """
    found = archive.read(file)
    words = _words(names, category, exclude)
    if dry_run:
        for one in found.images:
            click.echo(f"{', '.join(one.names) or '(no name)'} {one.id}")
        return
    with dial(context.obj) as control, file.open("rb") as source:
        token = _begin(control, found.size, words)
        with _bar(f"sending {file.name}", found.size) as sent:
            control.send(token, source, sent)
        words += ["--tag", tag] if tag else []
        context.exit(give(control, ["image-load", token, *words], as_json=as_json))


def _begin(control: StreamControl, size: int, words: list[str]) -> str:
    for reply in control.command(["image-begin", str(size), *words]):
        if reply.code == "f":
            raise CommandError(value(reply.data.get("error", "")), reply.exit_code)
        if "token" in reply.data:
            return str(reply.data["token"])
    raise ControlError("the controller has named no file")


@contextmanager
def _bar(text: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how far something is, where somebody sees it; yield what is told of it."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    where = console(stderr=True)
    with Progress(*columns, console=where, disable=not where.is_terminal) as bar:
        task = bar.add_task(text, total=total)
        yield lambda done: bar.update(task, completed=done)


@image.command()
@click.argument("ref")
@click.argument("file", type=click.Path(path_type=Path))
@selection("nodes that may have it")
@click.pass_obj
def save(
    options: Options,
    ref: str,
    file: Path,
    names: str | None,
    category: str | None,
    exclude: str | None,
) -> None:
    """Write an image that a node has into an archive on this computer.

    REF is a name or an id that fliswarm image list shows.
    """
    if file.exists():
        raise ConfigError(str(file), EXISTS)
    with dial(options) as control:
        _save(control, ref, file, _words(names, category, exclude))
    click.echo(file)


def _save(control: StreamControl, ref: str, file: Path, words: list[str]) -> None:
    """Write an image into a file that is whole or not there."""
    part = file.with_name(f".{file.name}.part")
    try:
        with part.open("wb") as target:
            _receive(control, ["image-save", ref, *words], target)
        part.rename(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _receive(control: StreamControl, words: list[str], target: BinaryIO) -> None:
    digest, done = hashlib.sha256(), 0
    with _bar(f"receiving {words[1]}", None) as received:
        for reply in control.command(words):
            if reply.code == "f":
                raise CommandError(value(reply.data.get("error", "")), reply.exit_code)
            if "piece" in reply.data:
                piece = base64.b64decode(reply.data["piece"])
                target.write(piece)
                digest.update(piece)
                done += len(piece)
                received(done)
            if reply.final and reply.data.get("sha256") != digest.hexdigest():
                raise CommandError("what has come is not what was sent", EXIT_FAILED)


@image.command()
@click.argument("what", metavar="FILE|REF")
@click.option(
    "-i",
    "--inventory",
    required=True,
    envvar="FLISWARM_INVENTORY",
    type=click.Path(path_type=Path),
    help="The site's inventory. Default: $FLISWARM_INVENTORY.",
)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def push(options: Options, what: str, inventory: Path, args: tuple[str, ...]) -> None:
    """Put an image into the site's registry, under the name that the inventory has.

    FILE is an archive, REF the name of an image that a node has. Root of the manager
    alone may write to the registry, so Ansible does it. What follows -- goes to
    ansible-playbook.
    """
    from fliswarm.cli.site import push_archive

    with tempfile.TemporaryDirectory() as folder:
        file = Path(what)
        if not file.exists():
            file = Path(folder) / "image.tar"
            with dial(options) as control:
                _save(control, what, file, [])
        archive.read(file)
        push_archive(inventory, file.resolve(), args)
    click.echo(
        "The next run of the site's playbook makes the image that the inventory "
        "describes. To keep this one, write flicamera_image_source: archive and "
        "flicamera_image_archive: FILE there. fliswarm reconnect brings it to the "
        "nodes."
    )


@image.command()
@selection("nodes to tidy up")
@click.option("--yes", is_flag=True, help="Remove them; without, they are named.")
@click.option("--json", "as_json", is_flag=True, help="Replies as JSON lines.")
@click.pass_context
def prune(
    context: click.Context,
    names: str | None,
    category: str | None,
    exclude: str | None,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove images of cameras that no container uses and nobody wants.

    Those of releases are kept. Without --yes nothing is removed.
    """
    words = ["image-prune", *_words(names, category, exclude)]
    words += ["--yes"] if yes else []
    with dial(context.obj) as control:
        context.exit(give(control, words, as_json=as_json))
