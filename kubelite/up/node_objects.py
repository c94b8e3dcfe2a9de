"""What a cluster with nodes of kubelite has besides: the role with which their network is read, and
the Service of the name server that each node runs.

Kubernetes' own ``system:node-proxier`` covers Services; policies and name service also need pods,
namespaces and NetworkPolicies.
"""

from __future__ import annotations

from typing import Any

from kubelite.client.client import Client
from kubelite.client.local import LocalTransport
from kubelite.client.resources import SERVICES, GroupVersionResource
from kubelite.client.transport import Application, Identity

USER = "system:kube-proxy"
GROUP = "kubelite:node-network"
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
_BINDING: dict[str, Any] = {
    "apiVersion": f"{_RBAC}/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": GROUP},
    "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": GROUP},
    "subjects": [{"kind": "Group", "apiGroup": _RBAC, "name": GROUP}],
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


async def ensure_node_objects(application: Application) -> None:
    """Creates or restores them. Raises ClientError."""
    client = Client(LocalTransport(application, _ADMINISTRATOR))
    for plural, body in (("clusterroles", _ROLE), ("clusterrolebindings", _BINDING)):
        resource = GroupVersionResource(_RBAC, "v1", plural)
        await client.apply(resource, body, field_manager="kubelite", force=True)
    await client.apply(SERVICES, _DNS, field_manager="kubelite", force=True)
