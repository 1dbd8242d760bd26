"""The system's ``ssh``: how its command line begins, and whom it is to reach."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from urllib.parse import SplitResult

from fliswarm.errors import ConfigError

OTHER_HOST_KEY = (
    "its host key is not the one that is known here; "
    "remedy: run the site's playbook for this node"
)
"""What is said of a host that may be another one than before."""


def command(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the words that ``$FLISWARM_SSH_COMMAND`` has in place of ``ssh``."""
    written = environment.get("FLISWARM_SSH_COMMAND", "ssh")
    try:
        words = shlex.split(written)
    except ValueError as error:
        raise ConfigError("FLISWARM_SSH_COMMAND", f"{error}: {written}") from error
    return words or ["ssh"]


def target(address: SplitResult, user: str | None = None) -> list[str]:
    """Return the words for ``ssh://[USER@]HOST[:PORT]``, with ``user`` for no USER."""
    user = address.username or user
    port = ["-p", str(address.port)] if address.port else []
    return [*port, f"{user}@{address.hostname}" if user else str(address.hostname)]
