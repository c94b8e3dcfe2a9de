"""Nodes, their Leases and RuntimeClasses. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.common import addresses, metadata
from kubelite.control.api.kinds.common.checks import (
    not_negative,
    unchanged,
)
from kubelite.control.api.kinds.config import check_amount
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
from kubelite.lib.json import Object
from kubelite.objects.facts import names
from kubelite.objects.rules.pods import placement, resources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Cells = list[Any]


_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def _default_node(obj: Any) -> None:
    status = obj.status
    if not status.allocatable and status.capacity:
        status.allocatable = dict(status.capacity)


def _prepare_node(obj: Object) -> None:
    obj["spec"] = _with_one_range(obj.get("spec") or {})


def _prepare_node_update(new: Object, old: Object) -> Object:
    return {**new, "spec": _with_one_range(new.get("spec") or {})}


def _with_one_range(spec: Object) -> Object:
    """The first of a node's ranges stands in a field of its own too, and that one counts."""
    first, ranges = spec.get("podCIDR"), spec.get("podCIDRs") or []
    if first and ranges[:1] != [first]:
        return {**spec, "podCIDRs": [first]}
    return {**spec, "podCIDR": ranges[0]} if ranges else spec


def _default_lease(obj: Any) -> None:
    # Behind a feature gate that is off.
    obj.spec.strategy = obj.spec.preferredHolder = None


def _check_lease(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        yield causes.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0")
    yield from not_negative(spec, ("leaseTransitions",), "spec")


_FEATURE = re.compile(r"[A-Za-z0-9]+(/[A-Za-z0-9]+)*")


def _check_node(obj: Object) -> Iterator[Cause]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    pairs_taken: set[tuple[str, str]] = set()
    for index, taint in enumerate(spec.get("taints") or ()):
        path = f"metadata.taints[{index}]"
        yield from _check_taint(taint, path)
        own = (taint.get("key", ""), taint.get("effect", ""))
        if own in pairs_taken:
            yield causes.duplicate(path, taint)
        pairs_taken.add(own)
    for index, feature in enumerate(status.get("declaredFeatures") or ()):
        if not _FEATURE.fullmatch(feature):
            path, why = f"status.declaredFeatures[{index}]", "must be the name of a feature"
            yield causes.invalid(path, feature, why)
    for field in ("capacity", "allocatable"):
        for name, amount in (status.get(field) or {}).items():
            yield from check_amount(name, amount, f"status.{field}.{name}")
    yield from _check_ranges(spec.get("podCIDRs") or [])


def _check_taint(taint: Object, path: str) -> Iterator[Cause]:
    key, value, effect = (taint.get(field, "") for field in ("key", "value", "effect"))
    for problem in names.qualified(key):
        yield causes.invalid(f"{path}.key", key, problem)
    for problem in names.label_value(value):
        yield causes.invalid(f"{path}.value", value, problem)
    if not effect:
        yield causes.required(f"{path}.effect")
    elif effect not in _EFFECTS:
        yield causes.unsupported(f"{path}.effect", effect, _EFFECTS)


def _check_ranges(ranges: list[str]) -> Iterator[Cause]:
    path = "spec.podCIDRs"
    for index, text in enumerate(ranges):
        yield from addresses.check_network(text, f"{path}[{index}]")
    if len(ranges) < 2:
        return
    networks = [addresses.parsed_network(text) for text in ranges]
    if None in networks:
        yield causes.internal(path, "invalid PodCIDRs. failed to check with dual stack")
    versions = {network.version for network in networks if network is not None}
    if len(ranges) > 2 or len(versions) < 2:
        why = "may specify no more than one CIDR for each IP family"
        yield causes.invalid(path, ranges, why)


def _check_node_update(new: Object, old: Object) -> Iterator[Cause]:
    for field, shown in (("podCIDRs", "podCIDR"), ("providerID", "providerID")):
        before = lookup(old, f"spec.{field}")
        if before and lookup(new, f"spec.{field}") != before:
            why = f'node updates may not change {shown} except from "" to valid'
            yield causes.forbidden(f"spec.{field}", why)


def _check_runtime_class(obj: Object) -> Iterator[Cause]:
    handler = obj.get("handler", "")
    if not handler:
        yield causes.required("handler")
    for problem in names.label(handler) if handler else ():
        yield causes.invalid("handler", handler, problem)
    overhead = lookup(obj, "overhead.podFixed", {})
    yield from causes.of_rules(resources.overhead(overhead, ("overhead",)))
    tolerations = lookup(obj, "scheduling.tolerations", [])
    path = ("scheduling", "tolerations")
    yield from causes.of_rules(placement.tolerations(tolerations, path))
    yield from metadata.labels(
        lookup(obj, "scheduling.nodeSelector", {}), "scheduling.nodeSelector"
    )


def _node_warnings(obj: Object) -> Iterator[str]:
    if (obj.get("spec") or {}).get("externalID"):
        yield "spec.externalID: this field is deprecated, and is unused by Kubernetes"


_ROLE = "node-role.kubernetes.io/"


def _node_cells(obj: Object, now: datetime) -> Cells:
    ready = {
        condition.get("type"): condition.get("status")
        for condition in lookup(obj, "status.conditions", [])
    }.get("Ready")
    shown = [
        "Ready" if ready == "True" else "NotReady" if ready in ("False", "Unknown") else "Unknown"
    ]
    shown += ["SchedulingDisabled"] if lookup(obj, "spec.unschedulable") else []
    given = lookup(obj, "metadata.labels", {})
    roles = {key.removeprefix(_ROLE) for key in given if key.startswith(_ROLE)} | {
        given.get("kubernetes.io/role", "")
    }
    info, known = lookup(obj, "status.nodeInfo", {}), lookup(obj, "status.addresses", [])

    def address(kind: str) -> str:
        return next(
            (entry.get("address", NONE) for entry in known if entry.get("type") == kind), NONE
        )

    kernel = info.get("kernelVersion") or UNKNOWN
    if info.get("kernelVersion") and info.get("architecture"):
        kernel = f"{kernel} ({info['architecture']})"
    runtime = info.get("containerRuntimeVersion") or UNKNOWN
    facts = [info.get("osImage") or UNKNOWN, kernel, runtime]
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
        prepare_create=_prepare_node,
        prepare_update=_prepare_node_update,
        defaults=_default_node,
        may_be_empty=("core.v1.Taint.*",),
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
    ),
    ("coordination.k8s.io", "Lease"): Rules(
        any_finalizer=True,
        unconditional_update=False,
        defaults=_default_lease,
        check=_check_lease,
        columns=columns("Name", "Holder", "Age"),
        cells=name_values_age("spec.holderIdentity"),
        created_by_update=True,
    ),
    ("node.k8s.io", "RuntimeClass"): Rules(
        unconditional_update=False,
        check=_check_runtime_class,
        may_be_empty=("node.v1.RuntimeClass.handler",),
        check_update=unchanged("handler"),
        columns=columns("Name", "Handler", "Age"),
        cells=name_values_age("handler"),
    ),
}
