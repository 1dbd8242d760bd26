"""``make bench``: every promised figure, both programs alternating, in one run."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.client import Client, Direct
from bench.lab import reconnect
from bench.programs import (
    CAMERAS,
    Layout,
    Program,
    dead_hosts,
    observatory,
    running,
)
from bench.report import Figure, show
from tests.unit.support.certificates import Authority

BOTH = ("original", "fliswarm")
BURST = 3000
"""Replies of each camera in a burst."""

Timed = Callable[[], float]


def alternate(measures: dict[str, Timed], rounds: int) -> dict[str, float]:
    """Take each measure once a round, in turn; return the medians."""
    seen: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            seen[name].append(measure())
    return {name: statistics.median(values) for name, values in seen.items()}


def talk(clients: dict[str, Client], cameras: int, reach: float) -> Figure:
    """Measure a round trip to some cameras."""
    direct = Direct([CAMERAS + number for number in range(cameras)])
    names = ",".join(f"cam{number}" for number in range(cameras))
    command = f"talk -n {names} status"
    measures: dict[str, Timed] = {
        name: lambda client=client: client.command(command)[0]  # type: ignore[misc]
        for name, client in clients.items()
    }
    measures["floor"] = lambda: direct.command("status")[0]
    found = alternate(measures, 500)
    direct.close()
    return Figure(
        f"talk to {cameras} camera{'s' if cameras > 1 else ''}",
        "ms",
        found["fliswarm"] * 1e3,
        found["original"] * 1e3,
        found["floor"] * 1e3,
        reach,
        2.0 if cameras > 1 else None,
    )


def burst(clients: dict[str, Client], cameras: int) -> Figure:
    """Measure how many replies a second are relayed."""
    direct = Direct([CAMERAS + number for number in range(cameras)])
    names = ",".join(f"cam{number}" for number in range(cameras))

    def rate(client: Client) -> float:
        seconds, lines = client.count(f"talk -n {names} burst {BURST}")
        if lines < cameras * BURST:
            raise RuntimeError(f"only {lines} replies came")
        return lines / seconds

    def floor() -> float:
        seconds, lines = direct.command(f"burst {BURST}")
        return lines / seconds

    measures: dict[str, Timed] = {
        name: lambda client=client: rate(client)  # type: ignore[misc]
        for name, client in clients.items()
    }
    found = alternate({**measures, "floor": floor}, 5)
    direct.close()
    return Figure(
        f"burst of {cameras} x {BURST} replies",
        "/s",
        found["fliswarm"],
        found.get("original"),
        found["floor"],
        reach=20 if "original" in found else None,
        rate=True,
    )


def meanwhile(program: Program) -> tuple[float, float]:
    """Return another client's longest talk in a burst nobody reads, and the memory.

    It talks to a camera that is not part of the burst: what a camera has to say itself
    before its answer is not the relay's to shorten.
    """
    before = program.memory
    deaf, other = Client(program.port), Client(program.port)
    for _ in range(3):
        deaf.send(f"talk -n {','.join(f'cam{n}' for n in range(7))} burst {BURST}")
    longest, most = 0.0, before
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        longest = max(longest, other.command("talk -n cam7 status")[0])
        most = max(most, program.memory)
    deaf.close()
    other.close()
    return longest, most - before


def processor(programs: dict[str, Program], clients: dict[str, Client]) -> list[Figure]:
    """Measure the processor time it costs, which a busy machine hardly changes."""

    def taken(command: str, times: int) -> dict[str, float]:
        found = {}
        for name, client in clients.items():
            before = programs[name].processor
            for _ in range(times):
                client.count(command)
            found[name] = (programs[name].processor - before) / times * 1e6
        return found

    figures = []
    names = ""
    for cameras in (1, 7):
        names = ",".join(f"cam{number}" for number in range(cameras))
        cost = taken(f"talk -n {names} status", 300)
        what = f"processor time, talk to {cameras}"
        figures.append(Figure(what, "us", cost["fliswarm"], cost["original"]))
    whole = taken(f"talk -n {names} burst {BURST}", 3)
    cost = {name: each / 7 / BURST for name, each in whole.items()}
    what = "processor time, a reply"
    return [*figures, Figure(what, "us", cost["fliswarm"], cost["original"])]


def relay(folder: Path, oracle: Path) -> list[Figure]:
    """Measure the relay with seven cameras, and an eighth that keeps quiet."""
    layout = Layout(8)
    figures = []
    with (
        observatory(8),
        running("original", layout, folder, oracle) as original,
        running("fliswarm", layout, folder, oracle) as ours,
    ):
        time.sleep(2)
        figures.append(
            Figure(
                "memory, 7 cameras",
                "MB",
                ours.memory / 1e6,
                original.memory / 1e6,
                reach=0.75,
            )
        )
        clients = {"original": Client(original.port), "fliswarm": Client(ours.port)}
        figures += [talk(clients, 1, 0.35), talk(clients, 7, 0.35), burst(clients, 7)]
        figures += processor({"original": original, "fliswarm": ours}, clients)
        figures.append(skew(clients["fliswarm"]))
        slow, fat = meanwhile(original)
        quick, lean = meanwhile(ours)
        figures.append(
            Figure("another's talk in it", "ms", quick * 1e3, slow * 1e3, limit=50)
        )
        figures.append(Figure("memory it takes", "MB", lean / 1e6, fat / 1e6, limit=32))
    return figures


def skew(client: Client) -> Figure:
    """Measure how long after the first camera the last one gets its command."""
    spans = []
    for _ in range(200):
        _, replies = client.command("talk --exclude cam7 when")
        came = [float(line.rsplit(b",", 1)[1]) for line in replies if b"when=" in line]
        spans.append(max(came) - min(came))
    return Figure("start skew, 7 cameras", "ms", statistics.median(spans) * 1e3)


def scaling(folder: Path, oracle: Path) -> list[Figure]:
    """Measure our relay as cameras go 1, 7, 49."""
    figures = []
    with observatory(49), running("fliswarm", Layout(49), folder, oracle) as ours:
        time.sleep(2)
        client = Client(ours.port)
        figures += [burst({"fliswarm": client}, cameras) for cameras in (1, 7, 49)]
    return figures


def many_nodes(folder: Path, oracle: Path) -> list[Figure]:
    """Measure the start and ``status`` of many nodes, some of them dead."""
    layout = Layout(64, dead=4)
    starts: dict[str, list[float]] = {name: [] for name in BOTH}
    status: dict[str, list[float]] = {name: [] for name in BOTH}
    with observatory(64), dead_hosts():
        for _ in range(3):
            for name in BOTH:
                with running(name, layout, folder, oracle) as program:
                    starts[name].append(program.started)
                    time.sleep(2)
                    client = Client(program.port)
                    status[name] += [client.command("status")[0] for _ in range(3)]
                    client.close()
    begun = {name: statistics.median(values) for name, values in starts.items()}
    asked = {name: statistics.median(values) for name, values in status.items()}
    small = memory_of(folder, oracle, 1)
    with (
        observatory(500),
        dead_hosts(),
        running("fliswarm", Layout(500, dead=50), folder, oracle) as program,
    ):
        time.sleep(10)
        client = Client(program.port)
        many = statistics.median(client.command("status")[0] for _ in range(3))
        large = program.memory
        client.close()
    return [
        Figure(
            "start, 64 nodes, 4 dead",
            "s",
            begun["fliswarm"],
            begun["original"],
            reach=0.15,
        ),
        Figure(
            "status, 64 nodes, 4 dead",
            "s",
            asked["fliswarm"],
            asked["original"],
            reach=0.6,
        ),
        Figure("status, 500 nodes, 50 dead", "s", many, limit=2.0),
        Figure("memory a node, 500 nodes", "kB", (large - small) / 499 / 1e3),
    ]


def many_engines_with_tls(folder: Path, oracle: Path) -> list[Figure]:
    """Measure the start and ``status`` of many nodes by the default transport."""
    tls = folder / "tls"
    tls.mkdir()
    authority = Authority()
    authority.write(tls / "ca.pem")
    authority.issue(tls / "server.pem", tls / "server-key.pem", "127.0.0.1")
    authority.issue(tls / "cert.pem", tls / "key.pem")
    figures = []
    for nodes, limit in ((64, None), (500, 2.0)):
        dead = nodes // 16 if nodes < 100 else nodes // 10
        with (
            observatory(nodes, tls),
            dead_hosts(),
            running("fliswarm", Layout(nodes, dead, tls), folder, oracle) as ours,
        ):
            time.sleep(10)
            client = Client(ours.port)
            before = ours.processor
            asked = [status(client) for _ in range(3)]
            each = (ours.processor - before) / 3 / nodes
            client.close()
        what = f"{nodes} nodes, {dead} dead, TLS"
        figures += [
            Figure(f"start, {what}", "s", ours.started),
            Figure(
                f"status, {what}",
                "s",
                statistics.median(took for took, _ in asked),
                limit=limit,
            ),
            Figure(
                f"wrongly told away, {what}",
                "",
                max(away for _, away in asked) - dead,
                limit=0,
            ),
            Figure(f"its processor time a node, {what}", "ms", each * 1e3),
        ]
    return figures


def status(client: Client) -> tuple[float, int]:
    """Return how long ``status`` takes, and how many engines it tells away."""
    took, replies = client.command("status")
    return took, sum(b"is not " in line for line in replies)


def memory_of(folder: Path, oracle: Path, nodes: int) -> int:
    """Return our memory with some nodes, in bytes."""
    with observatory(nodes), running("fliswarm", Layout(nodes), folder, oracle) as ours:
        time.sleep(2)
        return ours.memory


def help_text(oracle: Path) -> Figure:
    """Measure ``fliswarm --help``."""

    def run(program: Path) -> float:
        began = time.perf_counter()
        subprocess.run([str(program), "--help"], check=True, capture_output=True)
        return time.perf_counter() - began

    found = alternate(
        {
            "original": lambda: run(oracle / "bin/fliswarm"),
            "fliswarm": lambda: run(Path(sys.executable).parent / "fliswarm"),
        },
        7,
    )
    return Figure(
        "fliswarm --help", "s", found["fliswarm"], found["original"], reach=0.3
    )


Part = Callable[[Path, Path], list[Figure]]

PARTS: dict[str, Part] = {
    "help": lambda _, oracle: [help_text(oracle)],
    "relay": relay,
    "scaling": scaling,
    "nodes": many_nodes,
    "tls": many_engines_with_tls,
    "lab": lambda folder, oracle: [reconnect(folder, oracle)],
}
"""What may be measured; only the last one needs the lab."""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("oracle", type=Path, help="environment of sdss-fliswarm 0.7")
    parser.add_argument("--lab", action="store_true", help="reconnect in the lab too")
    parser.add_argument("--part", choices=PARTS, action="append", help="that alone")
    arguments = parser.parse_args()
    oracle: Path = arguments.oracle.resolve()
    parts = arguments.part or [part for part in PARTS if part != "lab" or arguments.lab]
    figures = []
    for part in parts:
        with tempfile.TemporaryDirectory() as name:
            figures += PARTS[part](Path(name), oracle)
    if not show(figures):
        sys.exit("a promised figure was missed")


if __name__ == "__main__":
    main()
