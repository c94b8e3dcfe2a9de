"""The program of a class of pods: what plug-ins found out, as the rows of numbers that the C core
reads. Pure.

The order of the scalars and parts is that of csrc/sched/sched.h.
"""

from __future__ import annotations

import enum
from array import array


class Flag(enum.IntFlag):
    """Yes or no questions about a class."""

    SELF_AFFINITY = 1
    ALL_KEYS = 2
    CHANGE = 4
    STOP = 8


class Column(enum.IntEnum):
    """The columns of a class that no pod can change."""

    REASONS = 0
    TAINTS = 1
    PREFER = 2
    IMAGE = 3


SCORES = (
    "TaintToleration",
    "NodeAffinity",
    "NodeResourcesFit",
    "NodeResourcesBalancedAllocation",
    "PodTopologySpread",
    "InterPodAffinity",
    "ImageLocality",
)
SCALARS = ("priority", "nonzero_cpu", "nonzero_memory", "flags", "fit_strategy", "enabled")
PARTS = (
    "requests",
    "deltas",
    "forbids",
    "requires",
    "hard",
    "soft",
    "affinity",
    "volumes",
    "fit",
    "shape",
    "balanced",
    "budgets",
    "rank",
)
"""The numbers and the lists of rows of a program, in the order in which C reads them."""
STRATEGIES = {"LeastAllocated": 1, "MostAllocated": 2, "RequestedToCapacityRatio": 3}

Row = tuple[int, ...]


class Program:
    """Rows by part; :meth:`words` lays them out."""

    def __init__(self, priority: int, cpu: int, memory: int) -> None:
        self.priority = priority
        self.nonzero = (cpu, memory)
        self.flags = Flag(0)
        self.strategy = 0
        self.weights: dict[str, int] = {}
        self.requests: list[Row] = []
        self.deltas: list[Row] = []
        self.forbids: list[Row] = []
        self.requires: list[Row] = []
        self.hard: list[Row] = []
        self.soft: list[Row] = []
        self.affinity: list[Row] = []
        self.volumes: list[Row] = []
        self.fit: list[Row] = []
        self.shape: list[Row] = []
        self.balanced: list[Row] = []
        self.budgets: list[Row] = []
        self.rank: list[Row] = [(0,)] * 32
        self.columns: list[tuple[Column, int, int]] = []  # column, nodes, value

    def words(self) -> array[int]:
        """The program as the C core reads it."""
        enabled = sum(1 << number for number, name in enumerate(SCORES) if name in self.weights)
        scalars = {
            "priority": self.priority,
            "nonzero_cpu": self.nonzero[0],
            "nonzero_memory": self.nonzero[1],
            "flags": self.flags,
            "fit_strategy": self.strategy,
            "enabled": enabled,
        }
        words = array("q", [scalars[name] for name in SCALARS])
        words.extend(self.weights.get(name, 0) for name in SCORES)
        for name in PARTS:
            rows: list[Row] = getattr(self, name)
            words.append(len(rows))
            for row in rows:
                words.extend(row)
        return words
