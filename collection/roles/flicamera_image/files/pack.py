"""Pack a program and all that it needs, installed, into one tar file.

``pack.py OUT.tar --python 3.11 --machine x86_64 sdss-flicamera==0.7.2`` works for
another Python and another architecture than its own: nothing is run, and only
pure Python is built from source.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

GLIBC = ("17", "27", "28", "31", "34", "35")
"""Versions of glibc 2 for which packages publish wheels, up to Debian 12's."""


def pack(
    out: Path, packages: list[str], sources: list[str], python: str, machine: str
) -> None:
    """Make the tar file.

    Parameters
    ----------
    out
        Path of the tar file.
    packages
        What to install, as pip takes it.
    sources
        Packages among those needed that are published as source only.
    python
        Version of the image's Python (``3.11``).
    machine
        Its architecture, as ``uname -m`` says it.
    """
    platforms = [f"--platform=manylinux_2_{glibc}_{machine}" for glibc in GLIBC]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        wheels, installed = f"{folder}/wheels", f"{folder}/installed"
        if sources:
            # Pips of some years ago ask for setup.py's own wheel command otherwise.
            _pip(
                "wheel", "--use-pep517", "--no-deps", f"--wheel-dir={wheels}", *sources
            )
        _pip(
            *("install", "--no-compile", f"--target={installed}"),
            *("--only-binary=:all:", f"--find-links={wheels}"),
            *("--implementation=cp", f"--python-version={python}"),
            *(*platforms, f"--platform=manylinux2014_{machine}"),
            *packages,
        )
        fresh = Path(folder, "fresh.tar")
        with tarfile.open(fresh, "w") as archive:
            archive.add(installed, arcname=".", filter=_entry)
        fresh.replace(out)


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(done.stderr.strip())


def _entry(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Give a file to root, and leave out the tests: a sixth of the whole.

    A package's uppermost ``tests`` stay, as astropy imports its own.
    """
    if entry.isdir() and entry.name.endswith("/tests") and entry.name.count("/") > 2:
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def main() -> None:
    """Pack what the command line says."""
    parser = argparse.ArgumentParser(description="Pack an installed program.")
    parser.add_argument("out", type=Path)
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--source", dest="sources", action="append", default=[])
    parser.add_argument("--python", required=True)
    parser.add_argument("--machine", required=True)
    pack(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
