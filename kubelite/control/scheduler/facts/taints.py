"""Taints of nodes against tolerations of pods. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from kubelite.control.scheduler.facts.traits import Toleration

HARD = ("NoSchedule", "NoExecute")
SOFT = "PreferNoSchedule"
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)


class Taint(NamedTuple):
    """core/v1 Taint."""

    key: str
    value: str
    effect: str


UNSCHEDULABLE = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether the toleration lets a pod pass the taint. An empty key or effect stands for all of
    them.
    """
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator in ("", "Equal"):
        return toleration.value == taint.value
    if toleration.operator in ("Gt", "Lt"):
        return _orders(toleration, taint.value)
    return toleration.operator == "Exists"


def _orders(toleration: Toleration, value: str) -> bool:
    """The taint's number against the toleration's; what is no number never matches."""
    if not (_INTEGER.fullmatch(value) and _INTEGER.fullmatch(toleration.value)):
        return False
    number, limit = int(value), int(toleration.value)
    return number > limit if toleration.operator == "Gt" else number < limit


def is_tolerated(taint: Taint, tolerations: Iterable[Toleration]) -> bool:
    """Whether any of the tolerations lets a pod pass the taint."""
    return any(tolerates(toleration, taint) for toleration in tolerations)


def is_repelled(taints: Iterable[Taint], tolerations: Iterable[Toleration]) -> bool:
    """Whether a hard taint keeps the pod away."""
    return any(taint.effect in HARD and not is_tolerated(taint, tolerations) for taint in taints)


def count_untolerated(taints: Iterable[Taint], tolerations: Iterable[Toleration]) -> int:
    """How many soft taints are not tolerated, by tolerations for that effect or for any."""
    soft = [toleration for toleration in tolerations if toleration.effect in ("", SOFT)]
    return sum(taint.effect == SOFT and not is_tolerated(taint, soft) for taint in taints)
