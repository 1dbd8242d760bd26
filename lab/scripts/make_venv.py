"""Make a virtual environment, with what the machine lacks for it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)


def main() -> None:
    """Make the environment that the first argument names, with the second's Python."""
    if sys.version_info < OLDEST:
        sys.exit(
            f"fliswarm needs Python 3.11 or later; {sys.executable} is "
            f"{sys.version.split()[0]}. Remedy: make PYTHON=/path/to/a/newer/python3"
        )
    # Debian's python3 has venv, but not what venv puts into an environment.
    missing = []
    if importlib.util.find_spec("ensurepip") is None:
        missing.append(f"python{sys.version_info.major}.{sys.version_info.minor}-venv")
    if shutil.which("ssh") is None:
        missing.append("openssh-client")
    if missing:
        command = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            sys.exit(f"missing: {', '.join(missing)}. Remedy: sudo {' '.join(command)}")
        subprocess.run(["apt-get", "update", "--quiet"], check=True)
        subprocess.run(command, check=True)
    folder, python = sys.argv[1:]
    subprocess.run([python, "-m", "venv", folder], check=True)


if __name__ == "__main__":
    main()
