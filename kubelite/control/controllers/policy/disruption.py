"""PodDisruptionBudgets: how many healthy pods there are and how many may be evicted. Pure.

After kubernetes, ``pkg/controller/disruption``. The eviction API takes from
``status.disruptionsAllowed``; this controller counts it again whenever pods change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kubelite.client.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    DEPLOYMENTS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
    GroupVersionResource,
    of_kind,
)
from kubelite.control.controllers.actions import (
    NOTHING,
    Action,
    Emit,
    Outcome,
    Plan,
    Read,
    Step,
    Update,
    earliest,
)
from kubelite.control.controllers.controller import Controller, nobody, own_key
from kubelite.control.controllers.shared.conditions import condition, without
from kubelite.control.controllers.shared.custom_resources import (
    definition_of,
    has_scale,
    resource_of,
)
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    controller_of,
    format_time,
    generation_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    parse_time,
    spec_of,
    status_of,
    uid_of,
    with_type,
)
from kubelite.control.controllers.shared.numbers import scaled
from kubelite.control.controllers.shared.pod_state import is_ready
from kubelite.control.controllers.shared.selectors import selector_of
from kubelite.control.controllers.view import View

Scales = Mapping[str, Outcome]
"""Answers about the scale of custom resources, by their uid."""
DELETION_SECONDS = 120.0
"""An evicted pod that is not being deleted after so long counts again."""
ALLOWED = "DisruptionAllowed"
_SCALABLE: Mapping[tuple[str, str], GroupVersionResource] = {
    ("", "ReplicationController"): REPLICATION_CONTROLLERS,
    ("apps", "ReplicaSet"): REPLICA_SETS,
    ("apps", "Deployment"): DEPLOYMENTS,
    ("apps", "StatefulSet"): STATEFUL_SETS,
}


class SyncError(Exception):
    """The expected number of pods cannot be told; the message is the condition's."""


class Count(NamedTuple):
    """How many pods there should be, and how many of them have to stay healthy."""

    expected: int
    desired: int
    has_unmanaged: bool = False


def plan(view: View, key: Key, now: float) -> Plan:
    """Brings the status of one budget up to date."""
    budget = view.get(POD_DISRUPTION_BUDGETS, *key)
    if budget is None or is_deleting(budget):
        return NOTHING
    pods = selected_pods(view, budget)
    waiting, _ = _disrupted_pods(status_of(budget), pods, now)
    wake = earliest(*(parse_time(time) + DELETION_SECONDS for time in waiting.values()))
    reads = _scales_to_read(view, spec_of(budget), pods)
    if not reads:
        return Plan(_counted(view, budget, pods, now, {}), wake)

    def answered(outcomes: tuple[Outcome, ...]) -> tuple[Action, ...]:
        return _counted(view, budget, pods, now, dict(zip(reads, outcomes, strict=True)))

    return Plan((Step(tuple(reads.values()), answered, "parallel", tolerant=True),), wake)


def _counted(
    view: View, budget: Obj, pods: list[Obj], now: float, scales: Scales
) -> tuple[Action, ...]:
    """The status of a budget, and what there is to tell about it."""
    described = with_type(budget, "policy/v1", "PodDisruptionBudget")
    events: list[Action] = []
    if not pods:
        events.append(Emit(described, "Normal", "NoPods", "No matching pods found"))
    try:
        count = count_of(view, spec_of(budget), pods, scales)
    except SyncError as error:
        text = f"Failed to calculate the number of expected pods: {error}"
        events.append(Emit(described, "Warning", "CalculateExpectedPodCountFailed", text))
        update = _status_update(described, _failed_status(budget, str(error), now))
        return (*events, *update) if update else ()
    if count.has_unmanaged:
        events.append(Emit(described, "Warning", "UnmanagedPods", _unmanaged_text(budget)))
    disrupted, overdue = _disrupted_pods(status_of(budget), pods, now)
    events += [_not_deleted(budget, pod) for pod in overdue]
    status = _counted_status(budget, pods, count, disrupted, now)
    return (*events, *_status_update(described, status))


def selected_pods(view: View, budget: Obj) -> list[Obj]:
    """The pods that a budget is about. An empty selector is about all pods of the namespace."""
    selector = selector_of(spec_of(budget).get("selector"))
    pods = view.list(PODS, namespace_of(budget))
    return [pod for pod in pods if selector.matches(labels_of(pod))]


# -- what should be there --------------------------------------------------------------------------


def count_of(view: View, spec: Obj, pods: Sequence[Obj], scales: Scales) -> Count:
    """The expected and the desired number of pods. Raises SyncError."""
    if (most := spec.get("maxUnavailable")) is not None:
        expected, unmanaged = _scale_of(view, pods, scales)
        return Count(expected, max(expected - scaled(most, expected, up=True), 0), unmanaged)
    least = spec.get("minAvailable")
    if isinstance(least, int):
        return Count(len(pods), least)
    if least is None:
        return Count(0, 0)
    expected, unmanaged = _scale_of(view, pods, scales)
    return Count(expected, scaled(least, expected, up=True), unmanaged)


def _scale_of(view: View, pods: Sequence[Obj], scales: Scales) -> tuple[int, bool]:
    """The replicas of all controllers of the pods, and whether a pod has none."""
    replicas: dict[str, int] = {}
    has_unmanaged = False
    for pod in pods:
        owner = controller_of(pod)
        if owner is None:
            has_unmanaged = True
        elif owner["uid"] in scales:
            replicas[owner["uid"]] = _replicas_in(scales[owner["uid"]], pod)
        elif owner["uid"] not in replicas:
            workload = _workload(view, namespace_of(pod), owner)
            if workload is None:
                raise _without_controller(pod)
            replicas[uid_of(workload)] = int(spec_of(workload).get("replicas", 1))
    return sum(replicas.values()), has_unmanaged


def _without_controller(pod: Obj) -> SyncError:
    return SyncError(f'found no controllers for pod "{name_of(pod)}"')


def _replicas_in(answer: Outcome, pod: Obj) -> int:
    """The replicas of a custom resource, by its scale. Raises SyncError."""
    if answer.refusal is not None and answer.refusal.code == 404:
        raise _without_controller(pod)
    if answer.result is None:
        raise SyncError(answer.refusal.message if answer.refusal is not None else "")
    return int(spec_of(answer.result).get("replicas") or 0)


def _scales_to_read(view: View, spec: Obj, pods: Iterable[Obj]) -> dict[str, Read]:
    """What has to be asked for, by the uid of the owner: how many pods a custom resource wants,
    only its scale says.
    """
    if spec.get("maxUnavailable") is None and not isinstance(spec.get("minAvailable"), str):
        return {}
    reads: dict[str, Read] = {}
    for pod in pods:
        owner = controller_of(pod)
        if owner is None or owner["uid"] in reads:
            continue
        group, _, version = owner["apiVersion"].rpartition("/")
        if of_kind(owner["apiVersion"], owner["kind"]) is not None:
            continue
        definition = definition_of(view, group, owner["kind"])
        if definition is not None and has_scale(definition, version):
            resource = resource_of(definition, version)
            reads[owner["uid"]] = Read(resource, namespace_of(pod), owner["name"], "scale")
    return reads


def _workload(view: View, namespace: str, owner: Obj) -> Obj | None:
    """The workload that decides how many pods there are: a ReplicaSet's is its Deployment. Raises
    SyncError for a kind without replicas.
    """
    group = owner["apiVersion"].rpartition("/")[0]
    resource = _SCALABLE.get((group, owner["kind"]))
    if resource is None:
        raise SyncError(_why_without_scale(view, group, owner))
    workload = view.get(resource, namespace, owner["name"])
    if workload is None or uid_of(workload) != owner["uid"]:
        return None
    above = controller_of(workload)
    if resource == REPLICA_SETS and above is not None and above["kind"] == "Deployment":
        return _workload(view, namespace, above)
    return workload


def _why_without_scale(view: View, group: str, owner: Obj) -> str:
    resource = of_kind(owner["apiVersion"], owner["kind"])
    definition = definition_of(view, group, owner["kind"])
    if resource is None and definition is not None:
        resource = resource_of(definition, owner["apiVersion"].rpartition("/")[2])
    if resource is None:
        return f'no matches for kind "{owner["kind"]}" in version "{owner["apiVersion"]}"'
    return f"{resource} does not implement the scale subresource"


def _unmanaged_text(budget: Obj) -> str:
    return (
        f"Pods selected by this PodDisruptionBudget (selector: {_go_text(budget)}) were found to "
        "be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which "
        "may result in undefined behavior. To account for these pods please set "
        '".spec.minAvailable" field of the PDB to an integer value.'
    )


def _go_text(budget: Obj) -> str:
    """A label selector as Kubernetes prints it in messages."""
    selector = spec_of(budget).get("selector") or {}
    labels = selector.get("matchLabels") or {}
    pairs = "".join(f"{key}: {labels[key]}," for key in sorted(labels))
    terms = "".join(
        f"LabelSelectorRequirement{{Key:{term['key']},Operator:{term['operator']},"
        f"Values:[{' '.join(term.get('values') or ())}],}},"
        for term in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{pairs}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{terms}}},}}"
    )


# -- what is there ---------------------------------------------------------------------------------


def _disrupted_pods(
    status: Obj, pods: Iterable[Obj], now: float
) -> tuple[dict[str, str], list[Obj]]:
    """The pods that were evicted and are not being deleted yet, with the time of the eviction; and
    those for which that has taken too long.
    """
    evicted: Mapping[str, str] = status.get("disruptedPods") or {}
    waiting: dict[str, str] = {}
    overdue: list[Obj] = []
    for pod in pods:
        time = evicted.get(name_of(pod))
        if time is None or is_deleting(pod):
            continue
        if parse_time(time) + DELETION_SECONDS <= now:
            overdue.append(pod)
        else:
            waiting[name_of(pod)] = time
    return waiting, overdue


def _not_deleted(budget: Obj, pod: Obj) -> Emit:
    where = f"{namespace_of(budget)}/{name_of(budget)}"
    text = f"Pod was expected by PDB {where} to be deleted but it wasn't"
    return Emit(with_type(pod, "v1", "Pod"), "Warning", "NotDeleted", text)


def _is_healthy(pod: Obj, disrupted: Mapping[str, str]) -> bool:
    return is_ready(pod) and not is_deleting(pod) and name_of(pod) not in disrupted


def _counted_status(
    budget: Obj, pods: Iterable[Obj], count: Count, disrupted: dict[str, str], now: float
) -> dict[str, Any]:
    healthy = sum(_is_healthy(pod, disrupted) for pod in pods)
    allowed = max(healthy - count.desired, 0) if count.expected > 0 else 0
    state = ("True", "SufficientPods", "") if allowed else ("False", "InsufficientPods", "")
    status: dict[str, Any] = {
        "currentHealthy": healthy,
        "desiredHealthy": count.desired,
        "disruptionsAllowed": allowed,
        "expectedPods": count.expected,
        "observedGeneration": generation_of(budget),
        "conditions": _conditions(budget, state, now, generation_of(budget)),
    }
    return status | ({"disruptedPods": disrupted} if disrupted else {})


def _failed_status(budget: Obj, why: str, now: float) -> dict[str, Any]:
    """Nothing may be evicted while nobody knows how many pods there should be. The generation is
    not observed by that, nor does the condition say so.
    """
    observed = int(status_of(budget).get("observedGeneration") or 0)
    conditions = _conditions(budget, ("False", "SyncFailed", why), now, observed)
    return {**status_of(budget), "disruptionsAllowed": 0, "conditions": conditions}


def _conditions(budget: Obj, state: tuple[str, str, str], now: float, observed: int) -> list[Obj]:
    status, reason, message = state
    old = condition(budget, ALLOWED)
    is_same = old is not None and old.get("status") == status
    new = {
        "type": ALLOWED,
        "status": status,
        **({"observedGeneration": observed} if observed else {}),
        "lastTransitionTime": old["lastTransitionTime"] if old and is_same else format_time(now),
        "reason": reason,
        "message": message,
    }
    return [*without(status_of(budget).get("conditions") or (), ALLOWED), new]


def _status_update(budget: dict[str, Any], status: dict[str, Any]) -> tuple[Action, ...]:
    if status == status_of(budget):
        return ()
    return (Update(POD_DISRUPTION_BUDGETS, {**budget, "status": status}, "status"),)


# -- what a change concerns ------------------------------------------------------------------------


def _budgets_of_pod(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The budgets that select a pod as it was or is."""
    pods = [pod for pod in (old, new) if pod is not None]
    keys = []
    for budget in view.list(POD_DISRUPTION_BUDGETS, namespace_of(pods[0])):
        selector = selector_of(spec_of(budget).get("selector"))
        if any(selector.matches(labels_of(pod)) for pod in pods):
            keys.append(key_of(budget))
    return keys


def _budgets_beside(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The budgets of a namespace where a workload is new: its pods may have been seen before it."""
    if old is not None or new is None:
        return []
    return [key_of(budget) for budget in view.list(POD_DISRUPTION_BUDGETS, namespace_of(new))]


DISRUPTION_CONTROLLER = Controller(
    "disruption-controller",
    "disruption-controller",
    "controllermanager",
    {
        POD_DISRUPTION_BUDGETS: own_key,
        PODS: _budgets_of_pod,
        CUSTOM_RESOURCE_DEFINITIONS: nobody,
        **dict.fromkeys(_SCALABLE.values(), _budgets_beside),
    },
    plan,
)
