"""What is wrong with services, configuration, storage, policies and the rest. Documents in, causes
out. Pure.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.kinds import metacheck, podcheck
from kubelite.control.api.kinds.workloadcheck import not_negative
from kubelite.control.api.schema import crd_validation
from kubelite.control.api.wire import causes
from kubelite.objects.facts import names, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
_MAX_DATA = 1024 * 1024
_USER_PRIORITY = 1_000_000_000
_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
}


def _service(obj: Object) -> Iterator[Cause]:
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
    yield from _service_ports(spec, ports)
    yield from metacheck.labels(spec.get("selector") or {}, "spec.selector")
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


def _service_ports(spec: Object, ports: list[Object]) -> Iterator[Cause]:
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
        if why := podcheck.port_number(number):
            yield causes.invalid(f"{path}.port", number, why)
        if (number, port.get("protocol")) in seen:
            yield causes.duplicate(path, {"port": number, "protocol": port.get("protocol")})
        seen.add((number, port.get("protocol")))
        target = port.get("targetPort")
        if isinstance(target, int) and (why := podcheck.port_number(target)):
            yield causes.invalid(f"{path}.targetPort", target, why)
        for why in names.port_name(target) if isinstance(target, str) else ():
            yield causes.invalid(f"{path}.targetPort", target, why)
        if port.get("nodePort") and spec.get("type") in ("ClusterIP", "ExternalName"):
            yield causes.forbidden(
                f"{path}.nodePort", f"may not be used when `type` is '{spec['type']}'"
            )


def _config_map(obj: Object) -> Iterator[Cause]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    yield from _keys(data, "data")
    yield from _keys(binary, "binaryData")
    for key in data:
        if key in binary:
            yield causes.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    size = sum(len(value.encode()) for value in data.values()) + sum(
        len(value) * 3 // 4 for value in binary.values()
    )
    if size > _MAX_DATA:
        yield causes.too_long("", _MAX_DATA)


def _keys(data: Object, path: str) -> Iterator[Cause]:
    for key in data:
        for why in metacheck.config_key(key):
            yield causes.invalid(f"{path}[{key}]", key, why)


def _secret(obj: Object) -> Iterator[Cause]:
    data, kind = obj.get("data") or {}, obj.get("type", "")
    yield from _keys(data, "data")
    if sum(len(value) * 3 // 4 for value in data.values()) > _MAX_DATA:
        yield causes.too_long("data", _MAX_DATA)
    for key in _SECRET_KEYS.get(kind, ()):
        if key not in data:
            yield causes.required(f"data[{key}]")
        elif key.startswith(".docker") and not _is_json(data[key]):
            yield causes.invalid(
                f"data[{key}]",
                "<secret contents redacted>",
                "invalid character: the contents are not JSON",
            )
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        yield causes.required("data[username]")
        yield causes.required("data[password]")
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    if kind == "kubernetes.io/service-account-token" and not annotations.get(
        "kubernetes.io/service-account.name"
    ):
        yield causes.required("metadata.annotations[kubernetes.io/service-account.name]")


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(base64.b64decode(text))
    except (msgspec.DecodeError, binascii.Error):
        return False
    return True


def _claim(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if not spec.get("accessModes"):
        yield causes.required("spec.accessModes", "at least 1 access mode is required")
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if size is None:
        yield causes.required("spec.resources[storage]")
    elif quantity.parse(str(size)).nano <= 0:
        yield causes.invalid("spec.resources[storage]", size, "must be greater than zero")
    yield from metacheck.selector(spec.get("selector"), "spec.selector")
    for why in names.subdomain(spec["storageClassName"]) if spec.get("storageClassName") else ():
        yield causes.invalid("spec.storageClassName", spec["storageClassName"], why)


_NO_SOURCE = {"capacity", "accessModes", "claimRef", "persistentVolumeReclaimPolicy", "storageClassName", "mountOptions",
              "volumeMode", "nodeAffinity", "volumeAttributesClassName"}  # fmt: skip


def sources(spec: Object) -> Object:
    """The parts of a PersistentVolume's spec that say where its data is."""
    return {key: value for key, value in spec.items() if key not in _NO_SOURCE}


def _volume(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if not spec.get("accessModes"):
        yield causes.required("spec.accessModes")
    if not spec.get("capacity"):
        yield causes.required("spec.capacity")
    elif "storage" not in spec["capacity"]:
        yield causes.unsupported("spec.capacity", next(iter(spec["capacity"])), ("storage",))
    chosen = list(sources(spec))
    if not chosen:
        yield causes.required("spec", "must specify a volume type")
    for extra in chosen[1:]:
        yield causes.forbidden(f"spec.{extra}", "may not specify more than 1 volume type")
    if "local" in chosen and not spec.get("nodeAffinity"):
        yield causes.required("spec.nodeAffinity", "Local volume requires node affinity")


def _ingress(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield causes.invalid("spec", spec, "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend"):
        yield from _backend(spec["defaultBackend"], "spec.defaultBackend")
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
            yield from _backend(each.get("backend") or {}, f"{path}.backend")


def _backend(backend: Object, path: str) -> Iterator[Cause]:
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


def _network_policy(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    yield from metacheck.selector(spec.get("podSelector"), "spec.podSelector")
    for side, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(side) or ()):
            for number, peer in enumerate(rule.get(peers) or ()):
                yield from _peer(peer, f"spec.{side}[{index}].{peers}[{number}]")


def _peer(peer: Object, path: str) -> Iterator[Cause]:
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


def _rules(obj: Object) -> Iterator[Cause]:
    for index, rule in enumerate(obj.get("rules") or ()):
        path = f"rules[{index}]"
        if not rule.get("verbs"):
            yield causes.required(f"{path}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            if (obj.get("metadata") or {}).get("namespace"):
                why = "namespaced rules cannot apply to non-resource URLs"
                yield causes.invalid(f"{path}.nonResourceURLs", rule["nonResourceURLs"], why)
            if rule.get("apiGroups") or rule.get("resources"):
                why = "rules cannot apply to both regular resources and non-resource URLs"
                yield causes.invalid(f"{path}.nonResourceURLs", rule["nonResourceURLs"], why)
            continue
        if not rule.get("apiGroups"):
            yield causes.required(
                f"{path}.apiGroups", "resource rules must supply at least one api group"
            )
        if not rule.get("resources"):
            yield causes.required(
                f"{path}.resources", "resource rules must supply at least one resource"
            )


def _binding(obj: Object) -> Iterator[Cause]:
    namespaced = bool((obj.get("metadata") or {}).get("namespace"))
    if not namespaced and (obj.get("roleRef") or {}).get("kind") == "Role":
        yield causes.unsupported("roleRef.kind", "Role", ("ClusterRole",))
    for index, subject in enumerate(obj.get("subjects") or ()):
        if (
            subject.get("kind") == "ServiceAccount"
            and not subject.get("namespace")
            and not namespaced
        ):
            yield causes.required(f"subjects[{index}].namespace")


def _priority_class(obj: Object) -> Iterator[Cause]:
    name, value = (obj.get("metadata") or {}).get("name", ""), obj.get("value", 0)
    if name.startswith("system-"):
        if name not in ("system-node-critical", "system-cluster-critical"):
            yield causes.forbidden(
                "metadata.name",
                "priority class names with 'system-' prefix are reserved for system use only",
            )
    elif value > _USER_PRIORITY:
        yield causes.forbidden(
            "value", f"maximum allowed value of a user defined priority is {_USER_PRIORITY}"
        )


def _quota(obj: Object) -> Iterator[Cause]:
    for name, text in ((obj.get("spec") or {}).get("hard") or {}).items():
        if quantity.parse(str(text)).nano < 0:
            yield causes.invalid(f"spec.hard[{name}]", text, "must be greater than or equal to 0")


def _limit_range(obj: Object) -> Iterator[Cause]:
    for index, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
        path = f"spec.limits[{index}]"
        ordered = ("min", "defaultRequest", "default", "max")
        for name in {key for field in ordered for key in item.get(field) or {}}:
            known = [
                (field, item[field][name]) for field in ordered if name in (item.get(field) or {})
            ]
            for (low, less), (high, more) in pairwise(known):
                if quantity.parse(str(less)).nano > quantity.parse(str(more)).nano:
                    why = f"{low} value {less} is greater than {high} value {more}"
                    yield causes.invalid(f"{path}.{low}[{name}]", less, why)


def _endpoint_slice(obj: Object) -> Iterator[Cause]:
    version = {"IPv4": 4, "IPv6": 6}.get(obj.get("addressType", ""))
    for index, each in enumerate(obj.get("endpoints") or ()):
        for number, address in enumerate(each.get("addresses") or ()):
            if version and (
                not _is_address(address) or ipaddress.ip_address(address).version != version
            ):
                why = f"must be a valid {obj['addressType']} address"
                yield causes.invalid(f"endpoints[{index}].addresses[{number}]", address, why)


def _lease(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if isinstance(spec.get("leaseDurationSeconds"), int) and spec["leaseDurationSeconds"] <= 0:
        yield causes.invalid(
            "spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0"
        )
    yield from not_negative(spec, ("leaseTransitions",), "spec")


def _event(obj: Object) -> Iterator[Cause]:
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    namespace = (obj.get("metadata") or {}).get("namespace", "")
    if about.get("namespace") and about["namespace"] != namespace:
        yield causes.invalid(
            "involvedObject.namespace", about["namespace"], "does not match event.namespace"
        )


def _node(obj: Object) -> Iterator[Cause]:
    for index, taint in enumerate((obj.get("spec") or {}).get("taints") or ()):
        for why in names.qualified(taint.get("key", "")) if taint.get("key") else ():
            yield causes.invalid(f"spec.taints[{index}].key", taint["key"], why)


def _definition(obj: Object) -> Iterator[Cause]:
    yield from crd_validation.check_crd(obj)


CHECKS = {
    ("", "Service"): _service,
    ("", "ConfigMap"): _config_map,
    ("", "Secret"): _secret,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "PersistentVolume"): _volume,
    ("", "ResourceQuota"): _quota,
    ("", "LimitRange"): _limit_range,
    ("", "Event"): _event,
    ("events.k8s.io", "Event"): _event,
    ("", "Node"): _node,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("networking.k8s.io", "NetworkPolicy"): _network_policy,
    ("rbac.authorization.k8s.io", "Role"): _rules,
    ("rbac.authorization.k8s.io", "ClusterRole"): _rules,
    ("rbac.authorization.k8s.io", "RoleBinding"): _binding,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _binding,
    ("scheduling.k8s.io", "PriorityClass"): _priority_class,
    ("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
    ("coordination.k8s.io", "Lease"): _lease,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}
