"""Ranges of addresses for Services: one from which addresses are taken stays. Pure.

After kubernetes, ``pkg/controller/servicecidrs``: a finalizer holds a range that is being deleted
until each of its addresses is free, or lies in another range too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from kubelite.client.resources import IP_ADDRESSES, SERVICE_CIDRS
from kubelite.control.controllers.actions import NOTHING, Patch, Plan, Update
from kubelite.control.controllers.controller import Controller
from kubelite.control.controllers.shared.conditions import condition, without
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    format_time,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    parse_time,
    spec_of,
    status_of,
    with_type,
)
from kubelite.control.controllers.view import View
from kubelite.objects.facts.service_addresses import ALLOCATOR, MANAGED_BY

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
DELETION_SECONDS = 10.0
"""For so long an API server may not have seen a deletion, and may still give out addresses."""
_READY = "Kubernetes Service CIDR is ready"
_STAYS = (
    "There are still IPAddresses referencing the ServiceCIDR, "
    "please remove them or create a new ServiceCIDR"
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def plan(view: View, key: Key, now: float) -> Plan:
    """Holds a range, and lets one that is being deleted go when nothing needs it."""
    cidr = view.get(SERVICE_CIDRS, *key)
    if cidr is None:
        return NOTHING
    is_held = FINALIZER in (cidr["metadata"].get("finalizers") or ())
    if not is_deleting(cidr):
        return _in_state(cidr, "True", "", _READY, now) if is_held else _finalizer(cidr, "")
    if not is_held:
        return NOTHING
    if is_needed(view, cidr):
        return _in_state(cidr, "False", "Terminating", _STAYS, now)
    ends = parse_time(cidr["metadata"]["deletionTimestamp"]) + DELETION_SECONDS
    return Plan((), ends) if ends > now else _finalizer(cidr, "$deleteFromPrimitiveList/")


def is_needed(view: View, cidr: Obj) -> bool:
    """Whether an address is taken that would lie in no range any more."""
    others = [
        network
        for other in view.list(SERVICE_CIDRS)
        if name_of(other) != name_of(cidr)
        for network in networks_of(other)
    ]
    if all(any(_contains(other, own) for other in others) for own in networks_of(cidr)):
        return False
    addresses = (
        ipaddress.ip_address(name_of(address))
        for address in view.list(IP_ADDRESSES)
        if labels_of(address).get(MANAGED_BY) == ALLOCATOR
    )
    return any(
        any(address in own for own in networks_of(cidr))
        and not any(address in other for other in others)
        for address in addresses
    )


def networks_of(cidr: Obj) -> list[Network]:
    """The networks of a range."""
    return [ipaddress.ip_network(text) for text in spec_of(cidr).get("cidrs") or ()]


def _contains(outer: Network, inner: Network) -> bool:
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _finalizer(cidr: Obj, directive: str) -> Plan:
    body = {"metadata": {f"{directive}finalizers": [FINALIZER]}}
    return Plan((Patch(SERVICE_CIDRS, "", name_of(cidr), body),))


def _in_state(cidr: Obj, status: str, reason: str, message: str, now: float) -> Plan:
    old = condition(cidr, "Ready") or {}
    state = {"status": status, "reason": reason, "message": message}
    if all(old.get(field, "") == text for field, text in state.items()):
        return NOTHING
    since = old.get("lastTransitionTime") if old.get("status") == status else format_time(now)
    rest = without(status_of(cidr).get("conditions") or (), "Ready")
    conditions = [*rest, {"type": "Ready", "lastTransitionTime": since, **state}]
    body = with_type(cidr, "networking.k8s.io/v1", "ServiceCIDR")
    body["status"] = {**status_of(cidr), "conditions": conditions}
    return Plan((Update(SERVICE_CIDRS, body, "status"),))


def _leaving(view: View) -> list[Key]:
    return [key_of(cidr) for cidr in view.list(SERVICE_CIDRS) if is_deleting(cidr)]


def _of_cidr(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The range itself, and those that may go when another has come."""
    cidr = new if new is not None else old
    return [] if cidr is None else {key_of(cidr), *_leaving(view)}


def _of_address(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """Ranges that may wait for an address that is free now."""
    del old
    return _leaving(view) if new is None else []


SERVICE_CIDR_CONTROLLER = Controller(
    "service-cidr-controller",
    "service-cidrs-controller",
    "service-cidrs-controller",
    {SERVICE_CIDRS: _of_cidr, IP_ADDRESSES: _of_address},
    plan,
)
