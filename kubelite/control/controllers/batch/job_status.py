"""The status of a Job: counting pods exactly once, and its conditions. Pure.

A pod that has ended carries a finalizer until it is counted. First its uid stands in
``uncountedTerminatedPods``, then the finalizer goes, then the uid becomes part of a counter: killed
at any point, nothing is counted twice or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubelite.control.controllers.shared.conditions import find
from kubelite.control.controllers.shared.meta import Obj, format_time, spec_of, status_of

MAX_UNCOUNTED = 500
FAILURE_TARGET = "FailureTarget"
SUCCESS_CRITERIA_MET = "SuccessCriteriaMet"


def job_condition(
    type_: str, reason: str, message: str, now: float, status: str = "True"
) -> dict[str, Any]:
    """A condition of a Job that begins now."""
    time = format_time(now)
    return {
        "type": type_,
        "status": status,
        "lastProbeTime": time,
        "lastTransitionTime": time,
        "reason": reason,
        "message": message,
    }


def with_status(
    conditions: Sequence[Obj], type_: str, status: str, reason: str, message: str, now: float
) -> list[Obj]:
    """The conditions with one in this state, in its place. A condition that is not there is False:
    it is not added to say so.
    """
    new = job_condition(type_, reason, message, now, status)
    old = find(conditions, type_)
    if old is None:
        return list(conditions) if status == "False" else [*conditions, new]
    fields = ("status", "reason", "message")
    if all(old.get(field) == new[field] for field in fields):
        return list(conditions)
    return [new if entry is old else entry for entry in conditions]


def is_true(conditions: Sequence[Obj], type_: str) -> bool:
    """Whether a condition is there and True."""
    match = find(conditions, type_)
    return match is not None and match.get("status") == "True"


def finished_condition(job: Obj) -> Obj | None:
    """The condition that says how a Job ended, None while it has not."""
    for condition in status_of(job).get("conditions") or ():
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            return condition  # type: ignore[no-any-return]
    return None


def is_suspended(job: Obj) -> bool:
    """Whether no pods are to run."""
    return bool(spec_of(job).get("suspend"))


class Counters:
    """The counters of a Job while pods are being counted."""

    def __init__(self, job: Obj) -> None:
        status = status_of(job)
        uncounted = status.get("uncountedTerminatedPods") or {}
        self.succeeded = int(status.get("succeeded") or 0)
        self.failed = int(status.get("failed") or 0)
        self.waiting_succeeded: list[str] = list(uncounted.get("succeeded") or ())
        self.waiting_failed: list[str] = list(uncounted.get("failed") or ())

    def count_released(self, tracked: set[str]) -> None:
        """Counts pods whose finalizer is gone: they cannot come again."""
        self.succeeded += sum(uid not in tracked for uid in self.waiting_succeeded)
        self.failed += sum(uid not in tracked for uid in self.waiting_failed)
        self.waiting_succeeded = [uid for uid in self.waiting_succeeded if uid in tracked]
        self.waiting_failed = [uid for uid in self.waiting_failed if uid in tracked]

    @property
    def waiting(self) -> int:
        """How many pods are not counted yet."""
        return len(self.waiting_succeeded) + len(self.waiting_failed)

    @property
    def is_full(self) -> bool:
        """Whether no more pods may wait at once."""
        return self.waiting >= MAX_UNCOUNTED

    def uncounted(self) -> dict[str, list[str]]:
        """``uncountedTerminatedPods``."""
        lists = {"succeeded": self.waiting_succeeded, "failed": self.waiting_failed}
        return {field: uids for field, uids in lists.items() if uids}
