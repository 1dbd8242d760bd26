"""The fleet as a table, and what its colours come to as an exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from rich.text import Text

from fliswarm.cli.console import colour, console, say, table, tabulate
from fliswarm.cli.sentences import Sentence
from fliswarm.cli.show import value
from fliswarm.errors import EXIT_DONE, EXIT_FAILED, EXIT_UNREACHABLE, CommandError
from fliswarm.faces.control.stream import StreamControl

STATES = {True: "green", False: "red"}

TALK_LIMIT = "3"
"""Seconds that a table waits for a camera's temperature."""

IN_TABLE = ("Node ", "Docker client ", "No containers ", "Volume ", "Failed connecting")
"""How the warnings begin that say what the table shows as well."""


@dataclass(slots=True)
class NodeView:
    """A line of the fleet's table; ``temperature`` in degrees Celsius.

    ``state`` is the container's, as it was last seen ``docker_age`` seconds ago;
    ``camera_age`` is for how many seconds its camera has been as it is. What nobody
    knows is ``None``. ``certificate_ends`` is the day, in ISO form, on which the first
    of the certificates ends with which its engine and the controller know each other;
    ``exposing`` is the command of an exposure that is under way.
    """

    node: str
    enabled: bool = True
    disabled_by: str | None = None
    disabled_since: str | None = None
    disabled_reason: str | None = None
    host: str | None = None
    host_alive: bool | None = None
    docker_alive: bool | None = None
    docker_age: float | None = None
    docker_problem: str | None = None
    container: str | None = None
    state: str | None = None
    image: str | None = None
    digest: str | None = None
    release: int | None = None
    release_wanted: int | None = None
    camera: bool | None = None
    camera_age: float | None = None
    camera_problem: str | None = None
    temperature: float | None = None
    exposing: str | None = None
    change: str | None = None
    certificate_ends: str | None = None
    locked_by: str | None = None
    certificate_days: int | None = None


@dataclass(slots=True)
class FleetView:
    """A fleet as its controller tells it; ``notes`` are in words, for people."""

    nodes: dict[str, NodeView] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """What the table says: all good, something unreachable, something wrong."""
        enabled = [node for node in self.nodes.values() if node.enabled]
        if not all(node.docker_alive for node in enabled):
            return EXIT_UNREACHABLE
        good = all(node.container and node.camera for node in enabled)
        return EXIT_DONE if good else EXIT_FAILED


def view(control: StreamControl, selection: Sequence[str] = ()) -> FleetView:
    """Ask a controller for its fleet, or for the part of it that options select.

    Raises
    ------
    CommandError
        When the controller cannot tell: what it said before is no fleet.
    """
    fleet = FleetView()
    for message in control.command(["status", "--detail", *selection]):
        _note(fleet, message.data)
        if message.code == "f":
            why = message.data.get("error") or "it does not say why"
            problem = f"the controller could not tell how the fleet is: {value(why)}"
            raise CommandError(problem, message.exit_code)
    asked = ["talk", "--timeout", TALK_LIMIT, *selection, "--", "status"]
    for message in control.command(asked):
        status = message.data.get("status")
        if message.sender in fleet.nodes and isinstance(status, Mapping):
            cold = status.get("temperature_ccd")
            if isinstance(cold, int | float):
                fleet.nodes[message.sender].temperature = cold
    return fleet


def _note(fleet: FleetView, data: Mapping[str, Any]) -> None:
    for name in data.get("enabledNodes", ()):
        fleet.nodes[name] = NodeView(name)
    text = data.get("text")
    if isinstance(text, str) and not text.startswith(IN_TABLE):
        fleet.notes.append(text)
    if isinstance(lock := data.get("lock"), list):
        _note_lock(fleet, *map(str, lock))
    for key, found in data.items():
        if not isinstance(found, list) or not found or not isinstance(found[0], str):
            continue
        if key == "disabled" or found[0] in fleet.nodes:
            node = fleet.nodes.setdefault(found[0], NodeView(found[0]))
            _note_node(node, key, found)


def _note_lock(
    fleet: FleetView, who: str, door: str, why: str, since: str, *names: str
) -> None:
    text = f"{', '.join(names)}: locked by {who} ({door}) since {since}: {why}"
    fleet.notes.append(text)
    for name in names:
        if name in fleet.nodes:
            fleet.nodes[name].locked_by = f"{who}: {why}"


def _note_node(node: NodeView, key: str, found: Sequence[Any]) -> None:
    match key, *found[1:]:
        case "node", host, _, host_alive, docker_alive:
            node.host, node.host_alive = host, host_alive
            node.docker_alive = docker_alive
        case "container", short_id:
            node.container = None if short_id == "NA" else short_id
        case "image", image, digest:
            node.image, node.digest = image, None if digest == "NA" else digest
        case "release", has, wanted:
            node.release, node.release_wanted = has, wanted
        case "camera", up:
            node.camera = up
        case "link", _, age, problem:
            node.camera_age, node.camera_problem = age, problem
        case "engine", _, age, problem:
            node.docker_age, node.docker_problem = age, problem
        case "state", state, _:
            node.state = None if state == "unknown" else state
        case "exposing", what:
            node.exposing = what
        case "change", change, step:
            node.change = f"{change}: {step}" if step else change
        case "certificate", day, left:
            node.certificate_ends, node.certificate_days = day, left
        case "disabled", who, since, why:
            node.enabled, node.disabled_by, node.disabled_reason = False, who, why
            node.disabled_since = None if since == "NA" else since


def print_fleet(fleet: FleetView, *, as_json: bool) -> None:
    """Print a fleet: a table, or one JSON object a line."""
    if as_json:
        for node in fleet.nodes.values():
            print(json.dumps(asdict(node)))
        return
    shown = table("node")
    shown.add_column("host", overflow="fold")
    for name in ("Docker", "container", "image"):
        shown.add_column(name)
    shown.add_column("camera")
    shown.add_column("temp.", justify="right")
    for node in fleet.nodes.values():
        if node.enabled:
            shown.add_row(Text(node.node, colour(node.node)), *_row(node))
        else:
            shown.add_row(node.node, "disabled", style="dim")
    out = console()
    tabulate(out, shown)
    for node in fleet.nodes.values():
        for note in _notes(node):
            say(out, Sentence(node.node, note, "w").rich())
    for note in fleet.notes:
        say(out, Sentence("", note, "w").rich())


def _row(node: NodeView) -> tuple[Text, ...]:
    cold = "" if node.temperature is None else f"{node.temperature:.1f} °C"
    camera = "exposing" if node.exposing else "up" if node.camera else "down"
    return (
        _state(node.host, good=node.host_alive),
        _state("up" if node.docker_alive else "down", good=node.docker_alive),
        _container(node),
        Text(_image(node), no_wrap=True),
        _state(camera, good=node.camera),
        Text(cold, no_wrap=True),
    )


def _image(node: NodeView) -> str:
    digest = _digest(node.digest)
    return digest if node.release is None else f"{digest} ({node.release})".strip()


def _digest(digest: str | None) -> str:
    """Return as much of a digest as people compare."""
    kind, colon, number = (digest or "").partition(":")
    return f"{kind}{colon}{number[:12]}"


def _container(node: NodeView) -> Text:
    if node.container is not None:
        return Text(node.container, no_wrap=True)
    if not node.docker_alive:
        # Nobody can look: what was there last may be there still.
        last = (
            "" if node.docker_age is None else f", {node.state} {_ago(node.docker_age)}"
        )
        return Text(f"unknown{last}", "yellow")
    return Text(node.state or "none", "red")


def _notes(node: NodeView) -> list[str]:
    """Return what a line of the table has no room for."""
    notes = []
    if not node.enabled:
        since = f" since {_day(node.disabled_since)}" if node.disabled_since else ""
        why = f": {node.disabled_reason}" if node.disabled_reason else ""
        notes.append(f"disabled by {node.disabled_by}{since}{why}")
    if node.docker_problem:
        notes.append(f"Docker Engine: {node.docker_problem}")
    if node.camera_problem:
        notes.append(f"camera: {node.camera_problem}")
    if node.exposing:
        notes.append(f"under way: {node.exposing}")
    if node.change:
        notes.append(f"under way: {node.change}")
    return notes


def _day(moment: str) -> str:
    """Return a moment to the minute, by the clock of who reads it."""
    try:
        return f"{datetime.fromisoformat(moment).astimezone():%F %H:%M}"
    except ValueError:
        return moment


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s ago"
    minutes = seconds / 60
    return f"{minutes:.0f} min ago" if minutes < 120 else f"{minutes / 60:.0f} h ago"


def _state(text: str | None, *, good: bool | None) -> Text:
    return Text(text or "unknown", "yellow" if good is None else STATES[good])
