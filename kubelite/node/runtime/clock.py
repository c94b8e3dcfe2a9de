"""Time that no clock setting changes: CLOCK_BOOTTIME, for deadlines that go on record beside the
boot's id.
"""

from __future__ import annotations

import time

SECOND = 1_000_000_000


def boottime() -> int:
    """Nanoseconds since the machine was started, those it slept included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
