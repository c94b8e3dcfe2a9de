"""HorizontalPodAutoscalers, in both of their versions, and Scales. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.common import autoscaling_v1
from kubelite.control.api.kinds.common.checks import not_negative
from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.schema import structs
from kubelite.control.api.tables.columns import columns, integer
from kubelite.control.api.tables.text import (
    UNKNOWN,
    UNSET,
    age_of,
    lookup,
    name_of,
)
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import names, quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

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
    default_policies = [
        structs.new("autoscaling.v2.HPAScalingPolicy", type=kind, value=value, periodSeconds=15)
        for kind, value in policies
    ]
    rules.policies = rules.policies or default_policies


def _default_autoscaler(obj: Any) -> None:
    if hasattr(obj.spec, "metrics"):
        _default_autoscaler_v2(obj)
        return
    spec = obj.spec
    spec.minReplicas = 1 if spec.minReplicas is None else spec.minReplicas
    if (
        spec.targetCPUUtilizationPercentage is None
        and autoscaling_v1.METRICS not in obj.metadata.annotations
    ):
        spec.targetCPUUtilizationPercentage = 80


# The sources of metrics by type, in the order in which they are looked at.
_SOURCES = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_TARGETS = ("AverageValue", "Utilization", "Value")
_MAX_WINDOW = 3600
_MAX_PERIOD = 1800
_POSITIVE = "must be greater than zero"


def _check_autoscaler(obj: Object) -> Iterator[Cause]:
    if obj.get("apiVersion") == "autoscaling/v1":
        obj = autoscaling_v1.to_v2(obj)
    spec = obj.get("spec") or {}
    low, high = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if low is not None and low < 1:
        yield causes.invalid("spec.minReplicas", low, "must be greater than or equal to 1")
    if high < 1:
        yield causes.invalid("spec.maxReplicas", high, "must be greater than or equal to 1")
    if low is not None and high < low:
        why = "must be greater than or equal to `minReplicas`"
        yield causes.invalid("spec.maxReplicas", high, why)
    target = spec.get("scaleTargetRef") or {}
    yield from _check_target_reference(target, "spec.scaleTargetRef")
    is_core = not target.get("apiVersion") and target.get("kind") == "ReplicationController"
    if not is_core and "/" not in target.get("apiVersion", "").strip("/"):
        path = "spec.scaleTargetRef.apiVersion"
        yield causes.invalid(
            path, target.get("apiVersion", ""), "apiVersion must specify API group"
        )
    metrics = spec.get("metrics") or ()
    for index, metric in enumerate(metrics):
        yield from _check_metric(metric, f"spec.metrics[{index}]")
    if low == 0 and not {"Object", "External"} & {metric.get("type") for metric in metrics}:
        why = (
            "must specify at least one Object or External metric to support scaling to zero "
            "replicas"
        )
        yield causes.forbidden("spec.metrics", why)
    for side, rules in (spec.get("behavior") or {}).items():
        yield from _check_scaling_rules(rules or {}, f"spec.behavior.{side}")
    if not high:
        yield causes.required("spec.maxReplicas")


def _check_target_reference(reference: Object, path: str) -> Iterator[Cause]:
    for field in ("kind", "name"):
        text = reference.get(field, "")
        if not text:
            yield causes.required(f"{path}.{field}")
        for problem in names.path_segment(text):
            yield causes.invalid(f"{path}.{field}", text, problem)


def _check_metric(metric: Object, path: str) -> Iterator[Cause]:
    kind = metric.get("type", "")
    if not kind:
        yield causes.required(f"{path}.type", "must specify a metric source type")
    if kind not in _SOURCES:
        yield causes.unsupported(f"{path}.type", kind, tuple(sorted(_SOURCES)))
    present = [field for field in _SOURCES.values() if metric.get(field) is not None]
    for field in present[:1]:
        yield from _CHECKS[field](metric[field], f"{path}.{field}")
    expected = _SOURCES.get(kind, "")
    if expected and metric.get(expected) is None:
        why = "must populate information for the given metric source"
        yield causes.required(f"{path}.{expected}", why)
    if len(present) > 1:
        for field in present:
            if field != expected:
                why = "must populate the given metric source only"
                yield causes.forbidden(f"{path}.{field}", why)


def _check_object_source(source: Object, path: str) -> Iterator[Cause]:
    described = source.get("describedObject") or {}
    yield from _check_target_reference(described, f"{path}.describedObject")
    target = yield from _check_identified(source, path)
    if target.get("value") is None and target.get("averageValue") is None:
        why = "must set either a target value or averageValue"
        yield causes.required(f"{path}.target.averageValue", why)


def _check_external_source(source: Object, path: str) -> Iterator[Cause]:
    target = yield from _check_identified(source, path)
    value, average = target.get("value"), target.get("averageValue")
    if value is None and average is None:
        why = "must set either a target value for metric or a per-pod target"
        yield causes.required(f"{path}.target.averageValue", why)
    if value is not None and average is not None:
        why = "may not set both a target value for metric and a per-pod target"
        yield causes.forbidden(f"{path}.target.value", why)


def _check_pods_source(source: Object, path: str) -> Iterator[Cause]:
    target = yield from _check_identified(source, path)
    if not _is_positive(target.get("averageValue")):
        why = "must specify a positive target averageValue"
        yield causes.required(f"{path}.target.averageValue", why)


def _check_resource_source(source: Object, path: str) -> Iterator[Cause]:
    if not source.get("name"):
        yield causes.required(f"{path}.name", "must specify a resource name")
    target = source.get("target") or {}
    yield from _check_target(target, f"{path}.target")
    share, average = target.get("averageUtilization"), target.get("averageValue")
    if share is None and average is None:
        why = "must set either a target raw value or a target utilization"
        yield causes.required(f"{path}.target.averageUtilization", why)
    if share is not None and average is not None:
        why = "may not set both a target raw value and a target utilization"
        yield causes.forbidden(f"{path}.target.averageValue", why)


def _check_container_source(source: Object, path: str) -> Iterator[Cause]:
    container = source.get("container", "")
    if not container:
        yield causes.required(f"{path}.container", "must specify a container")
    for problem in names.label(container) if container else ():
        yield causes.invalid(f"{path}.container", container, problem)
    yield from _check_resource_source(source, path)


_CHECKS: dict[str, Callable[[Object, str], Iterator[Cause]]] = {
    "object": _check_object_source,
    "external": _check_external_source,
    "pods": _check_pods_source,
    "resource": _check_resource_source,
    "containerResource": _check_container_source,
}


def _check_identified(source: Object, path: str) -> Generator[Cause, None, Object]:
    """The metric and the target of a source; returns the target."""
    name = (source.get("metric") or {}).get("name", "")
    if not name:
        yield causes.required(f"{path}.metric.name", "must specify a metric name")
    for problem in names.path_segment(name):
        yield causes.invalid(f"{path}.metric.name", name, problem)
    target: Object = source.get("target") or {}
    yield from _check_target(target, f"{path}.target")
    return target


def _check_target(target: Object, path: str) -> Iterator[Cause]:
    kind = target.get("type", "")
    if not kind:
        yield causes.required(f"{path}.type", "must specify a metric target type")
    if kind not in _TARGETS:
        why = "must be either Utilization, Value, or AverageValue"
        yield causes.invalid(f"{path}.type", kind, why)
    for field in ("value", "averageValue"):
        if target.get(field) is not None and not _is_positive(target[field]):
            yield causes.invalid(f"{path}.{field}", target[field], "must be positive")
    share = target.get("averageUtilization")
    if share is not None and share < 1:
        yield causes.invalid(f"{path}.averageUtilization", share, "must be greater than 0")


def _is_positive(amount: Any) -> bool:
    return amount is not None and quantity.parse(str(amount)).nano > 0


def _check_scaling_rules(rules: Object, path: str) -> Iterator[Cause]:
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and window < 0:
        why = "must be greater than or equal to zero"
        yield causes.invalid(f"{path}.stabilizationWindowSeconds", window, why)
    if window is not None and window > _MAX_WINDOW:
        why = f"must be less than or equal to {_MAX_WINDOW}"
        yield causes.invalid(f"{path}.stabilizationWindowSeconds", window, why)
    policy = rules.get("selectPolicy")
    if policy is not None and policy not in ("Disabled", "Max", "Min"):
        yield causes.unsupported(f"{path}.selectPolicy", policy, ("Disabled", "Max", "Min"))
    policies = rules.get("policies") or ()
    if not policies:
        yield causes.required(f"{path}.policies", "must specify at least one Policy")
    for index, scaling_policy in enumerate(policies):
        yield from _check_scaling_policy(scaling_policy, f"{path}.policies[{index}]")
    tolerance = rules.get("tolerance")
    if tolerance is not None and quantity.parse(str(tolerance)).nano < 0:
        why = "must be greater than or equal to 0"
        yield causes.invalid(f"{path}.tolerance", tolerance, why)


def _check_scaling_policy(policy: Object, path: str) -> Iterator[Cause]:
    kind, value, period = (
        policy.get("type", ""),
        policy.get("value", 0),
        policy.get("periodSeconds", 0),
    )
    if kind not in ("Percent", "Pods"):
        yield causes.unsupported(f"{path}.type", kind, ("Percent", "Pods"))
    if value <= 0:
        yield causes.invalid(f"{path}.value", value, _POSITIVE)
    if period <= 0:
        yield causes.invalid(f"{path}.periodSeconds", period, _POSITIVE)
    if period > _MAX_PERIOD:
        why = f"must be less than or equal to {_MAX_PERIOD}"
        yield causes.invalid(f"{path}.periodSeconds", period, why)


def _check_autoscaler_status(new: Object, old: Object) -> Iterator[Cause]:
    fields = ("currentReplicas", "desiredReplicas")
    yield from not_negative(new.get("status") or {}, fields, "status")


def _autoscaler_cells(obj: Object, now: datetime) -> Cells:
    """Name, Reference, Targets, MinPods, MaxPods, Replicas, Age."""
    spec = obj.get("spec") or {}
    target = f"{lookup(spec, 'scaleTargetRef.kind', '')}/{lookup(spec, 'scaleTargetRef.name', '')}"
    targets = _shown_targets(obj)
    more = f" + {len(targets) - 2} more..." if len(targets) > 2 else ""
    shown = ", ".join(targets[:2]) + more if targets else UNKNOWN
    least = UNSET if spec.get("minReplicas") is None else str(spec["minReplicas"])
    return [
        name_of(obj),
        target,
        shown,
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
    targets = []
    measured = lookup(obj, "status.currentMetrics", []) or []
    for index, metric in enumerate(lookup(obj, "spec.metrics", [])):
        kind = metric.get("type", "")
        field = kind[:1].lower() + kind[1:]
        source, current = (
            metric.get(field) or {},
            lookup(measured[index] if index < len(measured) else {}, f"{field}.current", {}),
        )
        targets.append(_shown_target(source, current, kind))
    return targets


def _shown_target(source: Object, current: Object, kind: str) -> str:
    target = source.get("target") or {}
    prefix = f"{source['name']}: " if source.get("name") else ""
    if target.get("averageUtilization") is not None:
        share = _shown_share(current.get("averageUtilization"))
        return f"{prefix}{share}/{target['averageUtilization']}%"
    if target.get("averageValue") is not None:
        average = " (avg)" if kind in ("Object", "External") else ""
        return f"{prefix}{current.get('averageValue', UNKNOWN)}/{target['averageValue']}{average}"
    return f"{prefix}{current.get('value', UNKNOWN)}/{target.get('value', '')}"


def _shown_share(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value}%"


def _convert(obj: Object, group_version: str) -> Object:
    obj = {**obj, "apiVersion": group_version}
    if group_version == "autoscaling/v1":
        return structs.normal(group_version, autoscaling_v1.to_v1(obj))
    # Version 2 is the one that is stored, and read from the store with its defaults.
    value = structs.read("autoscaling.v2.HorizontalPodAutoscaler", autoscaling_v1.to_v2(obj))
    _default_autoscaler_v2(value)
    return structs.write(value)  # type: ignore[no-any-return]


_OWN = tuple(
    f"autoscaling.{name}.*"
    for name in (
        "v1.CrossVersionObjectReference",
        "v2.ContainerResourceMetricSource",
        "v2.CrossVersionObjectReference",
        "v2.ExternalMetricSource",
        "v2.HPAScalingPolicy",
        "v2.MetricIdentifier",
        "v2.MetricSpec",
        "v2.MetricTarget",
        "v2.ObjectMetricSource",
        "v2.PodsMetricSource",
        "v2.ResourceMetricSource",
    )
)

KINDS: dict[tuple[str, str], Rules] = {
    ("autoscaling", "HorizontalPodAutoscaler"): Rules(
        field_annotations=autoscaling_v1.ANNOTATIONS,
        check_subresource={"status": _check_autoscaler_status},
        may_be_empty=_OWN,
        defaults=_default_autoscaler,
        check=_check_autoscaler,
        columns=columns("Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"),
        cells=_autoscaler_cells,
        convert=_convert,
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
