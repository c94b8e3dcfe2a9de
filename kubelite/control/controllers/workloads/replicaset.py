"""ReplicaSet and ReplicationController: as many pods as asked for, and their status. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from kubelite.client.resources import (
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    GroupVersionResource,
)
from kubelite.control.controllers.actions import (
    NOTHING,
    Action,
    Create,
    Delete,
    Outcome,
    Plan,
    Refusal,
    Step,
    Update,
    earliest,
    refusals,
)
from kubelite.control.controllers.controller import Concerned, Controller, nobody, own_key
from kubelite.control.controllers.shared import conditions
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    controller_of,
    format_time,
    generation_of,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from kubelite.control.controllers.shared.ownership import OwnerKind, claim, owner_keys
from kubelite.control.controllers.shared.pod_events import pod_event
from kubelite.control.controllers.shared.pod_state import (
    available_at,
    is_active,
    is_available,
    is_ready,
    is_terminating,
)
from kubelite.control.controllers.shared.pod_template import (
    copies,
    generate_name,
    name_pods,
    pod_of,
)
from kubelite.control.controllers.shared.selectors import selector_of
from kubelite.control.controllers.view import View, controlled_by, is_namespace_ending
from kubelite.control.controllers.workloads.pod_ranking import victims
from kubelite.objects.facts.labels import Selector, of_map

BURST = 500
"""At most so many pods are created or deleted by one plan."""


class ReplicaKind(NamedTuple):
    """What differs between ReplicaSet and ReplicationController."""

    owner: OwnerKind
    selector: Callable[[Obj], Selector]
    counts_terminating: bool


REPLICA_SET = ReplicaKind(
    OwnerKind(REPLICA_SETS, "apps/v1", "ReplicaSet"),
    lambda owner: selector_of(spec_of(owner).get("selector")),
    counts_terminating=True,
)
REPLICATION_CONTROLLER = ReplicaKind(
    OwnerKind(REPLICATION_CONTROLLERS, "v1", "ReplicationController"),
    lambda owner: of_map(spec_of(owner).get("selector") or {}),
    counts_terminating=False,
)


class _Pods(NamedTuple):
    """The pods of one owner: those that count, and those that are being deleted."""

    active: Sequence[Obj]
    terminating: Sequence[Obj]


def plan(kind: ReplicaKind, view: View, key: Key, now: float) -> Plan:
    """What brings the pods of one owner to its ``spec.replicas``, and its status up to date."""
    owner = view.get(kind.owner.resource, *key)
    if owner is None:
        return NOTHING
    claimed = claim(view, owner, kind.owner, PODS, kind.selector(owner), is_active)
    pods = _Pods(
        [pod for pod in claimed.owned if is_active(pod)],
        [pod for pod in claimed.owned if is_terminating(pod)],
    )
    difference = 0 if is_deleting(owner) else len(pods.active) - replicas_of(owner)
    settle = partial(_settled, kind, owner, pods, difference, now)
    if difference < 0 and not is_namespace_ending(view, key[0]):
        step = _creation(kind, owner, view, min(-difference, BURST), now, settle)
    elif difference > 0:
        step = _deletion(kind, owner, view, pods, min(difference, BURST), now, settle)
    else:  # in a namespace that ends, each pod that goes would be one more refusal
        return Plan((*claimed.actions, *settle(())), _next_available(owner, pods.active, now))
    return Plan((*claimed.actions, step), _next_available(owner, pods.active, now))


def replicas_of(owner: Obj) -> int:
    """How many pods are asked for."""
    replicas = spec_of(owner).get("replicas")
    return 1 if replicas is None else int(replicas)


def _creation(
    kind: ReplicaKind, owner: Obj, view: View, count: int, now: float, settle: Any
) -> Step:
    template = spec_of(owner).get("template") or {}
    new = copies(pod_of(owner, kind.owner, template), count)
    existing = controlled_by(view, PODS, uid_of(owner))
    state = [uid_of(owner), owner["metadata"].get("resourceVersion") or ""]
    if conditions.is_true(owner, "ReplicaFailure"):
        state.append(
            str(now)
        )  # the last attempt was refused: each has names of its own, as upstream
    taken = {name_of(pod) for pod in existing}
    name_pods(new, generate_name(owner), taken, *state, *sorted(uid_of(pod) for pod in existing))
    return Step(tuple(Create(PODS, pod) for pod in new), settle, "slow start")


def _deletion(
    kind: ReplicaKind, owner: Obj, view: View, pods: _Pods, count: int, now: float, settle: Any
) -> Step:
    related = pods.active if kind is REPLICATION_CONTROLLER else related_pods(view, owner, pods)
    chosen = victims(pods.active, related, count, now)
    actions = tuple(Delete(PODS, namespace_of(pod), name_of(pod), uid_of(pod)) for pod in chosen)
    return Step(actions, settle, "parallel")


def related_pods(view: View, owner: Obj, pods: _Pods) -> Iterable[Obj]:
    """The pods of all ReplicaSets that have the same controlling owner."""
    above = controller_of(owner)
    if above is None:
        return pods.active
    siblings = controlled_by(view, REPLICA_SETS, above["uid"])
    return [pod for rs in siblings for pod in controlled_by(view, PODS, uid_of(rs))]


def _settled(
    kind: ReplicaKind,
    owner: Obj,
    pods: _Pods,
    difference: int,
    now: float,
    outcomes: tuple[Outcome, ...],
) -> tuple[Action, ...]:
    """Events for what was done, and the status where it is due.

    After pods have been created or deleted without a failure, the next plan writes the status.
    """
    shown = tuple(pod_event(owner, outcome) for outcome in outcomes)
    events = tuple(event for event in shown if event is not None)
    failures = [refusal for refusal in refusals(outcomes) if not refusal.is_namespace_ending]
    failures = [refusal for refusal in failures if not refusal.is_exists]
    if outcomes and not failures:
        return events
    return (*events, *_status(kind, owner, pods, difference, failures[:1], now))


def _status(
    kind: ReplicaKind,
    owner: Obj,
    pods: _Pods,
    difference: int,
    failures: Sequence[Refusal],
    now: float,
) -> tuple[Action, ...]:
    """Writes the status where it differs from what is there."""
    status: dict[str, Any] = {
        "replicas": len(pods.active),
        **_counts(owner, pods, now),
        "observedGeneration": generation_of(owner),
    }
    if kind.counts_terminating:
        status["terminatingReplicas"] = len(pods.terminating)
    changed = _conditions(owner, difference, failures, now)
    if changed:
        status["conditions"] = changed
    if status == status_of(owner):
        return ()
    return (Update(kind.owner.resource, {**owner, "status": status}, "status"),)


def _counts(owner: Obj, pods: _Pods, now: float) -> dict[str, int]:
    """The counts that are left out while they are zero."""
    labels = (spec_of(owner).get("template") or {}).get("metadata", {}).get("labels") or {}
    template = labels.items()
    ready = [pod for pod in pods.active if is_ready(pod)]
    seconds = min_ready_seconds(owner)
    available = [pod for pod in ready if is_available(pod, seconds, now)] if seconds else ready
    counts = {
        "fullyLabeledReplicas": sum(template <= labels_of(pod).items() for pod in pods.active),
        "readyReplicas": len(ready),
        "availableReplicas": len(available),
    }
    return {field: count for field, count in counts.items() if count}


def _conditions(owner: Obj, difference: int, failures: Sequence[Refusal], now: float) -> list[Obj]:
    present = list(status_of(owner).get("conditions") or ())
    if not failures:
        return conditions.without(present, "ReplicaFailure")
    if conditions.find(present, "ReplicaFailure"):
        return present
    failure = {
        "type": "ReplicaFailure",
        "status": "True",
        "lastTransitionTime": format_time(now),
        "reason": "FailedCreate" if difference < 0 else "FailedDelete",
        "message": failures[0].message,
    }
    return conditions.with_condition(present, failure)


def min_ready_seconds(owner: Obj) -> int:
    """For how long a pod must be ready before it counts as available."""
    return int(spec_of(owner).get("minReadySeconds") or 0)


def _next_available(owner: Obj, active: Iterable[Obj], now: float) -> float | None:
    """When the next pod becomes available."""
    seconds = min_ready_seconds(owner)
    if not seconds:
        return None
    times = (available_at(pod, seconds) for pod in active)
    return earliest(*(time for time in times if time is not None and time > now))


def _concerned(kind: ReplicaKind, view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The owners of a pod, before and after a change."""
    keys: list[Key] = []
    for pod in (old, new):
        if pod is not None and (pod is new or new is None or _changed_owner(pod, new)):
            keys += owner_keys(view, kind.owner, pod, kind.selector)
    return keys


def _changed_owner(old: Obj, new: Obj) -> bool:
    return controller_of(old) != controller_of(new)


def _controller(name: str, account: str, component: str, kind: ReplicaKind) -> Controller:
    watches: dict[GroupVersionResource, Concerned] = {
        kind.owner.resource: own_key,
        PODS: partial(_concerned, kind),
        NAMESPACES: nobody,
    }
    return Controller(name, account, component, watches, partial(plan, kind))


REPLICA_SET_CONTROLLER = _controller(
    "replicaset-controller", "replicaset-controller", "replicaset-controller", REPLICA_SET
)
REPLICATION_CONTROLLER_CONTROLLER = _controller(
    "replicationcontroller-controller",
    "replication-controller",
    "replication-controller",
    REPLICATION_CONTROLLER,
)
