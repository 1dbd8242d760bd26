"""Let this host's Docker Engine pull an image, unless it has it.

Run on the host as ``python3 - REPOSITORY TAG act|look``. Puts out what was pulled,
or would be. Without an engine there is nothing to do.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import urllib.parse
from pathlib import Path

API = "/var/run/docker.sock"

LIMIT = 60
"""Seconds for the engine to say something."""


def ask(method: str, path: str) -> tuple[int, str]:
    """Ask the engine; return the status and the body of its answer."""
    connection = http.client.HTTPConnection("localhost", timeout=LIMIT)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(LIMIT)
    connection.sock.connect(API)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def problem(status: int, said: str) -> str:
    """Return why a pull failed, empty when it did not; said is a report a line."""
    reports = [json.loads(line) for line in said.splitlines() if line.strip()]
    errors = [report["error"] for report in reports if "error" in report]
    if status != http.HTTPStatus.OK:
        errors.append(said.strip())
    return "; ".join(errors)


def main(repository: str, tag: str, act: bool) -> str:
    """Pull what lacks; return what it was."""
    target = f"{repository}:{tag}"
    if not Path(API).exists():
        return ""
    try:
        status, _body = ask("GET", f"/images/{target}/json")
        if status == http.HTTPStatus.OK:
            return ""
        if act:
            words = urllib.parse.urlencode({"fromImage": repository, "tag": tag})
            why = problem(*ask("POST", f"/images/create?{words}"))
            if why:
                sys.exit(f"Docker Engine cannot pull {target}: {why}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        if act:
            sys.exit(f"Docker Engine does not answer: {error or type(error).__name__}")
    return target


if __name__ == "__main__":
    repository, tag, act = sys.argv[1:]
    pulled = main(repository, tag, act == "act")
    if pulled:
        print(pulled)
