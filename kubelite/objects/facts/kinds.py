"""The kinds of objects that kubelite knows: one row each. Pure.

A new kind is a row here, its rules in a file of ``control/api/kinds`` (registry.py there) and its
fields in ``schema_table.py``; docs/how-to.md has the steps. Facts are those of
``kubectl api-resources -o wide`` on Kubernetes 1.36. Within
a group the preferred version of a kind stands first.
"""

from __future__ import annotations

from typing import NamedTuple

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
READ = ("get", "list")
CREATE = ("create",)


class Kind(NamedTuple):
    """One kind. ``group`` is "" for the core; names on the command line are ``plural``,
    ``singular`` and ``short``.
    """

    group: str
    version: str
    kind: str
    plural: str
    short: tuple[str, ...] = ()
    namespaced: bool = True
    subresources: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS

    @property
    def api_version(self) -> str:
        """``v1`` or ``apps/v1``, as it stands in a manifest."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """The kind in small letters."""
        return self.kind.lower()


def _group(group: str, version: str, *rows: Kind) -> tuple[Kind, ...]:
    return tuple(row._replace(group=group, version=version) for row in rows)


def _kind(
    kind: str,
    plural: str,
    short: str = "",
    *,
    cluster: bool = False,
    sub: str = "",
    categories: str = "",
    verbs: tuple[str, ...] = ALL_VERBS,
) -> Kind:
    words = tuple(short.split()), not cluster, tuple(sub.split()), tuple(categories.split())
    return Kind("", "", kind, plural, *words, verbs)


KINDS: tuple[Kind, ...] = (
    *_group(
        "",
        "v1",
        _kind("Binding", "bindings", verbs=CREATE),
        _kind("ComponentStatus", "componentstatuses", "cs", cluster=True, verbs=READ),
        _kind("ConfigMap", "configmaps", "cm"),
        _kind("Endpoints", "endpoints", "ep"),
        _kind("Event", "events", "ev"),
        _kind("LimitRange", "limitranges", "limits"),
        _kind(
            "Namespace",
            "namespaces",
            "ns",
            cluster=True,
            sub="finalize status",
            verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
        ),
        _kind("Node", "nodes", "no", cluster=True, sub="proxy status"),
        _kind("PersistentVolumeClaim", "persistentvolumeclaims", "pvc", sub="status"),
        _kind("PersistentVolume", "persistentvolumes", "pv", cluster=True, sub="status"),
        _kind(
            "Pod",
            "pods",
            "po",
            sub="attach binding ephemeralcontainers eviction exec log portforward proxy resize "
            "status",
            categories="all",
        ),
        _kind("PodTemplate", "podtemplates"),
        _kind(
            "ReplicationController",
            "replicationcontrollers",
            "rc",
            sub="scale status",
            categories="all",
        ),
        _kind("ResourceQuota", "resourcequotas", "quota", sub="status"),
        _kind("Secret", "secrets"),
        _kind("ServiceAccount", "serviceaccounts", "sa", sub="token"),
        _kind("Service", "services", "svc", sub="proxy status", categories="all"),
    ),
    *_group(
        "admissionregistration.k8s.io",
        "v1",
        _kind(
            "MutatingAdmissionPolicy",
            "mutatingadmissionpolicies",
            cluster=True,
            categories="api-extensions",
        ),
        _kind(
            "MutatingAdmissionPolicyBinding",
            "mutatingadmissionpolicybindings",
            cluster=True,
            categories="api-extensions",
        ),
        _kind(
            "MutatingWebhookConfiguration",
            "mutatingwebhookconfigurations",
            cluster=True,
            categories="api-extensions",
        ),
        _kind(
            "ValidatingAdmissionPolicy",
            "validatingadmissionpolicies",
            cluster=True,
            sub="status",
            categories="api-extensions",
        ),
        _kind(
            "ValidatingAdmissionPolicyBinding",
            "validatingadmissionpolicybindings",
            cluster=True,
            categories="api-extensions",
        ),
        _kind(
            "ValidatingWebhookConfiguration",
            "validatingwebhookconfigurations",
            cluster=True,
            categories="api-extensions",
        ),
    ),
    *_group(
        "apiextensions.k8s.io",
        "v1",
        _kind(
            "CustomResourceDefinition",
            "customresourcedefinitions",
            "crd crds",
            cluster=True,
            sub="status",
            categories="api-extensions",
        ),
    ),
    *_group(
        "apiregistration.k8s.io",
        "v1",
        _kind("APIService", "apiservices", cluster=True, sub="status", categories="api-extensions"),
    ),
    *_group(
        "apps",
        "v1",
        _kind("ControllerRevision", "controllerrevisions"),
        _kind("DaemonSet", "daemonsets", "ds", sub="status", categories="all"),
        _kind("Deployment", "deployments", "deploy", sub="scale status", categories="all"),
        _kind("ReplicaSet", "replicasets", "rs", sub="scale status", categories="all"),
        _kind("StatefulSet", "statefulsets", "sts", sub="scale status", categories="all"),
    ),
    *_group(
        "authentication.k8s.io",
        "v1",
        _kind("SelfSubjectReview", "selfsubjectreviews", cluster=True, verbs=CREATE),
        _kind("TokenReview", "tokenreviews", cluster=True, verbs=CREATE),
    ),
    *_group(
        "authorization.k8s.io",
        "v1",
        _kind("LocalSubjectAccessReview", "localsubjectaccessreviews", verbs=CREATE),
        _kind("SelfSubjectAccessReview", "selfsubjectaccessreviews", cluster=True, verbs=CREATE),
        _kind("SelfSubjectRulesReview", "selfsubjectrulesreviews", cluster=True, verbs=CREATE),
        _kind("SubjectAccessReview", "subjectaccessreviews", cluster=True, verbs=CREATE),
    ),
    *_group(
        "autoscaling",
        "v2",
        _kind(
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            "hpa",
            sub="status",
            categories="all",
        ),
    ),
    *_group(
        "autoscaling",
        "v1",
        _kind(
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            "hpa",
            sub="status",
            categories="all",
        ),
    ),
    *_group(
        "batch",
        "v1",
        _kind("CronJob", "cronjobs", "cj", sub="status", categories="all"),
        _kind("Job", "jobs", sub="status", categories="all"),
    ),
    *_group(
        "certificates.k8s.io",
        "v1",
        _kind(
            "CertificateSigningRequest",
            "certificatesigningrequests",
            "csr",
            cluster=True,
            sub="approval status",
        ),
    ),
    *_group("coordination.k8s.io", "v1", _kind("Lease", "leases")),
    *_group("discovery.k8s.io", "v1", _kind("EndpointSlice", "endpointslices")),
    *_group("events.k8s.io", "v1", _kind("Event", "events", "ev")),
    *_group(
        "flowcontrol.apiserver.k8s.io",
        "v1",
        _kind("FlowSchema", "flowschemas", cluster=True, sub="status"),
        _kind(
            "PriorityLevelConfiguration", "prioritylevelconfigurations", cluster=True, sub="status"
        ),
    ),
    *_group(
        "metrics.k8s.io",
        "v1beta1",
        _kind("NodeMetrics", "nodes", cluster=True, verbs=READ),
        _kind("PodMetrics", "pods", verbs=READ),
    ),
    *_group(
        "networking.k8s.io",
        "v1",
        _kind("IngressClass", "ingressclasses", cluster=True),
        _kind("Ingress", "ingresses", "ing", sub="status"),
        _kind("IPAddress", "ipaddresses", "ip", cluster=True),
        _kind("NetworkPolicy", "networkpolicies", "netpol"),
        _kind("ServiceCIDR", "servicecidrs", cluster=True, sub="status"),
    ),
    *_group("node.k8s.io", "v1", _kind("RuntimeClass", "runtimeclasses", cluster=True)),
    *_group(
        "policy", "v1", _kind("PodDisruptionBudget", "poddisruptionbudgets", "pdb", sub="status")
    ),
    *_group(
        "rbac.authorization.k8s.io",
        "v1",
        _kind("ClusterRoleBinding", "clusterrolebindings", cluster=True),
        _kind("ClusterRole", "clusterroles", cluster=True),
        _kind("RoleBinding", "rolebindings"),
        _kind("Role", "roles"),
    ),
    *_group(
        "resource.k8s.io",
        "v1",
        _kind("DeviceClass", "deviceclasses", cluster=True),
        _kind("ResourceClaim", "resourceclaims", sub="status"),
        _kind("ResourceClaimTemplate", "resourceclaimtemplates"),
        _kind("ResourceSlice", "resourceslices", cluster=True),
    ),
    *_group(
        "scheduling.k8s.io", "v1", _kind("PriorityClass", "priorityclasses", "pc", cluster=True)
    ),
    *_group(
        "storage.k8s.io",
        "v1",
        _kind("CSIDriver", "csidrivers", cluster=True),
        _kind("CSINode", "csinodes", cluster=True),
        _kind("CSIStorageCapacity", "csistoragecapacities"),
        _kind("StorageClass", "storageclasses", "sc", cluster=True),
        _kind("VolumeAttachment", "volumeattachments", cluster=True, sub="status"),
        _kind("VolumeAttributesClass", "volumeattributesclasses", "vac", cluster=True),
    ),
)

_BY_KIND = {(kind.api_version, kind.kind): kind for kind in KINDS}
_BY_PLURAL = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}


def of_manifest(api_version: str, kind: str) -> Kind | None:
    """The kind that a manifest names."""
    return _BY_KIND.get((api_version, kind))


def of_path(group: str, version: str, plural: str) -> Kind | None:
    """The kind behind a path of the API: ``/apis/GROUP/VERSION/.../PLURAL``."""
    return _BY_PLURAL.get((group, version, plural))


def named(word: str) -> list[Kind]:
    """The kinds that a word of the command line means: plural, singular, kind or short name, in any
    case.
    """
    lowered = word.lower()
    return [kind for kind in KINDS if lowered in (kind.plural, kind.singular, *kind.short)]
