"""The status of a pod as the API server is told it. Pure.

The node observes containers; what only the cluster knows (readiness gates, conditions of others,
the generation) is taken from the object that the API server has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kubelite.lib.json import Object
from kubelite.node.kubelet.decide.status import PASSING
from kubelite.objects.pod.pod import Pod

TERMINAL = ("Succeeded", "Failed")


def status_document(pod: Pod, address: str) -> Object:
    """The status of an observed pod. ``address`` is the node's."""
    document: Object = msgspec.to_builtins(pod.status)
    document["hostIP"] = address
    document["hostIPs"] = [{"ip": address}]
    if pod.spec.host_network:
        document["podIP"] = address
        document["podIPs"] = [{"ip": address}]
    if pod.metadata.generation is not None:
        document["observedGeneration"] = pod.metadata.generation
    return document


def allocated(document: Mapping[str, Any]) -> list[Any]:
    """What a pod with this status is given of the node; empty for one that has ended."""
    if document.get("phase") in TERMINAL:
        return []
    groups = (document.get("initContainerStatuses", ()), document.get("containerStatuses", ()))
    return [status.get("allocatedResources") for group in groups for status in group]


def merged(document: Object, live: Mapping[str, Any]) -> Object:
    """What to write over the live object's status: readiness gates are judged, and conditions keep
    the times of transitions that did not happen.
    """
    status = dict(document)
    before = (live.get("status") or {}).get("conditions") or ()
    conditions = [dict(condition) for condition in status.get("conditions", ())]
    _judge_gates(conditions, live, before)
    generation = live["metadata"].get("generation")
    if not live["metadata"].get("deletionTimestamp"):  # a pod that goes is changed no more
        generation = status.get("observedGeneration", generation)
    for condition in conditions:
        if generation is not None:
            condition.setdefault("observedGeneration", generation)
    status["conditions"] = _with_times(conditions, before)
    if generation is not None:
        status["observedGeneration"] = generation
    return status


def patch(status: Object, live: Mapping[str, Any]) -> Object | None:
    """The strategic merge patch that brings the live object to ``status``; None if it is there.

    Fields that the node owns and no longer reports are removed.
    """
    before = live.get("status") or {}
    changed = {key: value for key, value in status.items() if not _same(key, value, before)}
    owned = (
        "message",
        "reason",
        "containerStatuses",
        "initContainerStatuses",
        "ephemeralContainerStatuses",
    )
    gone = {key: None for key in owned if key in before and key not in status}
    if "conditions" in changed:
        changed["conditions"] = _replacing(changed["conditions"], before)
    if not changed and not gone:
        return None
    return {"metadata": {"uid": live["metadata"]["uid"]}, "status": changed | gone}


def _same(key: str, value: Any, before: Mapping[str, Any]) -> bool:
    if key != "conditions":
        return bool(before.get(key) == value)
    known = _conditions(before)
    same = all(known.get(condition["type"]) == condition for condition in value)
    return same and not _passed(value, before)


def _replacing(conditions: Sequence[Object], before: Mapping[str, Any]) -> list[Object]:
    """Conditions are merged by type: what one no longer says, a reason for instance, is removed."""
    known = _conditions(before)
    kept = [dict.fromkeys(known.get(new["type"], ()), None) | new for new in conditions]
    return [*kept, *({"$patch": "delete", "type": kind} for kind in _passed(conditions, before))]


def _passed(conditions: Sequence[Object], before: Mapping[str, Any]) -> list[str]:
    """The conditions that the pod has no more, of those that it has only while they hold."""
    known, now = _conditions(before), {condition["type"] for condition in conditions}
    return [kind for kind in PASSING if kind in known and kind not in now]


def _conditions(status: Mapping[str, Any]) -> dict[str, Object]:
    return {condition["type"]: condition for condition in status.get("conditions") or ()}


def _judge_gates(
    conditions: list[Object], live: Mapping[str, Any], before: Sequence[Mapping[str, Any]]
) -> None:
    """A pod whose readiness gates are not all True is not ready (KEP 580)."""
    gates = [gate["conditionType"] for gate in live["spec"].get("readinessGates") or ()]
    holds = {condition["type"]: condition.get("status") == "True" for condition in before}
    missing = [gate for gate in gates if not holds.get(gate)]
    for condition in conditions:
        if condition["type"] == "Ready" and condition["status"] == "True" and missing:
            condition |= {
                "status": "False",
                "reason": "ReadinessGatesNotReady",
                "message": "; ".join(
                    f'corresponding condition of pod readiness gate "{gate}" does not exist.'
                    if gate not in holds
                    else f'the status of pod readiness gate "{gate}" is not "True", but False'
                    for gate in missing
                ),
            }


def _with_times(conditions: Sequence[Object], before: Sequence[Mapping[str, Any]]) -> list[Object]:
    known = {condition["type"]: condition for condition in before}
    result = []
    for condition in conditions:
        old = known.get(condition["type"])
        kept = {"lastProbeTime": None} if old is None or "lastProbeTime" in old else {}
        if old is not None and old.get("status") == condition["status"]:
            kept["lastTransitionTime"] = old.get("lastTransitionTime")
        result.append({**kept, **condition, **_without_none(kept, "lastTransitionTime")})
    return result


def _without_none(values: Object, key: str) -> Object:
    return {key: values[key]} if values.get(key) else {}
