"""What a new cluster is given before anybody asks: namespaces, roles, priority classes, the Service
``kubernetes``.

Only what is missing is written, so a second start writes nothing, and one that comes after a killed
one writes the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.admission import namespaces
from kubelite.control.api.admission.services import IPV4, NETWORK
from kubelite.control.api.discovery import priorities
from kubelite.control.api.server import addresses, flow_policy, rbac_policy
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


async def seed_cluster(store: Store, registry: Registry, authority: str, address: Address) -> None:
    """Writes what is missing. ``authority`` is the cluster's certificate in PEM, ``address`` where
    the server listens.
    """
    for _ in range(3):
        changes = [change async for change in _missing(store, registry, authority, address)]
        try:
            for piece in range(0, len(changes), _PIECE):
                await store.commit(changes[piece : piece + _PIECE])
        except Conflict:
            continue  # another server of the same store was seeding too
        return


async def _missing(store: Store, registry: Registry, authority: str, address: Address) -> Any:
    for res, obj in objects(registry, authority, address):
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "")
        if await store.get(res.prefix, namespace, metadata["name"]) is None:
            yield namespaces.creation(store, res, obj)


def objects(
    registry: Registry, authority: str, address: Address
) -> Iterator[tuple[Resource, Object]]:
    """Everything that a cluster has from the beginning."""
    rbac = rbac_policy.RBAC
    for name in rbac_policy.NAMESPACES:
        yield registry.builtin("", "namespaces"), namespace(name)
        for res, obj in namespaces.initial_objects(registry, name, authority):
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
        yield registry.builtin("apiregistration.k8s.io", "apiservices"), api_service(group, version)
    yield registry.builtin("networking.k8s.io", "servicecidrs"), _service_cidr()
    yield registry.builtin("", "configmaps"), _extension_authentication(authority)
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


def api_service(group: str, version: str) -> Object:
    """The APIService of a version that this server serves itself."""
    condition = {
        "type": "Available",
        "status": "True",
        "lastTransitionTime": timestamp(),
        "reason": "Local",
        "message": "Local APIServices are always available",
    }
    spec: Object = {
        "version": version,
        "groupPriorityMinimum": priorities.group_priority(group),
        "versionPriority": priorities.version_priority(group, version),
    }
    return {
        "kind": "APIService",
        "apiVersion": "apiregistration.k8s.io/v1",
        "metadata": {
            "name": f"{version}.{group}",
            "labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"},
        },
        "spec": {**spec, "group": group} if group else spec,
        "status": {"conditions": [condition]},
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


def _extension_authentication(authority: str) -> Object:
    """What extension servers trust: the authority of client certificates, and the names of the
    headers in which this server tells who asks.
    """
    return {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": {
            "client-ca-file": authority,
            "requestheader-allowed-names": '["front-proxy-client"]',
            "requestheader-client-ca-file": authority,
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
