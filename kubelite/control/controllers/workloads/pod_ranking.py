"""Which pods of a ReplicaSet go first when it shrinks. Pure.

The order of kube-controller-manager: unassigned before assigned; Pending before Unknown before
Running; not ready before ready; lower ``controller.kubernetes.io/pod-deletion-cost``; more of the
owner's ready pods on the same node; ready for a shorter time; more restarts; created later. The two
comparisons of ages take logarithmic steps, so that nearly equal ones tie, and the uid decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from kubelite.control.controllers.shared.meta import (
    Obj,
    annotations_of,
    created_at,
    spec_of,
    uid_of,
)
from kubelite.control.controllers.shared.pod_state import (
    is_active,
    is_ready,
    phase_of,
    ready_since,
    restarts,
)

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}
_MIN_COST, _MAX_COST = -(2**31), 2**31 - 1

Rank = tuple[bool, int, bool, int, int, int, int, int, str]


def deletion_cost(pod: Obj) -> int:
    """The cost of deleting a pod, 0 where its annotation is missing or is no 32-bit number in its
    plain form.
    """
    text = annotations_of(pod).get(DELETION_COST, "0")
    digits = text.removeprefix("-")
    is_plain = digits == "0" or (digits.isdecimal() and digits[0] != "0")
    if not (is_plain and digits.isascii()) or text == "-0":
        return 0
    value = int(text)
    return value if _MIN_COST <= value <= _MAX_COST else 0


def victims(candidates: Sequence[Obj], related: Iterable[Obj], count: int, now: float) -> list[Obj]:
    """The ``count`` candidates that are to be deleted. ``related`` are the pods of all ReplicaSets
    of the same owner, by which crowded nodes are found.
    """
    if count >= len(candidates):
        return list(candidates)
    crowd = Counter(spec_of(pod).get("nodeName") for pod in related if is_active(pod))
    return sorted(candidates, key=lambda pod: rank(pod, crowd, now))[:count]


def rank(pod: Obj, crowd: Counter[str | None], now: float) -> Rank:
    """Sorts before others what is to be deleted before them."""
    node = spec_of(pod).get("nodeName")
    ready = is_ready(pod)
    return (
        bool(node),
        _PHASES.get(phase_of(pod), 0),
        ready,
        deletion_cost(pod),
        -crowd[node] if node else 0,
        _age_step(ready_since(pod), now) if ready else 0,
        -restarts(pod),
        _age_step(created_at(pod), now),
        uid_of(pod),
    )


def _age_step(since: float, now: float) -> int:
    """The logarithm to base 2 of an age in nanoseconds, rounded down; -1 for a time that is not
    set: such pods go first.
    """
    if not since:
        return -1
    nanoseconds = int(max(now - since, 0.0) * 1e9)
    return nanoseconds.bit_length()
