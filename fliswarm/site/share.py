"""Where the playbooks and the collection are: in a clone, or in an installed wheel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fliswarm.errors import ProvisionError


@dataclass(frozen=True, slots=True)
class Share:
    """The Ansible half of the product, as files.

    ``collections`` is a folder for Ansible's collections path; ``collection`` is the
    folder of ``sdss.fliswarm`` itself.
    """

    playbooks: Path
    collections: Path
    collection: Path
    config: Path


def share(package: Path = Path(__file__).parents[1]) -> Share:
    """Return where the files are.

    Raises
    ------
    ProvisionError
        When the package was installed without them.
    """
    root = package.parent
    clone = Share(
        root / "playbooks",
        root / ".ansible" / "collections",
        root / "collection",
        root / "ansible.cfg",
    )
    if (clone.collection / "galaxy.yml").exists():
        return clone
    installed = package / "_share"
    wheel = Share(
        installed / "playbooks",
        installed,
        installed / "ansible_collections" / "sdss" / "fliswarm",
        installed / "ansible.cfg",
    )
    if (wheel.collection / "galaxy.yml").exists():
        return wheel
    raise ProvisionError(f"{package} came without its playbooks; install it anew")
