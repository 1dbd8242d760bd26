"""Ansible callback: all that each task tells, as JSON lines in $EVERYTHING."""

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
description: Writes one line for each end of a task on a host, as programs get it.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Writes what was told, whatever the end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "everything"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:  # noqa: ANN401  Ansible's own
        """Write it."""
        line = json.dumps([result._task.get_name(), result._result], default=str)
        with Path(os.environ["EVERYTHING"]).open("a") as file:
            file.write(line + "\n")

    def v2_runner_on_failed(
        self,
        result: Any,  # noqa: ANN401
        ignore_errors: bool = False,
    ) -> None:
        """Write it."""
        self.v2_runner_on_ok(result)

    v2_runner_item_on_ok = v2_runner_on_ok
    v2_runner_on_skipped = v2_runner_on_ok
