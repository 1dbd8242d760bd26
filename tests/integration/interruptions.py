"""``python -m tests.integration.interruptions COUNT``: kill runs of the playbook.

Each of so many, on a bare manager and a bare node of the lab, is killed at a random
moment of its own part of the whole, and run again. It has to end where an unbroken run
does, and the run after it finds nothing to do. One takes two minutes.
"""

from __future__ import annotations

import argparse
import difflib
import json
import random
import shutil
import sys
import time

from tests.integration.conftest import ROOT, Lab
from tests.integration.test_provisioning import SITE, kill_after, recap, state

HOSTS = ("manager", "gfa1")

RUN = ("ansible-playbook", *SITE, "--limit", "lab-manager,gfa1")

SERVICES = r"""
find /etc/docker /etc/fliswarm /opt/fliswarm/bundle /var/lib/fliswarm /usr/local \
  -printf '%p %m %U %G\n' | sort
systemctl is-active docker fliswarm docker-registry fliswarm-registry-writer \
  fliswarm-registry-gc.timer
systemctl is-enabled docker fliswarm docker-registry fliswarm-registry-writer
getent passwd fliswarm docker-registry
getent group fliswarm docker-registry
"""
"""Prints what there is on the manager, beside `state`."""


def make_bare(lab: Lab) -> None:
    """Make the hosts anew, and forget the site's authority."""
    with lab.outer() as outer:
        for name in HOSTS:
            outer.containers.get(f"fliswarm-lab-{name}").remove(force=True)
            outer.volumes.get(f"fliswarm-lab-{name}").remove(force=True)
    shutil.rmtree(ROOT / ".lab" / "pki", ignore_errors=True)
    recap(lab.run("ansible-playbook", "lab/up.yml"))


def found(lab: Lab) -> list[str]:
    """Return all that the playbook has a hand in, and whether the controller works."""
    lines = []
    for name in HOSTS:
        told = lab.ssh(name, f"sudo sh <<'END'\n{SERVICES}\nEND").out
        lines += (state(lab, name) + told).splitlines()
    # Certificates, ssh keys and the registry's password are others each time.
    lines = [line for line in lines if not line.endswith((".pem", ".crt", ".cert"))]
    lines = [line for line in lines if not line.endswith((".key", "known_hosts"))]
    secret = ("/writer/htpasswd", "/writer/config.json", "/writer/registry.json")
    lines = [line for line in lines if not line.endswith(secret)]
    engines = [f"{name} {node['docker_alive']}" for name, node in lab.fleet().items()]
    return lines + engines


def main(count: int) -> bool:
    """Kill so many runs; return whether all ended well."""
    known = json.loads((ROOT / ".lab" / "lab.json").read_text("utf-8"))
    lab = Lab(known["prefix"], ("gfa1",), known["docker_host"])
    make_bare(lab)
    began = time.monotonic()
    recap(lab.run(*RUN))
    whole = time.monotonic() - began
    wanted, good = found(lab), True
    for number in range(count):
        make_bare(lab)
        moment = (number + random.random()) * whole / count  # noqa: S311
        kill_after(RUN, max(1.5, moment))
        recap(lab.run(*RUN))
        differing = list(difflib.unified_diff(wanted, found(lab), lineterm="", n=0))
        changed = sum(recap(lab.run(*RUN)).values())
        good = good and not differing and not changed
        print(f"killed after {moment:.1f} of {whole:.1f} s: {differing or 'the same'}")
    return good


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    sys.exit(not main(parser.parse_args().count))
