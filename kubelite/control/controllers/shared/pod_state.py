"""What state a pod is in, as controllers see it. Pure."""

from __future__ import annotations

from kubelite.control.controllers.shared.meta import Obj, is_deleting, parse_time, status_of


def phase_of(pod: Obj) -> str:
    """Pending, Running, Succeeded, Failed or Unknown; "" before anybody has written one."""
    return str(status_of(pod).get("phase") or "")


def is_terminated(pod: Obj) -> bool:
    """Whether all its containers have ended for good."""
    return phase_of(pod) in ("Succeeded", "Failed")


def is_active(pod: Obj) -> bool:
    """Whether a pod counts as a replica: it has not ended and is not being deleted."""
    return not is_terminated(pod) and not is_deleting(pod)


def is_terminating(pod: Obj) -> bool:
    """Whether a pod is being deleted and has not ended yet."""
    return not is_terminated(pod) and is_deleting(pod)


def condition_of(pod: Obj, type_: str) -> Obj | None:
    """The condition of a type."""
    for condition in status_of(pod).get("conditions") or ():
        if condition.get("type") == type_:
            return condition  # type: ignore[no-any-return]
    return None


def is_ready(pod: Obj) -> bool:
    """Whether the Ready condition is True."""
    condition = condition_of(pod, "Ready")
    return condition is not None and condition.get("status") == "True"


def ready_since(pod: Obj) -> float:
    """When the pod became ready, in seconds since 1970; 0 where it is not or does not say."""
    condition = condition_of(pod, "Ready")
    if condition is None or condition.get("status") != "True":
        return 0.0
    return parse_time(condition.get("lastTransitionTime"))


def available_at(pod: Obj, min_ready_seconds: int) -> float | None:
    """When a pod counts as available, unless it stops being ready before; None while it is not
    ready.

    Ready for ``minReadySeconds``; a ready pod that does not say since when never is, unless that is
    0.
    """
    if not is_ready(pod):
        return None
    if not min_ready_seconds:
        return 0.0
    since = ready_since(pod)
    return since + min_ready_seconds if since else None


def is_available(pod: Obj, min_ready_seconds: int, now: float) -> bool:
    """Whether a pod has been ready for ``min_ready_seconds``."""
    time = available_at(pod, min_ready_seconds)
    return time is not None and time <= now


def restarts(pod: Obj) -> int:
    """The largest number of restarts of one container."""
    statuses = status_of(pod).get("containerStatuses") or ()
    return max((int(status.get("restartCount") or 0) for status in statuses), default=0)
