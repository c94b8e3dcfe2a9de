"""The configuration of the node: the file ``node.json`` in the state root, with the kubelet's
field names.
"""

from __future__ import annotations

import msgspec

from kubelite.node.kubelet.decide.restart_policy import MAX_BACKOFF, SECOND
from kubelite.node.runtime.home import Home

DEFAULT_THRESHOLDS = {
    "memory.available": "100Mi",
    "nodefs.available": "10%",
    "nodefs.inodesFree": "5%",
    "imagefs.available": "15%",
    "imagefs.inodesFree": "5%",
}


class CrashLoopBackOff(msgspec.Struct, rename="camel"):
    """KubeletConfiguration's crashLoopBackOff; the period is ``60s`` or ``5m``."""

    max_container_restart_period: str = "5m"


class NodeConfig(msgspec.Struct, rename="camel"):
    """The file; unknown fields are ignored."""

    crash_loop_back_off: CrashLoopBackOff = msgspec.field(default_factory=CrashLoopBackOff)
    pod_pids_limit: int = -1
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    eviction_hard: dict[str, str] = msgspec.field(default_factory=lambda: dict(DEFAULT_THRESHOLDS))
    eviction_pressure_transition_period: str = "5m"
    image_gc_high_threshold_percent: int = msgspec.field(
        default=85, name="imageGCHighThresholdPercent"
    )
    image_gc_low_threshold_percent: int = msgspec.field(
        default=80, name="imageGCLowThresholdPercent"
    )


def read(home: Home) -> NodeConfig:
    """The configuration; Kubernetes' defaults where the file is missing or invalid."""
    try:
        with open(f"{home.root}/node.json", "rb") as file:
            return msgspec.json.decode(file.read(), type=NodeConfig)
    except (OSError, msgspec.DecodeError):
        return NodeConfig()


def pids_limit(home: Home) -> int:
    """The max_backoff tasks that a pod may have; 0 where the file does not say."""
    return max(read(home).pod_pids_limit, 0)


def max_backoff(home: Home) -> int:
    """Nanoseconds between 1 s and 5 min."""
    period = seconds(read(home).crash_loop_back_off.max_container_restart_period) * SECOND
    return min(period, MAX_BACKOFF) if period >= SECOND else MAX_BACKOFF


def seconds(period: str) -> int:
    """``60s`` or ``5m`` in seconds; 0 for what is neither."""
    factor = {"s": 1, "m": 60}.get(period[-1:], 0)
    number = period[:-1]
    return int(number) * factor if number.isascii() and number.isdigit() else 0
