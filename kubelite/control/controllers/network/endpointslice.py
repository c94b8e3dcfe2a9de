"""EndpointSlices of Services with a selector. Pure.

After kubernetes, ``staging/src/k8s.io/endpointslice``: endpoints with the same ports share slices
of at most 100; slices that are there are changed as little as possible, and their names are
generated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubelite.client.resources import ENDPOINT_SLICES, NODES, PODS, SERVICES
from kubelite.control.controllers.actions import NOTHING, Action, Create, Delete, Plan, Update
from kubelite.control.controllers.controller import Controller, nobody, own_key
from kubelite.control.controllers.network.endpoints_of_pods import (
    Port,
    endpoint_ports,
    hostname_of,
    is_endpoint_ready,
    selected_pods,
    selects,
    services_of_pod,
    target_reference,
    zone_of,
)
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    spec_of,
    status_of,
    uid_of,
    with_type,
)
from kubelite.control.controllers.shared.pod_state import is_ready
from kubelite.control.controllers.view import View

MAX_ENDPOINTS = 100
SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY, MANAGER = "endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io"
HEADLESS_LABEL = "service.kubernetes.io/headless"
_NEAR = ("PreferClose", "PreferSameZone", "PreferSameNode")
_FAMILIES = {"IPv4": ".", "IPv6": ":"}


def plan(view: View, key: Key, now: float) -> Plan:
    """Brings the slices of one Service in line with its pods."""
    del now
    service = view.get(SERVICES, *key)
    if service is None or is_deleting(service) or not selects(service):
        return NOTHING
    pods = selected_pods(view, service)
    actions: list[Action] = []
    own = slices_of(view, *key, MANAGER)
    for family in spec_of(service).get("ipFamilies") or ("IPv4",):
        present = [entry for entry in own if entry["addressType"] == family]
        actions += _family_actions(view, service, pods, family, present)
    families = spec_of(service).get("ipFamilies") or ("IPv4",)
    actions += [_delete(entry) for entry in own if entry["addressType"] not in families]
    return Plan(tuple(actions))


def slices_of(view: View, namespace: str, service: str, manager: str) -> list[Obj]:
    """The slices that a controller has made for a Service, by name."""
    slices = [
        entry
        for entry in view.list(ENDPOINT_SLICES, namespace)
        if labels_of(entry).get(SERVICE_LABEL) == service
        and labels_of(entry).get(MANAGED_BY) == manager
        and not is_deleting(entry)
    ]
    return sorted(slices, key=name_of)


def _family_actions(
    view: View, service: Obj, pods: list[Obj], family: str, present: list[Obj]
) -> list[Action]:
    wanted: dict[tuple[Port, ...], dict[str, dict[str, Any]]] = {}
    for pod in pods:
        addresses = [a["ip"] for a in status_of(pod)["podIPs"] if _FAMILIES[family] in a["ip"]]
        if addresses:
            ports = endpoint_ports(service, pod)
            endpoint = _endpoint(view, service, pod, addresses[0])
            wanted.setdefault(ports, {})[uid_of(pod)] = endpoint
    if not wanted:
        wanted = {(): {}}
    actions: list[Action] = []
    for ports, endpoints in wanted.items():
        same = [entry for entry in present if _ports_of(entry) == ports]
        actions += _group_actions(service, family, ports, endpoints, same)
    actions += [_delete(entry) for entry in present if _ports_of(entry) not in wanted]
    return actions


def _group_actions(
    service: Obj,
    family: str,
    ports: tuple[Port, ...],
    endpoints: Mapping[str, dict[str, Any]],
    present: list[Obj],
) -> list[Action]:
    """Endpoints stay in the slice they are in; new ones fill slices with room, then new slices."""
    missing = dict(endpoints)
    filled: list[tuple[Obj, list[dict[str, Any]]]] = []
    for slice_ in present:
        uids = [(e.get("targetRef") or {}).get("uid", "") for e in slice_.get("endpoints") or ()]
        kept = [missing.pop(uid) for uid in uids if uid in missing]
        filled.append((slice_, kept))
    waiting = list(missing.values())
    for _, kept in filled:
        room = MAX_ENDPOINTS - len(kept)
        kept += waiting[:room]
        waiting = waiting[room:]
    actions: list[Action] = []
    is_only = len(filled) == 1 and not waiting
    for slice_, kept in filled:
        if not kept and not is_only:
            actions.append(_delete(slice_))
            continue
        body = _slice(service, family, ports, kept, slice_)
        if _differs(body, slice_):
            actions.append(Update(ENDPOINT_SLICES, body))
    if not filled or waiting:
        pieces = [waiting[i : i + MAX_ENDPOINTS] for i in range(0, len(waiting), MAX_ENDPOINTS)]
        actions += [
            Create(ENDPOINT_SLICES, _slice(service, family, ports, piece, None))
            for piece in pieces or ([[]] if not filled else [])
        ]
    return actions


def _slice(
    service: Obj,
    family: str,
    ports: tuple[Port, ...],
    endpoints: list[dict[str, Any]],
    present: Obj | None,
) -> dict[str, Any]:
    labels = {
        **{k: v for k, v in labels_of(service).items() if k != HEADLESS_LABEL},
        SERVICE_LABEL: name_of(service),
        MANAGED_BY: MANAGER,
    }
    if spec_of(service).get("clusterIP") == "None":
        labels[HEADLESS_LABEL] = ""
    metadata: dict[str, Any] = {
        "generateName": f"{name_of(service)}-",
        "namespace": namespace_of(service),
        "ownerReferences": [owner_reference(service, "v1", "Service")],
    }
    body: dict[str, Any] = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice"}
    if present is not None:
        body = with_type(present, "discovery.k8s.io/v1", "EndpointSlice")
        metadata = dict(present["metadata"])
    metadata["labels"] = labels
    return body | {
        "metadata": metadata,
        "addressType": family,
        "endpoints": endpoints,
        "ports": [_port(port) for port in ports],
    }


def _differs(body: Obj, present: Obj) -> bool:
    return any(
        body[field] != (present.get(field) or []) for field in ("endpoints", "ports")
    ) or labels_of(body) != labels_of(present)


def _endpoint(view: View, service: Obj, pod: Obj, address: str) -> dict[str, Any]:
    serving, terminating = is_ready(pod), is_deleting(pod)
    endpoint: dict[str, Any] = {
        "addresses": [address],
        "conditions": {
            "ready": is_endpoint_ready(pod, service),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": target_reference(pod),
    }
    if hostname := hostname_of(pod, service):
        endpoint["hostname"] = hostname
    if node := spec_of(pod).get("nodeName"):
        endpoint["nodeName"] = node
    if zone := zone_of(view, pod):
        endpoint["zone"] = zone
    if hints := _hints(service, endpoint):
        endpoint["hints"] = hints
    return endpoint


def _hints(service: Obj, endpoint: Obj) -> dict[str, Any]:
    """Which zones and nodes are to prefer a ready endpoint: its own, where the Service's
    ``trafficDistribution`` says so.
    """
    distribution = spec_of(service).get("trafficDistribution")
    if distribution not in _NEAR or not endpoint["conditions"]["ready"]:
        return {}
    hints: dict[str, Any] = {}
    if zone := endpoint.get("zone"):
        hints["forZones"] = [{"name": zone}]
    if distribution == "PreferSameNode" and (node := endpoint.get("nodeName")):
        hints["forNodes"] = [{"name": node}]
    return hints


def _port(port: Port) -> dict[str, Any]:
    body: dict[str, Any] = {"name": port.name, "protocol": port.protocol, "port": port.number}
    if port.app_protocol is not None:
        body["appProtocol"] = port.app_protocol
    return body


def _ports_of(slice_: Obj) -> tuple[Port, ...]:
    return tuple(
        Port(
            port.get("name") or "",
            port.get("protocol") or "TCP",
            port.get("port"),
            port.get("appProtocol"),
        )
        for port in slice_.get("ports") or ()
    )


def _delete(slice_: Obj) -> Delete:
    return Delete(ENDPOINT_SLICES, *key_of(slice_), uid_of(slice_))


def pod_services(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The Services that select a pod that has changed."""
    pod = new if new is not None else old
    if pod is None:
        return []
    return services_of_pod(view.list(SERVICES, namespace_of(pod)), old, new)


def _service_of_slice(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    del view
    keys = [
        (namespace_of(slice_), labels_of(slice_).get(SERVICE_LABEL, ""))
        for slice_ in (old, new)
        if slice_ is not None and labels_of(slice_).get(MANAGED_BY) == MANAGER
    ]
    return [key for key in keys if key[1]]


ENDPOINT_SLICE_CONTROLLER = Controller(
    "endpointslice-controller",
    "endpointslice-controller",
    "endpoint-slice-controller",
    {SERVICES: own_key, PODS: pod_services, ENDPOINT_SLICES: _service_of_slice, NODES: nobody},
    plan,
)
