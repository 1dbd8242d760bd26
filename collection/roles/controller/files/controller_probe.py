"""Tell what a manager has of the controller: one JSON object, nothing changed."""

from __future__ import annotations

import json
import os
import platform
import pwd
import sys
from pathlib import Path

STATE = Path("/var/lib/fliswarm")

KEY = STATE / ".ssh/id_ed25519"

LINK = Path("/usr/local/bin/fliswarm")

ENVIRONMENT = {
    *(".gitignore", "pyvenv.cfg", "bundle"),
    *("bin", "include", "lib", "lib64", "share"),
}
"""What an environment of Python holds, and our stamp."""


def foreign(home: Path) -> list[str]:
    """Return what others have in the places of the controller."""
    found = []
    if home.is_dir() and {entry.name for entry in home.iterdir()} - ENVIRONMENT:
        found.append(f"{home} holds other things than an environment of Python")
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


def main(home: Path) -> dict[str, object]:
    """Look at the host."""
    stamp, program = home / "bundle", home / "bin/fliswarm"
    whole = stamp.is_file() and program.is_file() and LINK.resolve() == program
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
