"""Names of resources on the wire, and the paths of their objects. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

from kubelite.objects.facts.kinds import KINDS


class GroupVersionResource(NamedTuple):
    """A resource of the API: ``GroupVersionResource("apps", "v1", "deployments")``.

    ``group`` is "" for the core.
    """

    group: str
    version: str
    resource: str

    @property
    def api_version(self) -> str:
        """``v1`` or ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The path of a list, an object or a sub-resource; ``namespace`` is "" for all of them and
        for objects of the cluster.
        """
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if namespace:
            parts += ("namespaces", _escaped(namespace))
        parts.append(self.resource)
        if name:
            parts.append(_escaped(name))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def __str__(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


def _escaped(name: str) -> str:
    return name if name.replace("-", "").replace(".", "").isalnum() else quote(name, safe="")


@lru_cache(512)
def of_kind(api_version: str, kind: str) -> GroupVersionResource | None:
    """The resource of a built-in kind; None where kubelite knows no such kind."""
    for row in KINDS:
        if row.kind == kind and row.api_version == api_version:
            return GroupVersionResource(row.group, row.version, row.plural)
    return None


def is_namespaced(resource: GroupVersionResource) -> bool | None:
    """Whether the objects of a built-in resource lie in namespaces; None where it is unknown."""
    for row in KINDS:
        if (row.group, row.version, row.plural) == resource:
            return row.namespaced
    return None


BINDINGS = GroupVersionResource("", "v1", "bindings")
CONFIG_MAPS = GroupVersionResource("", "v1", "configmaps")
ENDPOINTS = GroupVersionResource("", "v1", "endpoints")
EVENTS = GroupVersionResource("", "v1", "events")
LIMIT_RANGES = GroupVersionResource("", "v1", "limitranges")
NAMESPACES = GroupVersionResource("", "v1", "namespaces")
NODES = GroupVersionResource("", "v1", "nodes")
PERSISTENT_VOLUMES = GroupVersionResource("", "v1", "persistentvolumes")
PERSISTENT_VOLUME_CLAIMS = GroupVersionResource("", "v1", "persistentvolumeclaims")
PODS = GroupVersionResource("", "v1", "pods")
REPLICATION_CONTROLLERS = GroupVersionResource("", "v1", "replicationcontrollers")
RESOURCE_QUOTAS = GroupVersionResource("", "v1", "resourcequotas")
SECRETS = GroupVersionResource("", "v1", "secrets")
SERVICES = GroupVersionResource("", "v1", "services")
SERVICE_ACCOUNTS = GroupVersionResource("", "v1", "serviceaccounts")

CONTROLLER_REVISIONS = GroupVersionResource("apps", "v1", "controllerrevisions")
DAEMON_SETS = GroupVersionResource("apps", "v1", "daemonsets")
DEPLOYMENTS = GroupVersionResource("apps", "v1", "deployments")
REPLICA_SETS = GroupVersionResource("apps", "v1", "replicasets")
STATEFUL_SETS = GroupVersionResource("apps", "v1", "statefulsets")

CRON_JOBS = GroupVersionResource("batch", "v1", "cronjobs")
JOBS = GroupVersionResource("batch", "v1", "jobs")

HORIZONTAL_POD_AUTOSCALERS = GroupVersionResource("autoscaling", "v2", "horizontalpodautoscalers")
POD_DISRUPTION_BUDGETS = GroupVersionResource("policy", "v1", "poddisruptionbudgets")
ENDPOINT_SLICES = GroupVersionResource("discovery.k8s.io", "v1", "endpointslices")
EVENTS_V1 = GroupVersionResource("events.k8s.io", "v1", "events")
LEASES = GroupVersionResource("coordination.k8s.io", "v1", "leases")
PRIORITY_CLASSES = GroupVersionResource("scheduling.k8s.io", "v1", "priorityclasses")
CLUSTER_ROLES = GroupVersionResource("rbac.authorization.k8s.io", "v1", "clusterroles")
CERTIFICATE_SIGNING_REQUESTS = GroupVersionResource(
    "certificates.k8s.io", "v1", "certificatesigningrequests"
)
INGRESSES = GroupVersionResource("networking.k8s.io", "v1", "ingresses")
INGRESS_CLASSES = GroupVersionResource("networking.k8s.io", "v1", "ingressclasses")
IP_ADDRESSES = GroupVersionResource("networking.k8s.io", "v1", "ipaddresses")
SERVICE_CIDRS = GroupVersionResource("networking.k8s.io", "v1", "servicecidrs")
STORAGE_CLASSES = GroupVersionResource("storage.k8s.io", "v1", "storageclasses")
CSI_NODES = GroupVersionResource("storage.k8s.io", "v1", "csinodes")
CSI_DRIVERS = GroupVersionResource("storage.k8s.io", "v1", "csidrivers")
CSI_STORAGE_CAPACITIES = GroupVersionResource("storage.k8s.io", "v1", "csistoragecapacities")
VOLUME_ATTACHMENTS = GroupVersionResource("storage.k8s.io", "v1", "volumeattachments")
CUSTOM_RESOURCE_DEFINITIONS = GroupVersionResource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions"
)
API_SERVICES = GroupVersionResource("apiregistration.k8s.io", "v1", "apiservices")
VALIDATING_ADMISSION_POLICIES = GroupVersionResource(
    "admissionregistration.k8s.io", "v1", "validatingadmissionpolicies"
)
