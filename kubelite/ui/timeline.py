"""When a pod's start took which step. Pure.

The API tells seconds; what the engine has on record on the pod's own machine tells more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.lib.json import Object

if TYPE_CHECKING:
    from kubelite.node.runtime.records import ContainerRecord, FinishedAttempt, ObservedPod

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONDITIONS = {
    "PodScheduled": "scheduled",
    "Initialized": "initialized",
    "Ready": "ready",
}
_RECORDED = ("Initialized", "Ready")


class Mark(NamedTuple):
    """A step that was taken at a time, in microseconds since 1970. ``container`` is "" for a step
    of the whole pod; ``is_exact``: the time is more than the second.
    """

    step: str
    at: int
    container: str = ""
    is_exact: bool = True


def from_objects(pod: Mapping[str, Any]) -> Iterator[Mark]:
    """The steps that a pod of the API tells."""
    yield Mark("created", _microseconds(pod["metadata"]["creationTimestamp"]), "", False)
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        step, since = _CONDITIONS.get(condition["type"]), condition.get("lastTransitionTime")
        if step and since and condition["status"] == "True":
            yield Mark(step, _microseconds(since), "", False)
    for key in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(key) or ():
            state = container.get("state") or {}
            started = (state.get("running") or state.get("terminated") or {}).get("startedAt")
            if started and not container.get("restartCount"):
                yield Mark("started", _microseconds(started), container["name"], False)


def from_records(
    observed: ObservedPod, history: Mapping[str, Sequence[FinishedAttempt]]
) -> Iterator[Mark]:
    """The steps that are on record of a pod's first start in this boot."""
    yield Mark("accepted", observed.pod.created_at // 1000)
    if observed.sandbox is not None:
        yield Mark("sandbox", observed.sandbox.started_at // 1000)
    for container in observed.containers:
        first = _first(container.record, history.get(container.record.name, ()))
        if first is not None:
            yield Mark("containerCreated", first.created_at // 1000, first.name)
            if first.started_at:
                yield Mark("started", first.started_at // 1000, first.name)
    for kind in _RECORDED:
        status, since = observed.conditions.since.get(kind, ("", 0))
        if status == "True":
            yield Mark(_CONDITIONS[kind], since // 1000)


def document(reported: Sequence[Mark], recorded: Sequence[Mark]) -> Object:
    """The start of a pod as the page gets it: steps in order, each once, by its best time."""
    best = {(mark.step, mark.container): mark for mark in (*reported, *recorded)}
    marks = sorted(best.values(), key=lambda mark: mark.at)
    return {
        "isExact": bool(recorded),
        "steps": [
            {
                "step": mark.step,
                "container": mark.container,
                "time": _rfc3339(mark.at),
                "isExact": mark.is_exact,
            }
            for mark in marks
        ],
    }


def _first(
    record: ContainerRecord, attempts: Sequence[FinishedAttempt]
) -> ContainerRecord | FinishedAttempt | None:
    """The first attempt of a container, where it is still known."""
    if record.attempt == 0:
        return record
    return next((attempt for attempt in attempts if attempt.attempt == 0), None)


def _microseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


def _rfc3339(microseconds: int) -> str:
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
