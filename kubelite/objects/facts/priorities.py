"""Priorities that Kubernetes keeps for itself (``pkg/apis/scheduling``). Pure."""

from __future__ import annotations

SYSTEM_CRITICAL = 2_000_000_000
"""From here on a pod is critical for the system; users' own priorities are at most half of it."""
SYSTEM_CLASSES = {
    "system-cluster-critical": SYSTEM_CRITICAL,
    "system-node-critical": SYSTEM_CRITICAL + 1000,
}
"""The values of the PriorityClasses that every cluster has."""
