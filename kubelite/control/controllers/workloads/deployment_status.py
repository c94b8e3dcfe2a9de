"""The status of a Deployment: its counts and conditions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubelite.control.controllers.shared.conditions import find, with_condition, without
from kubelite.control.controllers.shared.meta import (
    Obj,
    format_time,
    generation_of,
    name_of,
    parse_time,
    spec_of,
    status_of,
)
from kubelite.control.controllers.workloads.rollout import MAX_INT32, Limits, SetDraft

PROGRESSING = "Progressing"
TIMED_OUT = "ProgressDeadlineExceeded"
COMPLETE = "NewReplicaSetAvailable"


def deployment_condition(
    type_: str, status: str, reason: str, message: str, now: float
) -> dict[str, Any]:
    """A condition that begins now."""
    time = format_time(now)
    return {
        "type": type_,
        "status": status,
        "lastUpdateTime": time,
        "lastTransitionTime": time,
        "reason": reason,
        "message": message,
    }


def deadline_of(deployment: Obj) -> int | None:
    """``progressDeadlineSeconds``, None where there is none."""
    seconds = spec_of(deployment).get("progressDeadlineSeconds")
    return None if seconds is None or seconds == MAX_INT32 else int(seconds)


def counted_status(
    deployment: Obj,
    conditions: Sequence[Obj],
    sets: Sequence[SetDraft],
    new: SetDraft | None,
    limits: Limits,
    now: float,
) -> dict[str, Any]:
    """The counts of all ReplicaSets and the Available condition; fields that are zero are left
    out.
    """
    total = _sum(sets, "replicas")
    available = _sum(sets, "availableReplicas")
    counts = {
        "observedGeneration": generation_of(deployment),
        "replicas": total,
        "updatedReplicas": _sum([new] if new is not None else [], "replicas"),
        "readyReplicas": _sum(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total - available),
        "collisionCount": status_of(deployment).get("collisionCount") or 0,
    }
    status: dict[str, Any] = {field: count for field, count in counts.items() if count}
    if all("terminatingReplicas" in status_of(draft.obj) for draft in sets):
        status["terminatingReplicas"] = _sum(sets, "terminatingReplicas")
    status["conditions"] = with_condition(conditions, _availability(available, limits, now))
    return status


def _sum(sets: Iterable[SetDraft], field: str) -> int:
    return sum(int(status_of(draft.obj).get(field) or 0) for draft in sets)


def _availability(available: int, limits: Limits, now: float) -> dict[str, Any]:
    if available >= limits.least_available:
        message = "Deployment has minimum availability."
        return deployment_condition("Available", "True", "MinimumReplicasAvailable", message, now)
    message = "Deployment does not have minimum availability."
    return deployment_condition("Available", "False", "MinimumReplicasUnavailable", message, now)


def is_complete(deployment: Obj, status: Obj, limits: Limits) -> bool:
    """Whether all replicas are of the new template and available."""
    fields = ("updatedReplicas", "replicas", "availableReplicas")
    return all((status.get(field) or 0) == limits.desired for field in fields) and (
        status.get("observedGeneration") or 0
    ) >= generation_of(deployment)


def _has_progressed(old: Obj, new: Obj) -> bool:
    """Whether counts show progress: more new, ready or available replicas, or fewer old ones."""

    def count(status: Obj, field: str) -> int:
        return int(status.get(field) or 0)

    def outdated(status: Obj) -> int:
        return count(status, "replicas") - count(status, "updatedReplicas")

    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return outdated(new) < outdated(old) or any(
        count(new, field) > count(old, field) for field in grown
    )


def deadline_at(deployment: Obj, conditions: Iterable[Obj]) -> float | None:
    """When a rollout that makes no progress runs into its deadline, None where none is running."""
    seconds = deadline_of(deployment)
    progress = find(conditions, PROGRESSING)
    if seconds is None or progress is None or progress.get("reason") in (COMPLETE, TIMED_OUT):
        return None
    return parse_time(progress.get("lastUpdateTime")) + seconds


def with_progress(
    deployment: Obj, status: dict[str, Any], new: SetDraft | None, limits: Limits, now: float
) -> dict[str, Any]:
    """The status with its Progressing condition: complete, progressing or out of time."""
    conditions: list[Obj] = status["conditions"]
    if deadline_of(deployment) is None:
        return {**status, "conditions": without(conditions, PROGRESSING)}
    current = find(conditions, PROGRESSING)
    counts = (status.get("replicas") or 0), (status.get("updatedReplicas") or 0)
    if current is not None and current.get("reason") == COMPLETE and counts[0] == counts[1]:
        return status
    subject = f'ReplicaSet "{new.name}"' if new else f'Deployment "{name_of(deployment)}"'
    if is_complete(deployment, status, limits):
        message = f"{subject} has successfully progressed."
        done = deployment_condition(PROGRESSING, "True", COMPLETE, message, now)
        conditions = with_condition(conditions, done)
    elif _has_progressed(status_of(deployment), status):
        message = f"{subject} is progressing."
        moved = deployment_condition(PROGRESSING, "True", "ReplicaSetUpdated", message, now)
        if current is not None and current.get("status") == "True":
            moved["lastTransitionTime"] = current.get("lastTransitionTime")
        conditions = [*without(conditions, PROGRESSING), moved]
    elif _is_out_of_time(deployment, conditions, now):
        message = f"{subject} has timed out progressing."
        late = deployment_condition(PROGRESSING, "False", TIMED_OUT, message, now)
        conditions = with_condition(conditions, late)
    return {**status, "conditions": conditions}


def _is_out_of_time(deployment: Obj, conditions: Sequence[Obj], now: float) -> bool:
    progress = find(conditions, PROGRESSING)
    if progress is not None and progress.get("reason") == TIMED_OUT:
        return True
    deadline = deadline_at(deployment, conditions)
    return deadline is not None and deadline < now


def with_failures(
    status: dict[str, Any], sets: Sequence[SetDraft], new: SetDraft | None
) -> dict[str, Any]:
    """The status with the ReplicaFailure of the new ReplicaSet, or else of any."""
    own = _failures([new]) if new is not None else []
    failures = own or _failures(sets)
    conditions = status["conditions"]
    if not failures:
        return {**status, "conditions": without(conditions, "ReplicaFailure")}
    return {**status, "conditions": with_condition(conditions, failures[0])}


def _failures(sets: Iterable[SetDraft]) -> list[dict[str, Any]]:
    """ReplicaFailure conditions as those of a Deployment."""
    failures = (
        find(status_of(draft.obj).get("conditions") or (), "ReplicaFailure") for draft in sets
    )
    return [
        {
            "type": "ReplicaFailure",
            "status": failure["status"],
            "lastUpdateTime": failure.get("lastTransitionTime"),
            "lastTransitionTime": failure.get("lastTransitionTime"),
            "reason": failure.get("reason", ""),
            "message": failure.get("message", ""),
        }
        for failure in failures
        if failure is not None
    ]
