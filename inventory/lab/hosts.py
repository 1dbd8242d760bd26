#!/usr/bin/env python3
"""The hosts of the lab, as many as lab/up.yml has made: what hosts.yml is at a real site."""

import json
import sys
from pathlib import Path

try:
    lab = json.loads((Path(__file__).resolve().parents[2] / ".lab" / "lab.json").read_text())
except FileNotFoundError:
    sys.exit("the lab is not up: run ansible-playbook lab/up.yml")

addresses = {f"gfa{n}": f"{lab['prefix']}.{10 + n}" for n in range(1, lab["nodes"] + 1)}
inventory = {
    "manager": {"hosts": ["lab-manager"]},
    "nodes": {"children": ["gfa"]},
    "gfa": {"hosts": list(addresses)},
    "_meta": {
        "hostvars": {
            name: {"ansible_host": address}
            for name, address in {"lab-manager": f"{lab['prefix']}.10", **addresses}.items()
        }
    },
}
json.dump(inventory, sys.stdout, indent=2)
