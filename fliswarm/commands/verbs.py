"""All commands: importing this defines them."""

from __future__ import annotations

import fliswarm.commands.about
import fliswarm.commands.audit
import fliswarm.commands.change
import fliswarm.commands.lock
import fliswarm.commands.look
import fliswarm.commands.simulate
import fliswarm.commands.talk  # noqa: F401
from fliswarm.commands.group import commands

__all__ = ["commands"]
