"""The pods of a Job: what counts as failed, when the next may come, and what they are made of.
Pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from kubelite.control.controllers.batch.indexes import INDEX_ANNOTATION, UNKNOWN, index_of
from kubelite.control.controllers.batch.policies import judge
from kubelite.control.controllers.shared.hashing import MAX_BASE
from kubelite.control.controllers.shared.meta import (
    Obj,
    annotations_of,
    created_at,
    is_deleting,
    name_of,
    parse_time,
    spec_of,
    status_of,
)
from kubelite.control.controllers.shared.ownership import OwnerKind
from kubelite.control.controllers.shared.pod_state import (
    condition_of,
    is_active,
    is_terminating,
    phase_of,
)
from kubelite.control.controllers.shared.pod_template import pod_of
from kubelite.control.controllers.workloads.pod_ranking import rank

FINALIZER = "batch.kubernetes.io/job-tracking"
FAILURE_COUNT = "batch.kubernetes.io/job-index-failure-count"
IGNORED_COUNT = "batch.kubernetes.io/job-index-ignored-failure-count"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
FIRST_BACKOFF = 10.0
MAX_BACKOFF = 600.0
"""Seconds between a failed pod and the next, doubling with each failure in a row."""


def is_indexed(job: Obj) -> bool:
    """Whether each pod has a completion index."""
    return spec_of(job).get("completionMode") == "Indexed"


def has_limit_per_index(job: Obj) -> bool:
    """Whether each index has its own back-off limit."""
    return spec_of(job).get("backoffLimitPerIndex") is not None


def replaces_only_failed(job: Obj) -> bool:
    """Whether a pod that is being deleted is replaced only when it has ended."""
    policy = spec_of(job).get("podReplacementPolicy")
    if policy is not None:
        return bool(policy == "Failed")
    return spec_of(job).get("podFailurePolicy") is not None


def is_tracked(pod: Obj) -> bool:
    """Whether the Job has not let go of a pod: it is not counted yet."""
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def is_failed(job: Obj, pod: Obj) -> bool:
    """Whether a pod counts as failed: it has, or it is being deleted and need not end first."""
    if phase_of(pod) == "Failed":
        return True
    if replaces_only_failed(job):
        return False
    return is_deleting(pod) and phase_of(pod) != "Succeeded"


def finished_at(pod: Obj) -> float:
    """When a pod ended, as far as it says: its last container, its deletion, its readiness."""
    statuses = status_of(pod).get("containerStatuses") or ()
    times = [
        parse_time(((container.get("state") or {}).get("terminated") or {}).get("finishedAt"))
        for container in statuses
    ]
    if any(times):
        return max(times)
    metadata = pod["metadata"]
    if metadata.get("deletionTimestamp"):
        grace = float(metadata.get("deletionGracePeriodSeconds") or 0)
        return parse_time(metadata["deletionTimestamp"]) - grace
    ready = condition_of(pod, "Ready")
    return parse_time((ready or {}).get("lastTransitionTime")) or created_at(pod)


def backoff_until(failures: int, last: float) -> float:
    """When the next pod may come after so many failures in a row."""
    if failures <= 0:
        return 0.0
    return last + min(FIRST_BACKOFF * 2.0 ** min(failures - 1, 30), MAX_BACKOFF)


def next_pod_at(job: Obj, pods: Iterable[Obj]) -> float:
    """When the next pod may come: a back-off for the failures since the last success."""
    failures, last = 0, 0.0
    ended = [pod for pod in pods if phase_of(pod) == "Succeeded" or is_failed(job, pod)]
    for pod in sorted(ended, key=lambda pod: (finished_at(pod), name_of(pod))):
        failures = 0 if phase_of(pod) == "Succeeded" else failures + 1
        last = finished_at(pod)
    return backoff_until(failures, last)


def failure_count(pod: Obj) -> int:
    """How often the index of a pod had failed before it."""
    return _number(pod, FAILURE_COUNT)


def _number(pod: Obj, annotation: str) -> int:
    text = annotations_of(pod).get(annotation, "")
    return int(text) if text.isdecimal() else 0


def _all_failures(pod: Obj) -> int:
    return _number(pod, FAILURE_COUNT) + _number(pod, IGNORED_COUNT)


def is_index_failed(job: Obj, pod: Obj) -> bool:
    """Whether a failed pod means that its index has failed for good."""
    verdict = judge(job, pod)
    if verdict.action == "FailIndex":
        return True
    limit = spec_of(job).get("backoffLimitPerIndex")
    return limit is not None and verdict.counts and failure_count(pod) >= int(limit)


def failed_indexes(job: Obj, pods: Iterable[Obj], before: frozenset[int]) -> frozenset[int]:
    """The indexes that have failed for good."""
    completions = int(spec_of(job).get("completions") or 0)
    return before | {
        index_of(pod)
        for pod in pods
        if is_tracked(pod)
        and UNKNOWN < index_of(pod) < completions
        and is_failed(job, pod)
        and is_index_failed(job, pod)
    }


def replaceable(
    job: Obj, pods: Sequence[Obj], done: Iterable[int], failed: Iterable[int]
) -> dict[int, Obj]:
    """For indexes with an own limit: the last failed pod of each index that waits for another try.

    It keeps its finalizer until then: its annotations hold how often the index has failed.
    """
    if not has_limit_per_index(job):
        return {}
    settled = {*done, *failed, *(index_of(pod) for pod in pods if is_active(pod))}
    latest: dict[int, Obj] = {}
    for pod in pods:
        index = index_of(pod)
        if index == UNKNOWN or index in settled or not is_tracked(pod) or not is_failed(job, pod):
            continue
        previous = latest.get(index)
        if previous is None or _all_failures(previous) < _all_failures(pod):
            latest[index] = pod
    return latest


def index_may_start_at(pod: Obj | None) -> float:
    """When an index may be tried again after this pod failed."""
    return backoff_until(_all_failures(pod) + 1, finished_at(pod)) if pod is not None else 0.0


def surplus(job: Obj, pods: Sequence[Obj], count: int, now: float) -> list[Obj]:
    """Active pods that go: those of an index that another has, or that does not exist, and as many
    others as are too many.
    """
    chosen: list[Obj] = []
    rest = list(pods)
    if is_indexed(job):
        chosen, rest = _duplicates(job, pods, now)
    missing = max(0, count - len(chosen))
    return chosen + sorted(rest, key=lambda pod: rank(pod, Counter(), now))[:missing]


def _duplicates(job: Obj, pods: Sequence[Obj], now: float) -> tuple[list[Obj], list[Obj]]:
    completions = int(spec_of(job).get("completions") or 0)
    groups: dict[int, list[Obj]] = defaultdict(list)
    for pod in pods:
        groups[index_of(pod)].append(pod)
    chosen: list[Obj] = []
    rest: list[Obj] = []
    for index, group in groups.items():
        if not UNKNOWN < index < completions:
            chosen += group
            continue
        ranked = sorted(group, key=lambda pod: rank(pod, Counter(), now))
        chosen += ranked[:-1]
        rest += ranked[-1:]
    return chosen, rest


def new_pod(job: Obj, kind: OwnerKind) -> dict[str, Any]:
    """A pod of a Job without indexes, without a name."""
    pod = pod_of(job, kind, spec_of(job).get("template") or {})
    metadata = pod["metadata"]
    finalizers = metadata.get("finalizers") or []
    metadata["finalizers"] = [*(item for item in finalizers if item != FINALIZER), FINALIZER]
    return pod


def new_indexed_pod(job: Obj, kind: OwnerKind, index: int, replaced: Obj | None) -> dict[str, Any]:
    """The pod of an index, with how often the index has failed before."""
    pod = new_pod(job, kind)
    give_index(pod, name_of(job), index)
    pod["metadata"]["annotations"] |= _failure_notes(job, replaced)
    return pod


def give_index(pod: dict[str, Any], job_name: str, index: int) -> None:
    """Tells a pod its index, by annotation, label, host name and variable."""
    metadata, spec = pod["metadata"], pod["spec"]
    for field in ("annotations", "labels"):
        metadata[field] = {**(metadata.get(field) or {}), INDEX_ANNOTATION: str(index)}
    spec["hostname"] = f"{job_name}-{index}"
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX_ANNOTATION}']"}}
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        variables = container.get("env") or []
        if not any(item.get("name") == INDEX_VARIABLE for item in variables):
            container["env"] = [*variables, {"name": INDEX_VARIABLE, "valueFrom": source}]


def _failure_notes(job: Obj, replaced: Obj | None) -> dict[str, str]:
    if not has_limit_per_index(job):
        return {}
    failures = ignored = 0
    if replaced is not None:
        failures, ignored = _number(replaced, FAILURE_COUNT), _number(replaced, IGNORED_COUNT)
        if is_failed(job, replaced):
            counts = judge(job, replaced).counts
            failures, ignored = failures + counts, ignored + (not counts)
    notes = {FAILURE_COUNT: str(failures)}
    return notes | ({IGNORED_COUNT: str(ignored)} if ignored else {})


def name_base(job: Obj, index: int = UNKNOWN) -> str:
    """What the name of a pod begins with; the index stays whole where the Job's name is cut."""
    tail = "-" if index == UNKNOWN else f"-{index}-"
    return name_of(job)[: MAX_BASE - len(tail)] + tail


def count_terminating(pods: Iterable[Obj]) -> int:
    """How many pods are being deleted and have not ended."""
    return sum(map(is_terminating, pods))
