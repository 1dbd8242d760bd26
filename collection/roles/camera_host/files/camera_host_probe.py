"""Tell which programs and files a node has: one JSON object, nothing changed.

Run on the host as ``python3 - PROGRAMS FILES``, both JSON lists of paths.
"""

from __future__ import annotations

import json
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


def main(programs: list[str], files: list[str]) -> dict[str, object]:
    """Look at the host."""
    return {
        "lacking": [path for path in programs if not Path(path).exists()],
        "files": {path: look(Path(path)) for path in files},
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]), json.loads(sys.argv[2]))))
