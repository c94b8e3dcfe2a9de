"""Endpoints of Services with a selector: the older form of EndpointSlices. Pure.

After kubernetes, ``pkg/controller/endpoint``: at most 1000 addresses; subsets share their ports.
"""

from __future__ import annotations

from typing import Any

from kubelite.client.resources import ENDPOINTS, PODS, SERVICES
from kubelite.control.controllers.actions import (
    NOTHING,
    Action,
    Create,
    Delete,
    Outcome,
    Plan,
    Read,
    Step,
    Update,
    refusals,
)
from kubelite.control.controllers.controller import Controller, own_key
from kubelite.control.controllers.network.endpoints_of_pods import (
    Port,
    endpoint_ports,
    hostname_of,
    is_endpoint_ready,
    selected_pods,
    selects,
    target_reference,
)
from kubelite.control.controllers.network.endpointslice import HEADLESS_LABEL, pod_services
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
    with_type,
)
from kubelite.control.controllers.view import View

MAX_ADDRESSES = 1000
MANAGED_BY, MANAGER = "endpoints.kubernetes.io/managed-by", "endpoint-controller"


def plan(view: View, key: Key, now: float) -> Plan:
    """Brings the Endpoints of one Service in line with its pods."""
    del now
    service, present = view.get(SERVICES, *key), view.get(ENDPOINTS, *key)
    if service is None and present is not None and labels_of(present).get(MANAGED_BY) == MANAGER:
        return Plan((_removal(present),))
    if service is None or is_deleting(service) or not selects(service):
        return NOTHING
    labels = {**labels_of(service), MANAGED_BY: MANAGER}
    if spec_of(service).get("clusterIP") == "None":
        labels[HEADLESS_LABEL] = ""
    subsets = _subsets(view, service)
    if present is None:
        metadata = {"name": name_of(service), "namespace": namespace_of(service), "labels": labels}
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
        return Plan((Create(ENDPOINTS, body | ({"subsets": subsets} if subsets else {})),))
    if subsets == list(present.get("subsets") or ()) and labels == labels_of(present):
        return NOTHING
    body = with_type(present, "v1", "Endpoints")
    body["metadata"] = {**present["metadata"], "labels": labels}
    body["subsets"] = subsets
    return Plan((Update(ENDPOINTS, body),))


def _removal(endpoints: Obj) -> Step:
    """The end of Endpoints whose Service is gone, if the server says so too."""
    namespace, name = key_of(endpoints)

    def answered(outcomes: tuple[Outcome, ...]) -> tuple[Action, ...]:
        if not any(refusal.code == 404 for refusal in refusals(outcomes)):
            return ()
        return (Delete(ENDPOINTS, namespace, name, uid_of(endpoints)),)

    return Step((Read(SERVICES, namespace, name),), answered, tolerant=True)


def _subsets(view: View, service: Obj) -> list[dict[str, Any]]:
    """Ports that the same pods serve share a subset, as Kubernetes repacks them: for each port the
    pods that serve it, then the ports with the same pods together.
    """
    by_port: dict[Port, dict[str, tuple[dict[str, Any], bool]]] = {}
    without_ports: dict[str, tuple[dict[str, Any], bool]] = {}
    for pod in selected_pods(view, service)[:MAX_ADDRESSES]:
        ready = is_endpoint_ready(pod, service)
        if is_deleting(pod) and not ready:
            continue
        entry = (_address(service, pod), ready)
        for port in endpoint_ports(service, pod):
            by_port.setdefault(port, {})[uid_of(pod)] = entry
        if not spec_of(service).get("ports"):
            without_ports[uid_of(pod)] = entry
    groups: dict[frozenset[str], list[Port]] = {}
    for port, pods in by_port.items():
        groups.setdefault(frozenset(pods), []).append(port)
    subsets = [_subset(by_port[ports[0]], ports) for ports in groups.values()]
    if without_ports:
        subsets.append(_subset(without_ports, []))
    return sorted(subsets, key=lambda subset: str(subset.get("ports")))


def _subset(pods: dict[str, tuple[dict[str, Any], bool]], ports: list[Port]) -> dict[str, Any]:
    subset: dict[str, Any] = {}
    for field, wanted in (("addresses", True), ("notReadyAddresses", False)):
        addresses = [address for address, ready in pods.values() if ready is wanted]
        if addresses:
            subset[field] = sorted(addresses, key=_order)
    if ports:
        subset["ports"] = [_port(port) for port in sorted(ports)]
    return subset


def _address(service: Obj, pod: Obj) -> dict[str, Any]:
    address: dict[str, Any] = {"ip": status_of(pod)["podIP"]}
    if hostname := hostname_of(pod, service):
        address["hostname"] = hostname
    if node := spec_of(pod).get("nodeName"):
        address["nodeName"] = node
    return address | {"targetRef": target_reference(pod)}


def _order(address: Obj) -> tuple[str, str]:
    return address["ip"], address["targetRef"]["uid"]


def _port(port: Port) -> dict[str, Any]:
    body: dict[str, Any] = {"name": port.name} if port.name else {}
    body |= {"port": port.number, "protocol": port.protocol}
    if port.app_protocol is not None:
        body["appProtocol"] = port.app_protocol
    return body


ENDPOINTS_CONTROLLER = Controller(
    "endpoints-controller",
    "endpoint-controller",
    "endpoint-controller",
    {SERVICES: own_key, PODS: pod_services, ENDPOINTS: own_key},
    plan,
)
