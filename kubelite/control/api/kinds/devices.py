"""Devices for pods (dynamic resource allocation): classes, claims, templates and slices. Pure.

Rules are those of ``resource.k8s.io/v1`` as far as they do not need a CEL compiler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.tables.columns import columns
from kubelite.control.api.tables.text import age_of, lookup, name_of
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

_MAX_REQUESTS, _MAX_SELECTORS, _MAX_DEVICES = 32, 32, 128
_MODES = ("All", "ExactCount")


def _default_claim(obj: Any) -> None:
    _default_devices(obj.spec.devices)


def _default_template(obj: Any) -> None:
    _default_devices(obj.spec.spec.devices)


def _default_devices(devices: Any) -> None:
    """One device of each request, unless it says how many."""
    for request in (devices.requests if devices is not None else None) or ():
        wanted = [request.exactly] if request.exactly is not None else request.firstAvailable or []
        for exact in wanted:
            exact.allocationMode = exact.allocationMode or "ExactCount"
            if exact.allocationMode == "ExactCount" and not exact.count:
                exact.count = 1
            for toleration in exact.tolerations or ():
                toleration.operator = toleration.operator or "Equal"


def _check_claim(obj: Object) -> Iterator[Cause]:
    yield from _check_spec(obj.get("spec") or {}, "spec")


def _check_template(obj: Object) -> Iterator[Cause]:
    yield from _check_spec(lookup(obj, "spec.spec", {}), "spec.spec")


def _check_spec(spec: Object, path: str) -> Iterator[Cause]:
    requests = lookup(spec, "devices.requests", [])
    where = f"{path}.devices.requests"
    if len(requests) > _MAX_REQUESTS:
        yield causes.too_many(where, len(requests), _MAX_REQUESTS)
    names_taken: set[str] = set()
    for index, request in enumerate(requests):
        yield from _check_request(request, f"{where}[{index}]")
        name = request.get("name", "")
        if name in names_taken:
            yield causes.duplicate(f"{where}[{index}].name", name)
        names_taken.add(name)


def _check_request(request: Object, path: str) -> Iterator[Cause]:
    yield from _check_label(request.get("name", ""), f"{path}.name")
    exactly, choices = request.get("exactly"), request.get("firstAvailable") or []
    if exactly is None and not choices:
        yield causes.required(path, "exactly one of `exactly` or `firstAvailable` is required")
    elif exactly is not None and choices:
        why = (
            "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"
        )
        yield causes.invalid(path, None, why)
    elif exactly is not None:
        yield from _check_exact(exactly, f"{path}.exactly")
    for index, choice in enumerate(choices):
        where = f"{path}.firstAvailable[{index}]"
        yield from _check_label(choice.get("name", ""), f"{where}.name")
        yield from _check_exact(choice, where)


def _check_exact(request: Object, path: str) -> Iterator[Cause]:
    if not request.get("deviceClassName"):
        yield causes.required(f"{path}.deviceClassName")
    else:
        for why in names.subdomain(request["deviceClassName"]):
            yield causes.invalid(f"{path}.deviceClassName", request["deviceClassName"], why)
    yield from _check_selectors(request.get("selectors") or [], f"{path}.selectors")
    mode, count = request.get("allocationMode", ""), request.get("count", 0)
    if mode not in _MODES:
        yield causes.unsupported(f"{path}.allocationMode", mode, _MODES)
    if mode == "All" and count:
        why = "must not be specified when allocationMode is 'All'"
        yield causes.invalid(f"{path}.count", count, why)
    if mode == "ExactCount" and count <= 0:
        yield causes.invalid(f"{path}.count", count, "must be greater than zero")


def _check_selectors(selectors: list[Object], path: str) -> Iterator[Cause]:
    if len(selectors) > _MAX_SELECTORS:
        yield causes.too_many(path, len(selectors), _MAX_SELECTORS)
    for index, selector in enumerate(selectors):
        if not (selector.get("cel") or {}).get("expression"):
            yield causes.required(f"{path}[{index}].cel.expression")


def _check_label(name: str, path: str) -> Iterator[Cause]:
    if not name:
        yield causes.required(path)
        return
    for why in names.label(name):
        yield causes.invalid(path, name, why)


def _check_class(obj: Object) -> Iterator[Cause]:
    yield from _check_selectors(lookup(obj, "spec.selectors", []), "spec.selectors")
    for index, config in enumerate(lookup(obj, "spec.config", [])):
        if not config.get("opaque"):
            yield causes.required(f"spec.config[{index}].opaque")


def _check_slice(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if not spec.get("driver"):
        yield causes.required("spec.driver")
    pool = spec.get("pool") or {}
    if not pool.get("name"):
        yield causes.required("spec.pool.name")
    if pool.get("resourceSliceCount", 0) <= 0:
        value = pool.get("resourceSliceCount", 0)
        yield causes.invalid("spec.pool.resourceSliceCount", value, "must be greater than zero")
    if pool.get("generation", 0) < 0:
        yield causes.invalid(
            "spec.pool.generation", pool["generation"], "must be greater than or equal to zero"
        )
    places = [
        field
        for field in ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
        if spec.get(field)
    ]
    if len(places) != 1:
        text = (
            "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` "
            "is required"
        )
        yield causes.required("spec", text) if not places else causes.invalid("spec", None, text)
    yield from _check_devices(spec.get("devices") or [], "spec.devices")


def _check_devices(devices: list[Object], path: str) -> Iterator[Cause]:
    if len(devices) > _MAX_DEVICES:
        yield causes.too_many(path, len(devices), _MAX_DEVICES)
    names_taken: set[str] = set()
    for index, device in enumerate(devices):
        name = device.get("name", "")
        yield from _check_label(name, f"{path}[{index}].name")
        if name and name in names_taken:
            yield causes.duplicate(f"{path}[{index}].name", name)
        names_taken.add(name)


def _immutable_spec(new: Object, old: Object) -> Iterator[Cause]:
    if new.get("spec") != old.get("spec"):
        yield causes.invalid("spec", new.get("spec"), "field is immutable")


def _slice_identity(new: Object, old: Object) -> Iterator[Cause]:
    for field in ("driver", "nodeName", "pool.name"):
        value = lookup(new, f"spec.{field}", "")
        if value != lookup(old, f"spec.{field}", ""):
            yield causes.invalid(f"spec.{field}", value, "field is immutable")


def _check_claim_status(new: Object, old: Object) -> Iterator[Cause]:
    allocation = lookup(old, "status.allocation")
    changed = lookup(new, "status.allocation")
    if allocation and changed and allocation != changed:
        yield causes.invalid("status.allocation", changed, "field is immutable")
    reserved = lookup(new, "status.reservedFor", [])
    if reserved and not changed:
        text = "may not be specified when `allocated` is not set"
        yield causes.forbidden("status.reservedFor", text)
    if len(reserved) > 256:
        yield causes.too_many("status.reservedFor", len(reserved), 256)


def _claim_state(obj: Object) -> str:
    states = []
    if lookup(obj, "metadata.deletionTimestamp"):
        states.append("deleted")
    if not lookup(obj, "status.allocation"):
        return ",".join([*states, "pending"])
    return ",".join(
        [*states, "allocated", *(["reserved"] if lookup(obj, "status.reservedFor") else [])]
    )


def _cells(*values: Callable[[Object], Any]) -> Callable[[Object, datetime], list[Any]]:
    def cells(obj: Object, now: datetime) -> list[Any]:
        return [name_of(obj), *(value(obj) for value in values), age_of(obj, now)]

    return cells


_GROUP = "resource.k8s.io"
KINDS: dict[tuple[str, str], Rules] = {
    (_GROUP, "DeviceClass"): Rules(check=_check_class, has_generation=True),
    (_GROUP, "ResourceClaim"): Rules(
        defaults=_default_claim,
        check=_check_claim,
        check_update=_immutable_spec,
        check_subresource={"status": _check_claim_status},
        columns=columns("Name", "State", "Age"),
        cells=_cells(_claim_state),
    ),
    (_GROUP, "ResourceClaimTemplate"): Rules(
        defaults=_default_template, check=_check_template, check_update=_immutable_spec
    ),
    (_GROUP, "ResourceSlice"): Rules(
        check=_check_slice,
        check_update=_slice_identity,
        has_generation=True,
        selectable=("spec.nodeName", "spec.driver"),
        columns=columns("Name", "Node", "Driver", "Pool", "Age"),
        cells=_cells(
            lambda obj: lookup(obj, "spec.nodeName", ""),
            lambda obj: lookup(obj, "spec.driver", ""),
            lambda obj: lookup(obj, "spec.pool.name", ""),
        ),
    ),
}
