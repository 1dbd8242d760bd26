"""``python -m bench.site``: the site's playbook on the lab, when nothing is to do."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.report import Figure, show

ROUNDS = 5

LAB = ("-i", "inventory/lab")

PING = ("ansible", "all", "-m", "ansible.builtin.ping")

SITE = ("ansible-playbook", "playbooks/site.yml")


def run(*words: str, **environment: str) -> float:
    """Run a program of the virtual environment; return how long it took, in seconds."""
    program = Path(sys.executable).with_name(words[0])
    began = time.monotonic()
    subprocess.run(
        [str(program), *words[1:]],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    return time.monotonic() - began


def alternate(*commands: tuple[str, ...]) -> list[float]:
    """Run each command once a round, in turn; return the medians, in seconds."""
    rounds = [[run(*words, *LAB) for words in commands] for _ in range(ROUNDS)]
    return [statistics.median(seconds) for seconds in zip(*rounds, strict=True)]


def main() -> None:
    """Measure three nodes against a ping, and six against three."""
    count = json.loads(Path(".lab/lab.json").read_text("utf-8"))["nodes"]
    few = [f"gfa{number}" for number in range(1, 4)]
    up = ("ansible-playbook", "lab/up.yml")
    run(*up, LAB_NODES="3")
    try:
        run(*SITE, *LAB)
        ping, site = alternate(PING, SITE)
        run(*up, LAB_NODES="6")
        run(*SITE, *LAB)
        part = (*SITE, "--limit", ",".join(["localhost", "manager", *few]))
        three, six = alternate(part, SITE)
    finally:
        run(*up, LAB_NODES=str(count))
        run(*SITE, *LAB)
    figures = [
        Figure("second run, 3 nodes; floor: ping", "s", site, None, ping, to_floor=10),
        Figure("6 nodes; floor: 3 nodes", "s", six, None, three, to_floor=1.7),
    ]
    if not show(figures):
        sys.exit("a promised figure was missed")


if __name__ == "__main__":
    main()
