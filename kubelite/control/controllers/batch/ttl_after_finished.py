"""Removal of Jobs some time after they have finished (``ttlSecondsAfterFinished``). Pure."""

from __future__ import annotations

from kubelite.client.resources import JOBS
from kubelite.control.controllers.actions import NOTHING, Delete, Plan
from kubelite.control.controllers.batch.job_status import finished_condition
from kubelite.control.controllers.controller import Controller, own_key
from kubelite.control.controllers.shared.meta import Key, is_deleting, parse_time, spec_of, uid_of
from kubelite.control.controllers.view import View


def plan(view: View, key: Key, now: float) -> Plan:
    """Deletes a finished Job, its pods first, when its time is over."""
    job = view.get(JOBS, *key)
    if job is None or is_deleting(job):
        return NOTHING
    seconds = spec_of(job).get("ttlSecondsAfterFinished")
    end = finished_condition(job)
    if seconds is None or end is None:
        return NOTHING
    expires = parse_time(end.get("lastTransitionTime")) + int(seconds)
    if expires > now:
        return Plan((), expires)
    revision = job["metadata"].get("resourceVersion") or ""
    return Plan((Delete(JOBS, *key, uid_of(job), revision, propagation="Foreground"),))


TTL_AFTER_FINISHED_CONTROLLER = Controller(
    "ttl-after-finished-controller",
    "ttl-after-finished-controller",
    "ttl-after-finished-controller",
    {JOBS: own_key},
    plan,
)
