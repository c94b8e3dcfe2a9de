"""Addresses of Services of type LoadBalancer. Pure.

In the place of a cloud's service controller (``k8s.io/cloud-provider``, ``controllers/service``).
Without a pool the nodes are the load balancer: the status holds their own addresses. With one, each
Service gets an address of its own, and one node is chosen to answer for it in the local network.
Where the external traffic policy is Local, only nodes with a ready endpoint count.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from kubelite.client.resources import ENDPOINT_SLICES, NODES, SERVICES
from kubelite.control.controllers.actions import NOTHING, Emit, Patch, Plan
from kubelite.control.controllers.controller import Controller, Settings, own_key
from kubelite.control.controllers.network.endpointslice import SERVICE_LABEL
from kubelite.control.controllers.shared.address_pool import AddressPool
from kubelite.control.controllers.shared.conditions import is_true
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    annotations_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
    status_of,
)
from kubelite.control.controllers.view import View
from kubelite.objects.facts.load_balancers import ANNOUNCED_BY, CLASS

EXCLUDED_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"


def plan(pool: AddressPool, view: View, key: Key, now: float) -> Plan:
    """Brings status and announcing node of one Service in line with pool and nodes."""
    del now
    service = view.get(SERVICES, *key)
    if service is None or is_deleting(service):
        return NOTHING
    if not _is_ours(service):
        is_left = ANNOUNCED_BY in annotations_of(service) or (
            spec_of(service).get("type") != "LoadBalancer" and _ingress(service)
        )
        return Plan((_patch(service, [], ""),)) if is_left else NOTHING
    nodes = _serving_nodes(view, service)
    if not pool.ranges:
        return _plan_for(service, _node_addresses(service, nodes), "")
    addresses = _pool_addresses(pool, service, _taken(view, key))
    if not addresses:
        message = "Error syncing load balancer: no address of the pool is free"
        cleared = _plan_for(service, [], "").steps
        return Plan((*cleared, Emit(service, "Warning", "SyncLoadBalancerFailed", message)))
    return _plan_for(service, addresses, _announcer(service, nodes))


def _is_ours(service: Obj) -> bool:
    spec = spec_of(service)
    return spec.get("type") == "LoadBalancer" and spec.get("loadBalancerClass") in (None, CLASS)


def _plan_for(service: Obj, addresses: Sequence[str], announcer: str) -> Plan:
    present = [entry.get("ip") for entry in _ingress(service)]
    is_announced = annotations_of(service).get(ANNOUNCED_BY, "") == announcer
    if present == list(addresses) and is_announced:
        return NOTHING
    patch = _patch(service, addresses, announcer)
    if not addresses or present == list(addresses):
        return Plan((patch,))
    done = Emit(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer")
    return Plan((patch, done))


def _patch(service: Obj, addresses: Sequence[str], announcer: str) -> Patch:
    ingress = [{"ip": address, "ipMode": "VIP"} for address in addresses]
    body: dict[str, Any] = {
        "metadata": {"annotations": {ANNOUNCED_BY: announcer or None}},
        "status": {"loadBalancer": {"ingress": ingress or None}},
    }
    return Patch(SERVICES, *key_of(service), body, "merge", "status")


def _ingress(service: Obj) -> Sequence[Obj]:
    return (status_of(service).get("loadBalancer") or {}).get("ingress") or ()


def _families(service: Obj) -> Sequence[str]:
    return spec_of(service).get("ipFamilies") or ("IPv4",)


# -- the nodes' own addresses ----------------------------------------------------------------------


def _serving_nodes(view: View, service: Obj) -> list[Obj]:
    """The nodes that connections may be sent to, by name."""
    nodes = [node for node in view.list(NODES) if _takes_connections(node)]
    if spec_of(service).get("externalTrafficPolicy") == "Local":
        with_endpoints = _endpoint_nodes(view, service)
        nodes = [node for node in nodes if name_of(node) in with_endpoints]
    return sorted(nodes, key=name_of)


def _takes_connections(node: Obj) -> bool:
    return (
        is_true(node, "Ready") and not is_deleting(node) and EXCLUDED_LABEL not in labels_of(node)
    )


def _endpoint_nodes(view: View, service: Obj) -> set[str]:
    return {
        endpoint.get("nodeName", "")
        for endpoint_slice in view.list(ENDPOINT_SLICES, namespace_of(service))
        if labels_of(endpoint_slice).get(SERVICE_LABEL) == name_of(service)
        for endpoint in endpoint_slice.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready") is not False
    }


def _node_addresses(service: Obj, nodes: Iterable[Obj]) -> list[str]:
    """The external addresses of the nodes, or where they have none their internal ones."""
    result: list[str] = []
    for family in _families(service):
        for node in nodes:
            external, internal = (
                _addresses_of(node, kind, family) for kind in ("ExternalIP", "InternalIP")
            )
            result += (external or internal)[:1]
    return result


def _addresses_of(node: Obj, kind: str, family: str) -> list[str]:
    mark = ":" if family == "IPv6" else "."
    addresses = status_of(node).get("addresses") or ()
    return [a["address"] for a in addresses if a["type"] == kind and mark in a["address"]]


# -- addresses of a pool ---------------------------------------------------------------------------


def _taken(view: View, key: Key) -> set[str]:
    return {
        entry["ip"]
        for other in view.list(SERVICES)
        if key_of(other) != key
        for entry in _ingress(other)
        if entry.get("ip")
    }


def _pool_addresses(pool: AddressPool, service: Obj, taken: set[str]) -> list[str]:
    """An address for each family: the requested one, the present one, or any that is free."""
    requested = spec_of(service).get("loadBalancerIP")
    present = [entry.get("ip", "") for entry in _ingress(service)]
    result = []
    for family in _families(service):
        mark = ":" if family == "IPv6" else "."
        candidates = [requested] if requested and mark in requested else present
        kept = [a for a in candidates if mark in a and a in pool and a not in taken]
        is_fixed = candidates == [requested]
        address = next(iter(kept), "") or ("" if is_fixed else pool.first_free(family, taken))
        result += [address] if address else []
    return result


def _announcer(service: Obj, nodes: Sequence[Obj]) -> str:
    """The node that answers for the addresses: the present one while it can, or else the one that
    a hash prefers for this Service, so that Services spread; "" where no node can.
    """
    names = [name_of(node) for node in nodes]
    present = annotations_of(service).get(ANNOUNCED_BY, "")
    if present in names:
        return present
    place = "/".join(key_of(service))
    return max(names, key=lambda name: zlib.crc32(f"{place} {name}".encode()), default="")


# -- whom a change concerns ------------------------------------------------------------------------


def _service_changed(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The Service itself; one that gives up an address also those that wait for one."""
    kept = {entry.get("ip") for entry in _ingress(new or {})}
    freed = {entry.get("ip") for entry in _ingress(old or {})} - kept
    waiting = _keys(view, lambda service: not _ingress(service)) if freed else []
    return [*own_key(view, old, new), *waiting]


def _node_changed(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """All load balancers, where something changes that they depend on; heartbeats do not."""
    if old is not None and new is not None and _relevant(old) == _relevant(new):
        return []
    return _keys(view, lambda service: True)


def _relevant(node: Obj) -> tuple[bool, Any]:
    return _takes_connections(node), status_of(node).get("addresses")


def _slice_changed(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    keys = {
        (namespace_of(part), labels_of(part).get(SERVICE_LABEL, "")) for part in (old, new) if part
    }
    services = (view.get(SERVICES, *key) for key in sorted(keys))
    return [
        key_of(service)
        for service in services
        if service is not None and spec_of(service).get("externalTrafficPolicy") == "Local"
    ]


def _keys(view: View, wanted: Callable[[Obj], bool]) -> list[Key]:
    return [
        key_of(service) for service in view.list(SERVICES) if _is_ours(service) and wanted(service)
    ]


def load_balancer_controller(settings: Settings) -> Controller:
    """The controller for a pool. One worker, so that no address is given to two Services at once:
    each plan sees what those before it have written.
    """
    return Controller(
        "service-lb-controller",
        "service-controller",
        "service-controller",
        {SERVICES: _service_changed, NODES: _node_changed, ENDPOINT_SLICES: _slice_changed},
        partial(plan, settings.load_balancer_pool),
        workers=1,
    )
