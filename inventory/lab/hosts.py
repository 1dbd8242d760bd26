#!/usr/bin/env python3
"""The hosts of the lab, as many as lab/up.yml has made: a real site has hosts.yml."""

import json
import sys
from pathlib import Path

root = Path(__file__).resolve().parents[2]
try:
    lab = json.loads((root / ".lab" / "lab.json").read_text())
except FileNotFoundError:
    sys.exit("the lab is not up: run ansible-playbook lab/up.yml")

nodes = {f"gfa{n}": f"{lab['prefix']}.{10 + n}" for n in range(1, lab["nodes"] + 1)}
addresses = {"lab-manager": f"{lab['prefix']}.10", **nodes}
inventory = {
    "manager": {"hosts": ["lab-manager"]},
    "nodes": {"children": ["gfa"]},
    "gfa": {"hosts": list(nodes)},
    "_meta": {
        "hostvars": {name: {"ansible_host": addresses[name]} for name in addresses}
    },
}
json.dump(inventory, sys.stdout, indent=2)
