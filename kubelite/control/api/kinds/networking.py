"""Ingresses, NetworkPolicies, ServiceCIDRs and IPAddresses. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.common import addresses, metadata, statuses
from kubelite.control.api.kinds.common.checks import (
    check_dns_name,
    check_local_reference,
    check_port_number,
    check_port_or_name,
    unchanged,
)
from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.kinds.service import load_balancer_addresses
from kubelite.control.api.tables.columns import columns
from kubelite.control.api.tables.text import (
    NONE,
    age_of,
    first_few,
    joined,
    lookup,
    name_of,
    shown_selector,
)
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Cells = list[Any]


def _default_network_policy(obj: Any) -> None:
    spec = obj.spec
    spec.policyTypes = spec.policyTypes or (["Ingress", "Egress"] if spec.egress else ["Ingress"])
    for rule in (*spec.ingress, *spec.egress):
        for port in rule.ports:
            if port.protocol is None:
                port.protocol = "TCP"


def _default_ingress_class(obj: Any) -> None:
    if obj.spec.parameters is not None:
        obj.spec.parameters.scope = obj.spec.parameters.scope or "Cluster"


_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_NOT_AT_ENDS = ("/..", "/.")
_INGRESS_CLASS = "kubernetes.io/ingress.class"
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_NOT_ABSOLUTE = "must be an absolute path"


def _check_ingress(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    backend, rules = spec.get("defaultBackend"), spec.get("rules") or ()
    if not rules and backend is None:
        why = "either `defaultBackend` or `rules` must be specified"
        yield causes.invalid("spec", causes.NIL, why)
    if backend is not None:
        yield from _check_backend(backend, "spec.defaultBackend")
    for index, rule in enumerate(rules):
        path, host = f"spec.rules[{index}]", rule.get("host", "")
        if host:
            yield from _check_host(host, f"{path}.host")
            if addresses.family(host):
                why = "must be a DNS name, not an IP address"
                yield causes.invalid(f"{path}.host", host, why)
        if (http := rule.get("http")) is not None:
            yield from _check_http(http, f"{path}.http")
    for index, entry in enumerate(spec.get("tls") or ()):
        path = f"spec.tls[{index}]"
        for number, host in enumerate(entry.get("hosts") or ()):
            yield from _check_host(host, f"{path}.hosts[{number}]")
        if entry.get("secretName"):
            yield from check_dns_name(entry["secretName"], f"{path}.secretName")
    if (name := spec.get("ingressClassName")) is not None:
        yield from check_dns_name(name, "spec.ingressClassName")


def _check_new_ingress(obj: Object) -> Iterator[Cause]:
    value = ((obj.get("metadata") or {}).get("annotations") or {}).get(_INGRESS_CLASS)
    name = (obj.get("spec") or {}).get("ingressClassName")
    if value is not None and name is not None and value != name:
        why = "must match `ingressClassName` when both are specified"
        yield causes.invalid(f"annotations.{_INGRESS_CLASS}", value, why)


def _check_host(host: str, path: str) -> Iterator[Cause]:
    """A host name, or ``*.`` and the name of a domain."""
    if "*" not in host:
        yield from check_dns_name(host, path)
        return
    rest = host.removeprefix("*.")
    if rest == host or names.subdomain(rest):
        why = (
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain"
        )
        yield causes.invalid(path, host, why)


def _check_http(http: Object, path: str) -> Iterator[Cause]:
    paths = http.get("paths") or ()
    if not paths:
        yield causes.required(f"{path}.paths")
    for index, rule in enumerate(paths):
        where, text = f"{path}.paths[{index}]", rule.get("path", "")
        kind = rule.get("pathType")
        if kind is None:
            yield causes.required(f"{where}.pathType", "pathType must be specified")
        elif kind not in _PATH_TYPES:
            yield causes.unsupported(f"{where}.pathType", kind, _PATH_TYPES)
        elif kind == "ImplementationSpecific":
            if text and not text.startswith("/"):
                yield causes.invalid(f"{where}.path", text, _NOT_ABSOLUTE)
        else:
            yield from _check_path(text, f"{where}.path")
        yield from _check_backend(rule.get("backend") or {}, f"{where}.backend")


def _check_path(text: str, path: str) -> Iterator[Cause]:
    if not text.startswith("/"):
        yield causes.invalid(path, text, _NOT_ABSOLUTE)
    for part in _NOT_IN_PATHS:
        if part in text:
            yield causes.invalid(path, text, f"must not contain '{part}'")
    for part in _NOT_AT_ENDS:
        if text.endswith(part):
            yield causes.invalid(path, text, f"cannot end with '{part}'")


def _check_backend(backend: Object, path: str) -> Iterator[Cause]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        yield causes.invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        yield from check_local_reference(resource, f"{path}.resource")
    elif service is None:
        yield causes.invalid(path, "", "resource or service backend is required")
    else:
        name, port = service.get("name", ""), service.get("port") or {}
        if not name:
            yield causes.required(f"{path}.service.name")
        for problem in names.label(name) if name else ():
            yield causes.invalid(f"{path}.service.name", name, problem)
        yield from _check_backend_port(port, path)


def _check_backend_port(port: Object, path: str) -> Iterator[Cause]:
    name, number = port.get("name", ""), port.get("number", 0)
    if name and number:
        yield causes.invalid(path, "", "cannot set both port name & port number")
    elif name:
        yield from check_port_or_name(name, f"{path}.service.port.name")
    elif number:
        yield from check_port_number(number, f"{path}.service.port.number")
    else:
        yield causes.required(path, "port name or number is required")


def _check_ingress_class(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    controller, path = spec.get("controller", ""), "spec.controller"
    if len(controller) > 250:
        yield causes.too_long(path, 250)
    if not controller:
        yield causes.required(path)
    for problem in names.domain_path(controller) if controller else ():
        yield causes.invalid(path, controller, problem)
    if (parameters := spec.get("parameters")) is not None:
        yield from _check_class_parameters(parameters, "spec.parameters")


def _check_class_parameters(parameters: Object, path: str) -> Iterator[Cause]:
    yield from check_local_reference(parameters, path)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        yield causes.required(f"{path}.scope")
    elif scope not in ("Cluster", "Namespace"):
        yield causes.unsupported(f"{path}.scope", scope, ("Cluster", "Namespace"))
    elif scope == "Cluster" and namespace is not None:
        why = "`parameters.scope` is set to 'Cluster'"
        yield causes.forbidden(f"{path}.namespace", why)
    elif scope == "Namespace" and namespace is None:
        why = "`parameters.scope` is set to 'Namespace'"
        yield causes.required(f"{path}.namespace", why)
    elif namespace is not None:
        for problem in names.label(namespace):
            yield causes.invalid(f"{path}.namespace", namespace, problem)


def _check_network_policy(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    yield from metadata.selector(spec.get("podSelector"), "spec.podSelector")
    for side, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(side) or ()):
            path = f"spec.{side}[{index}]"
            for number, port in enumerate(rule.get("ports") or ()):
                yield from _check_policy_port(port, f"{path}.ports[{number}]")
            for number, peer in enumerate(rule.get(peers) or ()):
                yield from _check_peer(peer, f"{path}.{peers}[{number}]")
    kinds = spec.get("policyTypes") or ()
    if len(kinds) > 2:
        why = "may not specify more than two policyTypes"
        yield causes.invalid("spec.policyTypes", list(kinds), why)
        return
    for index, kind in enumerate(kinds):
        if kind not in ("Egress", "Ingress"):
            yield causes.unsupported(f"spec.policyTypes[{index}]", kind, ("Ingress", "Egress"))


def _check_policy_port(rule: Object, path: str) -> Iterator[Cause]:
    protocol, port, end = rule.get("protocol"), rule.get("port"), rule.get("endPort")
    if protocol is not None and protocol not in _PROTOCOLS:
        yield causes.unsupported(f"{path}.protocol", protocol, _PROTOCOLS)
    if port is not None:
        yield from check_port_or_name(port, f"{path}.port")
    if end is None:
        return
    where = f"{path}.endPort"
    if port is None:
        yield causes.invalid(where, end, "may not be specified when `port` is not specified")
    elif isinstance(port, str):
        yield causes.invalid(where, end, "may not be specified when `port` is non-numeric")
    else:
        if end < port:
            # The servers show the port, not the end.
            yield causes.invalid(where, port, "must be greater than or equal to `port`")
        yield from check_port_number(end, where)


def _check_peer(peer: Object, path: str) -> Iterator[Cause]:
    selectors = [field for field in ("podSelector", "namespaceSelector") if field in peer]
    for field in selectors:
        yield from metadata.selector(peer[field], f"{path}.{field}")
    block = peer.get("ipBlock")
    if block is not None:
        yield from _check_block(block, f"{path}.ipBlock")
        if selectors:
            yield causes.forbidden(path, "may not specify both ipBlock and another peer")
    elif not selectors:
        yield causes.required(path, "must specify a peer")


def _check_block(block: Object, path: str) -> Iterator[Cause]:
    text = block.get("cidr", "")
    if not text:
        yield causes.required(f"{path}.cidr")
        return
    yield from addresses.check_network(text, f"{path}.cidr")
    outer = addresses.parsed_network(text)
    if outer is None:
        return
    for index, inner_text in enumerate(block.get("except") or ()):
        where = f"{path}.except[{index}]"
        yield from addresses.check_network(inner_text, where)
        inner = addresses.parsed_network(inner_text)
        if inner is not None and not addresses.is_strictly_inside(inner, outer):
            yield causes.invalid(where, inner_text, "must be a strict subset of `cidr`")


def _check_service_cidr(obj: Object) -> Iterator[Cause]:
    given = (obj.get("spec") or {}).get("cidrs") or []
    if not given:
        yield causes.required("spec.cidrs", "at least one CIDR required")
        return
    if len(given) > 2:
        yield causes.invalid("spec.cidrs", given, "may only hold up to 2 values")
    parsed = [addresses.parsed_network(text) for text in given]
    versions = [network.version for network in parsed if network is not None]
    if len(given) == 2 and len(set(versions)) == 1 and len(versions) == 2:
        why = "may specify no more than one IP for each IP family"
        yield causes.invalid("spec.cidrs", given, why)
    for index, (text, network) in enumerate(zip(given, parsed, strict=True)):
        path = f"spec.cidrs[{index}]"
        yield from addresses.check_network(text, path)
        if network is not None and str(network) != text:
            why = "must not have bits set beyond the prefix length"
            yield causes.invalid(path, text, why)


def _check_service_cidr_update(new: Object, old: Object) -> Iterator[Cause]:
    """A second family may be added to the first, or taken away again."""
    given, before = (lookup(state, "spec.cidrs", []) for state in (new, old))
    if abs(len(given) - len(before)) > 1 or not given:
        yield causes.invalid("spec.cidrs", given or causes.NIL, causes.IMMUTABLE)
        return
    for index, (text, previous) in enumerate(zip(given, before, strict=False)):
        if text != previous:
            yield causes.invalid(f"spec.cidrs[{index}]", text, causes.IMMUTABLE)
    if len(given) > len(before):
        yield from _check_service_cidr(new)


def _check_ip_address(obj: Object) -> Iterator[Cause]:
    parent, path = (obj.get("spec") or {}).get("parentRef"), "spec.parentRef"
    if parent is None:
        yield causes.required(path)
        return
    if parent.get("group"):
        yield from check_dns_name(parent["group"], f"{path}.group")
    for field in ("resource", "name"):
        if not parent.get(field):
            yield causes.required(f"{path}.{field}")
    for field in ("resource", "name", "namespace"):
        text = parent.get(field, "")
        for problem in names.path_segment(text) if text else ():
            yield causes.invalid(f"{path}.{field}", text, problem)


def _check_ingress_status(new: Object, old: Object) -> Iterator[Cause]:
    path = "status.loadBalancer.ingress"
    return statuses.check_balancer_points(lookup(new, path) or (), path)


def _ingress_warnings(obj: Object) -> Iterator[str]:
    if "kubernetes.io/ingress.class" in (obj["metadata"].get("annotations") or {}):
        yield (
            'annotation "kubernetes.io/ingress.class" is deprecated, please use '
            "'spec.ingressClassName' instead"
        )


def _ingress_cells(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    hosts = [rule["host"] for rule in spec.get("rules") or () if rule.get("host")]
    ports = "80, 443" if spec.get("tls") else "80"
    return [
        name_of(obj),
        spec.get("ingressClassName") or NONE,
        first_few(hosts) if hosts else "*",
        joined(load_balancer_addresses(obj), ""),
        ports,
        age_of(obj, now),
    ]


def _ingress_class_cells(obj: Object, now: datetime) -> Cells:
    given = lookup(obj, "spec.parameters")
    group = f".{given['apiGroup']}" if given and given.get("apiGroup") else ""
    shown = f"{given.get('kind')}{group}/{given.get('name')}" if given else NONE
    return [name_of(obj), lookup(obj, "spec.controller", ""), shown, age_of(obj, now)]


def _network_policy_cells(obj: Object, now: datetime) -> Cells:
    return [name_of(obj), shown_selector(lookup(obj, "spec.podSelector", {})), age_of(obj, now)]


def _service_cidr_cells(obj: Object, now: datetime) -> Cells:
    return [name_of(obj), joined(lookup(obj, "spec.cidrs", [])), age_of(obj, now)]


def _ip_address_cells(obj: Object, now: datetime) -> Cells:
    given = lookup(obj, "spec.parentRef", {})
    parts = [given.get("resource", ""), given.get("namespace", ""), given.get("name", "")]
    return [name_of(obj), "/".join(part for part in parts if part), age_of(obj, now)]


def _address_name(text: str) -> list[str]:
    """The name of an IPAddress: the address, written as everybody writes it."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return [] if str(address) == text else [f'must be in canonical form ("{address}")']


KINDS: dict[tuple[str, str], Rules] = {
    ("networking.k8s.io", "Ingress"): Rules(
        check_create=_check_new_ingress,
        may_be_empty=(
            "networking.v1.HTTPIngressPath.*",
            "networking.v1.IngressServiceBackend.*",
            "networking.v1.HTTPIngressRuleValue.*",
        ),
        check=_check_ingress,
        check_subresource={"status": _check_ingress_status},
        warnings=_ingress_warnings,
        columns=columns("Name", "Class", "Hosts", "Address", "Ports", "Age"),
        cells=_ingress_cells,
        has_generation=True,
    ),
    ("networking.k8s.io", "IngressClass"): Rules(
        changes_first=True,
        check=_check_ingress_class,
        may_be_empty=("networking.v1.IngressClassParametersReference.*",),
        defaults=_default_ingress_class,
        check_update=unchanged("spec.controller"),
        columns=columns("Name", "Controller", "Parameters", "Age"),
        cells=_ingress_class_cells,
        has_generation=True,
    ),
    ("networking.k8s.io", "NetworkPolicy"): Rules(
        may_be_empty=("networking.v1.IPBlock.cidr",),
        defaults=_default_network_policy,
        check=_check_network_policy,
        columns=columns("Name", "Pod-Selector", "Age"),
        cells=_network_policy_cells,
        has_generation=True,
    ),
    ("networking.k8s.io", "ServiceCIDR"): Rules(
        status_metadata=(),
        check_create=_check_service_cidr,
        check_update=_check_service_cidr_update,
        initial_status=lambda obj: {},
        columns=columns("Name", "CIDRs", "Age"),
        cells=_service_cidr_cells,
    ),
    ("networking.k8s.io", "IPAddress"): Rules(
        check=_check_ip_address,
        check_update=unchanged("spec.parentRef"),
        name=_address_name,
        columns=columns("Name", "ParentRef"),
        cells=_ip_address_cells,
        may_be_empty=("networking.v1.IPAddressSpec.*", "networking.v1.ParentReference.*"),
    ),
}
