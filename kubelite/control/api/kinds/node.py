"""Nodes, their Leases and RuntimeClasses. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.checks import (
    not_negative,
    unchanged,
)
from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.tables.columns import columns, wide
from kubelite.control.api.tables.text import (
    NONE,
    UNKNOWN,
    age_of,
    joined,
    lookup,
    name_of,
    name_values_age,
)
from kubelite.control.api.wire import causes
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
Cells = list[Any]


def _check_lease(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if isinstance(spec.get("leaseDurationSeconds"), int) and spec["leaseDurationSeconds"] <= 0:
        yield causes.invalid(
            "spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0"
        )
    yield from not_negative(spec, ("leaseTransitions",), "spec")


def _check_node(obj: Object) -> Iterator[Cause]:
    for index, taint in enumerate((obj.get("spec") or {}).get("taints") or ()):
        for why in names.qualified(taint.get("key", "")) if taint.get("key") else ():
            yield causes.invalid(f"spec.taints[{index}].key", taint["key"], why)


def _check_node_update(new: Object, old: Object) -> Iterator[Cause]:
    for field in ("podCIDR", "providerID"):
        was = lookup(old, f"spec.{field}")
        if was and lookup(new, f"spec.{field}") != was:
            yield causes.forbidden(
                "spec", "node updates may only change labels, taints, or capacity"
            )


def _node_warnings(obj: Object) -> Iterator[str]:
    if (obj.get("spec") or {}).get("externalID"):
        yield "spec.externalID: this field is deprecated, and is unused by Kubernetes"


_ROLE = "node-role.kubernetes.io/"


def _node_cells(obj: Object, now: datetime) -> Cells:
    ready = {
        each.get("type"): each.get("status") for each in lookup(obj, "status.conditions", [])
    }.get("Ready")
    shown = [
        "Ready" if ready == "True" else "NotReady" if ready in ("False", "Unknown") else "Unknown"
    ]
    shown += ["SchedulingDisabled"] if lookup(obj, "spec.unschedulable") else []
    given = lookup(obj, "metadata.labels", {})
    roles = {key.removeprefix(_ROLE) for key in given if key.startswith(_ROLE)} | {
        given.get("kubernetes.io/role", "")
    }
    info, addresses = lookup(obj, "status.nodeInfo", {}), lookup(obj, "status.addresses", [])

    def address(kind: str) -> str:
        return next(
            (each.get("address", NONE) for each in addresses if each.get("type") == kind), NONE
        )

    facts = [
        info.get(field) or UNKNOWN
        for field in ("osImage", "kernelVersion", "containerRuntimeVersion")
    ]
    head = [
        name_of(obj),
        ",".join(shown),
        joined(sorted(roles - {""})),
        age_of(obj, now),
        info.get("kubeletVersion", ""),
    ]
    return [*head, address("InternalIP"), address("ExternalIP"), *facts]


KINDS: dict[tuple[str, str], Rules] = {
    ("", "Node"): Rules(
        check=_check_node,
        check_update=_check_node_update,
        warnings=_node_warnings,
        columns=columns(
            "Name",
            "Status",
            "Roles",
            "Age",
            "Version",
            wide("Internal-IP"),
            wide("External-IP"),
            wide("OS-Image"),
            wide("Kernel-Version"),
            wide("Container-Runtime"),
        ),
        cells=_node_cells,
        selectable=("spec.unschedulable",),
        keeps_status=True,
        values={"core.v1.Taint": {"effect": ("NoExecute", "NoSchedule", "PreferNoSchedule")}},
    ),
    ("coordination.k8s.io", "Lease"): Rules(
        check=_check_lease,
        columns=columns("Name", "Holder", "Age"),
        cells=name_values_age("spec.holderIdentity"),
        created_by_update=True,
    ),
    ("node.k8s.io", "RuntimeClass"): Rules(
        check_update=unchanged("handler"),
        columns=columns("Name", "Handler", "Age"),
        cells=name_values_age("handler"),
    ),
}
