"""Services and where they lead: Endpoints and EndpointSlices. Pure.

Addresses and node ports are given out by ``control/api/admission/services.py``. Fields that may not
change: ``_check_service_update``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.common import addresses, metadata, statuses
from kubelite.control.api.kinds.common.checks import (
    check_dns_name,
    check_port_number,
    check_port_or_name,
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
from kubelite.lib.json import Object
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

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
    elif spec.sessionAffinity == "None":
        spec.sessionAffinityConfig = None
    for port in spec.ports:
        port.protocol = port.protocol or "TCP"
        port.targetPort = port.targetPort or port.port
    outside = spec.type in ("NodePort", "LoadBalancer") or (
        spec.type == "ClusterIP" and spec.externalIPs
    )
    if outside:
        spec.externalTrafficPolicy = spec.externalTrafficPolicy or "Cluster"
    if spec.type != "ExternalName" and spec.internalTrafficPolicy is None:
        spec.internalTrafficPolicy = "Cluster"
    for point in obj.status.loadBalancer.ingress if spec.type == "LoadBalancer" else ():
        point.ipMode = point.ipMode or ("VIP" if point.ip else None)
    if spec.type == "LoadBalancer" and spec.allocateLoadBalancerNodePorts is None:
        spec.allocateLoadBalancerNodePorts = True


def _default_endpoints(obj: Any) -> None:
    for subset in obj.subsets:
        for port in subset.ports:
            port.protocol = port.protocol or "TCP"


def _default_endpoint_slice(obj: Any) -> None:
    for port in obj.ports or ():
        port.name = "" if port.name is None else port.name
        port.protocol = "TCP" if port.protocol is None else port.protocol
    for endpoint in obj.endpoints or ():
        endpoint.deprecatedTopology = {}


_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_POLICIES = ("Cluster", "Local")
_FAMILIES = ("IPv4", "IPv6")
_FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_MAX_AFFINITY_SECONDS = 86400
_KUBELET_PORT = 10250
_SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_HINTS = "service.kubernetes.io/topology-aware-hints"
_TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"
_EXTERNAL_NAME_ONLY = "may not be set for ExternalName services"
_LOAD_BALANCER_ONLY = "may only be used when `type` is 'LoadBalancer'"


def _is_headless(spec: Object) -> bool:
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP", "")]
    return addresses == ["None"]


def _is_external(spec: Object) -> bool:
    """Whether a Service can be reached from outside of the cluster."""
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (
        kind == "ClusterIP" and bool(spec.get("externalIPs"))
    )


def gets_node_ports(spec: Object) -> bool:
    """Whether each port of a Service is given a port of every node, so that none is left out."""
    kind = spec.get("type")
    balances = kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
    return kind == "NodePort" or balances


def needs_health_port(spec: Object) -> bool:
    """Whether load balancers ask the nodes which of them have endpoints of the Service."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _check_service(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    yield from _check_topology_annotations(annotations)
    if not spec.get("ports") and not _is_headless(spec) and spec.get("type") != "ExternalName":
        yield causes.required("spec.ports")
    yield from _check_type(spec)
    yield from _check_ports(spec)
    yield from metadata.labels(spec.get("selector") or {}, "spec.selector")
    yield from _check_affinity(spec)
    yield from _check_cluster_addresses(spec)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        path = f"spec.externalIPs[{index}]"
        problems = addresses.check_address(address, path)
        yield from problems or addresses.check_usable(address, path)
    yield from _check_source_ranges(spec, annotations)
    yield from _check_load_balancer(spec)
    yield from _check_traffic_policies(spec)


def _check_topology_annotations(annotations: dict[str, str]) -> Iterator[Cause]:
    hints, mode = annotations.get(_HINTS), annotations.get(_TOPOLOGY_MODE)
    if hints is not None and mode is not None and hints != mode:
        path = f"metadata.annotations[{_TOPOLOGY_MODE}]"
        why = f"must match annotations[{_HINTS}] when both are specified"
        yield causes.invalid(path, mode, why)


def _check_type(spec: Object) -> Iterator[Cause]:
    kind = spec.get("type", "")
    if kind not in _TYPES:
        yield causes.unsupported("spec.type", kind, _TYPES)
    if kind in ("LoadBalancer", "NodePort") and _is_headless(spec):
        why = f"may not be set to 'None' for {kind} services"
        yield causes.invalid("spec.clusterIPs[0]", "None", why)
    for index, port in enumerate(spec.get("ports") or ()):
        if kind == "LoadBalancer" and port.get("port") == _KUBELET_PORT:
            why = f"may not expose port {_KUBELET_PORT} externally since it is used by kubelet"
            yield causes.invalid(f"spec.ports[{index}].port", _KUBELET_PORT, why)
    if kind != "ExternalName":
        return
    for field in ("clusterIPs", "ipFamilies"):
        if spec.get(field):
            yield causes.forbidden(f"spec.{field}", _EXTERNAL_NAME_ONLY)
    if spec.get("ipFamilyPolicy") is not None:
        yield causes.forbidden("spec.ipFamilyPolicy", _EXTERNAL_NAME_ONLY)
    host = spec.get("externalName", "").removesuffix(".")
    if not host:
        yield causes.required("spec.externalName")
    for problem in names.subdomain(host) if host else ():
        yield causes.invalid("spec.externalName", host, problem)


def _check_ports(spec: Object) -> Iterator[Cause]:
    ports, kind = spec.get("ports") or [], spec.get("type")
    seen_names: set[str] = set()
    pairs_taken: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        path, number, protocol = f"spec.ports[{index}]", port.get("port", 0), port.get("protocol")
        yield from check_port_name(port.get("name", ""), len(ports) > 1, seen_names, path)
        yield from check_port_number(number, f"{path}.port")
        if protocol not in _PROTOCOLS:
            yield causes.unsupported(f"{path}.protocol", protocol, _PROTOCOLS)
        yield from check_port_or_name(port.get("targetPort", 0), f"{path}.targetPort")
        yield from _check_app_protocol(port, path)
        node_port = port.get("nodePort", 0)
        if node_port and kind in ("ClusterIP", "ExternalName"):
            why = f"may not be used when `type` is '{kind}'"
            yield causes.forbidden(f"{path}.nodePort", why)
        if (number, protocol) in pairs_taken:
            if gets_node_ports(spec):  # the same one, in all protocols
                yield causes.duplicate(f"{path}.nodePort", node_port)
            port_of_protocol = {"port": number, "protocol": protocol}
            yield causes.duplicate(path, port_of_protocol, "core.v1.ServicePort")
        pairs_taken.add((number, protocol))
    if not gets_node_ports(spec):
        yield from _check_node_ports(ports)


def _check_node_ports(ports: Sequence[Object]) -> Iterator[Cause]:
    """No node port leads to two ports of one protocol."""
    taken: set[tuple[int, str]] = set()
    for index, port in enumerate(ports):
        number, protocol = port.get("nodePort", 0), port.get("protocol", "")
        if number and (number, protocol) in taken:
            yield causes.duplicate(f"spec.ports[{index}].nodePort", number)
        taken.add((number, protocol))


def check_port_name(name: str, required: bool, names_taken: set[str], path: str) -> Iterator[Cause]:
    """The name of a port, which must differ from all ``names_taken`` before it."""
    if not name:
        if required:
            yield causes.required(f"{path}.name")
        return
    for problem in names.label(name):
        yield causes.invalid(f"{path}.name", name, problem)
    if name in names_taken:
        yield causes.duplicate(f"{path}.name", name)
    names_taken.add(name)


def _check_app_protocol(port: Object, path: str) -> Iterator[Cause]:
    protocol = port.get("appProtocol")
    for problem in names.qualified(protocol) if protocol is not None else ():
        yield causes.invalid(f"{path}.appProtocol", protocol, problem)


def _check_affinity(spec: Object) -> Iterator[Cause]:
    affinity, config = spec.get("sessionAffinity", ""), spec.get("sessionAffinityConfig")
    if affinity not in ("ClientIP", "None"):
        yield causes.unsupported("spec.sessionAffinity", affinity, ("ClientIP", "None"))
    if affinity != "ClientIP":
        return
    seconds = lookup(config, "clientIP.timeoutSeconds")
    if seconds is not None and not 0 < seconds <= _MAX_AFFINITY_SECONDS:
        why = f"must be greater than 0 and less than {_MAX_AFFINITY_SECONDS}"
        yield causes.invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, why)


def _check_cluster_addresses(spec: Object) -> Iterator[Cause]:
    """Addresses in the cluster, their families, and how these go together."""
    if spec.get("type") == "ExternalName":
        return
    first, given = spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    families = spec.get("ipFamilies") or []
    if not first and given:
        why = "must be empty when `clusterIP` is not specified"
        yield causes.invalid("spec.clusterIPs", given, why)
    elif given and given[0] != first:
        yield causes.invalid("spec.clusterIPs", given, "first value must match `clusterIP`")
    for index, family in enumerate(families):
        if family not in _FAMILIES:
            yield causes.unsupported(f"spec.ipFamilies[{index}]", family, _FAMILIES)
        elif family in families[:index]:
            yield causes.duplicate(f"spec.ipFamilies[{index}]", family)
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in _FAMILY_POLICIES:
        yield causes.unsupported("spec.ipFamilyPolicy", policy, _FAMILY_POLICIES)
    yield from _check_addresses(given or ([first] if first else []), families)


def _check_addresses(given: list[str], families: list[str]) -> Iterator[Cause]:
    problems = []
    for index, address in enumerate(given):
        path = f"spec.clusterIPs[{index}]"
        if address == "None":
            if index or len(given) > 1:
                why = "'None' must be the first and only value"
                problems.append(causes.invalid("spec.clusterIPs", given, why))
        else:
            problems += addresses.check_address(address, path)
    if len(given) > 2:
        problems.append(causes.invalid("spec.clusterIPs", given, "may only hold up to 2 values"))
    yield from problems
    if problems or given == ["None"]:
        return
    families_given = [addresses.family(address) for address in given]
    if len(families_given) == 2 and families_given[0] == families_given[1]:
        why = "may specify no more than one IP for each IP family"
        yield causes.invalid("spec.clusterIPs", given, why)
    for index, (address, family) in enumerate(zip(given, families, strict=False)):
        if family in _FAMILIES and addresses.family(address) != family:
            why = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            yield causes.invalid(f"spec.clusterIPs[{index}]", address, why)


def _check_source_ranges(spec: Object, annotations: dict[str, str]) -> Iterator[Cause]:
    ranges, path = spec.get("loadBalancerSourceRanges") or [], "spec.LoadBalancerSourceRanges"
    if not ranges and _SOURCE_RANGES in annotations:
        path, text = f"metadata.annotations[{_SOURCE_RANGES}]", annotations[_SOURCE_RANGES].strip()
        if text:
            ranges = [part.strip() for part in text.split(",")]
    elif not ranges:
        return
    if spec.get("type") != "LoadBalancer":
        yield causes.forbidden(path, _LOAD_BALANCER_ONLY)
    for index, text in enumerate(ranges):
        where = path if path.startswith("metadata") else f"{path}[{index}]"
        yield from addresses.check_network(text.strip(), where)


def _check_load_balancer(spec: Object) -> Iterator[Cause]:
    balances = spec.get("type") == "LoadBalancer"
    if spec.get("allocateLoadBalancerNodePorts") is not None and not balances:
        yield causes.forbidden("spec.allocateLoadBalancerNodePorts", _LOAD_BALANCER_ONLY)
    name = spec.get("loadBalancerClass")
    if name is None:
        return
    if not balances:
        yield causes.forbidden("spec.loadBalancerClass", _LOAD_BALANCER_ONLY)
        return
    for problem in names.qualified(name):
        yield causes.invalid("spec.loadBalancerClass", name, problem)


def _check_traffic_policies(spec: Object) -> Iterator[Cause]:
    external, internal = spec.get("externalTrafficPolicy"), spec.get("internalTrafficPolicy")
    if not _is_external(spec):
        if external:
            why = "may only be set for externally-accessible services"
            yield causes.invalid("spec.externalTrafficPolicy", external, why)
    elif external not in _POLICIES:
        yield causes.unsupported("spec.externalTrafficPolicy", external, _POLICIES)
    port = spec.get("healthCheckNodePort", 0)
    if port and not needs_health_port(spec):
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield causes.invalid("spec.healthCheckNodePort", port, why)
    if internal is not None and internal not in _POLICIES:
        yield causes.unsupported("spec.internalTrafficPolicy", internal, _POLICIES)
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        yield causes.unsupported("spec.trafficDistribution", distribution, _DISTRIBUTIONS)


def _prepare_service(obj: Object) -> None:
    spec = obj.get("spec") or {}
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        obj["spec"] = {**spec, "clusterIPs": [spec["clusterIP"]]}


# What a type needs; a field that the new type does not need and the client left alone is dropped.
_NEEDED_BY: tuple[tuple[tuple[str, ...], Callable[[Object], bool]], ...] = (
    (("clusterIP", "clusterIPs"), lambda spec: spec.get("type") != "ExternalName"),
    (("ipFamilies", "ipFamilyPolicy"), lambda spec: spec.get("type") != "ExternalName"),
    (("healthCheckNodePort",), needs_health_port),
    (("allocateLoadBalancerNodePorts",), lambda spec: spec.get("type") == "LoadBalancer"),
    (("loadBalancerClass",), lambda spec: spec.get("type") == "LoadBalancer"),
    (("externalTrafficPolicy",), _is_external),
)


def _prepare_service_update(new: Object, old: Object) -> Object:
    spec, before = dict(new.get("spec") or {}), old.get("spec") or {}
    first, given = spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    if first != before.get("clusterIP", "") and given == (before.get("clusterIPs") or []):
        # A client that knows only the older field has changed it.
        spec["clusterIPs"] = [first, *given[1:]] if first else []
    if not spec.get("clusterIPs"):
        spec.pop("clusterIPs", None)
    for fields, needed in _NEEDED_BY:
        same = all(spec.get(field) == before.get(field) for field in fields)
        if needed(before) and not needed(spec) and same:
            for field in fields:
                spec.pop(field, None)
    takes_ports = ("LoadBalancer", "NodePort")
    if before.get("type") in takes_ports and spec.get("type") not in takes_ports:
        given = [port.get("nodePort") for port in before.get("ports") or ()]
        if given == [port.get("nodePort") for port in spec.get("ports") or ()]:
            spec["ports"] = [
                {key: value for key, value in port.items() if key != "nodePort"}
                for port in spec.get("ports") or ()
            ]
    return {**new, "spec": spec}


def _check_service_update(new: Object, old: Object) -> Iterator[Cause]:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if spec.get("type") == before.get("type") == "LoadBalancer":
        name = spec.get("loadBalancerClass")
        if name != before.get("loadBalancerClass"):
            yield causes.invalid("spec.loadBalancerClass", name, "may not change once set")
    if needs_health_port(spec) and needs_health_port(before):
        field = "healthCheckNodePort"
        if spec.get(field, 0) != before.get(field, 0):
            yield causes.forbidden(f"spec.{field}", causes.IMMUTABLE)
    if gets_node_ports(spec):
        yield from _check_node_ports(spec.get("ports") or ())
    if "ExternalName" in (spec.get("type"), before.get("type")):
        return
    if before.get("clusterIP") and spec.get("clusterIP") != before["clusterIP"]:
        given = [spec.get("clusterIP", "")]
        yield causes.invalid("spec.clusterIPs[0]", given, "may not change once set")


def _check_service_status(new: Object, old: Object) -> Iterator[Cause]:
    path, points = "status.loadBalancer.ingress", lookup(new, "status.loadBalancer.ingress") or ()
    if points and lookup(new, "spec.type") != "LoadBalancer":
        yield causes.forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")
        return
    yield from statuses.check_balancer_points(points, path)
    yield from statuses.check_address_modes(points, path)


def _check_endpoints(obj: Object) -> Iterator[Cause]:
    for index, subset in enumerate(obj.get("subsets") or ()):
        path = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            yield causes.required(path, "must specify `addresses` or `notReadyAddresses`")
        for group in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(subset.get(group) or ()):
                yield from _check_endpoint_address(address, f"{path}.{group}[{number}]")
        ports = subset.get("ports") or ()
        for number, port in enumerate(ports):
            where, protocol = f"{path}.ports[{number}]", port.get("protocol")
            yield from check_port_name(port.get("name", ""), len(ports) > 1, set(), where)
            yield from check_port_number(port.get("port", 0), f"{where}.port")
            if protocol not in _PROTOCOLS:
                yield causes.unsupported(f"{where}.protocol", protocol, _PROTOCOLS)
            yield from _check_app_protocol(port, where)


def _check_endpoint_address(address: Object, path: str) -> Iterator[Cause]:
    text, host, node = address.get("ip", ""), address.get("hostname"), address.get("nodeName")
    yield from addresses.check_address(text, f"{path}.ip")
    for problem in names.label(host) if host else ():
        yield causes.invalid(f"{path}.hostname", host, problem)
    if node is not None:
        yield from check_dns_name(node, f"{path}.nodeName")
    if not addresses.is_readable(text):
        yield causes.invalid(f"{path}.ip", text, "must be a valid IP address")
    yield from addresses.check_usable(text, f"{path}.ip")


def _check_endpoint_slice(obj: Object) -> Iterator[Cause]:
    kind = obj.get("addressType", "")
    if not kind:
        yield causes.required("addressType")
    elif kind not in ("FQDN", "IPv4", "IPv6"):
        yield causes.unsupported("addressType", kind, ("FQDN", "IPv4", "IPv6"))
    endpoints = obj.get("endpoints") or ()
    if len(endpoints) > 1000:
        yield causes.too_many("endpoints", len(endpoints), 1000)
    for index, endpoint in enumerate(endpoints):
        yield from _check_endpoint(endpoint, kind, f"endpoints[{index}]")
    names_taken: set[str] = set()
    for index, port in enumerate(obj.get("ports") or ()):
        path, name, protocol = f"ports[{index}]", port.get("name") or "", port.get("protocol")
        for problem in names.label(name) if name else ():
            yield causes.invalid(f"{path}.name", name, problem)
        if name in names_taken:
            yield causes.duplicate(f"{path}.name", name)
        names_taken.add(name)
        if protocol not in _PROTOCOLS:
            yield causes.unsupported(f"{path}.protocol", protocol, _PROTOCOLS)
        yield from _check_app_protocol(port, path)


def _check_endpoint(endpoint: Object, kind: str, path: str) -> Iterator[Cause]:
    given = endpoint.get("addresses") or ()
    if not given:
        yield causes.required(f"{path}.addresses", "must contain at least 1 address")
    elif len(given) > 100:
        yield causes.too_many(f"{path}.addresses", len(given), 100)
    for number, address in enumerate(given):
        where = f"{path}.addresses[{number}]"
        if kind == "FQDN":
            yield from _check_host(address, where)
        elif kind in _FAMILIES:
            # The servers name the list, not the item, of addresses that are no IPv6.
            place = f"{path}.addresses" if kind == "IPv6" else where
            yield from addresses.check_address(address, place, family=kind)
            yield from addresses.check_usable(address, where)
    if (node := endpoint.get("nodeName")) is not None:
        yield from check_dns_name(node, f"{path}.nodeName")
    host = endpoint.get("hostname")
    for problem in names.label(host) if host is not None else ():
        yield causes.invalid(f"{path}.hostname", host, problem)
    for group in ("forZones", "forNodes"):
        yield from _check_hints(
            (endpoint.get("hints") or {}).get(group) or (), f"{path}.hints.{group}"
        )


def _check_host(name: str, path: str) -> Iterator[Cause]:
    if not name:
        yield causes.required(path)
        return
    problems = list(check_dns_name(name.removesuffix("."), path))
    yield from problems
    if not problems and "." not in name.removesuffix("."):
        why = "should be a domain with at least two segments separated by dots"
        yield causes.invalid(path, name, why)


def _check_hints(hints: Iterable[Object], path: str) -> Iterator[Cause]:
    names_taken: set[str] = set()
    hints = list(hints)
    if len(hints) > 8:
        yield causes.too_many(path, len(hints), 8)
    for index, hint in enumerate(hints):
        where, name = f"{path}[{index}].name", hint.get("name", "")
        if name in names_taken:
            yield causes.duplicate(where, name)
        names_taken.add(name)
        for problem in names.label_value(name):
            yield causes.invalid(where, name, problem)


def _service_warnings(obj: Object) -> Iterator[str]:
    spec, kind = obj["spec"], obj["spec"].get("type", "ClusterIP")
    if "service.kubernetes.io/topology-aware-hints" in (obj["metadata"].get("annotations") or {}):
        replacement = "service.kubernetes.io/topology-mode"
        yield (
            "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use "
            f"{replacement} instead"
        )
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
    shown = {
        ingress.get("ip") or ingress.get("hostname", "")
        for ingress in lookup(obj, "status.loadBalancer.ingress", [])
    }
    return sorted(shown - {""})


def _shown_ports(spec: Object) -> str:
    shown = []
    for port in spec.get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return joined(shown)


def _endpoints_cells(obj: Object, now: datetime) -> Cells:
    endpoints: list[str] = []
    for subset in obj.get("subsets") or ():
        ips = [address.get("ip", "") for address in subset.get("addresses") or ()]
        ports = [port.get("port") for port in subset.get("ports") or ()]
        endpoints += (
            [f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}" for port in ports for ip in ips]
            if ports
            else ips
        )
    return [name_of(obj), first_few(endpoints), age_of(obj, now)]


def _endpoint_slice_warnings(obj: Object) -> Iterator[str]:
    if obj.get("addressType") == "FQDN":
        yield "spec.addressType: FQDN endpoints are deprecated"


def _endpoint_slice_cells(obj: Object, now: datetime) -> Cells:
    numbers = [port.get("port") for port in obj.get("ports") or ()]
    ports = [str(number) for number in numbers if number is not None]
    addresses = [
        address
        for endpoint in obj.get("endpoints") or ()
        for address in endpoint.get("addresses") or ()
    ]
    shown = [first_few(ports) if ports else UNSET, first_few(addresses) if addresses else UNSET]
    return [name_of(obj), obj.get("addressType", ""), *shown, age_of(obj, now)]


KINDS: dict[tuple[str, str], Rules] = {
    ("", "Service"): Rules(
        changes_first=True,
        prepare_create=_prepare_service,
        prepare_update=_prepare_service_update,
        defaults=_default_service,
        check=_check_service,
        check_update=_check_service_update,
        check_subresource={"status": _check_service_status},
        warnings=_service_warnings,
        columns=columns(
            "Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", wide("Selector")
        ),
        cells=_service_cells,
        created_by_update=True,
        returned_on_delete=True,
        selectable=("spec.clusterIP", "spec.type"),
        name=names.label,
        may_be_empty=("core.v1.ServicePort.port",),
    ),
    ("", "Endpoints"): Rules(
        check=_check_endpoints,
        may_be_empty=("core.v1.EndpointAddress.ip",),
        defaults=_default_endpoints,
        columns=columns("Name", "Endpoints", "Age"),
        cells=_endpoints_cells,
        created_by_update=True,
        deprecation="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    ),
    ("discovery.k8s.io", "EndpointSlice"): Rules(
        may_be_empty=(
            "discovery.v1.EndpointSlice.*",
            "discovery.v1.Endpoint.*",
            "discovery.v1.ForZone.name",
            "discovery.v1.ForNode.name",
        ),
        defaults=_default_endpoint_slice,
        check=_check_endpoint_slice,
        warnings=_endpoint_slice_warnings,
        warns_on_update=False,
        check_update=unchanged("addressType"),
        columns=columns("Name", "AddressType", "Ports", "Endpoints", "Age"),
        cells=_endpoint_slice_cells,
        has_generation=True,
    ),
}
