"""What a scheduler writes into the status of pods, as strategic merge patches. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]


def not_scheduled(pod: Object, reason: str, message: str, now: str) -> dict[str, Any] | None:
    """The PodScheduled=False condition of a pod; None where it has that already.

    ``reason`` is Unschedulable or SchedulerError.
    """
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": reason,
        "message": message,
        "observedGeneration": pod["metadata"].get("generation", 0),
    }
    return _changed(pod, condition, now)


def disrupted(pod: Object, scheduler: str, now: str) -> dict[str, Any] | None:
    """The DisruptionTarget condition of a pod that is preempted."""
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": f"{scheduler}: preempting to accommodate a higher priority pod",
        "observedGeneration": pod["metadata"].get("generation", 0),
    }
    return _changed(pod, condition, now)


def _changed(pod: Object, condition: dict[str, Any], now: str) -> dict[str, Any] | None:
    """The condition with its times; the transition is when ``status`` changed last."""
    old: Object = {}
    for present in (pod.get("status") or {}).get("conditions") or ():
        if present.get("type") == condition["type"]:
            old = present
    if all(old.get(key) == value for key, value in condition.items()):
        return None
    since = old.get("lastTransitionTime") if old.get("status") == condition["status"] else None
    return {**condition, "lastProbeTime": None, "lastTransitionTime": since or now}


def status_patch(
    condition: Mapping[str, Any] | None, nominated: str | None = None
) -> dict[str, Any] | None:
    """A patch of a pod's status: a condition, and the nominated node ("" clears it, None leaves
    it). None where there is nothing to write.
    """
    status: dict[str, Any] = {}
    if condition is not None:
        status["conditions"] = [condition]
    if nominated is not None:
        status["nominatedNodeName"] = nominated or None
    return {"status": status} if status else None
