"""The roles and bindings that every Kubernetes cluster begins with. Pure.

What they allow is Kubernetes' bootstrap policy
(``plugin/pkg/auth/authorizer/rbac/bootstrappolicy``). A rule is written as verbs, groups (``core``
for the empty one) and resources, each a line of words.
"""

from __future__ import annotations

from kubelite.control.api.server.controller_roles import controllers
from kubelite.lib.json import Object
from kubelite.objects.facts.priorities import SYSTEM_CLASSES

RBAC = "rbac.authorization.k8s.io"
_API = f"{RBAC}/v1"
READ = "get list watch"
WRITE = "create delete deletecollection patch update"
EVERY = f"{WRITE} {READ}"
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_UPDATE = {"rbac.authorization.kubernetes.io/autoupdate": "true"}


def rule(verbs: str, groups: str, resources: str, names: str = "") -> Object:
    """A rule about resources."""
    policy_rule: Object = {
        "verbs": verbs.split(),
        "apiGroups": ["" if group == "core" else group for group in groups.split()],
        "resources": resources.split(),
    }
    return {**policy_rule, "resourceNames": names.split()} if names else policy_rule


def paths(*urls: str) -> Object:
    """A rule that lets one read paths that are no resources."""
    return {"verbs": ["get"], "nonResourceURLs": list(urls)}


def role(
    name: str, *rules: Object, labels: dict[str, str] | None = None, namespace: str = ""
) -> Object:
    """A ClusterRole, or a Role where a namespace is given."""
    metadata: Object = {
        "name": name,
        "labels": {**_LABELS, **(labels or {})},
        "annotations": dict(_UPDATE),
    }
    if namespace:
        metadata["namespace"] = namespace
    return {
        "kind": "Role" if namespace else "ClusterRole",
        "apiVersion": _API,
        "metadata": metadata,
        "rules": list(rules),
    }


def collecting(name: str, labels: dict[str, str] | None = None) -> Object:
    """A ClusterRole that is the sum of those labelled for it."""
    selector = {"matchLabels": {f"rbac.authorization.k8s.io/aggregate-to-{name}": "true"}}
    return {**role(name, labels=labels), "aggregationRule": {"clusterRoleSelectors": [selector]}}


def binding(
    name: str, *subjects: tuple[str, str], refers: str = "", namespace: str = "", kind: str = ""
) -> Object:
    """A binding of (kind, name) subjects to the role of the same name, or to ``refers``."""
    metadata: Object = {"name": name, "labels": dict(_LABELS), "annotations": dict(_UPDATE)}
    if namespace:
        metadata["namespace"] = namespace
    return {
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "apiVersion": _API,
        "metadata": metadata,
        "subjects": [_subject(kind, name) for kind, name in subjects],
        "roleRef": {
            "apiGroup": RBAC,
            "kind": kind or ("Role" if namespace else "ClusterRole"),
            "name": refers or name,
        },
    }


def _subject(kind: str, name: str) -> Object:
    if kind == "ServiceAccount":
        namespace, _, account = name.partition("/")
        return {"kind": kind, "name": account, "namespace": namespace}
    return {"kind": kind, "apiGroup": RBAC, "name": name}


def _to(name: str) -> dict[str, str]:
    return {f"rbac.authorization.k8s.io/aggregate-to-{name}": "true"}


_EVENTS = rule("create patch update", "core events.k8s.io", "events")
_LEASE = "coordination.k8s.io"
_SCALED = (
    "deployments deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale"
)
_LEGACY = (
    "daemonsets deployments deployments/scale ingresses networkpolicies replicasets "
    "replicasets/scale "
    "replicationcontrollers/scale"
)
_CLAIMS = "resourceclaims resourceclaimtemplates"
_STREAMS = "pods/attach pods/exec pods/portforward pods/proxy"
_WORK = (
    ("autoscaling", "horizontalpodautoscalers"),
    ("batch", "cronjobs jobs"),
    ("policy", "poddisruptionbudgets"),
    ("networking.k8s.io", "ingresses networkpolicies"),
)

VIEW = (
    rule(
        READ,
        "core",
        "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
        "replicationcontrollers replicationcontrollers/scale serviceaccounts services "
        "services/status",
    ),
    rule(
        READ,
        "core",
        "bindings limitranges namespaces/status pods/log pods/status replicationcontrollers/status "
        "resourcequotas resourcequotas/status",
    ),
    rule(READ, "core events.k8s.io", "events"),
    rule(READ, "core", "namespaces"),
    rule(READ, "discovery.k8s.io", "endpointslices"),
    rule(
        READ,
        "apps",
        f"controllerrevisions daemonsets daemonsets/status {_SCALED} deployments/status "
        "replicasets/status statefulsets/status",
    ),
    rule(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    rule(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    rule(
        READ,
        "extensions",
        f"{_LEGACY} daemonsets/status deployments/status ingresses/status replicasets/status",
    ),
    rule(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    rule(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    rule(READ, "resource.k8s.io", f"{_CLAIMS} resourceclaims/status"),
)
EDIT = (
    rule(READ, "core", f"{_STREAMS} secrets services/proxy"),
    rule("impersonate", "core", "serviceaccounts"),
    rule(WRITE, "core", f"pods {_STREAMS}"),
    rule("create", "core", "pods/eviction"),
    rule(
        WRITE,
        "core",
        "configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale "
        "secrets "
        "serviceaccounts services services/proxy",
    ),
    rule(WRITE, "core events.k8s.io", "events"),
    rule("create", "core", "serviceaccounts/token"),
    rule(WRITE, "apps", f"daemonsets {_SCALED} deployments/rollback"),
    *(rule(WRITE, group, resources) for group, resources in _WORK),
    rule(WRITE, "extensions", f"{_LEGACY} deployments/rollback"),
    rule(WRITE, "resource.k8s.io", _CLAIMS),
    rule(EVERY, _LEASE, "leases"),
)
ADMIN = (
    rule("create", "authorization.k8s.io", "localsubjectaccessreviews"),
    rule(EVERY, RBAC, "rolebindings roles"),
)

_SCHEDULER = (
    _EVENTS,
    rule("create", _LEASE, "leases"),
    rule("get update list watch", _LEASE, "leases", "kube-scheduler"),
    rule(EVERY, _LEASE, "leasecandidates"),
    rule(READ, "resource.k8s.io", "deviceclasses"),
    rule(READ, "resource.k8s.io", "resourceslices"),
    rule("create delete", "resource.k8s.io", "resourceclaims"),
    rule("get list patch update watch", "resource.k8s.io", "resourceclaims"),
    rule("get list patch update watch", "resource.k8s.io", "resourceclaims/status"),
    rule("patch update", "resource.k8s.io", "resourceclaims/binding"),
    rule("get list watch", "core", "nodes"),
    rule("delete get list watch", "core", "pods"),
    rule("create", "core", "bindings pods/binding"),
    rule("patch update", "core", "pods/status"),
    rule("update", "core", "pods/finalizers"),
    rule(READ, "core", "replicationcontrollers services"),
    rule(READ, "core", "persistentvolumeclaims persistentvolumes"),
    rule(READ, "core", "namespaces"),
    rule(READ, "apps extensions", "replicasets"),
    rule(READ, "apps", "statefulsets"),
    rule(READ, "policy", "poddisruptionbudgets"),
    *(
        rule(READ, "storage.k8s.io", resource)
        for resource in ("csinodes", "csidrivers", "csistoragecapacities", "volumeattachments")
    ),
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "subjectaccessreviews"),
)
_CONTROLLERS = (
    _EVENTS,
    rule("create", _LEASE, "leases"),
    rule("get update", _LEASE, "leases", "kube-controller-manager"),
    rule("create", "core", "secrets serviceaccounts"),
    rule("update", "core", "secrets serviceaccounts"),
    rule("delete", "core", "secrets"),
    rule("get", "core", "configmaps namespaces secrets serviceaccounts"),
    rule("create", "core", "serviceaccounts/token"),
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "subjectaccessreviews"),
    rule("list watch", "*", "*"),
)
_NODE = (
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
    rule(READ, "core", "services"),
    rule("create get list watch patch update", "core", "nodes"),
    rule("patch update", "core", "nodes/status"),
    _EVENTS,
    rule("get list watch create delete", "core", "pods"),
    rule("patch update", "core", "pods/status"),
    rule("create", "core", "pods/eviction serviceaccounts/token"),
    rule(READ, "core", "configmaps secrets"),
    rule("get", "core", "persistentvolumeclaims persistentvolumes endpoints serviceaccounts"),
    rule("get patch update", "core", "persistentvolumeclaims/status"),
    rule("get", "resource.k8s.io", "resourceclaims"),
    rule("deletecollection", "resource.k8s.io", "resourceslices"),
    rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
    rule("create delete get patch update", _LEASE, "leases"),
    rule("get", "storage.k8s.io", "volumeattachments"),
    rule(READ, "storage.k8s.io", "csidrivers"),
    rule("create delete get patch update", "storage.k8s.io", "csinodes"),
    rule(READ, "node.k8s.io", "runtimeclasses"),
)
_DISCOVERY = (
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/version",
)
_SELF_REVIEWS = (
    rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
    rule("create", "authentication.k8s.io", "selfsubjectreviews"),
)

_APPROVED = (
    "kube-apiserver-client",
    "kube-apiserver-client-kubelet",
    "kubelet-serving",
    "legacy-unknown",
)
_CONTROLLER = "system:controller:"

CLUSTER_ROLES: tuple[Object, ...] = (
    *(
        role(_CONTROLLER + name, *(rule(*line) for line in lines), *((_EVENTS,) if events else ()))
        for name, events, lines in controllers()
    ),
    *(
        role(
            f"system:certificates.k8s.io:{signer}-approver",
            rule("approve", "certificates.k8s.io", "signers", f"kubernetes.io/{signer}"),
        )
        for signer in _APPROVED
    ),
    role(
        "system:kube-aggregator",
        rule(READ, "core", "endpoints services"),
    ),
    role(
        "system:heapster",
        rule(READ, "core", "events namespaces nodes pods"),
        rule(READ, "extensions", "deployments"),
    ),
    role("cluster-admin", rule("*", "*", "*"), {"verbs": ["*"], "nonResourceURLs": ["*"]}),
    role("system:discovery", paths(*_DISCOVERY, "/version/")),
    role(
        "system:public-info-viewer", paths("/healthz", "/livez", "/readyz", "/version", "/version/")
    ),
    role("system:basic-user", *_SELF_REVIEWS),
    role(
        "system:monitoring",
        rule("get", "core", "nodes/metrics"),
        paths(
            "/flagz",
            "/statusz",
            "/healthz",
            "/healthz/*",
            "/livez",
            "/livez/*",
            "/metrics",
            "/metrics/slis",
            "/readyz",
            "/readyz/*",
        ),
    ),
    collecting("admin"),
    collecting("edit", _to("admin")),
    collecting("view", _to("edit")),
    role("system:aggregate-to-admin", *ADMIN, labels=_to("admin")),
    role("system:aggregate-to-edit", *EDIT, labels=_to("edit")),
    role("system:aggregate-to-view", *VIEW, labels=_to("view")),
    role("system:node", *_NODE),
    role(
        "system:node-proxier",
        rule("list watch", "core", "services endpoints"),
        rule("get list watch", "core", "nodes"),
        _EVENTS,
        rule("list watch", "discovery.k8s.io", "endpointslices"),
        rule("list watch", "networking.k8s.io", "servicecidrs"),
    ),
    role(
        "system:node-bootstrapper",
        rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
    ),
    role(
        "system:node-problem-detector",
        rule("get", "core", "nodes"),
        rule("patch", "core", "nodes/status"),
        _EVENTS,
    ),
    role(
        "system:kubelet-api-admin",
        rule(READ, "core", "nodes"),
        rule("proxy", "core", "nodes"),
        rule(
            "*",
            "core",
            "nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy "
            "nodes/stats",
        ),
    ),
    role("system:kube-scheduler", *_SCHEDULER),
    role(
        "system:volume-scheduler",
        rule("get list patch update watch", "core", "persistentvolumes"),
        rule("get list patch update watch", "core", "persistentvolumeclaims"),
        rule(READ, "storage.k8s.io", "storageclasses"),
    ),
    role("system:kube-controller-manager", *_CONTROLLERS),
    role("system:kube-dns", rule("list watch", "core", "endpoints services")),
    role(
        "system:persistent-volume-provisioner",
        rule("create delete get list watch", "core", "persistentvolumes"),
        rule("get list update watch", "core", "persistentvolumeclaims"),
        rule(READ, "storage.k8s.io", "storageclasses"),
        rule("watch", "core", "events"),
        _EVENTS,
    ),
    role(
        "system:auth-delegator",
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "subjectaccessreviews"),
    ),
    role(
        "system:service-account-issuer-discovery",
        paths(
            "/.well-known/openid-configuration",
            "/.well-known/openid-configuration/",
            "/openid/v1/jwks",
            "/openid/v1/jwks/",
        ),
    ),
    role(
        "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
        rule("create", "certificates.k8s.io", "certificatesigningrequests/nodeclient"),
    ),
    role(
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        rule("create", "certificates.k8s.io", "certificatesigningrequests/selfnodeclient"),
    ),
)

CLUSTER_BINDINGS: tuple[Object, ...] = (
    *(
        binding(_CONTROLLER + name, ("ServiceAccount", f"kube-system/{name}"))
        for name, _, _ in controllers()
    ),
    binding("cluster-admin", ("Group", "system:masters")),
    binding("system:monitoring", ("Group", "system:monitoring")),
    binding("system:discovery", ("Group", "system:authenticated")),
    binding("system:basic-user", ("Group", "system:authenticated")),
    binding(
        "system:public-info-viewer",
        ("Group", "system:authenticated"),
        ("Group", "system:unauthenticated"),
    ),
    binding("system:node-proxier", ("User", "system:kube-proxy")),
    binding("system:kube-controller-manager", ("User", "system:kube-controller-manager")),
    binding("system:kube-dns", ("ServiceAccount", "kube-system/kube-dns")),
    binding("system:kube-scheduler", ("User", "system:kube-scheduler")),
    binding("system:volume-scheduler", ("User", "system:kube-scheduler")),
    binding("system:node"),
    binding("system:service-account-issuer-discovery", ("Group", "system:serviceaccounts")),
    binding(
        "kubelite:node-bootstrappers",
        ("Group", "system:bootstrappers"),
        refers="system:node-bootstrapper",
    ),
)

_LEADERS = ("kube-controller-manager", "kube-scheduler")
_SYSTEM, _PUBLIC = "kube-system", "kube-public"

ROLES: tuple[Object, ...] = (
    role(
        "extension-apiserver-authentication-reader",
        rule(READ, "core", "configmaps", "extension-apiserver-authentication"),
        namespace=_SYSTEM,
    ),
    role("system:controller:bootstrap-signer", rule(READ, "core", "secrets"), namespace=_SYSTEM),
    role(
        "system:controller:bootstrap-signer",
        rule(READ, "core", "configmaps"),
        rule("update", "core", "configmaps", "cluster-info"),
        _EVENTS,
        namespace=_PUBLIC,
    ),
    role(
        "system:controller:cloud-provider",
        rule("create get list watch", "core", "configmaps"),
        namespace=_SYSTEM,
    ),
    role(
        "system:controller:token-cleaner",
        rule("get list watch delete", "core", "secrets"),
        _EVENTS,
        namespace=_SYSTEM,
    ),
    *(
        role(
            f"system::leader-locking-{component}",
            rule("create get list update watch", _LEASE, "leases"),
            rule("create get list update watch", _LEASE, "leasecandidates"),
            namespace=_SYSTEM,
        )
        for component in _LEADERS
    ),
)

BINDINGS: tuple[Object, ...] = (
    binding(
        "system::extension-apiserver-authentication-reader",
        ("User", "system:kube-controller-manager"),
        ("User", "system:kube-scheduler"),
        refers="extension-apiserver-authentication-reader",
        namespace=_SYSTEM,
    ),
    *(
        binding(
            f"system:controller:{name}", ("ServiceAccount", f"kube-system/{name}"), namespace=place
        )
        for name, place in (
            ("bootstrap-signer", _SYSTEM),
            ("bootstrap-signer", _PUBLIC),
            ("cloud-provider", _SYSTEM),
            ("token-cleaner", _SYSTEM),
        )
    ),
    *(
        binding(
            f"system::leader-locking-{component}",
            ("User", f"system:{component}"),
            ("ServiceAccount", f"kube-system/{component}"),
            *extra,
            namespace=_SYSTEM,
        )
        for component, extra in (
            (
                "kube-controller-manager",
                [("ServiceAccount", "kube-system/leader-election-controller")],
            ),
            ("kube-scheduler", []),
        )
    ),
)

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")

PRIORITY_CLASSES: tuple[Object, ...] = tuple(
    {
        "kind": "PriorityClass",
        "apiVersion": "scheduling.k8s.io/v1",
        "metadata": {"name": name},
        "value": value,
        "globalDefault": False,
        "description": f"Used for system critical pods that {text}.",
        "preemptionPolicy": "PreemptLowerPriority",
    }
    for (name, value), text in zip(
        SYSTEM_CLASSES.items(),
        (
            "must run in the cluster, but can be moved to another node if necessary",
            "must not be moved from their current node",
        ),
        strict=True,
    )
)


def flat_rules(roles: tuple[Object, ...]) -> tuple[Object, ...]:
    """The roles with those that collect others filled in."""
    from kubelite.control.api.auth.rbac import aggregated

    known = list(roles)
    for _ in range(3):  # view flows into edit, edit into admin
        known = [
            {**cluster_role, "rules": combined}
            if (combined := aggregated(cluster_role, known)) is not None
            else cluster_role
            for cluster_role in known
        ]
    return tuple(known)
