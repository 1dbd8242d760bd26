"""Make the nodes known to the controller.

Run on the manager as ``python3 - NODES look|write``, NODES a JSON object: a node's
address to its ssh keys, none where they stay what they are. One JSON object tells:

``key``
    The controller's own public key, empty when it has none.
``changed``
    Whether what it knows is, or was, something else.
``fresh``
    Addresses of the nodes that it did not know as they are.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import sys
from pathlib import Path

USER = "fliswarm"

KEY = re.compile(r"[a-z0-9@.-]+ [A-Za-z0-9+/]+=*")
"""Type and key, as a host has them in its ``.pub`` files."""

NOTHING: dict[str, object] = {"key": "", "changed": False, "fresh": []}
"""Without a controller."""


def merge(known: str, nodes: dict[str, list[str]]) -> str:
    """Return what ``known_hosts`` is to hold, from what it holds.

    Parameters
    ----------
    known
        Its text.
    nodes
        All nodes. The lines of others go.
    """
    kept = [line for line in known.splitlines() if nodes.get(line.split(" ")[0]) == []]
    fresh = [
        f"{address} {key}"
        for address, keys in nodes.items()
        for key in keys
        # What a node says of itself is to be a key, not a line for another node.
        if KEY.fullmatch(key)
    ]
    return "".join(f"{line}\n" for line in sorted(kept + fresh))


def new(before: str, after: str) -> list[str]:
    """Return the addresses of the lines that only the second text has."""
    lines = set(after.splitlines()) - set(before.splitlines())
    return sorted({line.split(" ")[0] for line in lines})


def main(nodes: dict[str, list[str]], write: bool) -> dict[str, object]:
    """Write what differs, as the user whose files they are."""
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        return NOTHING
    folder = Path(user.pw_dir, ".ssh")
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    key, known = folder / "id_ed25519.pub", folder / "known_hosts"
    if not key.is_file():
        return NOTHING
    before = known.read_text() if known.is_file() else ""
    after = merge(before, nodes)
    public = key.read_text().strip()
    if write and after != before:
        fresh = known.with_suffix(".new")
        fresh.write_text(after)
        fresh.replace(known)
    return {"key": public, "changed": after != before, "fresh": new(before, after)}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]), sys.argv[2] == "write")))
