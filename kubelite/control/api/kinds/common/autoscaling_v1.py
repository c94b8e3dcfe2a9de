"""HorizontalPodAutoscalers of autoscaling/v1, and what becomes of them in v2: what the old version
has no field for stands in annotations (``pkg/apis/autoscaling/v1/conversion.go``). Pure.

Metrics and conditions are written there as autoscaling/v1 once had them, the behavior with the
names that the servers have for it inside.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from kubelite.control.api.schema import structs
from kubelite.lib.json import Object

_BEHAVIORS, _CONDITION = "HorizontalPodAutoscalerBehavior", "HorizontalPodAutoscalerCondition"
METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
_CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
ANNOTATIONS = (METRICS, _BEHAVIOR, _CURRENT, _CONDITIONS)

# The fields of a metric of version 1 by the field of its type: its name there, where version 2 has
# it, and what is written for an absent one. In the servers' order.
_METRIC = ("metricName", "metric.name", "")
_SELECTOR = ("selector", "metric.selector", None)
_NAME = ("name", "name", "")
_USED = ("{}AverageUtilization", "{}.averageUtilization", None)
_OBJECT = ("target", "describedObject", None)
_FIELDS: dict[str, tuple[tuple[str, str, Any], ...]] = {
    "object": (_OBJECT, _METRIC, ("{}Value", "{}.value", "0"), _SELECTOR,
               ("averageValue", "{}.averageValue", None)),
    "pods": (_METRIC, ("{}AverageValue", "{}.averageValue", "0"), _SELECTOR),
    "resource": (_NAME, _USED, ("{}AverageValue", "{}.averageValue", None)),
    "containerResource": (_NAME, _USED, ("{}AverageValue", "{}.averageValue", None),
                          ("container", "container", "")),
    "external": (_METRIC, ("metricSelector", "metric.selector", None),
                 ("{}Value", "{}.value", None), ("{}AverageValue", "{}.averageValue", None)),
}  # fmt: skip
_ALWAYS_MEASURED = {
    ("resource", "{}AverageValue"),
    ("containerResource", "{}AverageValue"),
    ("external", "{}Value"),
}
"""What the status of a metric always says."""


def to_v1(obj: Object) -> Object:
    """An object of version 2 in version 1, but for its apiVersion."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metrics, current = spec.pop("metrics", None) or [], status.pop("currentMetrics", None) or []
    cpu = next((metric for metric in metrics if _is_cpu(metric, "target")), None)
    used = next((metric for metric in current if _is_cpu(metric, "current")), None)
    behavior = spec.pop("behavior", None)
    kept = {
        METRICS: [_old_metric(metric, "target") for metric in metrics if metric is not cpu],
        _BEHAVIOR: behavior and _inside(behavior),
        _CURRENT: [_old_metric(metric, "current") for metric in current],
        _CONDITIONS: status.pop("conditions", None),
    }
    if cpu is not None:
        spec["targetCPUUtilizationPercentage"] = cpu["resource"]["target"]["averageUtilization"]
    if used is not None:
        share = used["resource"]["current"]["averageUtilization"]
        status["currentCPUUtilizationPercentage"] = share
    return _annotated({**obj, "spec": spec, "status": status}, kept)


def to_v2(obj: Object) -> Object:
    """An object of version 1 in version 2, but for its apiVersion."""
    obj, kept = _taken(obj)
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metrics = _readable("MetricSpec", _new_metrics(kept[METRICS], "target"))
    current = _readable("MetricStatus", _new_metrics(kept[_CURRENT], "current"))
    share = spec.pop("targetCPUUtilizationPercentage", None)
    if share is not None:
        metrics.append(_cpu("target", {"type": "Utilization", "averageUtilization": share}))
    used = status.pop("currentCPUUtilizationPercentage", None)
    if used is not None and not current:  # what is measured says more than the percentage
        current.append(_cpu("current", {"averageUtilization": used, "averageValue": "0"}))
    behavior = _outside(kept[_BEHAVIOR]) if isinstance(kept[_BEHAVIOR], dict) else None
    conditions = kept[_CONDITIONS] if isinstance(kept[_CONDITIONS], list) else []
    for holder, key, value in (
        (spec, "metrics", metrics),
        (spec, "behavior", next(iter(_readable(_BEHAVIORS, [behavior] if behavior else [])), None)),
        (status, "currentMetrics", current),
        (status, "conditions", _readable(_CONDITION, conditions)),
    ):
        if value:
            holder[key] = value
    return {**obj, "spec": spec, "status": status}


def _annotated(obj: Object, extras: dict[str, Any]) -> Object:
    """The object with what its version has no field for, kept as annotations."""
    given = {
        key: json.dumps(value, separators=(",", ":")) for key, value in extras.items() if value
    }
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
    extras = {}
    for key in ANNOTATIONS:
        try:
            extras[key] = json.loads(annotations.pop(key, "null"))
        except ValueError:
            extras[key] = None
    return {
        **obj,
        "metadata": {**metadata, "annotations": annotations} if annotations else metadata,
    }, extras


def _is_cpu(metric: Object, side: str) -> bool:
    resource = metric.get("resource") or {}
    return (
        resource.get("name") == "cpu"
        and (resource.get(side) or {}).get("averageUtilization") is not None
    )


def _cpu(side: str, value: Object) -> Object:
    return {"type": "Resource", "resource": {"name": "cpu", side: value}}


def _readable(name: str, values: list[Any]) -> list[Any]:
    """The values where all of them are of a definition of version 2; what is not says nothing."""
    try:
        for value in values:
            structs.read(f"autoscaling.v2.{name}", value)
    except msgspec.ValidationError:
        return []
    return values


def _old_metric(metric: Object, side: str) -> Object:
    """A metric of version 2 as version 1 writes it; ``side`` is ``target`` or ``current``."""
    result: Object = {"type": metric.get("type", "")}
    for kind, fields in _FIELDS.items():
        source = metric.get(kind)
        if source is None:
            continue
        old: Object = {}
        for name, place, absent in fields:
            value = _at(source, place.format(side))
            if value is None:
                is_measured = side == "current" and (kind, name) in _ALWAYS_MEASURED
                value = "0" if is_measured else absent
            if value is not None:
                old[name.format(side)] = value
        result[kind] = old
    return result


def _at(source: Object, place: str) -> Any:
    value: Any = source
    for step in place.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _new_metrics(listed: Any, side: str) -> list[Object]:
    """The metrics of an annotation, as far as they are some."""
    if not isinstance(listed, list):
        return []
    return [_new_metric(metric, side) for metric in listed if isinstance(metric, dict)]


def _new_metric(metric: Object, side: str) -> Object:
    """A metric of version 1 as version 2 has it."""
    result: Object = {"type": metric.get("type", "")}
    for kind, fields in _FIELDS.items():
        source = metric.get(kind)
        if not isinstance(source, dict):
            continue
        new: Object = {}
        for name, place, _ in fields:
            if (value := source.get(name.format(side))) is not None:
                *above, last = place.format(side).split(".")
                holder = new
                for step in above:
                    holder = holder.setdefault(step, {})
                holder[last] = value
        if side == "target":
            target = new.setdefault("target", {})
            new["target"] = {"type": _target_type(kind, target), **target}
        result[kind] = new
    return result


def _target_type(kind: str, target: Object) -> str:
    if "averageUtilization" in target:
        return "Utilization"
    if kind == "object":
        return "AverageValue" if "averageValue" in target else "Value"
    return "Value" if kind == "external" and "value" in target else "AverageValue"


_SIDES = ("ScaleUp", "ScaleDown")
_RULES = ("StabilizationWindowSeconds", "SelectPolicy", "Policies", "Tolerance")
_POLICY = ("Type", "Value", "PeriodSeconds")


def _inside(behavior: Object) -> Object:
    """A behavior with the names that the servers have inside, and all of them."""
    return {side: _rules_inside(_field(behavior, side)) for side in _SIDES}


def _rules_inside(rules: Object | None) -> Object | None:
    if rules is None:
        return None
    inside = {name: _field(rules, name) for name in _RULES}
    policies = inside["Policies"]
    if policies is not None:
        inside["Policies"] = [
            {name: _field(policy, name) for name in _POLICY} for policy in policies
        ]
    return inside


def _outside(behavior: Object) -> Object:
    """The same as version 2 writes it."""
    sides = {_field_name(side): _rules_outside(_field(behavior, side)) for side in _SIDES}
    return {side: rules for side, rules in sides.items() if rules is not None}


def _rules_outside(rules: Any) -> Object | None:
    if not isinstance(rules, dict):
        return None
    given = {_field_name(name): _field(rules, name) for name in _RULES}
    if isinstance(given["policies"], list):
        given["policies"] = [
            {_field_name(name): _field(policy, name) for name in _POLICY}
            for policy in given["policies"]
            if isinstance(policy, dict)
        ]
    return {name: value for name, value in given.items() if value is not None}


def _field(holder: Object, name: str) -> Any:
    """A field by its name in any case, as Go's decoder finds it."""
    wanted = name.lower()
    return next((value for key, value in holder.items() if key.lower() == wanted), None)


def _field_name(name: str) -> str:
    return name[:1].lower() + name[1:]
