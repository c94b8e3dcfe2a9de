"""EndpointSlices of Endpoints that somebody else writes, for Services without a selector. Pure.

After kubernetes, ``pkg/controller/endpointslicemirroring``: one slice for each family of addresses
and list of ports; a slice that changes is written anew under the name it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple

from kubelite.client.resources import ENDPOINT_SLICES, ENDPOINTS, SERVICES
from kubelite.control.controllers.actions import Action, Create, Delete, Emit, Plan, Update
from kubelite.control.controllers.controller import Controller, own_key
from kubelite.control.controllers.network.endpoints_of_pods import Port
from kubelite.control.controllers.network.endpointslice import MANAGED_BY, SERVICE_LABEL, slices_of
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    annotations_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    spec_of,
    uid_of,
    with_type,
)
from kubelite.control.controllers.view import View

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP_LABEL = "endpointslice.kubernetes.io/skip-mirror"
MAX_ADDRESSES = 1000
"""So many addresses of a subset are mirrored."""
_LEADER = "control-plane.alpha.kubernetes.io/leader"
_OWN_ANNOTATIONS = {
    "endpoints.kubernetes.io/last-change-trigger-time",
    "kubectl.kubernetes.io/last-applied-configuration",
}


class Group(NamedTuple):
    """What endpoints of one slice share."""

    family: str
    ports: tuple[Port, ...]


def plan(view: View, key: Key, now: float) -> Plan:
    """Brings the mirrored slices of one Endpoints in line with it."""
    del now
    present = slices_of(view, *key, MANAGER)
    endpoints = view.get(ENDPOINTS, *key)
    service = view.get(SERVICES, *key)
    if endpoints is None or service is None or not _is_mirrored(endpoints, service):
        return Plan(tuple(_delete(slice_) for slice_ in present))
    actions: list[Action] = list(_events(endpoints))
    wanted = wanted_endpoints(endpoints)
    for group, members in wanted.items():
        same = [slice_ for slice_ in present if _group_of(slice_) == group]
        body = _slice(endpoints, group, members)
        if not same:
            actions.append(Create(ENDPOINT_SLICES, body))
        elif _differs(body, same[0]):
            actions.append(Update(ENDPOINT_SLICES, _renewed(body, same[0])))
        actions += [_delete(slice_) for slice_ in same[1:]]
    actions += [_delete(slice_) for slice_ in present if _group_of(slice_) not in wanted]
    return Plan(tuple(actions))


def _is_mirrored(endpoints: Obj, service: Obj) -> bool:
    """Whether Endpoints are mirrored: those of a Service without a selector, and no lock."""
    return (
        not spec_of(service).get("selector")
        and not is_deleting(endpoints)
        and labels_of(endpoints).get(SKIP_LABEL) != "true"
        and _LEADER not in annotations_of(endpoints)
    )


def wanted_endpoints(endpoints: Obj) -> dict[Group, list[dict[str, Any]]]:
    """The endpoints of each slice; an address counts once."""
    wanted: dict[Group, dict[str, dict[str, Any]]] = {}
    for subset in endpoints.get("subsets") or ():
        ports = _ports(subset.get("ports") or ())
        for address, is_ready in _addresses(subset)[:MAX_ADDRESSES]:
            if (family := _family(address["ip"])) is not None:
                members = wanted.setdefault(Group(family, ports), {})
                members.setdefault(address["ip"], _endpoint(address, is_ready=is_ready))
    return {group: list(members.values()) for group, members in wanted.items()}


def _addresses(subset: Obj) -> list[tuple[Obj, bool]]:
    ready = [(address, True) for address in subset.get("addresses") or ()]
    return ready + [(address, False) for address in subset.get("notReadyAddresses") or ()]


def _family(text: str) -> str | None:
    try:
        return f"IPv{ip_address(text).version}"
    except ValueError:
        return None


def _endpoint(address: Obj, *, is_ready: bool) -> dict[str, Any]:
    optional = {field: address.get(field) for field in ("hostname", "nodeName", "targetRef")}
    return {
        "addresses": [address["ip"]],
        "conditions": {"ready": is_ready},
        **{field: value for field, value in optional.items() if value},
    }


def _ports(ports: Iterable[Obj]) -> tuple[Port, ...]:
    return tuple(
        Port(
            port.get("name") or "",
            port.get("protocol") or "TCP",
            port.get("port"),
            port.get("appProtocol"),
        )
        for port in ports
    )


def _group_of(slice_: Obj) -> Group:
    return Group(slice_["addressType"], _ports(slice_.get("ports") or ()))


def _slice(endpoints: Obj, group: Group, members: Sequence[dict[str, Any]]) -> dict[str, Any]:
    name = name_of(endpoints)
    metadata: dict[str, Any] = {
        "generateName": f"{name}-",
        "namespace": namespace_of(endpoints),
        "labels": {**labels_of(endpoints), SERVICE_LABEL: name, MANAGED_BY: MANAGER},
        "ownerReferences": [owner_reference(endpoints, "v1", "Endpoints")],
    }
    annotations = {
        key: value
        for key, value in annotations_of(endpoints).items()
        if key not in _OWN_ANNOTATIONS
    }
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata | ({"annotations": annotations} if annotations else {}),
        "addressType": group.family,
        "endpoints": list(members),
        "ports": [_port(port) for port in group.ports],
    }


def _port(port: Port) -> dict[str, Any]:
    body: dict[str, Any] = {"name": port.name, "protocol": port.protocol, "port": port.number}
    return body | ({"appProtocol": port.app_protocol} if port.app_protocol is not None else {})


def _differs(body: Obj, present: Obj) -> bool:
    return (
        body["endpoints"] != (present.get("endpoints") or [])
        or labels_of(body) != labels_of(present)
        or annotations_of(body) != annotations_of(present)
    )


def _renewed(body: dict[str, Any], present: Obj) -> dict[str, Any]:
    """The new slice under the name of the old one, which then is no generated name any more."""
    metadata = {
        field: value for field, value in body["metadata"].items() if field != "generateName"
    }
    metadata["name"] = name_of(present)
    metadata["uid"] = uid_of(present)
    metadata["resourceVersion"] = present["metadata"].get("resourceVersion")
    return {**body, "metadata": metadata}


def _events(endpoints: Obj) -> Iterable[Emit]:
    """What of Endpoints cannot be mirrored."""
    by_subset = [_addresses(subset) for subset in endpoints.get("subsets") or ()]
    skipped = sum(max(len(addresses) - MAX_ADDRESSES, 0) for addresses in by_subset)
    if skipped:
        text = (
            f"A max of {MAX_ADDRESSES} addresses can be mirrored to EndpointSlices per Endpoints "
            f"subset. {skipped} addresses were skipped"
        )
        described = with_type(endpoints, "v1", "Endpoints")
        yield Emit(described, "Warning", "TooManyAddressesToMirror", text)


def _delete(slice_: Obj) -> Delete:
    return Delete(ENDPOINT_SLICES, *key_of(slice_), uid_of(slice_))


def _endpoints_of_slice(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    del view
    slice_ = new if new is not None else old
    if slice_ is None or labels_of(slice_).get(MANAGED_BY) != MANAGER:
        return []
    return [(namespace_of(slice_), labels_of(slice_).get(SERVICE_LABEL, ""))]


ENDPOINT_SLICE_MIRRORING_CONTROLLER = Controller(
    "endpointslice-mirroring-controller",
    "endpointslicemirroring-controller",
    "endpoint-slice-mirroring-controller",
    {ENDPOINTS: own_key, SERVICES: own_key, ENDPOINT_SLICES: _endpoints_of_slice},
    plan,
)
