"""The endpoints that the pods of a Service are. Pure.

After kubernetes, ``staging/src/k8s.io/endpointslice`` and ``pkg/controller/endpoint``: pods with an
address that have not ended count; one that is being deleted is terminating and not ready.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kubelite.client.resources import NODES, PODS
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
)
from kubelite.control.controllers.shared.pod_state import is_ready, is_terminated
from kubelite.control.controllers.view import View

ZONE_LABEL = "topology.kubernetes.io/zone"


class Port(NamedTuple):
    """A port of a Service as a pod serves it; ``number`` None is any port."""

    name: str
    protocol: str
    number: int | None
    app_protocol: str | None = None


class PodEndpoint(NamedTuple):
    """One pod behind a Service, with the ports it serves."""

    pod: Obj
    ports: tuple[Port, ...]


def selects(service: Obj) -> bool:
    """Whether the Service has a selector, so that its endpoints are for controllers to write."""
    return bool(spec_of(service).get("selector")) and (
        spec_of(service).get("type") != "ExternalName"
    )


def selected_pods(view: View, service: Obj) -> list[Obj]:
    """The pods of a Service that can be endpoints, by name."""
    selector: Mapping[str, str] = spec_of(service).get("selector") or {}
    pods = [
        pod
        for pod in view.list(PODS, namespace_of(service))
        if selector.items() <= labels_of(pod).items() and _can_serve(pod, service)
    ]
    return sorted(pods, key=name_of)


def _can_serve(pod: Obj, service: Obj) -> bool:
    return bool(status_of(pod).get("podIPs")) and not is_terminated(pod)


def is_endpoint_ready(pod: Obj, service: Obj) -> bool:
    """Ready and not terminating, or any pod where the Service publishes those that are not."""
    if spec_of(service).get("publishNotReadyAddresses"):
        return True
    return is_ready(pod) and not is_deleting(pod)


def endpoint_ports(service: Obj, pod: Obj) -> tuple[Port, ...]:
    """The Service's ports on this pod; a named target port that the pod lacks is left out."""
    ports = spec_of(service).get("ports") or ()
    numbered = []
    for port in ports:
        protocol = port.get("protocol") or "TCP"
        number = _target(port, protocol, pod)
        if number:
            numbered.append(Port(port.get("name") or "", protocol, number, port.get("appProtocol")))
    return tuple(numbered)


def _target(port: Obj, protocol: str, pod: Obj) -> int | None:
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target or int(port["port"])
    containers = (*spec_of(pod).get("containers", ()), *_sidecars(pod))
    for container in containers:
        for declared in container.get("ports") or ():
            if declared.get("name") == target and declared.get("protocol", "TCP") == protocol:
                return int(declared["containerPort"])
    return None


def _sidecars(pod: Obj) -> Iterable[Obj]:
    return (
        container
        for container in spec_of(pod).get("initContainers") or ()
        if container.get("restartPolicy") == "Always"
    )


def hostname_of(pod: Obj, service: Obj) -> str:
    """The pod's own name in the Service's domain, where it has one."""
    spec = spec_of(pod)
    if spec.get("hostname") and spec.get("subdomain") == name_of(service):
        return str(spec["hostname"])
    return ""


def zone_of(view: View, pod: Obj) -> str:
    """The zone of the pod's node."""
    node = view.get(NODES, "", spec_of(pod).get("nodeName") or "")
    return labels_of(node).get(ZONE_LABEL, "") if node is not None else ""


def target_reference(pod: Obj) -> dict[str, Any]:
    """The reference by which an endpoint names its pod."""
    return {
        "kind": "Pod",
        "namespace": namespace_of(pod),
        "name": name_of(pod),
        "uid": uid_of(pod),
    }


def services_of_pod(services: Sequence[Obj], *pods: Obj | None) -> list[Key]:
    """The Services that select a pod as it was or is."""
    keys = []
    for service in services:
        selector = spec_of(service).get("selector") or {}
        if selector and any(
            pod is not None and selector.items() <= labels_of(pod).items() for pod in pods
        ):
            keys.append(key_of(service))
    return keys
