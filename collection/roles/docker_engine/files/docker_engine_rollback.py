"""Put files back as they were and restart Docker Engine, if one differs.

Run on the host as ``python3 - BEFORE`` with a JSON object of path: text, null
for a file that was not there. Puts out what the daemon said when it failed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def run(*command: str) -> str:
    """Run a command, and return what it put out, whatever its exit code."""
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    return done.stdout.decode(errors="replace")


def put_back(path: Path, text: str | None) -> bool:
    """Give a file its old text, and tell whether it had another one."""
    now = path.read_text(encoding="utf-8-sig") if path.is_file() else None
    if now == text:
        return False
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")
    return True


def main(before: dict[str, str | None]) -> str:
    """Put back, restart, return the daemon's last words."""
    changed = [path for path, text in before.items() if put_back(Path(path), text)]
    if not changed:
        return ""
    said = run("journalctl", "-t", "dockerd", "-o", "cat", "-n", "40").splitlines()
    fatal = [
        line
        for line in said
        if line.startswith(("unable to configure", "failed to", "invalid"))
        or "level=fatal" in line
    ]
    run("systemctl", "daemon-reload")
    # After three bad starts in a minute systemd refuses the good one as well.
    run("systemctl", "reset-failed", "docker.service", "docker.socket")
    run("systemctl", "restart", "docker.service")
    return "\n".join(fatal[-1:] or said[-5:])


if __name__ == "__main__":
    print(main(json.loads(sys.argv[1])))
