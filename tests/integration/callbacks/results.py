"""Ansible callback: what each task did on each host, as JSON lines in $RESULTS."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: results
type: notification
short_description: Results as JSON lines
description: Writes one line for each change of a task on a host, with its differences.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Writes the changes."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "results"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:  # noqa: ANN401  Ansible's own
        """Write a task's change, of a loop those of its items."""
        found = result._result
        for one in found.get("results", [found]):
            if one.get("changed"):
                self._write(result, one)

    def _write(self, result: Any, found: dict[str, Any]) -> None:  # noqa: ANN401
        diff = found.get("diff") or []
        line = {
            "host": result._host.get_name(),
            "task": result._task.get_name(),
            "diff": diff if isinstance(diff, list) else [diff],
        }
        with Path(os.environ["RESULTS"]).open("a") as file:
            file.write(json.dumps(line) + "\n")
