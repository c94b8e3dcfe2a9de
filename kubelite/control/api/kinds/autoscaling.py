"""HorizontalPodAutoscalers, in both of their versions, and Scales. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.schema import structs
from kubelite.control.api.tables.columns import columns, integer
from kubelite.control.api.tables.text import (
    UNKNOWN,
    UNSET,
    age_of,
    joined,
    lookup,
    name_of,
)
from kubelite.control.api.wire import causes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
Cells = list[Any]


def _default_autoscaler_v2(obj: Any) -> None:
    spec = obj.spec
    spec.minReplicas = 1 if spec.minReplicas is None else spec.minReplicas
    if not spec.metrics:
        target = structs.new(
            "autoscaling.v2.MetricTarget", type="Utilization", averageUtilization=80
        )
        resource = structs.new("autoscaling.v2.ResourceMetricSource", name="cpu", target=target)
        spec.metrics = [
            structs.new("autoscaling.v2.MetricSpec", type="Resource", resource=resource)
        ]
    if spec.behavior is not None:
        up = spec.behavior.scaleUp = spec.behavior.scaleUp or structs.new(
            "autoscaling.v2.HPAScalingRules"
        )
        up.stabilizationWindowSeconds = up.stabilizationWindowSeconds or 0
        _default_scaling_rules(up, [("Pods", 4), ("Percent", 100)])
        down = spec.behavior.scaleDown = spec.behavior.scaleDown or structs.new(
            "autoscaling.v2.HPAScalingRules"
        )
        _default_scaling_rules(down, [("Percent", 100)])


def _default_scaling_rules(rules: Any, policies: list[tuple[str, int]]) -> None:
    rules.selectPolicy = rules.selectPolicy or "Max"
    made = [
        structs.new("autoscaling.v2.HPAScalingPolicy", type=kind, value=value, periodSeconds=15)
        for kind, value in policies
    ]
    rules.policies = rules.policies or made


def _default_autoscaler(obj: Any) -> None:
    if hasattr(obj.spec, "metrics"):
        _default_autoscaler_v2(obj)
    else:
        obj.spec.minReplicas = 1 if obj.spec.minReplicas is None else obj.spec.minReplicas


def _check_autoscaler(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if least is not None and least < 1:
        yield causes.invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        yield causes.invalid("spec.maxReplicas", most, "must be greater than 0")
    if least is not None and most < least:
        yield causes.invalid(
            "spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"
        )
    for index, metric in enumerate(spec.get("metrics") or ()):
        yield from _check_metric(metric, f"spec.metrics[{index}]")


def _check_metric(metric: Object, path: str) -> Iterator[Cause]:
    kind = metric.get("type", "")
    field = kind[:1].lower() + kind[1:]
    source = metric.get(field)
    if not source:
        yield causes.required(
            f"{path}.{field}", "must populate information for the given metric source"
        )
        return
    target = source.get("target") or {}
    if not any(
        target.get(each) is not None for each in ("averageUtilization", "averageValue", "value")
    ):
        yield causes.required(
            f"{path}.{field}.target",
            "must set either a target raw value, a target utilization or an average value",
        )


def _autoscaler_cells(obj: Object, now: datetime) -> Cells:
    """Name, Reference, Targets, MinPods, MaxPods, Replicas, Age."""
    spec = obj.get("spec") or {}
    target = f"{lookup(spec, 'scaleTargetRef.kind', '')}/{lookup(spec, 'scaleTargetRef.name', '')}"
    shown = joined(_shown_targets(obj), UNKNOWN)
    least = UNSET if spec.get("minReplicas") is None else str(spec["minReplicas"])
    return [
        name_of(obj),
        target,
        shown.replace(",", ", "),
        least,
        spec.get("maxReplicas", 0),
        lookup(obj, "status.currentReplicas", 0),
        age_of(obj, now),
    ]


def _shown_targets(obj: Object) -> list[str]:
    """``cpu: 10%/80%`` for each metric; the version 1 form knows only one."""
    if "targetCPUUtilizationPercentage" in obj.get("spec", {}):
        current = lookup(obj, "status.currentCPUUtilizationPercentage")
        return [f"cpu: {_shown_share(current)}/{obj['spec']['targetCPUUtilizationPercentage']}%"]
    found = []
    measured = lookup(obj, "status.currentMetrics", []) or []
    for index, metric in enumerate(lookup(obj, "spec.metrics", [])):
        kind = metric.get("type", "")
        field = kind[:1].lower() + kind[1:]
        source, current = (
            metric.get(field) or {},
            lookup(measured[index] if index < len(measured) else {}, f"{field}.current", {}),
        )
        found.append(_shown_target(source, current))
    return found


def _shown_target(source: Object, current: Object) -> str:
    target = source.get("target") or {}
    prefix = f"{source['name']}: " if source.get("name") else ""
    if target.get("averageUtilization") is not None:
        return f"{prefix}{_shown_share(current.get('averageUtilization'))}/{target['averageUtilization']}%"
    if target.get("averageValue") is not None:
        average = " (avg)" if not prefix else ""
        return f"{prefix}{current.get('averageValue', UNKNOWN)}/{target['averageValue']}{average}"
    return f"{prefix}{current.get('value', UNKNOWN)}/{target.get('value', '')}"


def _shown_share(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value}%"


_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
_CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"


def _convert(obj: Object, group_version: str) -> Object:
    change = _to_v1 if group_version == "autoscaling/v1" else _to_v2
    return structs.normal(group_version, change({**obj, "apiVersion": group_version}))


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


KINDS: dict[tuple[str, str], Rules] = {
    ("autoscaling", "HorizontalPodAutoscaler"): Rules(
        defaults=_default_autoscaler,
        check=_check_autoscaler,
        columns=columns("Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"),
        cells=_autoscaler_cells,
        convert=_convert,
        values={
            "autoscaling.v2.MetricSpec": {
                "type": ("ContainerResource", "External", "Object", "Pods", "Resource")
            },
            "autoscaling.v2.MetricTarget": {"type": ("AverageValue", "Utilization", "Value")},
            "autoscaling.v2.HPAScalingPolicy": {"type": ("Percent", "Pods")},
            "autoscaling.v2.HPAScalingRules": {"selectPolicy": ("Disabled", "Max", "Min")},
        },
    ),
    ("autoscaling", "Scale"): Rules(
        columns=columns("Name", integer("Desired"), integer("Available"), "Age"),
        cells=lambda obj, now: [
            name_of(obj),
            lookup(obj, "spec.replicas", 0),
            lookup(obj, "status.replicas", 0),
            age_of(obj, now),
        ],
    ),
}
