"""Ingresses, NetworkPolicies, ServiceCIDRs and IPAddresses. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds import metadata
from kubelite.control.api.kinds.checks import (
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
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
Cells = list[Any]


def _default_network_policy(obj: Any) -> None:
    spec = obj.spec
    spec.policyTypes = spec.policyTypes or (["Ingress", "Egress"] if spec.egress else ["Ingress"])
    for rule in (*spec.ingress, *spec.egress):
        for port in rule.ports:
            port.protocol = port.protocol or "TCP"


def _default_ingress_class(obj: Any) -> None:
    if obj.spec.parameters is not None:
        obj.spec.parameters.scope = obj.spec.parameters.scope or "Cluster"


def _check_ingress(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield causes.invalid("spec", spec, "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend"):
        yield from _check_backend(spec["defaultBackend"], "spec.defaultBackend")
    for index, rule in enumerate(spec.get("rules") or ()):
        host = rule.get("host", "")
        for why in names.subdomain(host.removeprefix("*.")) if host else ():
            yield causes.invalid(f"spec.rules[{index}].host", host, why)
        for number, each in enumerate((rule.get("http") or {}).get("paths") or ()):
            path = f"spec.rules[{index}].http.paths[{number}]"
            if not each.get("pathType"):
                yield causes.required(f"{path}.pathType", "pathType must be specified")
            elif each["pathType"] != "ImplementationSpecific" and not each.get(
                "path", ""
            ).startswith("/"):
                yield causes.invalid(
                    f"{path}.path", each.get("path", ""), "must be an absolute path"
                )
            yield from _check_backend(each.get("backend") or {}, f"{path}.backend")


def _check_backend(backend: Object, path: str) -> Iterator[Cause]:
    service, resource = backend.get("service"), backend.get("resource")
    if service and resource:
        yield causes.invalid(path, "", "cannot set both resource and service backends")
    elif not service and not resource:
        yield causes.required(path, "a service or a resource must be specified")
    elif service:
        port = service.get("port") or {}
        if bool(port.get("name")) == bool(port.get("number")):
            yield causes.required(
                f"{path}.service.port", "port name or number is required, and not both"
            )


def _check_network_policy(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    yield from metadata.selector(spec.get("podSelector"), "spec.podSelector")
    for side, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(side) or ()):
            for number, peer in enumerate(rule.get(peers) or ()):
                yield from _check_peer(peer, f"spec.{side}[{index}].{peers}[{number}]")


def _check_peer(peer: Object, path: str) -> Iterator[Cause]:
    if not peer:
        yield causes.required(path, "must specify a peer")
    block = peer.get("ipBlock")
    if block is None:
        return
    if len(peer) > 1:
        yield causes.forbidden(path, "may not specify both ipBlock and another peer")
    for where, text in [
        (".cidr", block.get("cidr", "")),
        *((f".except[{i}]", t) for i, t in enumerate(block.get("except") or ())),
    ]:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            yield causes.invalid(f"{path}.ipBlock{where}", text, why)


def _ingress_warnings(obj: Object) -> Iterator[str]:
    if "kubernetes.io/ingress.class" in (obj["metadata"].get("annotations") or {}):
        yield "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"


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
    return [name_of(obj), "/".join(each for each in parts if each), age_of(obj, now)]


def _any_name(text: str) -> list[str]:
    return []


KINDS: dict[tuple[str, str], Rules] = {
    ("networking.k8s.io", "Ingress"): Rules(
        check=_check_ingress,
        warnings=_ingress_warnings,
        columns=columns("Name", "Class", "Hosts", "Address", "Ports", "Age"),
        cells=_ingress_cells,
        has_generation=True,
        values={
            "networking.v1.HTTPIngressPath": {
                "pathType": ("Exact", "ImplementationSpecific", "Prefix")
            }
        },
        may_be_empty=("networking.v1.HTTPIngressPath.pathType",),
    ),
    ("networking.k8s.io", "IngressClass"): Rules(
        defaults=_default_ingress_class,
        check_update=unchanged("spec.controller"),
        columns=columns("Name", "Controller", "Parameters", "Age"),
        cells=_ingress_class_cells,
        has_generation=True,
    ),
    ("networking.k8s.io", "NetworkPolicy"): Rules(
        defaults=_default_network_policy,
        check=_check_network_policy,
        columns=columns("Name", "Pod-Selector", "Age"),
        cells=_network_policy_cells,
        has_generation=True,
        values={
            "networking.v1.NetworkPolicySpec": {"policyTypes": ("Egress", "Ingress")},
            "networking.v1.NetworkPolicyPort": {"protocol": ("SCTP", "TCP", "UDP")},
        },
    ),
    ("networking.k8s.io", "ServiceCIDR"): Rules(
        columns=columns("Name", "CIDRs", "Age"),
        cells=_service_cidr_cells,
    ),
    ("networking.k8s.io", "IPAddress"): Rules(
        columns=columns("Name", "ParentRef", "Age"),
        cells=_ip_address_cells,
        name=_any_name,
    ),
}
