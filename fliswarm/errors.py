"""The error tree: each error names what went wrong and where, and its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

EXIT_DONE = 0
"""All of it was done."""

EXIT_FAILED = 1
"""The program is not running, or a command failed."""

EXIT_USAGE = 2
"""The command itself is wrong (click's own code)."""

EXIT_CONFIG = 3
"""A configuration file or an inventory is wrong."""

EXIT_UNREACHABLE = 4
"""The controller, a node, its engine or its camera cannot be reached."""

EXIT_PROVISION = 5
"""A playbook failed."""

EXIT_BUSY = 6
"""Something else goes on there: an exposure, another change, another's lock."""


class FliswarmError(Exception):
    """Base of all errors a user can cause or meet."""

    exit_code = EXIT_FAILED


class ConfigError(FliswarmError):
    """A value in a file is not acceptable.

    Parameters
    ----------
    where
        The file, and the path of the key in it (``nodes/APO/gfa1/port``).
    problem
        What is wrong with it.
    """

    exit_code = EXIT_CONFIG

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem


class StoreError(FliswarmError):
    """What has to be known after a power cut cannot be written down, or read.

    Parameters
    ----------
    path
        The file.
    problem
        The system's own words.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


class RecordError(FliswarmError):
    """What is done to the fleet cannot be written down, or read.

    Parameters
    ----------
    path
        The file.
    problem
        What is wrong with it.
    remedy
        What a person can do about it.
    """

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"the record {path}: {problem}. Remedy: {remedy}")


class UsageError(FliswarmError):
    """A command cannot be given as it is written."""

    exit_code = EXIT_USAGE


class CommandError(FliswarmError):
    """A command failed.

    Parameters
    ----------
    problem
        Why, in the controller's words.
    exit_code
        What kind of failure it is.
    """

    def __init__(self, problem: str, exit_code: int) -> None:
        super().__init__(problem)
        self.exit_code = exit_code


class StaleError(FliswarmError):
    """What a saved plan saw is not there any more.

    Parameters
    ----------
    plan
        The file.
    moved
        Who moved, and what of it.
    """

    def __init__(self, plan: str, moved: Sequence[str]) -> None:
        super().__init__(
            f"{plan}: this plan does not hold any more. {'; '.join(moved)}. Nothing "
            "was changed. Remedy: make the plan again"
        )
        self.moved = tuple(moved)


class SelectionError(FliswarmError):
    """A selection names no node, or a node that does not exist."""

    exit_code = EXIT_USAGE


class NotRunningError(FliswarmError):
    """No controller answers on the control socket."""


class NodeError(FliswarmError):
    """Something is wrong with one node.

    Parameters
    ----------
    node
        Name of the node.
    problem
        What is known of it, in the words of whoever met it.
    """

    def __init__(self, node: str, problem: str) -> None:
        super().__init__(f"{node}: {problem}")
        self.node = node
        self.problem = problem


class BusyError(NodeError):
    """Another change of the node is under way."""

    exit_code = EXIT_BUSY

    def __init__(self, node: str, change: str) -> None:
        super().__init__(node, f"another {change} is under way")


class LockedError(FliswarmError):
    """Somebody else has the nodes that were to be changed."""

    exit_code = EXIT_BUSY


class ExposingError(NodeError):
    """A camera exposes, and what was asked for would end that.

    Parameters
    ----------
    node
        The node that was to be changed.
    exposure
        What is under way there, in words.
    waited
        Seconds that its end was waited for already.
    """

    exit_code = EXIT_BUSY

    def __init__(self, node: str, exposure: str, waited: float = 0.0) -> None:
        what = f"after {waited:g} s, {exposure}" if waited else exposure
        super().__init__(
            node,
            f"{what}. Remedy: --wait SECONDS waits for its end, --now goes on and "
            "loses it",
        )


class EngineError(NodeError):
    """A Docker Engine refused or failed an action."""


class EngineUnreachableError(EngineError):
    """A Docker Engine did not answer within its time limit.

    Parameters
    ----------
    node, problem
        As for `EngineError`.
    host_alive
        Whether the node itself answered: it refused the connection, or accepted it.
    refused
        Whether the answer came at once, so that asking again costs nothing.
    """

    exit_code = EXIT_UNREACHABLE

    def __init__(
        self,
        node: str,
        problem: str,
        *,
        host_alive: bool = False,
        refused: bool = False,
    ) -> None:
        super().__init__(node, problem)
        self.host_alive = host_alive
        self.refused = refused


class ImageUnavailableError(EngineError):
    """An image is neither in its registry nor on the node."""


class CameraError(NodeError):
    """The link to a camera is down, or broke while a command was running."""

    exit_code = EXIT_UNREACHABLE


class HostError(NodeError):
    """A node's operating system could not be reached, or refused."""

    exit_code = EXIT_UNREACHABLE


class UnsureHostError(HostError):
    """What was asked of a node's computer may have been done, or not."""


class HubError(FliswarmError):
    """Tron is away, or a command through it failed."""

    exit_code = EXIT_UNREACHABLE


class HubSilentError(HubError):
    """Nobody said how a command through Tron ended: it may have been done."""


class ControlError(FliswarmError):
    """The control connection ended before the command did."""

    exit_code = EXIT_UNREACHABLE


class NotInstalledError(ControlError):
    """There is no fliswarm on the computer that was asked for a controller."""


class ProvisionError(FliswarmError):
    """A playbook could not be run, or failed on some host."""

    exit_code = EXIT_PROVISION
