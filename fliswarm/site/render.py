"""What an inventory says, as the controller would get it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from fliswarm.errors import ProvisionError
from fliswarm.site.passed import memory
from fliswarm.site.provision import Site, run_plays
from fliswarm.site.share import share

TAG = "rendered"
"""Of the one task that is run: of the site's playbook there is the check alone."""


def render(site: Site) -> str:
    """Return the ``fliswarm.yaml`` that a run over the site would write.

    The inventory is checked as in such a run. No host is asked for anything. What the
    nodes' environments hold may be secret, and is in a file of this user's alone until
    this returns.

    Raises
    ------
    ProvisionError
        Saying what is wrong with the inventory.
    """
    shared = share()
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        result = Path(folder) / "fliswarm.yaml"
        template = shared.collection / "roles/controller/templates/fliswarm.yaml.j2"
        task = {
            "name": "Render the controller's configuration",
            "ansible.builtin.copy": {
                "content": "{{ lookup('ansible.builtin.template', rendered_from) }}",
                "dest": str(result),
                "mode": "0600",
            },
            "delegate_to": "localhost",
            "become": False,
            "check_mode": False,
            "diff": False,
            "tags": [TAG],
            "vars": {
                "rendered_from": str(template),
                "ansible_connection": "local",
                "ansible_become": False,
                "ansible_python_interpreter": sys.executable,
            },
        }
        plays: list[dict[str, object]] = [
            {"ansible.builtin.import_playbook": str(shared.playbooks / "site.yml")},
            {
                "hosts": "manager",
                "gather_facts": False,
                "roles": ["sdss.fliswarm.controller"],
                "tasks": [task],
            },
        ]
        run_plays(plays, site, ["--tags", TAG])
        try:
            return result.read_text("utf-8")
        except OSError as error:
            # What the user hands through may leave the manager out (--limit).
            raise ProvisionError(
                f"{site.inventory}: the configuration is not rendered: "
                f"{error.strerror or error}. Remedy: no --limit and no --tags after --"
            ) from error
