"""Another user, in a process of its own: ``python witness.py PORT NODE``.

Talks to the camera of one node 50 times a second until standard input ends, then
prints how long the commands took, and how many of them did not end as done.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

PAUSE = 0.02

FEWEST = 10
"""Commands that are given however soon the end is."""


def main() -> None:
    """Talk, and tell."""
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 120)
    lines = connection.makefile("r", encoding="utf-8", newline="\n")
    user = lines.readline().split()[0]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    took: list[float] = []
    failed = 0
    while len(took) < FEWEST or not select.select([sys.stdin], [], [], PAUSE)[0]:
        number = str(len(took) + 1)
        began = time.perf_counter()
        command = f"{number} talk --strict -n {sys.argv[2]} hello\n"
        connection.sendall(command.encode())
        code = ""
        while code not in (":", "f"):
            words = lines.readline().split(" ", 3)
            if len(words) < 3:
                raise SystemExit("the connection of the witness ended")
            if words[:2] == [user, number]:
                code = words[2]
        took.append(time.perf_counter() - began)
        failed += code != ":"
    took.sort()
    figures = {
        "count": len(took),
        "failed": failed,
        "median_ms": round(took[len(took) // 2] * 1000, 2),
        "p99_ms": round(took[int(len(took) * 0.99)] * 1000, 2),
        "worst_ms": round(took[-1] * 1000, 2),
    }
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main()
