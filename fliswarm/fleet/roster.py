"""Which nodes are enabled, who wanted it so, when and why: kept over starts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from fliswarm import store
from fliswarm.errors import StoreError
from fliswarm.model import Fleet
from fliswarm.model.facts import Disabled, Enabled, Tell, now

log = logging.getLogger(__name__)

CONFIGURATION = "configuration"
"""Who enabled or disabled a node about which nobody has said anything."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether commands reach a node.

    ``by`` is who wanted it so, ``reason`` why, ``since`` when in ISO form.
    ``configured`` is what the configuration said then.
    """

    enabled: bool
    by: str = CONFIGURATION
    reason: str = ""
    since: str | None = None
    configured: bool | None = None


class Roster:
    """The standing of each node.

    What an operator said holds until the configuration says something else of the
    same node, over reloads and starts.

    Parameters
    ----------
    desired
        What the configuration says.
    path
        Where what operators said is kept; ``None`` keeps it in memory alone.
    tell
        Is told of each change.
    """

    def __init__(self, desired: Fleet, path: Path | None, tell: Tell) -> None:
        self._path = path
        self._tell = tell
        self._said = {} if path is None else _read(path)
        self._desired = desired
        self._met: set[str] = set()
        self.follow(desired)

    def follow(self, desired: Fleet) -> None:
        """Take a new configuration."""
        self._desired = desired
        configured = set(desired.enabled)
        holds = {
            name: said
            for name, said in self._said.items()
            if name in desired.nodes and said.configured == (name in configured)
        }
        if holds != self._said:
            self._said = holds
            try:
                # Else it would hold again from the next start on.
                self._write(holds)
            except StoreError as error:
                log.error("%s", error)  # noqa: TRY400  its words say all
        self._met = (self._met & set(desired.nodes)) | configured | set(self._said)

    def standing(self, name: str) -> Standing:
        """Return the standing of a node."""
        return self._said.get(name) or Standing(name in self._desired.enabled)

    @property
    def enabled(self) -> list[str]:
        """The enabled nodes, in the order of the configuration."""
        return [name for name in self._desired.nodes if self.standing(name).enabled]

    @property
    def met(self) -> list[str]:
        """The nodes that are enabled or were so, in order."""
        return [name for name in self._desired.nodes if name in self._met]

    def enable(self, name: str, by: str) -> None:
        """Let commands reach a node."""
        self._say(name, enabled=True, by=by, reason="")
        self._tell(Enabled(node=name, by=by))

    def disable(self, name: str, by: str, reason: str) -> None:
        """Leave a node out of commands."""
        self._say(name, enabled=False, by=by, reason=reason)
        self._tell(Disabled(node=name, by=by, reason=reason))

    def _say(self, name: str, *, enabled: bool, by: str, reason: str) -> None:
        configured = name in self._desired.enabled
        since = now().isoformat(timespec="seconds")
        said = dict(self._said)
        said[name] = Standing(enabled, by, reason, since, configured)
        if enabled and configured:
            del said[name]
        self._write(said)
        self._said = said
        self._met.add(name)

    def _write(self, said: Mapping[str, Standing]) -> None:
        if self._path is not None:
            content = {node: asdict(standing) for node, standing in said.items()}
            store.write(self._path, content)


def _read(path: Path) -> dict[str, Standing]:
    try:
        noted = store.read(path)
        if noted is None:
            return {}
        if not isinstance(noted, Mapping):
            raise ValueError("no standings")  # noqa: TRY004, TRY301  a file's content
        return {str(name): _standing(values) for name, values in noted.items()}
    except (StoreError, ValueError) as error:
        store.keep_aside(path, error)
        return {}


def _standing(values: object) -> Standing:
    """Return what a file says of one node; `ValueError` when that is nothing."""
    try:
        standing = Standing(**values)  # type: ignore[arg-type]
        if standing.since is not None:
            datetime.fromisoformat(standing.since)
    except TypeError as error:
        raise ValueError(str(error)) from error
    return standing
