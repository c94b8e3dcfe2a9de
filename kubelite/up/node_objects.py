"""What a cluster with nodes of kubelite has besides: the roles with which their network is read and
their volumes are removed, the Service of the name server that each node runs, and the default
StorageClass and IngressClass.

Kubernetes' own ``system:node-proxier`` covers Services; policies and name service also need pods,
namespaces and NetworkPolicies.
"""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

from kubelite.client.client import Client
from kubelite.client.errors import AlreadyExists
from kubelite.client.local import LocalTransport
from kubelite.client.resources import (
    CLUSTER_ROLES,
    CONFIG_MAPS,
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
NODES = "system:nodes"
_RBAC = "rbac.authorization.k8s.io"
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
            "verbs": [*_READ, "create", "patch", "delete"],
        },
        {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": _READ},
        {"apiGroups": [""], "resources": ["persistentvolumeclaims/status"], "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]},
        {
            "apiGroups": ["storage.k8s.io"],
            "resources": ["storageclasses", "csidrivers", "csinodes"],
            "verbs": _READ,
        },
        {
            "apiGroups": ["storage.k8s.io"],
            "resources": ["volumeattachments", "volumeattachments/status"],
            "verbs": [*_READ, "patch"],
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
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
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


def _binding(name: str, role: str, *groups: str, account: str = "") -> dict[str, Any]:
    """The binding of a ClusterRole to groups, or to a service account of kube-system."""
    subjects = [{"kind": "Group", "apiGroup": _RBAC, "name": group} for group in groups]
    if account:
        subjects.append({"kind": "ServiceAccount", "namespace": "kube-system", "name": account})
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": subjects,
    }


_REQUESTS = "system:certificates.k8s.io:certificatesigningrequests"
_BINDINGS = (
    _binding(GROUP, GROUP, GROUP, NODES),
    _binding(STORAGE_GROUP, STORAGE_GROUP, STORAGE_GROUP, NODES),
    _binding(INGRESS_GROUP, INGRESS_GROUP, INGRESS_GROUP),
    _binding("kubelite:new-node-certificates", f"{_REQUESTS}:nodeclient", "system:bootstrappers"),
    _binding("kubelite:own-node-certificates", f"{_REQUESTS}:selfnodeclient", NODES),
    _binding(
        "kubelite:node-serving-certificates",
        "system:certificates.k8s.io:kubelet-serving-approver",
        account="certificate-controller",
    ),
)
"""A node that has joined has one certificate, with which it also reads what its network needs."""
_CLUSTER_INFO: dict[str, Any] = {"name": "cluster-info", "namespace": "kube-public"}
_INFO_ROLE: dict[str, Any] = {
    "apiVersion": f"{_RBAC}/v1",
    "kind": "Role",
    "metadata": _CLUSTER_INFO,
    "rules": [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["cluster-info"],
            "verbs": ["get"],
        }
    ],
}
_INFO_BINDING: dict[str, Any] = {
    "apiVersion": f"{_RBAC}/v1",
    "kind": "RoleBinding",
    "metadata": _CLUSTER_INFO,
    "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": "cluster-info"},
    "subjects": [{"kind": "User", "apiGroup": _RBAC, "name": "system:anonymous"}],
}
"""Who has no credentials yet may read the cluster's certificate, as with kubeadm."""


def _cluster_info(server: str, authority: str) -> dict[str, Any]:
    cluster = {
        "server": server,
        "certificate-authority-data": base64.b64encode(authority.encode()).decode(),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "", "cluster": cluster}],
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _CLUSTER_INFO,
        "data": {"kubeconfig": json.dumps(config)},
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


def _rbac(plural: str) -> GroupVersionResource:
    return GroupVersionResource(_RBAC, "v1", plural)


async def ensure_node_objects(
    application: Application,
    server: str,
    authority: str,
    *,
    ingress: bool = True,
    provisioner: bool = True,
) -> None:
    """Creates or restores them, classes only where somebody serves them; a class that is there is
    the user's. ``server`` is the URL
    under which others reach the API server, ``authority`` the cluster's certificate in PEM. Raises
    ClientError.
    """
    client = Client(LocalTransport(application, _ADMINISTRATOR))
    for resource, bodies in (
        (CLUSTER_ROLES, (_ROLE, _STORAGE_ROLE, _INGRESS_ROLE)),
        (_rbac("clusterrolebindings"), _BINDINGS),
        (_rbac("roles"), (_INFO_ROLE,)),
        (_rbac("rolebindings"), (_INFO_BINDING,)),
        (CONFIG_MAPS, (_cluster_info(server, authority),)),
    ):
        for body in bodies:
            await client.apply(resource, body, field_manager="kubelite", force=True)
    await client.apply(SERVICES, _DNS, field_manager="kubelite", force=True)
    classes = [(STORAGE_CLASSES, _STORAGE_CLASS)] if provisioner else []
    classes += [(INGRESS_CLASSES, _INGRESS_CLASS)] if ingress else []
    for resource, body in classes:
        with contextlib.suppress(AlreadyExists):
            await client.create(resource, body)
