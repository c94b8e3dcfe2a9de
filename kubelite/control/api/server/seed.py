"""What a new cluster is given before anybody asks: namespaces, roles, priority classes, the Service
``kubernetes``.

Only what is missing is written, so a second start writes nothing, and one that comes after a killed
one writes the rest; what extension servers trust is kept as it has to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.admission import namespaces
from kubelite.control.api.admission.services import IPV4, NETWORK
from kubelite.control.api.aggregation import registration
from kubelite.control.api.auth.pki import FRONT_PROXY
from kubelite.control.api.server import addresses, flow_policy, rbac_policy
from kubelite.control.api.strategy import strategy
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.control.store.types import Conflict
from kubelite.lib.json import Object
from kubelite.objects.facts import service_addresses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.server.addresses import Address
    from kubelite.control.api.wire.registry import Registry
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.store.store import Store

_PIECE = 100  # an etcd takes at most 128 changes at once


class Authorities(NamedTuple):
    """Certificates in PEM: whose client certificates are users, and whose speak for others to
    extension servers.
    """

    clients: str
    front_proxy: str


async def seed_cluster(
    store: Store, registry: Registry, authorities: Authorities, address: Address
) -> None:
    """Writes what is missing. ``address`` is where the server listens."""
    for _ in range(3):
        changes = [change async for change in _missing(store, registry, authorities, address)]
        try:
            for piece in range(0, len(changes), _PIECE):
                await store.commit(changes[piece : piece + _PIECE])
        except Conflict:
            continue  # another server of the same store was seeding too
        return


async def _missing(
    store: Store, registry: Registry, authorities: Authorities, address: Address
) -> Any:
    for res, obj in objects(registry, authorities, address):
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "")
        entry = await store.get(res.prefix, namespace, metadata["name"])
        if entry is None:
            yield namespaces.creation(store, res, obj)
        elif metadata["name"] == EXTENSIONS and (data := _joined(load(entry), authorities)):
            value = strategy.stored(res, {**load(entry), "data": data})
            yield store.change(res.prefix, namespace, EXTENSIONS, value, expected=entry.revision)


def _joined(obj: Object, authorities: Authorities) -> Object | None:
    """The data of what extension servers trust with this server's authorities among those of
    others of the same store; None where they are. Once the clients' authority spoke for others too.
    """
    data, result = obj.get("data") or {}, _extension_authentication(authorities)["data"]
    for key in (name for name in result if name.endswith("-ca-file")):
        others = data.get(key, "")
        if key == _PROXIES and others == authorities.clients:
            continue
        result[key] = others if result[key] in others else result[key] + others
    return result if result != data else None


def objects(
    registry: Registry, authorities: Authorities, address: Address
) -> Iterator[tuple[Resource, Object]]:
    """Everything that a cluster has from the beginning."""
    rbac = rbac_policy.RBAC
    for name in rbac_policy.NAMESPACES:
        yield registry.builtin("", "namespaces"), namespace(name)
        for res, obj in namespaces.initial_objects(registry, name, authorities.clients):
            yield res, obj
    for plural, listed in (
        ("clusterroles", rbac_policy.flat_rules(rbac_policy.CLUSTER_ROLES)),
        ("clusterrolebindings", rbac_policy.CLUSTER_BINDINGS),
        ("roles", rbac_policy.ROLES),
        ("rolebindings", rbac_policy.BINDINGS),
    ):
        for obj in listed:
            yield registry.builtin(rbac, plural), obj
    for obj in rbac_policy.PRIORITY_CLASSES:
        yield registry.builtin("scheduling.k8s.io", "priorityclasses"), obj
    flows = "flowcontrol.apiserver.k8s.io"
    for obj in flow_policy.LEVELS:
        yield registry.builtin(flows, "prioritylevelconfigurations"), obj
    for obj in flow_policy.SCHEMAS:
        yield registry.builtin(flows, "flowschemas"), obj
    for group, version in sorted(
        {(res.group, res.version) for res in registry.all() if res.crd is None}
    ):
        yield (
            registry.builtin("apiregistration.k8s.io", "apiservices"),
            registration.builtin(group, version),
        )
    yield registry.builtin("networking.k8s.io", "servicecidrs"), _service_cidr()
    yield registry.builtin("", "configmaps"), _extension_authentication(authorities)
    yield registry.builtin("", "services"), _service(address.port)
    yield registry.builtin("networking.k8s.io", "ipaddresses"), _taken_address()
    yield registry.builtin("", "endpoints"), addresses.endpoints_object([address])
    yield registry.builtin("discovery.k8s.io", "endpointslices"), addresses.slice_object([address])


def namespace(name: str) -> Object:
    """A Namespace with the label that names it."""
    labels = {"kubernetes.io/metadata.name": name}
    return {
        "kind": "Namespace",
        "apiVersion": "v1",
        "metadata": {"name": name, "labels": labels},
        "spec": {},
    }


EXTENSIONS = "extension-apiserver-authentication"
_PROXIES = "requestheader-client-ca-file"
_LABELS = {"component": "apiserver", "provider": "kubernetes"}


def _service(port: int) -> Object:
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": dict(_LABELS)},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.96.0.1",
            "clusterIPs": ["10.96.0.1"],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}],
        },
    }


def _service_cidr() -> Object:
    condition = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": timestamp(),
        "reason": "",
        "message": "Kubernetes default Service CIDR is ready",
    }
    return {
        "kind": "ServiceCIDR",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [str(NETWORK)]},
        "status": {"conditions": [condition]},
    }


def _extension_authentication(authorities: Authorities) -> Object:
    """What extension servers trust: the authority of client certificates, and the names of the
    headers in which this server tells who asks.
    """
    return {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": EXTENSIONS, "namespace": "kube-system"},
        "data": {
            "client-ca-file": authorities.clients,
            "requestheader-allowed-names": f'["{FRONT_PROXY}"]',
            _PROXIES: authorities.front_proxy,
            "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
            "requestheader-uid-headers": '["X-Remote-Uid"]',
            "requestheader-username-headers": '["X-Remote-User"]',
        },
    }


def _taken_address() -> Object:
    parent = {"resource": "services", "namespace": "default", "name": "kubernetes"}
    metadata = {"name": "10.96.0.1", "labels": service_addresses.labels(IPV4)}
    return {
        "kind": "IPAddress",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": metadata,
        "spec": {"parentRef": parent},
    }
