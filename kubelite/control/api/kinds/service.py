"""Services and where they lead: Endpoints and EndpointSlices. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds import metadata
from kubelite.control.api.kinds.checks import (
    unchanged,
)
from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.schema import structs
from kubelite.control.api.tables.columns import columns, wide
from kubelite.control.api.tables.text import (
    NONE,
    UNSET,
    age_of,
    first_few,
    joined,
    lookup,
    name_of,
    shown_labels,
)
from kubelite.control.api.wire import causes
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
Cells = list[Any]


def _default_service(obj: Any) -> None:
    spec = obj.spec
    spec.type = spec.type or "ClusterIP"
    spec.sessionAffinity = spec.sessionAffinity or "None"
    if spec.sessionAffinity == "ClientIP":
        config = spec.sessionAffinityConfig = spec.sessionAffinityConfig or structs.new(
            "core.v1.SessionAffinityConfig"
        )
        client = config.clientIP = config.clientIP or structs.new("core.v1.ClientIPConfig")
        client.timeoutSeconds = 10800 if client.timeoutSeconds is None else client.timeoutSeconds
    for port in spec.ports:
        port.protocol = port.protocol or "TCP"
        port.targetPort = port.targetPort or port.port
    outside = spec.type in ("NodePort", "LoadBalancer") or (
        spec.type == "ClusterIP" and spec.externalIPs
    )
    if outside:
        spec.externalTrafficPolicy = spec.externalTrafficPolicy or "Cluster"
    if spec.type != "ExternalName":
        spec.internalTrafficPolicy = spec.internalTrafficPolicy or "Cluster"
    if spec.type == "LoadBalancer" and spec.allocateLoadBalancerNodePorts is None:
        spec.allocateLoadBalancerNodePorts = True


def _default_endpoints(obj: Any) -> None:
    for subset in obj.subsets:
        for port in subset.ports:
            port.protocol = port.protocol or "TCP"


def _default_endpoint_slice(obj: Any) -> None:
    for port in obj.ports or ():
        port.name = "" if port.name is None else port.name
        port.protocol = port.protocol or "TCP"


def _check_service(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    kind, ports, address = spec.get("type"), spec.get("ports") or [], spec.get("clusterIP", "")
    if not ports and kind != "ExternalName" and address != "None":
        yield causes.required("spec.ports")
    if kind == "ExternalName":
        host = spec.get("externalName", "").removesuffix(".")
        for why in names.subdomain(host) if host else ():
            yield causes.invalid("spec.externalName", host, why)
        if not host:
            yield causes.required("spec.externalName")
        if address not in ("", "None"):
            yield causes.forbidden(
                "spec.clusterIPs", "may not be set when `type` is 'ExternalName'"
            )
    if kind == "LoadBalancer" and address == "None":
        yield causes.invalid(
            "spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services"
        )
    if address not in ("", "None") and not _is_address(address):
        yield causes.invalid(
            "spec.clusterIPs[0]",
            address,
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        )
    yield from _check_ports(spec, ports)
    yield from metadata.labels(spec.get("selector") or {}, "spec.selector")
    for index, each in enumerate(spec.get("externalIPs") or ()):
        if not _is_address(each):
            yield causes.invalid(
                f"spec.externalIPs[{index}]",
                each,
                "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            )
    seconds = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get(
        "timeoutSeconds"
    )
    if seconds is not None and not 0 < seconds <= 86400:
        why = "must be greater than 0 and less than 86400"
        yield causes.invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, why)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _check_ports(spec: Object, ports: list[Object]) -> Iterator[Cause]:
    seen_names: set[str] = set()
    seen: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        path, name, number = f"spec.ports[{index}]", port.get("name", ""), port.get("port", 0)
        if not name and len(ports) > 1:
            yield causes.required(f"{path}.name")
        for why in names.label(name) if name else ():
            yield causes.invalid(f"{path}.name", name, why)
        if name and name in seen_names:
            yield causes.duplicate(f"{path}.name", name)
        seen_names.add(name)
        for why in names.port_number(number):
            yield causes.invalid(f"{path}.port", number, why)
        if (number, port.get("protocol")) in seen:
            yield causes.duplicate(path, {"port": number, "protocol": port.get("protocol")})
        seen.add((number, port.get("protocol")))
        target = port.get("targetPort")
        for why in names.port_number(target) if isinstance(target, int) else ():
            yield causes.invalid(f"{path}.targetPort", target, why)
        for why in names.port_name(target) if isinstance(target, str) else ():
            yield causes.invalid(f"{path}.targetPort", target, why)
        if port.get("nodePort") and spec.get("type") in ("ClusterIP", "ExternalName"):
            yield causes.forbidden(
                f"{path}.nodePort", f"may not be used when `type` is '{spec['type']}'"
            )


def _check_endpoint_slice(obj: Object) -> Iterator[Cause]:
    version = {"IPv4": 4, "IPv6": 6}.get(obj.get("addressType", ""))
    for index, each in enumerate(obj.get("endpoints") or ()):
        for number, address in enumerate(each.get("addresses") or ()):
            if version and (
                not _is_address(address) or ipaddress.ip_address(address).version != version
            ):
                why = f"must be a valid {obj['addressType']} address"
                yield causes.invalid(f"endpoints[{index}].addresses[{number}]", address, why)


def _check_service_update(new: Object, old: Object) -> Iterator[Cause]:
    now, was = new.get("spec") or {}, old.get("spec") or {}
    if "ExternalName" in (now.get("type"), was.get("type")):
        return
    if was.get("clusterIP") and now.get("clusterIP") != was["clusterIP"]:
        yield causes.invalid(
            "spec.clusterIPs[0]", [now.get("clusterIP", "")], "may not change once set"
        )


def _service_warnings(obj: Object) -> Iterator[str]:
    spec, kind = obj["spec"], obj["spec"].get("type", "ClusterIP")
    if "service.kubernetes.io/topology-aware-hints" in (obj["metadata"].get("annotations") or {}):
        replacement = "service.kubernetes.io/topology-mode"
        yield f"annotation service.kubernetes.io/topology-aware-hints is deprecated, please use {replacement} instead"
    headless = kind == "ClusterIP" and spec.get("clusterIP") == "None"
    if headless and spec.get("loadBalancerIP"):
        yield "spec.loadBalancerIP is ignored for headless services"
    if headless and spec.get("externalIPs"):
        yield "spec.externalIPs is ignored for headless services"
    if headless and spec.get("sessionAffinity", "None") != "None":
        yield "spec.SessionAffinity is ignored for headless services"
    if spec.get("externalIPs") and not headless and kind != "ExternalName":
        yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    if spec.get("externalIPs") and kind == "ExternalName":
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if spec.get("externalName") and kind != "ExternalName":
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'


def _service_cells(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    head = [
        name_of(obj),
        spec.get("type", ""),
        spec.get("clusterIP") or NONE,
        _shown_external_addresses(obj, spec),
        _shown_ports(spec),
    ]
    return [*head, age_of(obj, now), shown_labels(spec.get("selector"))]


def _shown_external_addresses(obj: Object, spec: Object) -> str:
    kind = spec.get("type")
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    if kind != "LoadBalancer":
        return joined(spec.get("externalIPs") or ())
    return joined([*load_balancer_addresses(obj), *(spec.get("externalIPs") or ())], "<pending>")


def load_balancer_addresses(obj: Object) -> list[str]:
    """Where a load balancer is reached, each place once."""
    found = {
        each.get("ip") or each.get("hostname", "")
        for each in lookup(obj, "status.loadBalancer.ingress", [])
    }
    return sorted(found - {""})


def _shown_ports(spec: Object) -> str:
    shown = []
    for port in spec.get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return joined(shown)


def _endpoints_cells(obj: Object, now: datetime) -> Cells:
    found: list[str] = []
    for subset in obj.get("subsets") or ():
        ips = [each.get("ip", "") for each in subset.get("addresses") or ()]
        ports = [port.get("port") for port in subset.get("ports") or ()]
        found += (
            [f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}" for port in ports for ip in ips]
            if ports
            else ips
        )
    return [name_of(obj), first_few(found), age_of(obj, now)]


def _endpoint_slice_cells(obj: Object, now: datetime) -> Cells:
    ports = [str(port.get("port", "*")) for port in obj.get("ports") or ()]
    addresses = [
        address for each in obj.get("endpoints") or () for address in each.get("addresses") or ()
    ]
    shown = [first_few(ports) if ports else UNSET, first_few(addresses) if addresses else UNSET]
    return [name_of(obj), obj.get("addressType", ""), *shown, age_of(obj, now)]


KINDS: dict[tuple[str, str], Rules] = {
    ("", "Service"): Rules(
        defaults=_default_service,
        check=_check_service,
        check_update=_check_service_update,
        warnings=_service_warnings,
        columns=columns(
            "Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", wide("Selector")
        ),
        cells=_service_cells,
        created_by_update=True,
        returned_on_delete=True,
        selectable=("spec.clusterIP", "spec.type"),
        name=names.label_1035,
        values={
            "core.v1.ServicePort": {"protocol": ("SCTP", "TCP", "UDP")},
            "core.v1.ServiceSpec": {
                "type": ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"),
                "sessionAffinity": ("ClientIP", "None"),
                "externalTrafficPolicy": ("Cluster", "Local"),
                "internalTrafficPolicy": ("Cluster", "Local"),
                "ipFamilyPolicy": ("PreferDualStack", "RequireDualStack", "SingleStack"),
                "ipFamilies": ("IPv4", "IPv6"),
            },
        },
        may_be_empty=("core.v1.ServicePort.port",),
    ),
    ("", "Endpoints"): Rules(
        defaults=_default_endpoints,
        columns=columns("Name", "Endpoints", "Age"),
        cells=_endpoints_cells,
        created_by_update=True,
        deprecation="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        values={"core.v1.EndpointPort": {"protocol": ("SCTP", "TCP", "UDP")}},
    ),
    ("discovery.k8s.io", "EndpointSlice"): Rules(
        defaults=_default_endpoint_slice,
        check=_check_endpoint_slice,
        check_update=unchanged("addressType"),
        columns=columns("Name", "AddressType", "Ports", "Endpoints", "Age"),
        cells=_endpoint_slice_cells,
        has_generation=True,
        values={"discovery.v1.EndpointSlice": {"addressType": ("FQDN", "IPv4", "IPv6")}},
        may_be_empty=("discovery.v1.Endpoint.addresses",),
    ),
}
