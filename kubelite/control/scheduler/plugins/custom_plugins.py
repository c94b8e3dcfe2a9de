"""Filters and scores that a program adds to the built-in ones. Pure.

An own filter says why a pod must not run on a node; an own score says how good the node is. Both
get the objects as they were given, and the pods that run on the node. They are asked about every
node for every pod, so they cost what Python costs; the built-in plug-ins stay as fast as they are.
Preemption does not ask them about victims: a node that an own filter rejects is not tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]
Filter = Callable[[Object, Object, Sequence[Object]], str | None]
Score = Callable[[Object, Object, Sequence[Object]], int]
Normalize = Callable[[dict[str, int]], dict[str, int]]


@dataclass(frozen=True)
class OwnPlugin:
    """A plug-in written in Python.

    ``filter(pod, node, pods)`` returns the reason against the node, or None. ``score(pod, node,
    pods)`` returns a whole number; ``normalize`` turns the scores of all feasible nodes, by name,
    into 0..100 where they are not that already.
    """

    name: str
    filter: Filter | None = None
    score: Score | None = None
    normalize: Normalize | None = None
    weight: int = 1


def scored(plugin: OwnPlugin, raw: dict[str, int]) -> dict[str, int]:
    """The normalised scores. Raises ValueError for one that is no whole number of 0..100."""
    final = plugin.normalize(raw) if plugin.normalize else raw
    for node, value in final.items():
        if not isinstance(value, int) or not 0 <= value <= 100:
            raise ValueError(
                f"plug-in {plugin.name} scored node {node} with {value!r}: "
                "scores are whole numbers of 0 to 100"
            )
    return final
