"""What a new pod is given by the cluster: its priority, its tolerations, what its runtime class
demands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import refused
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt

_BORN_WITH = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
TOLERATED_SECONDS = 300
_TOPOLOGY = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


async def priority(attempt: Attempt) -> None:
    """Turns the priority class of a new pod into numbers. Raises StatusError 403."""
    if attempt.of("scheduling.k8s.io", "priorityclasses") and attempt.operation != "DELETE":
        await _one_default(attempt)
    if not attempt.creates("", "pods"):
        return
    spec = attempt.obj["spec"]
    chosen = await _class_of(attempt, spec.get("priorityClassName", ""))
    value = chosen.get("value", 0)
    if spec.get("priority") is not None and spec["priority"] != value:
        why = (
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
            "priority admission "
            f"controller computed {value} from the given PriorityClass name"
        )
        raise refused(attempt.request.resource, attempt.name, why)
    spec["priority"] = value
    policy = chosen.get("preemptionPolicy", "PreemptLowerPriority")
    if spec.get("preemptionPolicy") not in (None, policy):
        why = (
            f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be "
            f"provided in pod spec; priority admission controller computed {policy} from the "
            "given PriorityClass name"
        )
        raise refused(attempt.request.resource, attempt.name, why)
    spec["preemptionPolicy"] = policy
    if chosen and not spec.get("priorityClassName"):
        spec["priorityClassName"] = chosen["metadata"]["name"]


async def _class_of(attempt: Attempt, name: str) -> Object:
    """The named class, or the default one; {} where there is none."""
    if name:
        entry = await attempt.context.store.get("priorityclasses", "", name)
        if entry is None:
            raise refused(
                attempt.request.resource,
                attempt.name,
                f"no PriorityClass with name {name} was found",
            )
        return load(entry)
    defaults = await _defaults(attempt)
    return (
        min(defaults, key=lambda priority_class: int(priority_class.get("value", 0)))
        if defaults
        else {}
    )


async def _defaults(attempt: Attempt) -> list[Object]:
    page = await attempt.context.store.page("priorityclasses")
    return [
        obj
        for entry in page.entries
        if b'"globalDefault":true' in entry.value and (obj := load(entry))
    ]


async def _one_default(attempt: Attempt) -> None:
    if not attempt.obj.get("globalDefault"):
        return
    for priority_class in await _defaults(attempt):
        other = priority_class["metadata"]["name"]
        if other != attempt.name:
            why = f"PriorityClass {other} is already marked as default. Only one default can exist"
            raise refused(attempt.request.resource, attempt.name, why)


async def tolerations(attempt: Attempt) -> None:
    """A pod stays for five minutes on a node that has gone quiet, unless it says otherwise."""
    if not attempt.of("", "pods") or attempt.operation == "DELETE":
        return
    spec = attempt.obj["spec"]
    present = spec.get("tolerations") or []
    for taint in _BORN_WITH:
        if not any(_tolerates(toleration, taint) for toleration in present):
            fresh = {
                "key": taint,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": TOLERATED_SECONDS,
            }
            present = [*present, fresh]
    spec["tolerations"] = present


def _tolerates(toleration: Object, taint: str) -> bool:
    return toleration.get("key", taint) in (taint, "") and toleration.get(
        "effect", "NoExecute"
    ) in ("NoExecute", "")


async def runtime_class(attempt: Attempt) -> None:
    """Adds the overhead, node selector and tolerations of the pod's runtime class. Raises
    StatusError 403.
    """
    if not attempt.creates("", "pods"):
        return
    spec = attempt.obj["spec"]
    if not spec.get("runtimeClassName"):
        if spec.get("overhead"):
            why = (
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            )
            raise refused(attempt.request.resource, attempt.name, why)
        return
    entry = await attempt.context.store.get("runtimeclasses", "", spec["runtimeClassName"])
    if entry is None:
        why = f'pod rejected: RuntimeClass "{spec["runtimeClassName"]}" not found'
        raise refused(attempt.request.resource, attempt.name, why)
    runtime = load(entry)
    overhead = (runtime.get("overhead") or {}).get("podFixed")
    if overhead:
        if spec.get("overhead") and spec["overhead"] != overhead:
            why = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
            raise refused(attempt.request.resource, attempt.name, why)
        spec["overhead"] = overhead
    _follow_scheduling(attempt, spec, runtime.get("scheduling") or {})


def _follow_scheduling(attempt: Attempt, spec: Object, scheduling: Object) -> None:
    wanted, own = scheduling.get("nodeSelector") or {}, spec.get("nodeSelector") or {}
    for key, value in wanted.items():
        if own.get(key, value) != value:
            why = (
                f"pod rejected: conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {own[key]}"
            )
            raise refused(attempt.request.resource, attempt.name, why)
    if wanted:
        spec["nodeSelector"] = {**own, **wanted}
    known = spec.get("tolerations") or []
    spec["tolerations"] = [
        *known,
        *(
            toleration
            for toleration in scheduling.get("tolerations") or ()
            if toleration not in known
        ),
    ]
    if not spec["tolerations"]:
        del spec["tolerations"]


async def topology_labels(attempt: Attempt) -> None:
    """A pod that gets its node gets the labels of the node's zone and region."""
    request = attempt.request
    is_bound = attempt.creates("", "pods") and attempt.obj["spec"].get("nodeName")
    is_binding = request.sub == "binding" and request.resource.plural == "pods"
    if not is_bound and not is_binding:
        return
    entry = await attempt.context.store.get("minions", "", attempt.obj["spec"]["nodeName"])
    labels = load(entry)["metadata"].get("labels") or {} if entry is not None else {}
    topology = {key: labels[key] for key in _TOPOLOGY if key in labels}
    if topology:
        metadata = attempt.obj["metadata"]
        metadata["labels"] = {**(metadata.get("labels") or {}), **topology}
