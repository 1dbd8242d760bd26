"""How replies and fleets look to people, and to programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fliswarm.errors import CommandError
from fliswarm.faces.control.stream import Message, StreamControl
from fliswarm.model import CERTIFICATE_DAYS

STYLES = {"w": "yellow", "e": "red", "f": "bold red", "!": "bold red", "d": "dim"}

TALK_LIMIT = "3"
"""Seconds that a table waits for a camera's temperature."""


@dataclass(slots=True)
class NodeView:
    """A line of the fleet's table; ``temperature`` in degrees Celsius.

    ``certificate_ends`` is the day, in ISO form, on which the first of the certificates
    ends with which its engine and the controller know each other.
    """

    node: str
    host: str | None = None
    host_alive: bool | None = None
    docker_alive: bool | None = None
    container: str | None = None
    image: str | None = None
    digest: str | None = None
    camera: bool | None = None
    temperature: float | None = None
    certificate_ends: str | None = None
    certificate_days: int | None = None


def view(control: StreamControl, selection: Sequence[str] = ()) -> list[NodeView]:
    """Ask a controller for its fleet, or for the part of it that options select.

    Raises
    ------
    CommandError
        When the controller cannot tell: what it said before is no fleet.
    """
    nodes: dict[str, NodeView] = {}
    for message in control.command(["status", "--detail", *selection]):
        _note(nodes, message.data)
        if message.code == "f":
            why = message.data.get("error") or "it does not say why"
            problem = f"the controller could not tell how the fleet is: {_value(why)}"
            raise CommandError(problem, message.exit_code)
    asked = ["talk", "--timeout", TALK_LIMIT, *selection, "--", "status"]
    for message in control.command(asked):
        status = message.data.get("status")
        if message.sender in nodes and isinstance(status, Mapping):
            cold = status.get("temperature_ccd")
            if isinstance(cold, int | float):
                nodes[message.sender].temperature = cold
    return list(nodes.values())


def _note(nodes: dict[str, NodeView], data: Mapping[str, Any]) -> None:
    for name in data.get("enabledNodes", ()):
        nodes[name] = NodeView(name)
    if found := data.get("node"):
        node = nodes.setdefault(found[0], NodeView(found[0]))
        node.host, node.host_alive, node.docker_alive = found[1], found[3], found[4]
    if (found := data.get("container")) and found[1] != "NA":
        nodes[found[0]].container = found[1]
    if found := data.get("image"):
        node = nodes[found[0]]
        node.image, node.digest = found[1], None if found[2] == "NA" else found[2]
    if found := data.get("camera"):
        nodes[found[0]].camera = found[1]
    if found := data.get("certificate"):
        node = nodes[found[0]]
        node.certificate_ends, node.certificate_days = found[1], found[2]


def print_fleet(nodes: Iterable[NodeView], *, as_json: bool) -> None:
    """Print a fleet: a table, or one JSON object a line."""
    if as_json:
        for node in nodes:
            print(json.dumps(asdict(node)))
        return
    nodes = list(nodes)
    table = Table("node", "host", "Docker", "container", "image digest", "camera")
    table.add_column("temp.", justify="right")
    for node in nodes:
        cold = "" if node.temperature is None else f"{node.temperature:.1f} °C"
        table.add_row(
            node.node,
            _state(node.host, good=node.host_alive),
            _state("up" if node.docker_alive else "down", good=node.docker_alive),
            node.container or "[red]none[/]",
            (node.digest or "").removeprefix("sha256:")[:12],
            _state("up" if node.camera else "down", good=node.camera),
            cold,
        )
    console = Console()
    console.print(table)
    for node in nodes:
        left = node.certificate_days
        if left is not None and left < CERTIFICATE_DAYS:
            console.print(
                f"A certificate between the controller and {node.node} ends on"
                f" {node.certificate_ends} (days left: {left}). Remedy: fliswarm"
                " provision renews it.",
                style=STYLES["w"],
                highlight=False,
                soft_wrap=True,
            )


def _state(text: str | None, *, good: bool | None) -> str:
    return f"[{'green' if good else 'red'}]{escape(text or '')}[/]"


def print_message(console: Console, message: Message) -> None:
    """Print one reply for people; the start and a bare end say nothing."""
    if not message.data:
        return
    style = STYLES.get(message.code, "")
    words = "  ".join(f"{key}={_value(item)}" for key, item in message.data.items())
    line = f"{message.sender:<10} {message.code} {words}"
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _value(item: object) -> str:
    if isinstance(item, Mapping):
        return " ".join(f"{key}={_value(inner)}" for key, inner in item.items())
    if isinstance(item, list):
        return ",".join(_value(inner) for inner in item)
    return str(item)


def message_json(message: Message) -> str:
    """Return one reply as a JSON line."""
    return json.dumps(asdict(message))
