"""One object in another version of its API: HorizontalPodAutoscaler 1 and 2, Event of either group.
Pure.

All other kinds have one version, or versions that differ in name only (custom kinds without a
conversion of their own).
"""

from __future__ import annotations

import json
from typing import Any

from kubelite.control.api.schema import structs
from kubelite.objects.facts import schema

Object = dict[str, Any]
_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
_CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_EVENT = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}


def convert(obj: Object, gv: str) -> Object:
    """The object as ``gv`` writes it; the object itself when it is that already."""
    if obj.get("apiVersion") == gv:
        return obj
    if obj.get("kind") == "Event" and gv in ("v1", "events.k8s.io/v1"):
        return _written(gv, _event(obj, gv))
    if obj.get("kind") == "HorizontalPodAutoscaler" and gv in ("autoscaling/v1", "autoscaling/v2"):
        return _written(
            gv, (_to_v1 if gv == "autoscaling/v1" else _to_v2)({**obj, "apiVersion": gv})
        )
    return {**obj, "apiVersion": gv}


def _written(gv: str, obj: Object) -> Object:
    """The object with what a server always writes in that version, in its order."""
    group, _, version = gv.rpartition("/")
    name = schema.name_of(group, version, obj["kind"])
    found: Object = structs.write(structs.read(name, obj)) if name else obj
    return found


def _event(obj: Object, gv: str) -> Object:
    new = gv.startswith("events.k8s.io/")
    names = _EVENT if new else {after: before for before, after in _EVENT.items()}
    made = {names.get(key, key): value for key, value in obj.items()} | {"apiVersion": gv}
    if new and made.get("eventTime") is None:
        # The new form requires a time that events of the old form need not have.
        born = (obj.get("metadata") or {}).get("creationTimestamp")
        made["eventTime"] = obj.get("firstTimestamp") or obj.get("lastTimestamp") or born
    return made


def _annotated(obj: Object, found: dict[str, Any]) -> Object:
    """The object with what its version has no field for, kept as annotations."""
    given = {key: json.dumps(value, separators=(",", ":")) for key, value in found.items() if value}
    metadata = dict(obj.get("metadata") or {})
    annotations = {**(metadata.get("annotations") or {}), **given}
    return {
        **obj,
        "metadata": {**metadata, "annotations": annotations} if annotations else metadata,
    }


def _taken(obj: Object) -> tuple[Object, dict[str, Any]]:
    """The object without those annotations, and what they said; one that cannot be read says
    nothing.
    """
    metadata = dict(obj.get("metadata") or {})
    annotations = dict(metadata.pop("annotations", None) or {})
    found = {}
    for key in (_METRICS, _BEHAVIOR, _CURRENT, _CONDITIONS):
        try:
            found[key] = json.loads(annotations.pop(key, "null"))
        except ValueError:
            found[key] = None
    return {
        **obj,
        "metadata": {**metadata, "annotations": annotations} if annotations else metadata,
    }, found


def _is_cpu(metric: Object, side: str) -> bool:
    resource = metric.get("resource") or {}
    return (
        resource.get("name") == "cpu"
        and (resource.get(side) or {}).get("averageUtilization") is not None
    )


def _to_v1(obj: Object) -> Object:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metrics, current = spec.pop("metrics", None) or [], status.pop("currentMetrics", None) or []
    cpu = next((each for each in metrics if _is_cpu(each, "target")), None)
    used = next((each for each in current if _is_cpu(each, "current")), None)
    kept = {
        _METRICS: [each for each in metrics if each is not cpu],
        _BEHAVIOR: spec.pop("behavior", None),
        _CURRENT: [each for each in current if each is not used],
        _CONDITIONS: status.pop("conditions", None),
    }
    if cpu is not None:
        spec["targetCPUUtilizationPercentage"] = cpu["resource"]["target"]["averageUtilization"]
    if used is not None:
        status["currentCPUUtilizationPercentage"] = used["resource"]["current"][
            "averageUtilization"
        ]
    return _annotated({**obj, "spec": spec, "status": status}, kept)


def _to_v2(obj: Object) -> Object:
    obj, kept = _taken(obj)
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metrics, current = list(kept[_METRICS] or ()), list(kept[_CURRENT] or ())
    share = spec.pop("targetCPUUtilizationPercentage", None)
    if share is not None:
        metrics.append(_cpu("target", {"type": "Utilization", "averageUtilization": share}))
    used = status.pop("currentCPUUtilizationPercentage", None)
    if used is not None:
        current.append(_cpu("current", {"averageUtilization": used}))
    for holder, key, value in ((spec, "metrics", metrics), (spec, "behavior", kept[_BEHAVIOR]),
                               (status, "currentMetrics", current), (status, "conditions", kept[_CONDITIONS])):  # fmt: skip
        if value:
            holder[key] = value
    return {**obj, "spec": spec, "status": status}


def _cpu(side: str, value: Object) -> Object:
    return {"type": "Resource", "resource": {"name": "cpu", side: value}}
