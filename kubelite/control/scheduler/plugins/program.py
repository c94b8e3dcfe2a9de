"""The program of a class of pods: what plug-ins found out, as the rows of numbers that the C core
reads. Pure.

The order of the scalars and parts is that of csrc/sched/sched.h.
"""

from __future__ import annotations

import enum
from array import array
from collections.abc import Sequence


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
        self.ranks: Sequence[int] = (0,) * 32
        self.columns: list[tuple[Column, int, int]] = []  # column, nodes, value

    def words(self) -> array[int]:
        """The program as the C core reads it."""
        enabled = sum(1 << number for number, name in enumerate(SCORES) if name in self.weights)
        words = array("q", [self.priority, *self.nonzero, self.flags, self.strategy, enabled])
        words.extend(self.weights.get(name, 0) for name in SCORES)
        parts = (self.requests, self.deltas, self.forbids, self.requires, self.hard, self.soft, self.affinity,
                 self.volumes, self.fit, self.shape, self.balanced, self.budgets)  # fmt: skip
        for part in parts:
            words.append(len(part))
            for row in part:
                words.extend(row)
        words.append(len(self.ranks))
        words.extend(self.ranks)
        return words
