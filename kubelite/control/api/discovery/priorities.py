"""In which order API groups are listed, and the priorities that say so. Pure.

Facts are those of kube-apiserver (``cmd/kube-apiserver/app/aggregator.go``): groups with a higher
number come first, custom groups after all built-in ones.
"""

from __future__ import annotations

CUSTOM, CUSTOM_VERSION = 1000, 100
_GROUPS = {
    "": 18000,
    "apiregistration.k8s.io": 17900,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "admissionregistration.k8s.io": 16700,
    "apiextensions.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "resource.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
}
_VERSIONS = {
    ("", "v1"): 1,
    ("autoscaling", "v2"): 30,
    ("events.k8s.io", "v1"): 5,
    ("flowcontrol.apiserver.k8s.io", "v1"): 21,
}


def group_priority(group: str) -> int:
    """``groupPriorityMinimum`` of a group's APIService."""
    return _GROUPS.get(group, CUSTOM)


def version_priority(group: str, version: str) -> int:
    """``versionPriority`` of a built-in version's APIService."""
    return _VERSIONS.get((group, version), 15)
