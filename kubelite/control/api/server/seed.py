"""What a new cluster is given before anybody asks: namespaces, roles, priority classes, the Service
``kubernetes``.

Only what is missing is written, so a second start writes nothing, and one that comes after a killed
one writes the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.admission import namespaces
from kubelite.control.api.server import rbac_policy
from kubelite.control.store.types import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.registry import Registry
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.store.store import Store

Object = dict[str, Any]
_PIECE = 100  # an etcd takes at most 128 changes at once


async def seed_cluster(
    store: Store, registry: Registry, authority: str, address: tuple[str, int]
) -> None:
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


async def _missing(
    store: Store, registry: Registry, authority: str, address: tuple[str, int]
) -> Any:
    for res, obj in objects(registry, authority, address):
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "")
        if await store.get(res.prefix, namespace, metadata["name"]) is None:
            yield namespaces.creation(store, res, obj)


def objects(
    registry: Registry, authority: str, address: tuple[str, int]
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
    yield registry.builtin("", "services"), _service(address[1])
    yield registry.builtin("networking.k8s.io", "ipaddresses"), _taken_address()
    yield registry.builtin("", "endpoints"), _endpoints(address)
    yield registry.builtin("discovery.k8s.io", "endpointslices"), _slice(address)


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
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}],
        },
    }


def _taken_address() -> Object:
    parent = {"resource": "services", "namespace": "default", "name": "kubernetes"}
    metadata = {"name": "10.96.0.1", "labels": {"ipaddress.kubernetes.io/ip-family": "IPv4"}}
    return {
        "kind": "IPAddress",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": metadata,
        "spec": {"parentRef": parent},
    }


def _endpoints(address: tuple[str, int]) -> Object:
    return {
        "kind": "Endpoints",
        "apiVersion": "v1",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [
            {
                "addresses": [{"ip": address[0]}],
                "ports": [{"name": "https", "port": address[1], "protocol": "TCP"}],
            }
        ],
    }


def _slice(address: tuple[str, int]) -> Object:
    return {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv6" if ":" in address[0] else "IPv4",
        "endpoints": [{"addresses": [address[0]], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": address[1], "protocol": "TCP"}],
    }
