"""Where the groups of pods lie by QoS class, and what the groups of the classes are worth. Pure.

As in the kubelet: Guaranteed pods directly below the group of all pods, Burstable and BestEffort
ones each below a group of their class. The Burstable group's share of the CPU is what its pods were
promised together; BestEffort gets the least.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubelite.node.cgroup.limits import MAX_SHARES, MAX_WEIGHT, MIN_SHARES, cpu_weight

DIRECTLY, BURSTABLE, BEST_EFFORT = "", "burstable", "besteffort"
CLASSES = (BURSTABLE, BEST_EFFORT)
"""The names of the classes' groups."""


def class_of(qos: str) -> str:
    """The group of a QoS class, "" for none."""
    name = qos.lower()
    return name if name in CLASSES else DIRECTLY


def below(qos: str, group: str) -> str:
    """The path of a pod's group below the group of all pods."""
    return f"{qos}/{group}" if qos else group


def total_shares(values: Iterable[int]) -> int:
    """v1 cpu.shares of a class whose pods have these; the least that a pod can have counts as
    nothing.
    """
    return max(MIN_SHARES, min(MAX_SHARES, sum(value for value in values if value > MIN_SHARES)))


def total_weight(values: Iterable[int]) -> int:
    """v2 cpu.weight of a class whose pods have these weights: the weight of all their shares."""
    return cpu_weight(total_shares(map(shares_of, values)))


def shares_of(weight: int) -> int:
    """The least shares that have this weight."""
    low, high = MIN_SHARES, MAX_SHARES
    while low < high and weight < MAX_WEIGHT:
        middle = (low + high) // 2
        if cpu_weight(middle) >= weight:
            high = middle
        else:
            low = middle + 1
    return high
