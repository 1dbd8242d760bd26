"""Computers that are in the inventory no more, and how they are reached."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class LeftHost:
    """A computer that left; ``connection`` is where Ansible found it."""

    name: str
    role: str
    connection: str

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> LeftHost:
        """Return what the site's list has of one."""
        return cls(*(str(found.get(key, "")) for key in ("name", "role", "connection")))

    @property
    def alias(self) -> str:
        """Its name for Ansible, which no host of the inventory has."""
        return f"{self.name}-left"

    @property
    def remedy(self) -> str:
        """How a person gives it back, or lets it be forgotten."""
        return (
            f"ansible-playbook -i {self.connection}, -u USER sdss.fliswarm.reset; "
            "then, or when there is no such computer any more, fliswarm provision -- "
            f"-e site_forget={self.connection}"
        )


@contextmanager
def left_inventory(hosts: Sequence[LeftHost]) -> Iterator[list[str]]:
    """Yield the options that add computers to an inventory, and mean them alone.

    They get the variables of the site's nodes: how to log in on them, above all.
    """
    groups: dict[str, Any] = {
        "nodes": {
            "hosts": {one.alias: {"ansible_host": one.connection} for one in hosts}
        }
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "left.yml"
        file.write_text(json.dumps(groups), "utf-8")
        names = ",".join(one.alias for one in hosts)
        yield ["-i", str(file), "--limit", names]
