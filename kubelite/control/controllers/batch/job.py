"""Job: pods until enough of them have succeeded, or too many failed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubelite.client.resources import JOBS, PODS
from kubelite.control.controllers.actions import (
    NOTHING,
    Action,
    Create,
    Delete,
    Emit,
    Outcome,
    Patch,
    Plan,
    Step,
    Update,
    earliest,
)
from kubelite.control.controllers.batch import indexes
from kubelite.control.controllers.batch.job_pods import (
    FINALIZER,
    count_terminating,
    failed_indexes,
    has_limit_per_index,
    index_may_start_at,
    is_failed,
    is_indexed,
    is_tracked,
    name_base,
    new_indexed_pod,
    new_pod,
    next_pod_at,
    replaceable,
    replaces_only_failed,
    surplus,
)
from kubelite.control.controllers.batch.job_status import (
    FAILURE_TARGET,
    SUCCESS_CRITERIA_MET,
    Counters,
    finished_condition,
    is_suspended,
    is_true,
    job_condition,
    with_status,
)
from kubelite.control.controllers.batch.policies import judge, success_message
from kubelite.control.controllers.controller import Controller, own_key
from kubelite.control.controllers.shared.conditions import find
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    controller_of,
    format_time,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    parse_time,
    spec_of,
    status_of,
    uid_of,
)
from kubelite.control.controllers.shared.ownership import OwnerKind, claim, has_moved, owner_keys
from kubelite.control.controllers.shared.pod_events import pod_event
from kubelite.control.controllers.shared.pod_state import is_active, is_ready, phase_of
from kubelite.control.controllers.shared.pod_template import copies, name_pods
from kubelite.control.controllers.shared.selectors import selector_of
from kubelite.control.controllers.view import View, controlled_by, orphans

JOB = OwnerKind(JOBS, "batch/v1", "Job")
BURST = 500
"""At most so many pods are created or deleted by one plan."""

OWN_MANAGER = "kubernetes.io/job-controller"
JOB_NAME_LABEL = "batch.kubernetes.io/job-name"


def plan(view: View, key: Key, now: float) -> Plan:
    """What brings a Job nearer to its end, counts its pods, and lets go of those it has counted."""
    job = view.get(JOBS, *key)
    strays = _releases(pod for pod in _strays(view, key, job) if is_tracked(pod))
    if job is None:
        return Plan(strays)
    if spec_of(job).get("managedBy") not in (None, OWN_MANAGER):
        return NOTHING
    if finished_condition(job) is not None:
        owned = controlled_by(view, PODS, uid_of(job))
        return Plan((*strays, *_releases(pod for pod in owned if is_tracked(pod))))
    selector = selector_of(spec_of(job).get("selector"))
    owned_pods = claim(view, job, JOB, PODS, selector, finalizer=FINALIZER)
    sync = _Sync(job, owned_pods.owned, now)
    steps = sync.steps()
    return Plan((*strays, *owned_pods.actions, *steps), sync.wake_at)


def _strays(view: View, key: Key, job: Obj | None) -> Iterable[Obj]:
    """Pods of a Job of this name that is gone, or that has let them go."""
    namespace, name = key
    for pod in orphans(view, PODS, namespace):
        if labels_of(pod).get(JOB_NAME_LABEL) == name:
            yield pod
    if job is not None:
        return
    for pod in view.list(PODS, namespace):
        owner = controller_of(pod)
        if owner is not None and owner.get("kind") == "Job" and owner.get("name") == name:
            yield pod


def _releases(pods: Iterable[Obj]) -> tuple[Step, ...]:
    patches = tuple(map(_release, pods))
    return (Step(patches, order="parallel"),) if patches else ()


def _release(pod: Obj) -> Patch:
    """Takes the finalizer off a pod."""
    metadata = {"uid": uid_of(pod), "$deleteFromPrimitiveList/finalizers": [FINALIZER]}
    return Patch(PODS, namespace_of(pod), name_of(pod), {"metadata": metadata})


class _Sync:
    """One pass over a Job that has not ended."""

    def __init__(self, job: Obj, pods: Sequence[Obj], now: float) -> None:
        self.job = job
        self.pods = pods
        self.now = now
        self.spec = spec_of(job)
        self.status = status_of(job)
        self.wakes: list[float | None] = []
        self.conditions: list[Obj] = list(self.status.get("conditions") or ())
        self.kept: set[str] = set()
        self.active = [pod for pod in pods if is_active(pod)]
        self.terminating = count_terminating(pods)
        self.start_time: str | None = self.status.get("startTime")
        if self.start_time is None and not is_suspended(job):
            self.start_time = format_time(now)
        completions = self.spec.get("completions")
        self.completions = None if completions is None else int(completions)
        self.counters = Counters(job)
        self.counters.count_released({uid_of(pod) for pod in pods if is_tracked(pod)})
        self.succeeded_before = indexes.parse(
            self.status.get("completedIndexes"), self.completions or 0
        )
        self.succeeded_indexes = self._succeeded_indexes()
        self.failed_indexes = self._failed_indexes()
        self.retries = replaceable(job, pods, self.succeeded_indexes, self.failed_indexes)
        self.target = self._target()

    # Counting

    def _uncounted(self, *, failed: bool) -> list[Obj]:
        """Pods that have ended and stand in no counter yet."""
        waiting_uids = {*self.counters.waiting_succeeded, *self.counters.waiting_failed}
        return [
            pod
            for pod in self.pods
            if is_tracked(pod)
            and uid_of(pod) not in waiting_uids
            and (is_failed(self.job, pod) if failed else phase_of(pod) == "Succeeded")
        ]

    def _succeeded_indexes(self) -> frozenset[int]:
        if not is_indexed(self.job):
            return frozenset()
        ended = (pod for pod in self.pods if phase_of(pod) == "Succeeded" and is_tracked(pod))
        limit = self.completions or 0
        return self.succeeded_before | {
            index for index in map(indexes.index_of, ended) if -1 < index < limit
        }

    def _failed_indexes(self) -> frozenset[int]:
        if not has_limit_per_index(self.job):
            return frozenset()
        before = indexes.parse(self.status.get("failedIndexes"), self.completions or 0)
        return failed_indexes(self.job, self.pods, before)

    @property
    def succeeded(self) -> int:
        """How many pods have succeeded, those that are not counted yet among them."""
        if is_indexed(self.job):
            return len(self.succeeded_indexes)
        waiting = len(self.counters.waiting_succeeded)
        return self.counters.succeeded + waiting + len(self._uncounted(failed=False))

    @property
    def failed(self) -> int:
        """How many pods have failed, likewise, without those that the policy ignores."""
        new = [pod for pod in self._uncounted(failed=True) if judge(self.job, pod).counts]
        return self.counters.failed + len(self.counters.waiting_failed) + len(new)

    # Whether it is over

    def _target(self) -> dict[str, Any] | None:
        """The condition that says why the Job is to end, before all its pods have."""
        for type_ in (FAILURE_TARGET, SUCCESS_CRITERIA_MET):
            if is_true(self.conditions, type_):
                return dict(find(self.conditions, type_) or {})
        reason, message = self._failure()
        if reason:
            return job_condition(FAILURE_TARGET, reason, message, self.now)
        message = success_message(self.job, self.succeeded_indexes) if is_indexed(self.job) else ""
        if message:
            return job_condition(SUCCESS_CRITERIA_MET, "SuccessPolicy", message, self.now)
        return None

    def _failure(self) -> tuple[str, str]:
        """Why the Job fails: reason and message, "" where it does not."""
        for pod in self.pods:
            if is_tracked(pod) and is_failed(self.job, pod):
                verdict = judge(self.job, pod)
                if verdict.action == "FailJob":
                    return "PodFailurePolicy", verdict.message
        if self._is_past_backoff_limit():
            return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        if self._is_past_deadline():
            return "DeadlineExceeded", "Job was active longer than specified deadline"
        return self._failure_of_indexes()

    def _is_past_backoff_limit(self) -> bool:
        limit = self.spec.get("backoffLimit")
        limit = 6 if limit is None else int(limit)
        if self.failed > limit:
            return True
        template = (self.spec.get("template") or {}).get("spec") or {}
        if template.get("restartPolicy") != "OnFailure":
            return False
        restarts = sum(_restarts(pod) for pod in self.pods)
        return restarts > 0 if limit == 0 else restarts >= limit

    def _is_past_deadline(self) -> bool:
        seconds = self.spec.get("activeDeadlineSeconds")
        if seconds is None or self.start_time is None or is_suspended(self.job):
            return False
        ends = parse_time(self.start_time) + int(seconds)
        if ends > self.now:
            self.wakes.append(ends)
            return False
        return True

    def _failure_of_indexes(self) -> tuple[str, str]:
        failed = len(self.failed_indexes)
        most = self.spec.get("maxFailedIndexes")
        if not failed:
            return "", ""
        if most is not None and failed > int(most):
            message = "Job has exceeded the specified maximal number of failed indexes"
            return "MaxFailedIndexesExceeded", message
        if failed + len(self.succeeded_indexes) >= (self.completions or 0):
            return "FailedIndexes", "Job has failed indexes"
        return "", ""

    # Pods

    def steps(self) -> tuple[Action | Step, ...]:
        """The steps of this pass: pods first, then the counters, then the pods that are counted."""
        if self.target is not None:
            return self._deletion(self.active)
        if is_deleting(self.job):
            return self._settled(())
        if is_suspended(self.job):
            return self._withdrawal(self.active)
        target_count = self._wanted()
        gone = surplus(self.job, self.active, max(0, len(self.active) - target_count), self.now)
        if gone:
            return self._withdrawal(gone)
        missing = target_count - len(self.active)
        if replaces_only_failed(self.job):
            missing -= self.terminating
        pods = self._new_pods(min(missing, BURST)) if missing > 0 else []
        if not pods:
            return self._settled(())
        return (Step(tuple(Create(PODS, pod) for pod in pods), self._settled, "slow start"),)

    def _wanted(self) -> int:
        """How many pods are to be active."""
        parallelism = self.spec.get("parallelism")
        parallelism = 1 if parallelism is None else int(parallelism)
        if self.completions is None:
            return len(self.active) if self.succeeded else parallelism
        left = self.completions - self.succeeded - len(self.failed_indexes)
        return max(0, min(parallelism, left))

    def _withdrawal(self, pods: Sequence[Obj]) -> tuple[Action | Step, ...]:
        """Deletes pods that are not to count as failed: they are let go first."""
        tracked = (pod for pod in pods[:BURST] if is_tracked(pod))
        return (*_releases(tracked), *self._deletion(pods))

    def _deletion(self, pods: Sequence[Obj]) -> tuple[Action | Step, ...]:
        if not pods:
            return self._settled(())
        actions = tuple(
            Delete(PODS, namespace_of(pod), name_of(pod), uid_of(pod)) for pod in pods[:BURST]
        )
        return (Step(actions, self._settled, "parallel"),)

    def _new_pods(self, count: int) -> list[dict[str, Any]]:
        """New pods, as far as failures do not make them wait."""
        if not has_limit_per_index(self.job):
            start = next_pod_at(self.job, self.pods)
            if start > self.now:
                self.wakes.append(start)
                return []
        if not is_indexed(self.job):
            pods = copies(new_pod(self.job, JOB), count)
            self._name(pods, name_base(self.job))
            return pods
        return [self._indexed_pod(index) for index in self._next_indexes(count)]

    def _next_indexes(self, count: int) -> list[int]:
        running = [pod for pod in self.pods if is_active(pod) or self._is_waited_for(pod)]
        taken = {*self.succeeded_indexes, *self.failed_indexes, *map(indexes.index_of, running)}
        later = {
            index: start
            for index, pod in self.retries.items()
            if (start := index_may_start_at(pod)) > self.now
        }
        self.wakes += later.values()
        return indexes.pending({*taken, *later}, self.completions or 0, count)

    def _is_waited_for(self, pod: Obj) -> bool:
        """Whether a pod that is being deleted still holds its index."""
        return (
            replaces_only_failed(self.job)
            and is_deleting(pod)
            and phase_of(pod) not in ("Failed", "Succeeded")
        )

    def _indexed_pod(self, index: int) -> dict[str, Any]:
        pod = new_indexed_pod(self.job, JOB, index, self.retries.get(index))
        self._name([pod], name_base(self.job, index))
        return pod

    def _name(self, pods: list[dict[str, Any]], base: str) -> None:
        state = (uid_of(self.job), self.job["metadata"].get("resourceVersion") or "")
        taken = {name_of(pod) for pod in self.pods}
        name_pods(pods, base, taken, *state, *sorted(uid_of(pod) for pod in self.pods))

    # The status, and pods that are counted

    def _settled(self, outcomes: tuple[Outcome, ...]) -> tuple[Action | Step, ...]:
        """Events of what was done, the status that follows, and finalizers that may go then."""
        shown = [pod_event(self.job, outcome) for outcome in outcomes]
        events: list[Action] = [event for event in shown if event is not None]
        self.kept = {
            outcome.action.name
            for outcome in outcomes
            if isinstance(outcome.action, Delete) and outcome.refusal is not None
        }
        active, ready = self._remaining(outcomes)
        self._note_completion(active)
        self._note_suspension(events)
        released = self._count_ended()
        self._note_target()
        status = self._written(active, ready, events)
        update: tuple[Action, ...] = ()
        if status != self.status:
            update = (Update(JOBS, {**self.job, "status": status}, "status"),)
        finished = finished_condition({"status": status}) is not None
        events_of_end = events if not finished else [*events, *self._end_events(status)]
        kept = [event for event in events_of_end if event in events]
        last = [event for event in events_of_end if event not in events]
        return (*kept, *update, *last, *_releases(released))

    def _remaining(self, outcomes: tuple[Outcome, ...]) -> tuple[int, int]:
        """How many pods are active and ready after what was done."""
        done = [outcome for outcome in outcomes if outcome.refusal is None]
        created = sum(isinstance(outcome.action, Create) for outcome in done)
        gone = {outcome.action.name for outcome in done if isinstance(outcome.action, Delete)}
        staying = [pod for pod in self.active if name_of(pod) not in gone]
        return len(staying) + created, sum(map(is_ready, staying))

    def _note_completion(self, active: int) -> None:
        if self.target is not None or active:
            return
        succeeded = self.succeeded
        if succeeded >= (1 if self.completions is None else self.completions):
            message = "Reached expected number of succeeded pods"
            self.target = job_condition(
                SUCCESS_CRITERIA_MET, "CompletionsReached", message, self.now
            )

    def _note_suspension(self, events: list[Action]) -> None:
        if self.target is not None or is_deleting(self.job):
            return
        before = self.conditions
        if is_suspended(self.job):
            self.start_time = None
            self.conditions = with_status(
                before, "Suspended", "True", "JobSuspended", "Job suspended", self.now
            )
            event = Emit(self.job, "Normal", "Suspended", "Job suspended")
        else:
            self.conditions = with_status(
                before, "Suspended", "False", "JobResumed", "Job resumed", self.now
            )
            event = Emit(self.job, "Normal", "Resumed", "Job resumed")
        if self.conditions != before:
            events.append(event)
            if not is_suspended(self.job):
                self.start_time = format_time(self.now)

    def _count_ended(self) -> list[Obj]:
        """Puts pods that have ended into the lists of the uncounted. Returns those whose finalizer
        may go once that is written.
        """
        released: list[Obj] = []
        waiting = {uid_of(pod) for pod in self.retries.values()} if self.target is None else set()
        is_failing = self.target is not None and self.target["type"] == FAILURE_TARGET
        for pod in self.pods:
            if not is_tracked(pod) or (uid_of(pod) in waiting and not is_deleting(self.job)):
                continue
            failed, succeeded = is_failed(self.job, pod), phase_of(pod) == "Succeeded"
            if not failed and not succeeded and self.target is None and not is_deleting(self.job):
                continue
            if self.counters.is_full:
                break
            released.append(pod)
            self._count(pod, succeeded=succeeded, failed=failed or is_failing)
        return released

    def _count(self, pod: Obj, *, succeeded: bool, failed: bool) -> None:
        uid, counters = uid_of(pod), self.counters
        if succeeded and uid not in counters.waiting_failed:
            if not is_indexed(self.job) and uid not in counters.waiting_succeeded:
                counters.waiting_succeeded.append(uid)
        elif failed and uid not in counters.waiting_failed and judge(self.job, pod).counts:
            counters.waiting_failed.append(uid)

    def _note_target(self) -> None:
        """Says why the Job is to end, before pods are let go."""
        if self.target is not None and not is_true(self.conditions, self.target["type"]):
            self.conditions = [*self.conditions, self.target]

    def _written(self, active: int, ready: int, events: list[Action]) -> dict[str, Any]:
        counters = self.counters
        status: dict[str, Any] = {
            "ready": ready,
            "terminating": self.terminating,
            "uncountedTerminatedPods": counters.uncounted(),
        }
        optional: dict[str, Any] = {
            "startTime": self.start_time,
            "active": active,
            "succeeded": counters.succeeded,
            "failed": counters.failed,
        }
        if is_indexed(self.job):
            optional["succeeded"] = len(self.succeeded_indexes)
            optional["completedIndexes"] = indexes.written(self.succeeded_indexes)
        if has_limit_per_index(self.job):
            status["failedIndexes"] = indexes.written(self.failed_indexes)
        conditions = self._final(status)
        if conditions:
            optional["conditions"] = conditions
        return status | {field: value for field, value in optional.items() if value}

    def _final(self, status: dict[str, Any]) -> list[Obj]:
        """The conditions, with that of the end once every pod has ended and is counted."""
        target = self.target
        was_noted = target is not None and is_true(
            self.status.get("conditions") or (), target["type"]
        )
        if target is None or not was_noted or self.counters.waiting or self.terminating:
            return self.conditions
        if any(is_tracked(pod) for pod in self.pods):
            return self.conditions
        type_ = "Failed" if target["type"] == FAILURE_TARGET else "Complete"
        if type_ == "Complete":
            status["completionTime"] = format_time(self.now)
        end = job_condition(type_, target.get("reason", ""), target.get("message", ""), self.now)
        return [*self.conditions, end]

    def _end_events(self, status: Obj) -> list[Action]:
        end = finished_condition({"status": status}) or {}
        if end["type"] == "Failed":
            return [Emit(self.job, "Warning", end["reason"], end["message"])]
        done = Emit(self.job, "Normal", "Completed", "Job completed")
        if self.completions is not None and int(status.get("succeeded") or 0) > self.completions:
            message = "Too many succeeded pods"
            return [Emit(self.job, "Warning", "TooManySucceededPods", message), done]
        return [done]

    @property
    def wake_at(self) -> float | None:
        """When the deadline passes, or a pod may be tried again."""
        return earliest(*self.wakes)


def _restarts(pod: Obj) -> int:
    """How often the containers of a pod that runs were restarted."""
    if phase_of(pod) not in ("Running", "Pending"):
        return 0
    status = status_of(pod)
    return sum(
        int(container.get("restartCount") or 0)
        for field in ("initContainerStatuses", "containerStatuses")
        for container in status.get(field) or ()
    )


def _selector(job: Obj) -> Any:
    return selector_of(spec_of(job).get("selector"))


def _of_pod(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The Job of a pod, before and after a change; of one that has lost its Job the one it is named
    after.
    """
    keys: list[Key] = []
    for pod in (old, new):
        if pod is not None and (pod is new or new is None or has_moved(pod, new)):
            keys += owner_keys(view, JOB, pod, _selector)
            if is_tracked(pod) and JOB_NAME_LABEL in labels_of(pod):
                keys.append((namespace_of(pod), labels_of(pod)[JOB_NAME_LABEL]))
    return keys


JOB_CONTROLLER = Controller(
    "job-controller",
    "job-controller",
    "job-controller",
    {JOBS: own_key, PODS: _of_pod},
    plan,
)
