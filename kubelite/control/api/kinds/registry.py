"""The rules of every built-in kind, put together from the families. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds import (
    admission_policies,
    autoscaling,
    batch,
    certificates,
    config,
    custom_resources,
    devices,
    events,
    flow_control,
    networking,
    node,
    pod,
    policy,
    rbac,
    service,
    storage,
    webhooks,
    workloads,
)
from kubelite.control.api.kinds.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubelite.control.api.wire.resource import Resource

_FAMILIES = (
    admission_policies,
    autoscaling,
    batch,
    certificates,
    config,
    custom_resources,
    devices,
    events,
    flow_control,
    networking,
    node,
    pod,
    policy,
    rbac,
    service,
    storage,
    webhooks,
    workloads,
)
KINDS: dict[tuple[str, str], Rules] = {
    key: rules for family in _FAMILIES for key, rules in family.KINDS.items()
}
_NOTHING_SPECIAL = Rules()


def rules_of(res: Resource) -> Rules:
    """The rules of a resource's kind. A custom kind has none but those of its definition."""
    if res.crd is not None:
        return _NOTHING_SPECIAL
    return KINDS.get((res.group, res.kind), _NOTHING_SPECIAL)


def convert(obj: dict[str, Any], group_version: str) -> dict[str, Any]:
    """The object as ``group_version`` writes it; the object itself when it is that already.

    Kinds without a conversion of their own have versions that differ in name only.
    """
    given = obj.get("apiVersion", "")
    if given == group_version:
        return obj
    rules = KINDS.get((given.rpartition("/")[0], obj.get("kind", "")))
    if rules is not None and rules.convert is not None:
        return rules.convert(obj, group_version)
    return {**obj, "apiVersion": group_version}


def known_values() -> dict[str, dict[str, tuple[str, ...]]]:
    """The values that texts may have, by definition of the schema table and by field."""
    return {
        definition: dict(fields)
        for rules in KINDS.values()
        for definition, fields in rules.values.items()
    }


def may_be_empty() -> Iterable[str]:
    """Required fields that may be empty: ``core.v1.ServicePort.port``."""
    return (field for rules in KINDS.values() for field in rules.may_be_empty)
