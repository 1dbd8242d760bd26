"""Ask Docker Engine at each ADDRESS for a sign of life: answered, refused or silent."""

from __future__ import annotations

import sys
from urllib.error import URLError
from urllib.request import urlopen


def ask(address: str) -> str:
    """Return what came of a question; nobody should have to wait 5 s for it."""
    try:
        with urlopen(f"http://{address}:2375/_ping", timeout=5) as answer:
            return "answered" if answer.status == 200 else f"status {answer.status}"
    except URLError as error:
        refused = isinstance(error.reason, ConnectionRefusedError)
        return "refused" if refused else f"silent: {error.reason}"


if __name__ == "__main__":
    for given in sys.argv[1:]:
        print(ask(given))
