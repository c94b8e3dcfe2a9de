"""The columns of every built-in kind and the cells of a row, as ``kubectl get`` shows them. Pure.

A kind is a line of column names (those after ``|`` only with ``-o wide``, ``#`` marks a number,
``?`` a truth value) and a function that gives the cells in that order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.tables import pod_cells, workload_cells
from kubelite.control.api.tables.text import (
    NONE,
    UNKNOWN,
    UNSET,
    access_modes,
    age,
    at,
    human,
    joined,
    labels,
    name,
    selector,
    since,
    some,
    true,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

Object = dict[str, Any]
Cells = list[Any]
_ROLE = "node-role.kubernetes.io/"


def _created(obj: Object, now: datetime) -> Cells:
    return [name(obj), at(obj, "metadata.creationTimestamp", UNKNOWN)]


def _aged(*paths: str) -> Callable[[Object, datetime], Cells]:
    """Name, some values by path, Age."""
    return lambda obj, now: [name(obj), *(_text(at(obj, path)) for path in paths), age(obj, now)]


def _text(value: Any) -> str:
    return NONE if value in (None, "") else true(value) if isinstance(value, bool) else str(value)


def _service(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    head = [
        name(obj),
        spec.get("type", ""),
        spec.get("clusterIP") or NONE,
        _external(obj, spec),
        _service_ports(spec),
    ]
    return [*head, age(obj, now), labels(spec.get("selector"))]


def _external(obj: Object, spec: Object) -> str:
    kind = spec.get("type")
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    if kind != "LoadBalancer":
        return joined(spec.get("externalIPs") or ())
    return joined([*_balanced(obj), *(spec.get("externalIPs") or ())], "<pending>")


def _balanced(obj: Object) -> list[str]:
    """Where a load balancer is reached, each place once."""
    found = {
        each.get("ip") or each.get("hostname", "")
        for each in at(obj, "status.loadBalancer.ingress", [])
    }
    return sorted(found - {""})


def _service_ports(spec: Object) -> str:
    shown = []
    for port in spec.get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return joined(shown)


def _endpoints(obj: Object, now: datetime) -> Cells:
    found: list[str] = []
    for subset in obj.get("subsets") or ():
        ips = [each.get("ip", "") for each in subset.get("addresses") or ()]
        ports = [port.get("port") for port in subset.get("ports") or ()]
        found += (
            [f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}" for port in ports for ip in ips]
            if ports
            else ips
        )
    return [name(obj), some(found), age(obj, now)]


def _endpoint_slice(obj: Object, now: datetime) -> Cells:
    ports = [str(port.get("port", "*")) for port in obj.get("ports") or ()]
    addresses = [
        address for each in obj.get("endpoints") or () for address in each.get("addresses") or ()
    ]
    shown = [some(ports) if ports else UNSET, some(addresses) if addresses else UNSET]
    return [name(obj), obj.get("addressType", ""), *shown, age(obj, now)]


def _ingress(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    hosts = [rule["host"] for rule in spec.get("rules") or () if rule.get("host")]
    ports = "80, 443" if spec.get("tls") else "80"
    return [
        name(obj),
        spec.get("ingressClassName") or NONE,
        some(hosts) if hosts else "*",
        joined(_balanced(obj), ""),
        ports,
        age(obj, now),
    ]


def _ingress_class(obj: Object, now: datetime) -> Cells:
    given = at(obj, "spec.parameters")
    group = f".{given['apiGroup']}" if given and given.get("apiGroup") else ""
    shown = f"{given.get('kind')}{group}/{given.get('name')}" if given else NONE
    return [name(obj), at(obj, "spec.controller", ""), shown, age(obj, now)]


def _node(obj: Object, now: datetime) -> Cells:
    ready = {each.get("type"): each.get("status") for each in at(obj, "status.conditions", [])}.get(
        "Ready"
    )
    shown = [
        "Ready" if ready == "True" else "NotReady" if ready in ("False", "Unknown") else "Unknown"
    ]
    shown += ["SchedulingDisabled"] if at(obj, "spec.unschedulable") else []
    given = at(obj, "metadata.labels", {})
    roles = {key.removeprefix(_ROLE) for key in given if key.startswith(_ROLE)} | {
        given.get("kubernetes.io/role", "")
    }
    info, addresses = at(obj, "status.nodeInfo", {}), at(obj, "status.addresses", [])

    def address(kind: str) -> str:
        return next(
            (each.get("address", NONE) for each in addresses if each.get("type") == kind), NONE
        )

    facts = [
        info.get(field) or UNKNOWN
        for field in ("osImage", "kernelVersion", "containerRuntimeVersion")
    ]
    head = [
        name(obj),
        ",".join(shown),
        joined(sorted(roles - {""})),
        age(obj, now),
        info.get("kubeletVersion", ""),
    ]
    return [*head, address("InternalIP"), address("ExternalIP"), *facts]


def _phase(obj: Object) -> str:
    return (
        "Terminating" if at(obj, "metadata.deletionTimestamp") else str(at(obj, "status.phase", ""))
    )


def _namespace(obj: Object, now: datetime) -> Cells:
    return [name(obj), at(obj, "status.phase", ""), age(obj, now)]


def _event(obj: Object, now: datetime) -> Cells:
    about, source = (
        obj.get("involvedObject") or obj.get("regarding") or {},
        obj.get("source") or obj.get("deprecatedSource") or {},
    )
    when = obj.get("eventTime") or obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp")
    last = (
        at(obj, "series.lastObservedTime")
        or obj.get("lastTimestamp")
        or obj.get("deprecatedLastTimestamp")
        or when
    )
    target = (
        f"{about.get('kind', '').lower()}/{about['name']}"
        if about.get("name")
        else about.get("kind", "").lower()
    )
    component = (
        source.get("component")
        or obj.get("reportingComponent")
        or obj.get("reportingController")
        or ""
    )
    shown = component + (f", {source['host']}" if source.get("host") else "")
    count = at(obj, "series.count") or obj.get("count") or obj.get("deprecatedCount") or 1
    said = str(obj.get("message") or obj.get("note") or "").strip()
    head = [
        since(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        target,
        about.get("fieldPath", ""),
        shown,
        said,
    ]
    return [*head, since(when or last, now), count, name(obj)]


def _secret(obj: Object, now: datetime) -> Cells:
    return [name(obj), obj.get("type", ""), len(obj.get("data") or ()), age(obj, now)]


def _config_map(obj: Object, now: datetime) -> Cells:
    return [name(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), age(obj, now)]


def _service_account(obj: Object, now: datetime) -> Cells:
    return [name(obj), len(obj.get("secrets") or ()), age(obj, now)]


def _claim(obj: Object, now: datetime) -> Cells:
    spec, bound = obj.get("spec") or {}, bool(at(obj, "spec.volumeName"))
    capacity = at(obj, "status.capacity.storage", "") if bound else ""
    modes = access_modes(at(obj, "status.accessModes")) if bound else ""
    classes = [spec.get("storageClassName") or "", spec.get("volumeAttributesClassName") or UNSET]
    head = [name(obj), _phase(obj), spec.get("volumeName", ""), capacity, modes, *classes]
    return [*head, age(obj, now), spec.get("volumeMode") or UNSET]


def _volume(obj: Object, now: datetime) -> Cells:
    spec, claim = obj.get("spec") or {}, at(obj, "spec.claimRef")
    whose = f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""
    policy = spec.get("persistentVolumeReclaimPolicy", "")
    head = [
        name(obj),
        at(spec, "capacity.storage", ""),
        access_modes(spec.get("accessModes")),
        policy,
        _phase(obj),
        whose,
    ]
    classes = [spec.get("storageClassName", ""), spec.get("volumeAttributesClassName") or UNSET]
    return [
        *head,
        *classes,
        at(obj, "status.reason", ""),
        age(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


def _quota(obj: Object, now: datetime) -> Cells:
    used, hard = at(obj, "status.used", {}), at(obj, "status.hard", {}) or at(obj, "spec.hard", {})
    requests: list[str] = []
    limits: list[str] = []
    for each, most in sorted(hard.items()):
        (limits if each.startswith("limits") else requests).append(
            f"{each}: {used.get(each, 0)}/{most}"
        )
    return [name(obj), ", ".join(requests), ", ".join(limits), age(obj, now)]


def _binding(obj: Object, now: datetime) -> Cells:
    groups: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for each in obj.get("subjects") or ():
        inside = f"{each.get('namespace', '')}/" if each.get("kind") == "ServiceAccount" else ""
        groups.setdefault(each.get("kind", ""), []).append(inside + each.get("name", ""))
    role = f"{at(obj, 'roleRef.kind', '')}/{at(obj, 'roleRef.name', '')}"
    return [
        name(obj),
        role,
        age(obj, now),
        *(", ".join(groups[kind]) for kind in ("User", "Group", "ServiceAccount")),
    ]


def _signing_request(obj: Object, now: datetime) -> Cells:
    spec, held = (
        obj.get("spec") or {},
        {each.get("type") for each in at(obj, "status.conditions", [])},
    )
    shown = [each for each in ("Approved", "Denied", "Failed") if each in held] or ["Pending"]
    shown += ["Issued"] if at(obj, "status.certificate") else []
    lasts = human(spec["expirationSeconds"]) if spec.get("expirationSeconds") is not None else NONE
    return [
        name(obj),
        age(obj, now),
        spec.get("signerName") or NONE,
        spec.get("username", ""),
        lasts,
        ",".join(shown),
    ]


def _storage_class(obj: Object, now: datetime) -> Cells:
    default = (
        at(obj, "metadata.annotations", {}).get("storageclass.kubernetes.io/is-default-class")
        == "true"
    )
    fields = [obj.get(field, "") for field in ("provisioner", "reclaimPolicy", "volumeBindingMode")]
    shown = name(obj) + (" (default)" if default else "")
    return [shown, *fields, bool(obj.get("allowVolumeExpansion")), age(obj, now)]


def _network_policy(obj: Object, now: datetime) -> Cells:
    return [name(obj), selector(at(obj, "spec.podSelector", {})), age(obj, now)]


def _priority_class(obj: Object, now: datetime) -> Cells:
    return [
        name(obj),
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        age(obj, now),
        obj.get("preemptionPolicy", ""),
    ]


def _webhooks(obj: Object, now: datetime) -> Cells:
    return [name(obj), len(obj.get("webhooks") or ()), age(obj, now)]


def _admission_policy(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    given = spec.get("paramKind")
    shown = f"{given.get('apiVersion', '')}/{given.get('kind', '')}" if given else UNSET
    return [
        name(obj),
        len(spec.get("validations") or spec.get("mutations") or ()),
        shown,
        age(obj, now),
    ]


def _admission_binding(obj: Object, now: datetime) -> Cells:
    given = at(obj, "spec.paramRef")
    where = f"{given.get('namespace') or '*'}/{given.get('name', '')}" if given else UNSET
    return [name(obj), at(obj, "spec.policyName", ""), where, age(obj, now)]


def _api_service(obj: Object, now: datetime) -> Cells:
    service = at(obj, "spec.service")
    shown = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    found = {each.get("type"): each for each in at(obj, "status.conditions", [])}.get(
        "Available"
    ) or {}
    why = f" ({found['reason']})" if found.get("status") == "False" and found.get("reason") else ""
    return [name(obj), shown, f"{found.get('status', 'Unknown')}{why}", age(obj, now)]


def _csi_driver(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    flags = [
        bool(spec.get(field)) for field in ("attachRequired", "podInfoOnMount", "storageCapacity")
    ]
    tokens = joined((each.get("audience", "") for each in spec.get("tokenRequests") or ()), UNSET)
    modes = joined(spec.get("volumeLifecycleModes") or (), NONE)
    return [name(obj), *flags, tokens, bool(spec.get("requiresRepublish")), modes, age(obj, now)]


def _csi_node(obj: Object, now: datetime) -> Cells:
    return [name(obj), len(at(obj, "spec.drivers", [])), age(obj, now)]


def _service_cidr(obj: Object, now: datetime) -> Cells:
    return [name(obj), joined(at(obj, "spec.cidrs", [])), age(obj, now)]


def _ip_address(obj: Object, now: datetime) -> Cells:
    given = at(obj, "spec.parentRef", {})
    parts = [given.get("resource", ""), given.get("namespace", ""), given.get("name", "")]
    return [name(obj), "/".join(each for each in parts if each), age(obj, now)]


_IMAGES = "Containers,Images,Selector"
_REPLICAS = f"Name,Desired#,Current#,Ready#,Age|{_IMAGES}"
_AGED = "Name,Age"
PLAIN = (_AGED, _aged())
_CREATED = ("Name,Created At", _created)

KINDS: dict[tuple[str, str], tuple[str, Callable[[Object, datetime], Cells]]] = {
    ("", "Pod"): (
        "Name,Ready,Status,Restarts,Age|IP,Node,Nominated Node,Readiness Gates",
        pod_cells.cells,
    ),
    ("", "PodTemplate"): ("Name,Containers,Images,Pod Labels", workload_cells.pod_template),
    ("", "ReplicationController"): (_REPLICAS, workload_cells.replication_controller),
    ("", "Service"): ("Name,Type,Cluster-IP,External-IP,Port(s),Age|Selector", _service),
    ("", "Endpoints"): ("Name,Endpoints,Age", _endpoints),
    ("", "Node"): (
        "Name,Status,Roles,Age,Version|Internal-IP,External-IP,OS-Image,Kernel-Version,Container-Runtime",
        _node,
    ),
    ("", "Namespace"): ("Name,Status,Age", _namespace),
    ("", "Event"): (
        "Last Seen,Type,Reason,Object,-Subobject,-Source,Message|First Seen,Count,Name",
        _event,
    ),
    ("", "Secret"): ("Name,Type,Data,Age", _secret),
    ("", "ConfigMap"): ("Name,Data,Age", _config_map),
    ("", "ServiceAccount"): ("Name,Secrets,Age", _service_account),
    ("", "PersistentVolumeClaim"): (
        "Name,Status,Volume,Capacity,Access Modes,StorageClass,VolumeAttributesClass,Age|VolumeMode",
        _claim,
    ),
    ("", "PersistentVolume"): (
        "Name,Capacity,Access Modes,Reclaim Policy,Status,Claim,StorageClass,VolumeAttributesClass,Reason,Age|VolumeMode",
        _volume,
    ),
    ("", "ResourceQuota"): ("Name,Request,Limit,Age", _quota),
    ("", "LimitRange"): _CREATED,
    ("apps", "Deployment"): (
        f"Name,Ready,Up-to-date,Available,Age|{_IMAGES}",
        workload_cells.deployment,
    ),
    ("apps", "ReplicaSet"): (_REPLICAS, workload_cells.replica_set),
    ("apps", "StatefulSet"): ("Name,Ready,Age|Containers,Images", workload_cells.stateful_set),
    ("apps", "DaemonSet"): (
        f"Name,Desired#,Current#,Ready#,Up-to-date#,Available#,Node Selector,Age|{_IMAGES}",
        workload_cells.daemon_set,
    ),
    ("apps", "ControllerRevision"): ("Name,Controller,Revision,Age", workload_cells.revision),
    ("batch", "Job"): (f"Name,Status,Completions,Duration,Age|{_IMAGES}", workload_cells.job),
    ("batch", "CronJob"): (
        f"Name,Schedule,Timezone,Suspend?,Active#,Last Schedule,Age|{_IMAGES}",
        workload_cells.cron_job,
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): (
        "Name,Reference,Targets,MinPods,MaxPods,Replicas,Age",
        workload_cells.autoscaler,
    ),
    ("autoscaling", "Scale"): (
        "Name,Desired#,Available#,Age",
        lambda obj, now: [
            name(obj),
            at(obj, "spec.replicas", 0),
            at(obj, "status.replicas", 0),
            age(obj, now),
        ],
    ),
    ("networking.k8s.io", "Ingress"): ("Name,Class,Hosts,Address,Ports,Age", _ingress),
    ("networking.k8s.io", "IngressClass"): ("Name,Controller,Parameters,Age", _ingress_class),
    ("networking.k8s.io", "NetworkPolicy"): ("Name,Pod-Selector,Age", _network_policy),
    ("networking.k8s.io", "ServiceCIDR"): ("Name,CIDRs,Age", _service_cidr),
    ("networking.k8s.io", "IPAddress"): ("Name,ParentRef,Age", _ip_address),
    ("policy", "PodDisruptionBudget"): (
        "Name,Min Available,Max Unavailable,Allowed Disruptions#,Age",
        workload_cells.disruption_budget,
    ),
    ("rbac.authorization.k8s.io", "Role"): _CREATED,
    ("rbac.authorization.k8s.io", "ClusterRole"): _CREATED,
    ("rbac.authorization.k8s.io", "RoleBinding"): (
        "Name,Role,Age|Users,Groups,ServiceAccounts",
        _binding,
    ),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): (
        "Name,Role,Age|Users,Groups,ServiceAccounts",
        _binding,
    ),
    ("storage.k8s.io", "StorageClass"): (
        "Name,Provisioner,ReclaimPolicy,VolumeBindingMode,AllowVolumeExpansion,Age",
        _storage_class,
    ),
    ("storage.k8s.io", "CSIDriver"): (
        "Name,AttachRequired?,PodInfoOnMount?,StorageCapacity?,TokenRequests,RequiresRepublish?,Modes,Age",
        _csi_driver,
    ),
    ("storage.k8s.io", "CSINode"): ("Name,Drivers#,Age", _csi_node),
    ("storage.k8s.io", "CSIStorageCapacity"): (
        "Name,StorageClassName,Capacity,Age",
        _aged("storageClassName", "capacity"),
    ),
    ("storage.k8s.io", "VolumeAttachment"): (
        "Name,Attacher,PV,Node,Attached?,Age",
        lambda obj, now: [
            name(obj),
            at(obj, "spec.attacher", ""),
            at(obj, "spec.source.persistentVolumeName", ""),
            at(obj, "spec.nodeName", ""),
            bool(at(obj, "status.attached")),
            age(obj, now),
        ],
    ),
    ("storage.k8s.io", "VolumeAttributesClass"): ("Name,DriverName,Age", _aged("driverName")),
    ("discovery.k8s.io", "EndpointSlice"): (
        "Name,AddressType,Ports,Endpoints,Age",
        _endpoint_slice,
    ),
    ("events.k8s.io", "Event"): (
        "Last Seen,Type,Reason,Object,-Subobject,-Source,Message|First Seen,Count,Name",
        _event,
    ),
    ("coordination.k8s.io", "Lease"): ("Name,Holder,Age", _aged("spec.holderIdentity")),
    ("scheduling.k8s.io", "PriorityClass"): (
        "Name,Value#,Global-Default?,Age,PreemptionPolicy",
        _priority_class,
    ),
    ("node.k8s.io", "RuntimeClass"): ("Name,Handler,Age", _aged("handler")),
    ("certificates.k8s.io", "CertificateSigningRequest"): (
        "Name,Age,SignerName,Requestor,RequestedDuration,Condition",
        _signing_request,
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _CREATED,
    ("apiregistration.k8s.io", "APIService"): ("Name,Service,Available,Age", _api_service),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): (
        "Name,Webhooks#,Age",
        _webhooks,
    ),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): (
        "Name,Webhooks#,Age",
        _webhooks,
    ),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): (
        "Name,Validations#,ParamKind,Age",
        _admission_policy,
    ),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): (
        "Name,PolicyName,ParamRef,Age",
        _admission_binding,
    ),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): (
        "Name,Mutations#,ParamKind,Age",
        _admission_policy,
    ),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): (
        "Name,PolicyName,ParamRef,Age",
        _admission_binding,
    ),
}
