"""Where the control socket is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def default_socket(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the control socket's path when no configuration names one.

    The system service's, when this is root or the service is there; else the user's.
    """
    system = Path("/run/fliswarm/control.sock")
    runtime = environment.get("XDG_RUNTIME_DIR")
    if os.geteuid() == 0 or system.parent.exists() or not runtime:
        return system
    return Path(runtime) / "fliswarm" / "control.sock"
