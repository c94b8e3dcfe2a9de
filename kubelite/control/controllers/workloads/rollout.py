"""The arithmetic of rollouts: how many replicas each ReplicaSet of a Deployment gets. Pure.

Works on :class:`SetDraft`, a ReplicaSet of which the wanted number of replicas is being changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubelite.control.controllers.shared.meta import (
    Obj,
    annotations_of,
    created_at,
    name_of,
    spec_of,
    status_of,
    uid_of,
)
from kubelite.control.controllers.shared.numbers import fence_posts, round_half_away

DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
MAX_INT32 = 2**31 - 1


class SetDraft:
    """A ReplicaSet and what a plan changes of it."""

    def __init__(self, obj: Obj) -> None:
        self.obj = obj
        self.replicas = _int(spec_of(obj).get("replicas"), 1)
        self.annotations = dict(annotations_of(obj))
        self.min_ready_seconds = _int(spec_of(obj).get("minReadySeconds"))
        self.scalings: list[tuple[int, int]] = []

    @property
    def name(self) -> str:
        """The name."""
        return name_of(self.obj)

    @property
    def uid(self) -> str:
        """The uid."""
        return uid_of(self.obj)

    @property
    def available(self) -> int:
        """How many of its pods are available."""
        return _int(status_of(self.obj).get("availableReplicas"))

    @property
    def age_order(self) -> tuple[float, str]:
        """Sorts older ones first."""
        return created_at(self.obj), self.name

    def scale(self, replicas: int, limits: Limits) -> None:
        """Changes the wanted number of replicas, with the annotations that remember the size of the
        Deployment at that time.
        """
        if replicas != self.replicas:
            self.scalings.append((self.replicas, replicas))
            self.replicas = replicas
        self.annotations |= limits.annotations

    @property
    def is_changed(self) -> bool:
        """Whether anything differs from the object."""
        return (
            self.replicas != _int(spec_of(self.obj).get("replicas"), 1)
            or self.annotations != annotations_of(self.obj)
            or self.min_ready_seconds != _int(spec_of(self.obj).get("minReadySeconds"))
        )

    def body(self) -> dict[str, Any]:
        """The object with the changes."""
        metadata = {**self.obj["metadata"], "annotations": self.annotations}
        spec = {**spec_of(self.obj), "replicas": self.replicas}
        spec.pop("minReadySeconds", None)
        if self.min_ready_seconds:
            spec["minReadySeconds"] = self.min_ready_seconds
        return {**self.obj, "metadata": metadata, "spec": spec}


class Limits:
    """The bounds of a Deployment's rollout, in pods."""

    def __init__(self, deployment: Obj) -> None:
        spec = spec_of(deployment)
        strategy = spec.get("strategy") or {}
        self.desired = _int(spec.get("replicas"), 1)
        self.is_rolling = strategy.get("type", "RollingUpdate") == "RollingUpdate"
        self.surge, self.unavailable = 0, 0
        if self.is_rolling:
            rolling = strategy.get("rollingUpdate") or {}
            surge, unavailable = rolling.get("maxSurge"), rolling.get("maxUnavailable")
            self.surge, fewer = fence_posts(surge, unavailable, self.desired)
            self.unavailable = min(fewer, self.desired)

    @property
    def most(self) -> int:
        """The most pods that may exist."""
        return self.desired + self.surge

    @property
    def least_available(self) -> int:
        """The fewest pods that must be available."""
        return self.desired - self.unavailable

    @property
    def annotations(self) -> dict[str, str]:
        """What each ReplicaSet remembers of the Deployment's size."""
        return {DESIRED_REPLICAS: str(self.desired), MAX_REPLICAS: str(self.most)}


def total_replicas(sets: Iterable[SetDraft | None]) -> int:
    """The wanted replicas of all sets."""
    return sum(draft.replicas for draft in sets if draft is not None)


def active(sets: Iterable[SetDraft | None]) -> list[SetDraft]:
    """The sets that are to have pods."""
    return [draft for draft in sets if draft is not None and draft.replicas > 0]


def new_set_size(limits: Limits, total: int, current: int) -> int:
    """How many replicas the new ReplicaSet gets, which has ``current`` of ``total`` now."""
    if not limits.is_rolling:
        return limits.desired
    if total >= limits.most:
        return current
    return current + min(limits.most - total, limits.desired - current)


def grow_new(limits: Limits, new: SetDraft, sets: Sequence[SetDraft]) -> bool:
    """Scales the new ReplicaSet as far as the bounds allow. Whether it changed."""
    if new.replicas == limits.desired:
        return False
    size = limits.desired
    if new.replicas < limits.desired:
        size = new_set_size(limits, total_replicas(sets), new.replicas)
    if size == new.replicas:
        return False
    new.scale(size, limits)
    return True


def shrink_old(limits: Limits, new: SetDraft | None, old: Sequence[SetDraft]) -> bool:
    """Scales old ReplicaSets down as far as enough pods stay available: unhealthy pods first.
    Whether anything changed.

    A set with more available pods than wanted ones has not seen its last scaling: its counts would
    let too many go, so this waits for them.
    """
    old = sorted(active(old), key=lambda draft: draft.age_order)
    if not old or any(draft.available > draft.replicas for draft in old):
        return False
    new_unavailable = new.replicas - new.available if new is not None else 0
    budget = total_replicas([new, *old]) - limits.least_available - new_unavailable
    if budget <= 0:
        return False
    changed = _shrink_unhealthy(limits, old, budget)
    available = sum(draft.available for draft in (*old, *([new] if new is not None else [])))
    return _shrink(limits, old, available - limits.least_available) or changed


def _shrink_unhealthy(limits: Limits, old: Sequence[SetDraft], budget: int) -> bool:
    changed = False
    for draft in old:
        size = min(budget, draft.replicas - draft.available)
        if size > 0:
            draft.scale(draft.replicas - size, limits)
            budget -= size
            changed = True
    return changed


def _shrink(limits: Limits, old: Sequence[SetDraft], budget: int) -> bool:
    changed = False
    for draft in old:
        size = min(budget, draft.replicas)
        if size > 0:
            draft.scale(draft.replicas - size, limits)
            budget -= size
            changed = True
    return changed


def scale_proportionally(limits: Limits, sets: Sequence[SetDraft], status_replicas: int) -> None:
    """Spreads a change of the Deployment's size over its active ReplicaSets, in proportion to their
    sizes; what rounding leaves goes to the largest.

    ``status_replicas`` is the Deployment's, for sets that do not say how large it was.
    """
    scalable = active(sets)
    change = (limits.most if limits.desired > 0 else 0) - total_replicas(scalable)
    newer_first = -1 if change > 0 else 1
    scalable.sort(key=lambda draft: (-draft.replicas, newer_first * draft.age_order[0], draft.name))
    added = 0
    sizes = []
    for draft in scalable:
        share = _share(limits, draft, change, added, status_replicas) if change else 0
        sizes.append(draft.replicas + share)
        added += share
    if scalable and change:
        sizes[0] = max(0, sizes[0] + change - added)
    for draft, size in zip(scalable, sizes, strict=True):
        draft.scale(size, limits)


def _share(limits: Limits, draft: SetDraft, change: int, added: int, status_replicas: int) -> int:
    """What one set gets of a change of which ``added`` is given out already."""
    if not draft.replicas or change == added:
        return 0
    fraction = _fraction(limits, draft, status_replicas)
    return min(fraction, change - added) if change > 0 else max(fraction, change - added)


def _fraction(limits: Limits, draft: SetDraft, status_replicas: int) -> int:
    if not limits.desired:
        return -draft.replicas
    before = _int_of_text(draft.annotations.get(MAX_REPLICAS)) or status_replicas
    if not before:
        return 0
    return round_half_away(draft.replicas * limits.most / before) - draft.replicas


def _int(value: Any, default: int = 0) -> int:
    return default if value is None else int(value)


def _int_of_text(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and text.isascii() else None


def desired_when_scaled(draft: SetDraft) -> int | None:
    """The size of the Deployment when a set was last scaled."""
    return _int_of_text(draft.annotations.get(DESIRED_REPLICAS))
