"""Times as the API writes them. Pure but for :func:`timestamp` without an argument, which asks the
clock.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache


def timestamp(moment: datetime | None = None) -> str:
    """A time in RFC 3339, UTC, whole seconds; now where none is given."""
    return _formatted(int(moment.timestamp() if moment is not None else time.time()))


@lru_cache(64)
def _formatted(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
