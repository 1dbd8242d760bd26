"""Tell which programs, files and ssh keys a node has: one JSON object, nothing changed.

Run on the host as ``python3 - PROGRAMS FILES USER``, the first two JSON lists of paths.
"""

from __future__ import annotations

import json
import pwd
import sys
from pathlib import Path


def look(path: Path) -> dict[str, str] | None:
    """Return text and mode of a file, or None when there is no such file."""
    if not path.is_file():
        return None
    return {
        "content": path.read_text(encoding="utf-8", errors="replace"),
        "mode": f"{path.stat().st_mode & 0o7777:04o}",
    }


def home(user: str) -> str:
    """Return the home of a user, empty when there is no such user."""
    try:
        return pwd.getpwnam(user).pw_dir
    except KeyError:
        return ""


def main(programs: list[str], files: list[str], user: str) -> dict[str, object]:
    """Look at the host."""
    authorized = look(Path(home(user), ".ssh/authorized_keys")) if home(user) else None
    keys = sorted(Path("/etc/ssh").glob("ssh_host_*_key.pub"))
    return {
        "lacking": [path for path in programs if not Path(path).exists()],
        "files": {path: look(Path(path)) for path in files},
        "home": home(user),
        "authorized": authorized["content"] if authorized else "",
        # Type and key, without who made it.
        "host_keys": [" ".join(key.read_text().split()[:2]) for key in keys],
    }


if __name__ == "__main__":
    programs, files, user = sys.argv[1:]
    print(json.dumps(main(json.loads(programs), json.loads(files), user)))
