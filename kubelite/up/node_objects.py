"""What a cluster with nodes of kubelite has besides: the roles with which their network is read and
their volumes are removed, the Service of the name server that each node runs, and the default
StorageClass and IngressClass.

Kubernetes' own ``system:node-proxier`` covers Services; policies and name service also need pods,
namespaces and NetworkPolicies.
"""

from __future__ import annotations

import contextlib
from typing import Any

from kubelite.client.client import Client
from kubelite.client.errors import AlreadyExists
from kubelite.client.local import LocalTransport
from kubelite.client.resources import (
    CLUSTER_ROLES,
    INGRESS_CLASSES,
    SERVICES,
    STORAGE_CLASSES,
    GroupVersionResource,
)
from kubelite.client.transport import Application, Identity
from kubelite.node.ingress import routes
from kubelite.objects.facts import local_volumes

USER = "system:kube-proxy"
GROUP = "kubelite:node-network"
STORAGE_USER = STORAGE_GROUP = "kubelite:node-storage"
INGRESS_USER = INGRESS_GROUP = "kubelite:ingress"
_RBAC = "rbac.authorization.k8s.io"
CLUSTER_ROLE_BINDINGS = GroupVersionResource(_RBAC, "v1", "clusterrolebindings")
_READ = ["get", "list", "watch"]
_ADMINISTRATOR = Identity("kubelite:up", ("system:masters", "system:authenticated"))
_ROLE: dict[str, Any] = {
    "apiVersion": f"{_RBAC}/v1",
    "kind": "ClusterRole",
    "metadata": {"name": GROUP},
    "rules": [
        {
            "apiGroups": [""],
            "resources": ["services", "pods", "namespaces", "nodes"],
            "verbs": _READ,
        },
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": _READ},
    ],
}
_STORAGE_ROLE: dict[str, Any] = {
    "apiVersion": f"{_RBAC}/v1",
    "kind": "ClusterRole",
    "metadata": {"name": STORAGE_GROUP},
    "rules": [
        {
            "apiGroups": [""],
            "resources": ["persistentvolumes"],
            "verbs": [*_READ, "patch", "delete"],
        },
        {
            "apiGroups": ["", "events.k8s.io"],
            "resources": ["events"],
            "verbs": ["create", "patch", "update"],
        },
    ],
}


_INGRESS_ROLE: dict[str, Any] = {
    "apiVersion": f"{_RBAC}/v1",
    "kind": "ClusterRole",
    "metadata": {"name": INGRESS_GROUP},
    "rules": [
        {"apiGroups": [""], "resources": ["services", "secrets"], "verbs": _READ},
        {
            "apiGroups": ["networking.k8s.io"],
            "resources": ["ingresses", "ingressclasses"],
            "verbs": _READ,
        },
        {
            "apiGroups": ["networking.k8s.io"],
            "resources": ["ingresses/status"],
            "verbs": ["patch", "update"],
        },
    ],
}


def _binding(group: str) -> dict[str, Any]:
    """The binding of the role of that name to the group of that name."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": group},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": group},
        "subjects": [{"kind": "Group", "apiGroup": _RBAC, "name": group}],
    }


DNS_ADDRESS = "10.96.0.10"
_DNS: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "kube-dns",
        "namespace": "kube-system",
        "labels": {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"},
    },
    "spec": {
        "clusterIP": DNS_ADDRESS,
        "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
        ],
    },
}


_STORAGE_CLASS: dict[str, Any] = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {
        "name": "standard",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": local_volumes.PROVISIONER,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
    "allowVolumeExpansion": True,
}
"""Named as in kind and minikube, so that manifests which name it work here as well."""


_INGRESS_CLASS: dict[str, Any] = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {
        "name": routes.CLASS_NAME,
        "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"},
    },
    "spec": {"controller": routes.CONTROLLER},
}


async def ensure_node_objects(application: Application, *, ingress: bool = True) -> None:
    """Creates or restores them; a class that is there is the user's. Raises ClientError."""
    client = Client(LocalTransport(application, _ADMINISTRATOR))
    roles = (_ROLE, _STORAGE_ROLE, _INGRESS_ROLE)
    bindings = tuple(map(_binding, (GROUP, STORAGE_GROUP, INGRESS_GROUP)))
    for resource, bodies in ((CLUSTER_ROLES, roles), (CLUSTER_ROLE_BINDINGS, bindings)):
        for body in bodies:
            await client.apply(resource, body, field_manager="kubelite", force=True)
    await client.apply(SERVICES, _DNS, field_manager="kubelite", force=True)
    classes = [(STORAGE_CLASSES, _STORAGE_CLASS)]
    classes += [(INGRESS_CLASSES, _INGRESS_CLASS)] if ingress else []
    for resource, body in classes:
        with contextlib.suppress(AlreadyExists):
            await client.create(resource, body)
