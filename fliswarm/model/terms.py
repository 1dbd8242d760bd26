"""On which terms a change is made while other things go on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Terms:
    """What a change does about what is in its way: an exposure, another's lock.

    ``wait`` is how many seconds it is waited for; ``now`` goes on without regard to an
    exposure, and tells what is lost. Without either, the change is refused.
    """

    now: bool = False
    wait: float = 0.0

    @property
    def words(self) -> list[str]:
        """These terms as options of a command."""
        waits = ["--wait", f"{self.wait:g}"] if self.wait else []
        return [*(["--now"] if self.now else []), *waits]
