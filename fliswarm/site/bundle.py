"""One file with all that a manager without Internet needs to install fliswarm.

``python -m fliswarm.site.bundle OUT.tar`` packs this very fliswarm as a wheel, and the
wheels of what it depends on, for the Python of the manager.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

from fliswarm import __version__
from fliswarm.errors import FliswarmError, ProvisionError
from fliswarm.site.share import share

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time stamp of every file in a wheel, so that equal contents make equal wheels."""

GLIBC = ("17", "27", "28", "31", "34", "35")
"""Versions of glibc 2 for which dependencies publish wheels, up to Debian 12's."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on disk; ``changed`` tells whether it had to be made."""

    path: str
    sha256: str
    version: str
    changed: bool


def make(out: Path, python: str, machine: str) -> Bundle:
    """Make a bundle, unless the one that is there holds the same.

    Parameters
    ----------
    out
        Path of the tar file.
    python
        Version of the manager's Python (``3.11``).
    machine
        Its architecture, as ``uname -m`` says it.

    Raises
    ------
    ProvisionError
        When the dependencies cannot be had.
    """
    wheel = _wheel()
    needs = [
        need for need in distribution("fliswarm").requires or () if ";" not in need
    ]
    recipe = json.dumps([python, machine, needs, hashlib.sha256(wheel).hexdigest()])
    noted = out.with_suffix(".json")
    if out.exists() and noted.exists():
        known = json.loads(noted.read_text("utf-8"))
        if known["recipe"] == recipe:
            return Bundle(str(out), known["sha256"], __version__, changed=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    others = json.dumps([python, machine, needs])
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        (Path(folder) / f"fliswarm-{__version__}-py3-none-any.whl").write_bytes(wheel)
        if not _kept(out, noted, others, Path(folder)):
            _download(needs, Path(folder), python, machine)
        tar = _tar(Path(folder))
        fresh = Path(folder) / "bundle"
        fresh.write_bytes(tar)
        fresh.replace(out)
    sha256 = hashlib.sha256(tar).hexdigest()
    known = {"recipe": recipe, "sha256": sha256, "others": others}
    noted.write_text(json.dumps(known), "utf-8")
    return Bundle(str(out), sha256, __version__, changed=True)


def _kept(out: Path, noted: Path, others: str, folder: Path) -> bool:
    """Take the other packages from the bundle before this one; return whether it has.

    Another version of this program alone needs no index of packages, which may be out
    of reach.
    """
    if not (out.exists() and noted.exists()):
        return False
    known = json.loads(noted.read_text("utf-8"))
    whole = hashlib.sha256(out.read_bytes()).hexdigest() == known["sha256"]
    if known.get("others") != others or not whole:
        return False
    with tarfile.open(out) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None and not member.name.startswith("fliswarm-"):
                (folder / Path(member.name).name).write_bytes(file.read())
    return True


def _wheel() -> bytes:
    """Return this fliswarm as a wheel, whether it is a clone or was installed."""
    dist = distribution("fliswarm")
    info = f"fliswarm-{__version__}.dist-info"
    files = dict(_files())
    files[f"{info}/METADATA"] = (dist.read_text("METADATA") or "").encode()
    files[f"{info}/entry_points.txt"] = (
        dist.read_text("entry_points.txt") or ""
    ).encode()
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: fliswarm\n"
        b"Root-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = [f"{name},{_digest(data)},{len(data)}\n" for name, data in files.items()]
    files[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"]).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _files() -> Iterator[tuple[str, bytes]]:
    package = Path(__file__).parents[1]
    shared = share()
    inside = "fliswarm/_share"
    folders = {
        "fliswarm": package,
        f"{inside}/playbooks": shared.playbooks,
        f"{inside}/ansible_collections/sdss/fliswarm": shared.collection,
    }
    for prefix, folder in folders.items():
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder)
            hidden = {"_share", "__pycache__"} & set(name.parts)
            if file.is_file() and not hidden:
                yield f"{prefix}/{name}", file.read_bytes()
    yield f"{inside}/ansible.cfg", shared.config.read_bytes()


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"


def _download(needs: list[str], folder: Path, python: str, machine: str) -> None:
    if find_spec("pip") is None:
        raise ProvisionError(
            f"{sys.prefix} has no pip, which gets the packages that the manager "
            "installs. Remedy: give this environment pip (uv pip install pip, or "
            f"{sys.executable} -m ensurepip), and run again"
        )
    platforms = [f"--platform=manylinux_2_{glibc}_{machine}" for glibc in GLIBC]
    command = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download"),
        *("--quiet", "--only-binary=:all:", "--dest", str(folder)),
        *(f"--python-version={python}", "--implementation=cp", *platforms),
        f"--platform=manylinux2014_{machine}",
        *needs,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ProvisionError(
            f"cannot get fliswarm's dependencies for Python {python}: "
            f"{done.stderr.strip()}"
        )


def _tar(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in sorted(folder.glob("*.whl")):
            data = file.read_bytes()
            entry = tarfile.TarInfo(file.name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def main() -> None:
    """Make a bundle and print what it is, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m fliswarm.site.bundle")
    parser.add_argument("out", type=Path)
    parser.add_argument("--python", default=".".join(map(str, sys.version_info[:2])))
    parser.add_argument("--machine", default="x86_64")
    arguments = parser.parse_args()
    try:
        bundle = make(arguments.out, arguments.python, arguments.machine)
    except FliswarmError as error:
        sys.exit(f"fliswarm.site.bundle: {error}")
    print(json.dumps(asdict(bundle)))


if __name__ == "__main__":
    main()
