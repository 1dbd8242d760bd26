"""Runs a module of the collection in a process of its own, as Ansible does on a host.

``python -m tests.unit.support.modules NAME`` takes its arguments as JSON.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible.module_utils.testing import patch_module_args

ROOT = Path(__file__).parents[3]


def start(
    name: str, arguments: dict[str, Any], libraries: Path | None = None
) -> subprocess.Popen[str]:
    """Start a module; its result comes on its standard output.

    Parameters
    ----------
    name
        Of the module, without the collection.
    arguments
        Its parameters, and Ansible's flags.
    libraries
        Folder of what its Python finds beside Ansible's.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, name],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": f"{PATH}:{libraries or PATH}",
        },
        start_new_session=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(arguments))
    process.stdin.close()
    return process


PATH = str(ROOT / ".ansible/collections")


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what a module says that it did.

    From 2.22 on a module names its secrets to Ansible, which takes them out before
    anything is told.
    """
    assert process.stdout is not None
    said: dict[str, Any] = json.loads(process.stdout.read())
    said.pop("_ansible_new_secrets", None)
    return said


def run(
    name: str, arguments: dict[str, Any], *, check: bool = False, diff: bool = False
) -> dict[str, Any]:
    """Run a module and return its result.

    Parameters
    ----------
    name
        Of the module, without the collection.
    arguments
        Its parameters.
    check
        Whether it may only say what it would do.
    diff
        Whether it is asked for the differences.
    """
    flags = {"_ansible_check_mode": check, "_ansible_diff": diff}
    with start(name, {**arguments, **flags}) as process:
        return result(process)


if __name__ == "__main__":
    with patch_module_args(json.load(sys.stdin)):
        importlib.import_module(
            f"ansible_collections.sdss.fliswarm.plugins.modules.{sys.argv[1]}"
        ).main()
