"""What the role ``controller`` writes for inventories, without runs of a playbook.

``python -m tests.unit.support.rendered`` reads the paths of inventories, a line each,
and answers with JSON: the text of the file, and what is wrong with the inventory. The
inventory is read and the role's templates are answered by Ansible itself, which has to
be the first to import its collections.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]

ROLE = ROOT / "collection/roles/controller"

Render = Callable[[Path], tuple[str, list[str]]]


@contextmanager
def rendering() -> Iterator[Render]:
    """Yield what renders an inventory, by a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        source, target = process.stdout, process.stdin

        def render(folder: Path) -> tuple[str, list[str]]:
            target.write(f"{folder}\n")
            target.flush()
            text, problems = json.loads(source.readline())
            return text, problems

        yield render
        target.close()


def _rendered(folder: Path) -> tuple[str, list[str]]:
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar, trust_as_template
    from ansible.vars.hostvars import HostVars
    from ansible.vars.manager import VariableManager
    from ansible_collections.sdss.fliswarm.plugins.filter import site_problems

    loader = DataLoader()
    hosts = InventoryManager(loader, sources=[str(folder / "hosts.yml")])
    variables = VariableManager(loader, hosts)
    every = HostVars(hosts, variables, loader)
    groups = hosts.get_groups_dict()
    (hub,) = groups["manager"]
    known: dict[str, Any] = {}
    for part in ("defaults", "vars"):
        file = str(ROLE / part / "main.yml")
        known |= loader.load_from_file(file, trusted_as_template=True)
        if part == "defaults":
            known |= variables.get_vars(host=hosts.get_host(hub))
    known["hostvars"] = every
    template = (ROLE / "templates/fliswarm.yaml.j2").read_text("utf-8")
    text = Templar(loader, variables=known).template(trust_as_template(template))
    its = {host: every[host] for host in every}
    return str(text), site_problems.site_problems(its, groups)


if __name__ == "__main__":
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader([str(ROOT / ".ansible/collections")])
    for line in sys.stdin:
        print(json.dumps(_rendered(Path(line.strip()))), flush=True)
