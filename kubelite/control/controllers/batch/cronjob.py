"""CronJob: Jobs at times of a schedule. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from kubelite.client.resources import CRON_JOBS, JOBS
from kubelite.control.controllers.actions import (
    NOTHING,
    Action,
    Create,
    Delete,
    Emit,
    Outcome,
    Plan,
    Step,
    Update,
    refusals,
)
from kubelite.control.controllers.batch.cron_schedule import Schedule, ScheduleError, schedule
from kubelite.control.controllers.batch.job_status import finished_condition
from kubelite.control.controllers.controller import Controller, own_key
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    controller_of,
    created_at,
    format_time,
    is_deleting,
    name_of,
    namespace_of,
    owner_reference,
    parse_time,
    spec_of,
    status_of,
    uid_of,
)
from kubelite.control.controllers.shared.ownership import is_owned
from kubelite.control.controllers.view import View, controlled_by

TIMESTAMP = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MANY_MISSED = 100
RFC1123Z = "%a, %d %b %Y %H:%M:%S %z"


class Missed(NamedTuple):
    """The last time that is over, where the search began, and how many times were passed over."""

    latest: float | None
    since: float
    passed: int


def plan(view: View, key: Key, now: float) -> Plan:
    """Notes what became of Jobs, removes old ones, and starts the next when its time has come."""
    cron_job = view.get(CRON_JOBS, *key)
    if cron_job is None:
        return NOTHING
    sync = _Sync(view, cron_job, now)
    steps = sync.steps()
    return Plan(steps, sync.wake_at)


class _Sync:
    """One pass over a CronJob."""

    def __init__(self, view: View, cron_job: Obj, now: float) -> None:
        self.view = view
        self.cron_job = cron_job
        self.now = now
        self.wake_at: float | None = None
        self.spec = spec_of(cron_job)
        self.status = dict(status_of(cron_job))
        self.active: list[Obj] = list(self.status.get("active") or ())
        self.jobs = list(controlled_by(view, JOBS, uid_of(cron_job)))
        self.events: list[Action] = []

    def steps(self) -> tuple[Action | Step, ...]:
        """The steps of this pass, in order."""
        self._note_jobs()
        removals = self._old_jobs()
        start = self._start() if not is_deleting(self.cron_job) else ()
        steps = self._deletions(removals)
        if start:
            return (*self.events, *steps, *start)
        return (*self.events, *steps, *self._status_update())

    # Jobs that are there

    def _note_jobs(self) -> None:
        """Brings the list of active Jobs up to date, and the time of the last success."""
        jobs_by_uid = {uid_of(job): job for job in self.jobs}
        for reference in list(self.active):
            job = jobs_by_uid.get(reference.get("uid", ""))
            if job is None:
                self._emit("Normal", "MissingJob", f"Active job went missing: {reference['name']}")
                self.active.remove(reference)
        for job in self.jobs:
            self._note(job)

    def _note(self, job: Obj) -> None:
        end = finished_condition(job)
        reference = next(
            (reference for reference in self.active if reference.get("uid") == uid_of(job)), None
        )
        if reference is None and end is None:
            message = "Saw a job that the controller did not create or forgot: " + name_of(job)
            self._emit("Warning", "UnexpectedJob", message)
        elif reference is not None and end is not None:
            self.active.remove(reference)
            message = f"Saw completed job: {name_of(job)}, condition: {end['type']}"
            self._emit("Normal", "SawCompletedJob", message)
        if end is not None and end["type"] == "Complete":
            time = status_of(job).get("completionTime")
            if parse_time(time) > parse_time(self.status.get("lastSuccessfulTime")):
                self.status["lastSuccessfulTime"] = time

    def _emit(self, type_: Any, reason: str, message: str) -> None:
        self.events.append(Emit(self.cron_job, type_, reason, message))

    def _old_jobs(self) -> list[Obj]:
        """Finished Jobs beyond the limits of the history, the oldest first."""
        limits = (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit"))
        old: list[Obj] = []
        for type_, field in limits:
            limit = self.spec.get(field)
            if limit is None:
                continue
            finished = [
                job for job in self.jobs if (finished_condition(job) or {}).get("type") == type_
            ]
            finished.sort(key=lambda job: (_started(job), name_of(job)))
            old += [
                job
                for job in finished[: max(0, len(finished) - int(limit))]
                if not is_deleting(job)
            ]
        return old

    def _deletions(self, jobs: Sequence[Obj]) -> tuple[Step, ...]:
        actions = tuple(
            Delete(JOBS, namespace_of(job), name_of(job), uid_of(job), propagation="Background")
            for job in jobs
        )
        return (Step(actions, self._deletion_events, "parallel", tolerant=True),) if actions else ()

    def _deletion_events(self, outcomes: tuple[Outcome, ...]) -> tuple[Action, ...]:
        return tuple(
            Emit(self.cron_job, "Normal", "SuccessfulDelete", f"Deleted job {outcome.action.name}")
            if outcome.refusal is None
            else Emit(
                self.cron_job, "Warning", "FailedDelete", f"Deleted job: {outcome.refusal.message}"
            )
            for outcome in outcomes
            if isinstance(outcome.action, Delete)
        )

    # The next Job

    def _start(self) -> tuple[Action | Step, ...]:
        """What starts the Job whose time has come; nothing where none has."""
        if self.spec.get("suspend"):
            return ()
        times = self._schedule()
        if times is None:
            return ()
        due = self._due(times)
        self.wake_at = self._next(times)
        if due is None or self._is_too_late(due) or self._is_started(due):
            return ()
        policy = self.spec.get("concurrencyPolicy") or "Allow"
        if policy == "Forbid" and self.active:
            message = (
                "Not starting job because prior execution is running and "
                "concurrency policy is Forbid"
            )
            self._emit("Normal", "JobAlreadyActive", message)
            return ()
        replaced = self._replaced() if policy == "Replace" else ()
        create = Create(JOBS, self._new_job(due, times))
        return (*replaced, Step((create,), partial(self._started_job, due)))

    def _schedule(self) -> Schedule | None:
        zone, text = self.spec.get("timeZone"), str(self.spec.get("schedule") or "")
        try:
            schedule("* * * * *", zone)
        except ScheduleError as error:
            self._emit("Warning", "UnknownTimeZone", f'invalid timeZone: "{zone}": {error}')
            return None
        try:
            return schedule(text, zone)
        except ScheduleError as error:
            message = f'unparseable schedule: "{text}" : {error}'
            self._emit("Warning", "UnparseableSchedule", message)
            return None

    def _due(self, times: Schedule) -> float | None:
        """The latest time that is over and has no Job yet."""
        missed = last_missed(self.cron_job, times, self.now, with_deadline=True)
        if missed is None:
            message = (
                f"invalid schedule: {self.spec.get('schedule')} : "
                "time difference between two schedules is less than 1 second"
            )
            self._emit("Warning", "InvalidSchedule", message)
            return None
        if missed.passed > MANY_MISSED:
            message = (
                "too many missed start times. Set or decrease .spec.startingDeadlineSeconds "
                "or check clock skew"
            )
            self._emit("Warning", "TooManyMissedTimes", message)
        return missed.latest

    def _next(self, times: Schedule) -> float | None:
        """When to look again: the first time that is not over."""
        return times.after(self.now)

    def _is_too_late(self, due: float) -> bool:
        deadline = self.spec.get("startingDeadlineSeconds")
        if deadline is None or due + int(deadline) >= self.now:
            return False
        when = datetime.fromtimestamp(due, schedule("* * * * *", None).zone).strftime(RFC1123Z)
        self._emit("Warning", "MissSchedule", f"Missed scheduled time to start a job: {when}")
        return True

    def _is_started(self, due: float) -> bool:
        name = job_name(self.cron_job, due)
        return parse_time(self.status.get("lastScheduleTime")) == due or any(
            reference.get("name") == name for reference in self.active
        )

    def _replaced(self) -> tuple[Step, ...]:
        """Deletions of the Jobs that still run."""
        uids = {reference.get("uid") for reference in self.active}
        self.active = []
        return self._deletions([job for job in self.jobs if uid_of(job) in uids])

    def _new_job(self, due: float, times: Schedule) -> dict[str, Any]:
        template = self.spec.get("jobTemplate") or {}
        given = template.get("metadata") or {}
        when = datetime.fromtimestamp(due, times.zone).isoformat().replace("+00:00", "Z")
        metadata: dict[str, Any] = {
            "name": job_name(self.cron_job, due),
            "namespace": namespace_of(self.cron_job),
            "annotations": {**(given.get("annotations") or {}), TIMESTAMP: when},
            "ownerReferences": [owner_reference(self.cron_job, "batch/v1", "CronJob")],
        }
        if given.get("labels"):
            metadata["labels"] = dict(given["labels"])
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata,
            "spec": deepcopy(template.get("spec") or {}),
        }

    def _started_job(self, due: float, outcomes: tuple[Outcome, ...]) -> tuple[Action, ...]:
        outcome = outcomes[0]
        job = outcome.result
        for refusal in refusals(outcomes):
            if refusal.is_namespace_ending:
                return ()
            if not refusal.is_exists:
                message = f"Error creating job: {refusal.message}"
                return (Emit(self.cron_job, "Warning", "FailedCreate", message),)
            job = self._own_job(job_name(self.cron_job, due))
            if job is None:
                return ()
        events: tuple[Action, ...] = ()
        if outcome.refusal is None:
            message = f"Created job {name_of(job or {})}"
            events = (Emit(self.cron_job, "Normal", "SuccessfulCreate", message),)
        if not any(reference.get("uid") == uid_of(job or {}) for reference in self.active):
            self.active.append(_reference(job or {}))
        self.status["lastScheduleTime"] = format_time(due)
        return (*events, *self._status_update())

    def _own_job(self, name: str) -> Obj | None:
        """The Job of this time, where an earlier plan made it and did not get to write so."""
        job = self.view.get(JOBS, namespace_of(self.cron_job), name)
        if job is None or not is_owned(job, self.cron_job) or finished_condition(job) is not None:
            return None
        return job

    def _status_update(self) -> tuple[Action, ...]:
        status = {key: value for key, value in self.status.items() if key != "active"}
        if self.active:
            status["active"] = self.active
        if status == status_of(self.cron_job):
            return ()
        return (Update(CRON_JOBS, {**self.cron_job, "status": status}, "status"),)


def last_missed(
    cron_job: Obj, times: Schedule, now: float, *, with_deadline: bool
) -> Missed | None:
    """The latest time that is over since the last one with a Job, or since the creation; None for a
    schedule that never fires twice.

    With a deadline only times within it count. Long gaps are crossed at once, as upstream does it:
    by the distance of the first two times.
    """
    since = created_at(cron_job)
    last = status_of(cron_job).get("lastScheduleTime")
    if last:
        since = parse_time(last)
    deadline = spec_of(cron_job).get("startingDeadlineSeconds")
    if with_deadline and deadline is not None:
        since = max(since, now - int(deadline))
    first = times.after(since)
    second = times.after(first) if first is not None else None
    if first is None or second is None:
        return None
    if now < first:
        return Missed(None, since, 0)
    if now < second:
        return Missed(first, since, 1)
    distance = max(1, round(second - first))
    passed = int((now - first) // distance) + 1
    latest: float | None = None
    time = times.after(first + (passed - 2) * distance)
    while time is not None and time <= now:
        latest, time = time, times.after(time)
    return Missed(latest, since, passed)


def job_name(cron_job: Obj, due: float) -> str:
    """The name of the Job of a time: a function of both, so that it is never made twice."""
    return f"{name_of(cron_job)}-{int(due) // 60}"


def _reference(job: Obj) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": name_of(job),
        "namespace": namespace_of(job),
        "resourceVersion": job["metadata"].get("resourceVersion"),
        "uid": uid_of(job),
    }


def _started(job: Obj) -> float:
    """When a Job started; those that never did come last."""
    return parse_time(status_of(job).get("startTime")) or float("inf")


def _of_job(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The CronJob of a Job."""
    del view
    for job in (new, old):
        owner = controller_of(job) if job is not None else None
        if job is not None and owner is not None and owner.get("kind") == "CronJob":
            return [(namespace_of(job), owner["name"])]
    return []


CRON_JOB_CONTROLLER = Controller(
    "cronjob-controller",
    "cronjob-controller",
    "cronjob-controller",
    {CRON_JOBS: own_key, JOBS: _of_job},
    plan,
)
