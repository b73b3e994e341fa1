"""The one place where the command line reads a clock."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Return the moment, ms since 1970."""
    return time.time_ns() // 1_000_000
