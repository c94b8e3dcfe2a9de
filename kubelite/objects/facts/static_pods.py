"""The annotations of mirror pods: a node has started them by itself, the API only shows them.
Pure.
"""

from __future__ import annotations

MIRROR, HASH, SEEN, SOURCE = (
    f"kubernetes.io/config.{name}" for name in ("mirror", "hash", "seen", "source")
)
