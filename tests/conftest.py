"""For all tests: CLU is imported once, as it leaves files open while it is."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ResourceWarning)
    import clu  # noqa: F401
