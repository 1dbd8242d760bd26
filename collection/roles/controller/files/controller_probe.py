"""Tell what a manager has of the controller: one JSON object, nothing changed."""

from __future__ import annotations

import grp
import importlib.util
import json
import os
import platform
import sys
from pathlib import Path


def main(home: Path, config: Path) -> dict[str, object]:
    """Look at the host."""
    stamp = home / "bundle"
    socket = Path("/run/fliswarm/control.sock")
    key = Path("/var/lib/fliswarm/.ssh/id_ed25519")
    login = os.environ.get("SUDO_USER", "")
    return {
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "machine": platform.machine(),
        "venv": importlib.util.find_spec("ensurepip") is not None,
        "stamp": stamp.read_text().strip() if stamp.is_file() else "",
        "outdated": stamp.is_file()
        and socket.exists()
        and socket.stat().st_mtime < stamp.stat().st_mtime,
        "login": "" if login == "root" else login,
        "group": any(group.gr_name == "fliswarm" for group in grp.getgrall()),
        "key": key.is_file(),
        "ready": config.parent.is_dir() and (home / "bin/fliswarm").exists(),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
