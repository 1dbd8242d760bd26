"""All commands: importing this defines them."""

from __future__ import annotations

import fliswarm.commands.about
import fliswarm.commands.audit
import fliswarm.commands.change
import fliswarm.commands.doctor
import fliswarm.commands.execute
import fliswarm.commands.follow
import fliswarm.commands.image
import fliswarm.commands.lock
import fliswarm.commands.look
import fliswarm.commands.plan
import fliswarm.commands.releases
import fliswarm.commands.simulate
import fliswarm.commands.talk  # noqa: F401
from fliswarm.commands.group import commands

__all__ = ["commands"]
