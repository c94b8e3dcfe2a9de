"""PodDisruptionBudgets and PriorityClasses. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.common import metadata, statuses
from kubelite.control.api.kinds.common.checks import (
    check_at_most_all,
    check_share,
    not_negative,
    unchanged,
)
from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.tables.columns import boolean, columns, integer
from kubelite.control.api.tables.text import (
    age_of,
    lookup,
    name_of,
)
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import names
from kubelite.objects.facts.priorities import SYSTEM_CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Cells = list[Any]


def _default_priority_class(obj: Any) -> None:
    obj.preemptionPolicy = obj.preemptionPolicy or "PreemptLowerPriority"


_USER_PRIORITY = 1_000_000_000
_EVICTION_POLICIES = ("AlwaysAllow", "IfHealthyBudget")


def _check_priority_class(obj: Object) -> Iterator[Cause]:
    name, value = (obj.get("metadata") or {}).get("name", ""), obj.get("value", 0)
    if name.startswith("system-"):
        why = "priority class names with 'system-' prefix are reserved for system use only. error: "
        if name not in SYSTEM_CLASSES:
            why += f"{name} is not a known system priority class"
            yield causes.forbidden("metadata.name", why)
        elif value != SYSTEM_CLASSES[name]:
            why += f"value of {name} PriorityClass must be {SYSTEM_CLASSES[name]}"
            yield causes.forbidden("metadata.name", why)
        elif obj.get("globalDefault"):
            why += f"globalDefault of {name} PriorityClass must be false"
            yield causes.forbidden("metadata.name", why)
    elif value > _USER_PRIORITY:
        yield causes.forbidden(
            "value", f"maximum allowed value of a user defined priority is {_USER_PRIORITY}"
        )


def _check_disruption_budget(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        why = "minAvailable and maxUnavailable cannot be both set"
        yield causes.invalid("spec", spec, why, "policy.v1.PodDisruptionBudgetSpec")
    for field in ("minAvailable", "maxUnavailable"):
        yield from check_share(spec.get(field), f"spec.{field}")
        yield from check_at_most_all(spec.get(field), f"spec.{field}")
    yield from metadata.selector(spec.get("selector"), "spec.selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in _EVICTION_POLICIES:
        yield causes.unsupported("spec.unhealthyPodEvictionPolicy", policy, _EVICTION_POLICIES)


def _check_budget_status(new: Object, old: Object) -> Iterator[Cause]:
    fields = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    status = new.get("status") or {}
    yield from statuses.check_conditions(status.get("conditions") or (), "status.conditions")
    yield from not_negative(status, fields, "status")


def _check_priority_class_update(new: Object, old: Object) -> Iterator[Cause]:
    if new.get("value", 0) != old.get("value", 0):
        yield causes.forbidden("value", "may not be changed in an update.")
    yield from unchanged("preemptionPolicy")(new, old)


def _priority_class_cells(obj: Object, now: datetime) -> Cells:
    return [
        name_of(obj),
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        age_of(obj, now),
        obj.get("preemptionPolicy", ""),
    ]


def _disruption_budget_cells(obj: Object, now: datetime) -> Cells:
    """Name, Min Available, Max Unavailable, Allowed Disruptions, Age."""
    bounds = [
        str(lookup(obj, f"spec.{field}", "N/A")) for field in ("minAvailable", "maxUnavailable")
    ]
    return [name_of(obj), *bounds, lookup(obj, "status.disruptionsAllowed", 0), age_of(obj, now)]


KINDS: dict[tuple[str, str], Rules] = {
    ("policy", "PodDisruptionBudget"): Rules(
        any_finalizer=True,
        unconditional_update=False,
        # Nothing but the rules of the store apply to the name.
        name=names.path_segment,
        check_subresource={"status": _check_budget_status},
        check=_check_disruption_budget,
        columns=columns(
            "Name", "Min Available", "Max Unavailable", integer("Allowed Disruptions"), "Age"
        ),
        cells=_disruption_budget_cells,
        has_generation=True,
    ),
    ("scheduling.k8s.io", "PriorityClass"): Rules(
        generation_counts=False,
        defaults=_default_priority_class,
        check_create=_check_priority_class,
        check_update=_check_priority_class_update,
        columns=columns(
            "Name", integer("Value"), boolean("Global-Default"), "Age", "PreemptionPolicy"
        ),
        cells=_priority_class_cells,
        has_generation=True,
        values={
            "scheduling.v1.PriorityClass": {"preemptionPolicy": ("PreemptLowerPriority", "Never")}
        },
    ),
}
