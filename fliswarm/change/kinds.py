"""All kinds of steps, and how the journal writes them down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from fliswarm.change.adoption import Relieve
from fliswarm.change.computer import (
    AwaitDown,
    AwaitEngine,
    AwaitHost,
    AwaitReturn,
    PowerOff,
    PowerOn,
    Reboot,
)
from fliswarm.change.steps import (
    AwaitCamera,
    AwaitExposure,
    MakeVolume,
    Remove,
    RemoveVolume,
    Run,
    SetAside,
    Start,
    Step,
    Stop,
)

KINDS: Mapping[str, type[Step]] = {
    kind.__name__: kind
    for kind in (
        MakeVolume,
        AwaitExposure,
        SetAside,
        Stop,
        Relieve,
        Run,
        Start,
        AwaitCamera,
        Remove,
        RemoveVolume,
        PowerOff,
        AwaitDown,
        PowerOn,
        Reboot,
        AwaitHost,
        AwaitEngine,
        AwaitReturn,
    )
}
"""All kinds of steps, by the name that the journal has for them."""


def written(step: Step) -> dict[str, Any]:
    """Return a step as JSON values."""
    return {"step": type(step).__name__, **asdict(step)}


def read(noted: Mapping[str, Any]) -> Step:
    """Return the step that `written` made these values of.

    Raises
    ------
    ValueError
        When they are none of a step.
    """
    kind = KINDS.get(noted.get("step", ""))
    if kind is None:
        raise ValueError(f"no step: {noted}")
    values = {f.name: noted[f.name] for f in fields(kind) if f.name in noted}
    if "before" in values and isinstance(values["before"], list):
        values["before"] = tuple(values["before"])
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"no step: {noted}") from error
