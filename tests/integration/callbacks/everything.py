"""Ansible callback: each result on each host, whole, as JSON lines in $EVERYTHING."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: everything
type: notification
short_description: Whole results as JSON lines
description: Writes one line for each result of a task on a host, whole.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Writes the results."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "everything"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:  # noqa: ANN401  Ansible's own
        """Write a result."""
        self._write(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: ANN401
        """Write a failure."""
        self._write(result)

    def _write(self, result: Any) -> None:  # noqa: ANN401
        line = {"task": result._task.get_name(), "result": result._result}
        with Path(os.environ["EVERYTHING"]).open("a") as file:
            file.write(json.dumps(line, default=str) + "\n")
