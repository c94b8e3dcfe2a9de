"""What a write to the status of a Job may say of its pods, indexes and conditions. Pure.

The rules of Kubernetes' ``pkg/apis/batch/validation``. A rule about a field is asked only where
the field, or what it is compared with, has changed: a controller can write the rest of a status
that was wrong before.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.common.checks import not_negative
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.status import Cause

_COUNTERS = ("active", "succeeded", "failed", "ready", "terminating")
_CONDITIONS = "status.conditions"
_COMPLETE, _FAILED = "Complete", "Failed"
_CRITERIA_MET, _FAILURE_TARGET = "SuccessCriteriaMet", "FailureTarget"


class _Versions:
    """A Job's status before and after a write."""

    def __init__(self, new: Object, old: Object) -> None:
        self.spec: Object = new.get("spec") or {}
        self.now: Object = new.get("status") or {}
        self.before: Object = old.get("status") or {}
        self._true = tuple(
            {
                condition.get("type")
                for condition in status.get("conditions") or ()
                if condition.get("status") == "True"
            }
            for status in (self.before, self.now)
        )

    def changed(self, *names: str) -> bool:
        """Whether one of these fields or conditions is another than before."""
        return any(
            self.was(name) != self.holds(name)
            if name[0].isupper()
            else self.before.get(name) != self.now.get(name)
            for name in names
        )

    def was(self, *conditions: str) -> bool:
        """Whether one of these conditions was true before."""
        return not self._true[0].isdisjoint(conditions)

    def holds(self, *conditions: str) -> bool:
        """Whether one of these conditions is true now."""
        return not self._true[1].isdisjoint(conditions)

    @property
    def is_indexed(self) -> bool:
        """Whether the pods of the Job have indexes."""
        return self.spec.get("completionMode") == "Indexed"


def check(new: Object, old: Object) -> Iterator[Cause]:
    """What is wrong with the status of ``new``, which was that of ``old``."""
    job = _Versions(new, old)
    yield from not_negative(job.now, _COUNTERS, "status")
    yield from _check_uncounted(job.now.get("uncountedTerminatedPods") or {})
    yield from _check_end(job)
    yield from _check_indexes(job)
    yield from _check_pods(job)
    yield from _check_success(job)
    yield from _check_change(job)


def _check_uncounted(uncounted: Object) -> Iterator[Cause]:
    uids: set[str] = set()
    for field in ("succeeded", "failed"):
        for index, uid in enumerate(uncounted.get(field) or ()):
            path = f"status.uncountedTerminatedPods.{field}[{index}]"
            if not uid:
                yield causes.invalid(path, uid, "must not be empty")
            elif uid in uids:
                yield causes.duplicate(path, uid)
            uids.add(uid)


def _check_end(job: _Versions) -> Iterator[Cause]:
    """The conditions of an ended Job, its times and what it leaves."""
    now, path = job.now, "status.completionTime"
    if job.holds(_COMPLETE):
        for condition in (_FAILED, _FAILURE_TARGET):
            if job.holds(condition) and job.changed(_COMPLETE, condition):
                why = f"cannot set Complete=True and {condition}=true conditions"
                yield causes.without_value(_CONDITIONS, why)
    start, end = now.get("startTime"), now.get("completionTime")
    if job.changed(_COMPLETE, "completionTime"):
        if end and not job.holds(_COMPLETE):
            why = "cannot set completionTime when there is no Complete=True condition"
            yield causes.invalid(path, end, why)
        if not end and job.holds(_COMPLETE):
            yield causes.required(path, "completionTime is required for Complete jobs")
    if start and end and end < start and job.changed("startTime", "completionTime"):
        yield causes.invalid(path, end, "completionTime cannot be set before startTime")
    for condition, needed, changes in (
        (_FAILED, _FAILURE_TARGET, (_FAILED, _FAILURE_TARGET)),
        (_COMPLETE, _CRITERIA_MET, (_COMPLETE, _CRITERIA_MET)),
    ):
        if job.holds(condition) and not job.holds(needed) and job.changed(*changes):
            why = f"cannot set {condition}=True condition without the {needed}=true condition"
            yield causes.without_value(_CONDITIONS, why)
    yield from _check_leftovers(job)


def _check_leftovers(job: _Versions) -> Iterator[Cause]:
    """An ended Job has a start and no pods that run or wait to be counted."""
    if not job.holds(_COMPLETE, _FAILED):
        return
    now, ended = job.now, (_COMPLETE, _FAILED)
    if now.get("active", 0) > 0 and job.changed(*ended, "active"):
        yield causes.invalid("status.active", now["active"], "active>0 is invalid for finished job")
    if not now.get("startTime") and job.changed(*ended, "startTime"):
        yield causes.required("status.startTime", "startTime is required for finished job")
    uncounted = now.get("uncountedTerminatedPods") or {}
    if any(uncounted.values()) and job.changed(*ended, "uncountedTerminatedPods"):
        why = "uncountedTerminatedPods needs to be empty for finished job"
        yield causes.invalid("status.uncountedTerminatedPods", _internal_pods(uncounted), why)


def _internal_pods(uncounted: Object) -> Object:
    return {"Succeeded": uncounted.get("succeeded"), "Failed": uncounted.get("failed")}


def _check_indexes(job: _Versions) -> Iterator[Cause]:
    """The indexes that are done or have failed."""
    completions = job.spec.get("completions")
    done, failed = job.now.get("completedIndexes") or "", job.now.get("failedIndexes")
    with_limit = job.spec.get("backoffLimitPerIndex") is not None
    for field, text, is_kept in (
        ("completedIndexes", done, True),
        ("failedIndexes", failed, with_limit),
    ):
        if text and completions is not None and is_kept and job.changed(field):
            _, problem = parsed_indexes(text, completions)
            if problem:
                why = f"error parsing {field}: {problem}"
                yield causes.invalid(f"status.{field}", text, why)
    if done and not job.is_indexed and job.changed("completedIndexes"):
        why = "cannot set non-empty completedIndexes when non-indexed completion mode"
        yield causes.invalid("status.completedIndexes", done, why)
    if failed is None:
        return
    if not with_limit and job.changed("failedIndexes"):
        why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        yield causes.invalid("status.failedIndexes", failed, why)
    if completions is not None and job.changed("failedIndexes", "completedIndexes"):
        both = _intervals(done, completions) & _intervals(failed, completions)
        if both:
            why = f"failedIndexes and completedIndexes overlap at index: {min(both)}"
            yield causes.invalid("status.failedIndexes", failed, why)


def _intervals(text: str, completions: int) -> set[int]:
    """The indexes of those intervals of a text that can be read."""
    indexes: set[int] = set()
    for part in text.split(",") if text else ():
        first, final, problem = _interval(part, completions)
        if not problem:
            indexes.update(range(first, final + 1))
    return indexes


def _check_pods(job: _Versions) -> Iterator[Cause]:
    now = job.now
    terminating, ready = now.get("terminating") or 0, now.get("ready")
    if (
        terminating > 0
        and job.holds(_COMPLETE, _FAILED)
        and job.changed(_COMPLETE, _FAILED, "terminating")
    ):
        why = "terminating>0 is invalid for finished job"
        yield causes.invalid("status.terminating", terminating, why)
    if ready is not None and ready > now.get("active", 0) and job.changed("ready", "active"):
        yield causes.invalid("status.ready", ready, "cannot set more ready pods than active")


def _check_success(job: _Versions) -> Iterator[Cause]:
    if job.holds(_CRITERIA_MET):
        for condition in (_FAILED, _FAILURE_TARGET):
            if job.holds(condition):
                why = f"cannot set SuccessCriteriaMet=True and {condition}=true conditions"
                yield causes.without_value(_CONDITIONS, why)
    elif job.spec.get("successPolicy") is not None and job.holds(_COMPLETE):
        why = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        yield causes.without_value(_CONDITIONS, why)


def _check_change(job: _Versions) -> Iterator[Cause]:
    """What never goes back."""
    now, before = job.now, job.before
    for condition in (_FAILED, _COMPLETE, _FAILURE_TARGET):
        if job.was(condition) and not job.holds(condition):
            why = f"cannot disable the terminal {condition}=True condition"
            yield causes.without_value(_CONDITIONS, why)
    # An indexed Job whose completions and parallelism are equal can be scaled down.
    is_elastic = job.is_indexed and job.spec.get("completions") == job.spec.get("parallelism")
    for field in ("failed",) if is_elastic else ("failed", "succeeded"):
        if now.get(field, 0) < before.get(field, 0):
            why = f"cannot decrease the {field} counter"
            yield causes.invalid(f"status.{field}", now.get(field, 0), why)
    end = now.get("completionTime")
    if end and before.get("completionTime") and job.changed("completionTime"):
        yield causes.invalid("status.completionTime", end, "completionTime cannot be mutated")
    if before.get("startTime") and job.changed("startTime") and not job.spec.get("suspend"):
        why = "startTime cannot be removed for unsuspended job"
        yield causes.required("status.startTime", why)
    if job.was(_CRITERIA_MET) and not job.holds(_CRITERIA_MET):
        why = "cannot disable the SuccessCriteriaMet=True condition"
        yield causes.without_value(_CONDITIONS, why)
    if job.was(_COMPLETE) and not job.was(_CRITERIA_MET) and job.holds(_CRITERIA_MET):
        why = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        yield causes.without_value(_CONDITIONS, why)


def parsed_indexes(text: str, completions: int) -> tuple[int, str]:
    """How many indexes a list such as ``1,3-5`` names, and what is wrong with it."""
    total, last = 0, None
    for part in text.split(",") if text else ():
        first, final, problem = _interval(part, completions)
        if problem:
            return 0, problem
        if last is not None and first <= last:
            return 0, f"non-increasing order, previous: {last}, current: {first}"
        total, last = total + final - first + 1, final
    return total, ""


def _interval(text: str, completions: int) -> tuple[int, int, str]:
    """The first and the last index of ``3`` or ``3-5``, or what is wrong with it."""
    limits = text.split("-")
    if len(limits) > 2:
        why = (
            f'the fragment "{text}" violates the requirement that an index interval can '
            "have at most two parts separated by '-'"
        )
        return 0, 0, why
    numbers: list[Any] = []
    for limit in limits:
        if not re.fullmatch(r"[+-]?[0-9]+", limit):
            return 0, 0, f'cannot convert string to integer for index: "{limit}"'
        if int(limit) >= completions:
            return 0, 0, f'too large index: "{limit}"'
        numbers.append(int(limit))
    if len(numbers) == 2 and numbers[0] >= numbers[1]:
        why = f"non-increasing order, previous: {numbers[0]}, current: {numbers[1]}"
        return 0, 0, why
    return numbers[0], numbers[-1], ""
