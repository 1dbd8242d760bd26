"""The system's ``ssh``: how its command line begins, and whom it is to reach."""

from __future__ import annotations

import os
import shlex
import subprocess
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


def settings(where: list[str], limit: float) -> dict[str, list[str]]:
    """Return what the system's ssh would do for a host, of its files and options.

    Parameters
    ----------
    where
        The host, as `target` has it.
    limit
        Seconds for ssh to read its files.

    Returns
    -------
    values
        By keyword, in lower case, as ``ssh -G`` has them; empty where there is no ssh.

    Raises
    ------
    OSError
        In ssh's own words, when its files are wrong.
    """
    try:
        done = subprocess.run(
            [*command(), "-G", *where],
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except FileNotFoundError:
        return {}
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{error}") from error
    if done.returncode != 0:
        raise OSError(done.stderr.strip() or f"ssh -G: status {done.returncode}")
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        found.setdefault(keyword, []).append(value)
    return found


def proxy(values: dict[str, list[str]], host: str, port: int) -> str | None:
    """Return the command that leads to a host which cannot be reached by itself.

    Parameters
    ----------
    values
        Of `settings`.
    host, port
        Where the host's own ssh listens.
    """
    written = values.get("proxycommand", ["none"])[0]
    if written != "none":
        for mark, value in (("%h", host), ("%p", str(port)), ("%%", "%")):
            written = written.replace(mark, value)
        return written
    jump = values.get("proxyjump", ["none"])[0]
    if jump == "none":
        return None
    *before, last = jump.split(",")
    through = ["-J", ",".join(before)] if before else []
    last = last if last.startswith("ssh://") else f"ssh://{last}"
    return shlex.join([*command(), *through, "-W", f"[{host}]:{port}", last])


def target(address: SplitResult, user: str | None = None) -> list[str]:
    """Return the words for ``ssh://[USER@]HOST[:PORT]``, with ``user`` for no USER."""
    user = address.username or user
    port = ["-p", str(address.port)] if address.port else []
    return [*port, f"{user}@{address.hostname}" if user else str(address.hostname)]
