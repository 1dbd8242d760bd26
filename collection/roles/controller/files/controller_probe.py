"""Tell what a manager has of the controller: one JSON object, nothing changed."""

from __future__ import annotations

import json
import os
import platform
import pwd
import subprocess
import sys
from pathlib import Path

STATE = Path("/var/lib/fliswarm")

KEY = STATE / ".ssh/id_ed25519"

LINK = Path("/usr/local/bin/fliswarm")

RECORD = Path("/var/lib/fliswarm-provision/controller.json")
"""There since before anything was installed."""

SUM = (
    "find . -type f ! -name '*.pyc' ! -path './bundle*' | LC_ALL=C sort"
    " | xargs -d '\\n' sha256sum | sha256sum"
)
"""Tells one content of a folder from another, as install.sh does."""


def foreign(home: Path) -> list[str]:
    """Return what others have in the places of the controller."""
    found = []
    if home.is_dir() and any(home.iterdir()) and not RECORD.exists():
        found.append(f"{home} holds somebody else's files")
    there = LINK.is_symlink() or LINK.exists()
    if there and LINK.resolve() != (home / "bin/fliswarm").resolve():
        found.append(f"{LINK} is another program")
    try:
        user = pwd.getpwnam("fliswarm")
    except KeyError:
        return found
    if Path(user.pw_dir) != STATE:
        found.append(f"the user fliswarm has the home {user.pw_dir}")
    return found


def is_whole(home: Path) -> bool:
    """Tell whether all files are those that were installed."""
    made = home / "bundle.sum"
    done = subprocess.run(["sh", "-c", SUM], cwd=home, capture_output=True, check=False)
    return made.is_file() and made.read_bytes() == done.stdout


def main(home: Path) -> dict[str, object]:
    """Look at the host."""
    stamp, program = home / "bundle", home / "bin/fliswarm"
    linked = LINK.resolve() == program.resolve()
    whole = stamp.is_file() and program.is_file() and linked and is_whole(home)
    login = os.environ.get("SUDO_USER", "")
    return {
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "machine": platform.machine(),
        "stamp": stamp.read_text().strip() if whole else "",
        "login": "" if login == "root" else login,
        "key": KEY.is_file(),
        "foreign": foreign(home),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
