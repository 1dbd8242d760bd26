from __future__ import annotations

from pathlib import Path

import pytest

from fliswarm.errors import ProvisionError
from fliswarm.site.share import share


def test_a_clone() -> None:
    found = share()
    assert (found.playbooks / "site.yml").exists()
    assert (found.collection / "roles" / "docker_engine").is_dir()
    assert found.config.exists()


def test_an_installed_wheel(tmp_path: Path) -> None:
    package = tmp_path / "fliswarm"
    collection = package / "_share" / "ansible_collections" / "sdss" / "fliswarm"
    collection.mkdir(parents=True)
    (collection / "galaxy.yml").touch()
    found = share(package)
    assert found.collection == collection
    assert found.collections / "ansible_collections" / "sdss" / "fliswarm" == collection
    assert found.playbooks == package / "_share" / "playbooks"


def test_neither(tmp_path: Path) -> None:
    with pytest.raises(ProvisionError, match="came without its playbooks"):
        share(tmp_path / "fliswarm")
