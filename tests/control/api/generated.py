"""Objects that the schema allows, and objects that it nearly allows: valid ones with a few random
changes.
"""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from kubelite.objects.facts import schema
from tests.control.api.pure import DEPLOYMENT, SELECTOR, TEMPLATE, edited

Object = dict[str, Any]
TEXTS = st.sampled_from(
    ("", "a", "web", "a.b", "UPPER", "-x", "x" * 64, "x" * 300, "1", "ex.com/a", "a/b/c", "../..",
     "$(X)", "ü", "\x7f", "a\r\x00b", "0 * * * *", "10.0.0.1", "fd00::1", "10.0.0.0/8", "*", "http",
     "TCP", "Always", "Never", "None", "Equal", "Exists", "In", "self.a == 1", "object.spec",
     "25%", "http://a.b/c", "2026-01-31T12:00:00Z", "Localhost", "kubernetes.io/os")
)  # fmt: skip
QUANTITIES = ("1", "0", "-1", "500m", "64Mi", "1e3", "0.1", "1e30", "9" * 30, "x", "")
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "s": TEXTS,
    "b": st.booleans(),
    "i": st.sampled_from((0, 1, -1, 2, 80, 65535, 65536, 2**31 - 1, -(2**31))),
    "l": st.sampled_from((0, 1, -1, 30, 2**31, 2**63 - 1, -(2**63))),
    "d": st.sampled_from((0.0, 1.5, -1.0)),
    "y": st.sampled_from(("", "YQ==", "no base64", "YQ==\nYg==")),
    "resource.Quantity": st.sampled_from((*QUANTITIES, 1, 1.5)),
    "intstr.IntOrString": st.sampled_from((0, 1, -1, 80, 70000, "http", "50%", "x" * 20, "101%")),
    "meta.v1.Time": st.sampled_from(("2026-01-31T12:00:00Z", "2026-01-31", None)),
    "meta.v1.MicroTime": st.sampled_from(("2026-01-31T12:00:00.000001Z", "x", None)),
}
# Each one anew: the next change may be inside.
WRONG = st.sampled_from((None, 7, -0.5, "x", True, [], {}, [None], [[]], {"a": None})).map(
    copy.deepcopy
)
_SERVERS = ("managedFields", "creationTimestamp", "uid", "resourceVersion", "deletionTimestamp")


@st.composite
def values(draw: st.DrawFn, kind: str, depth: int = 2) -> Any:
    """A value of a type of the schema table, each leaf what somebody might write there."""
    if kind[0] == "[":
        return [draw(values(kind[1:], depth)) for _ in range(draw(st.integers(0, 2)))]
    if kind[0] == "{":
        return draw(st.dictionaries(TEXTS, values(kind[1:], depth), max_size=2))
    if kind in SCALARS:
        return draw(SCALARS[kind])
    fields = schema.definition(kind).fields
    if not fields:
        return draw(WRONG)
    required = [name for name, field in fields.items() if field.required]
    others = sorted({*fields} - {*required})
    chosen = draw(st.lists(st.sampled_from(others), max_size=3, unique=True)) if others else []
    types = schema.types_of(kind)
    names = [*required, *(chosen if depth > 0 else ())]
    return {name: draw(values(types[name], depth - 1)) for name in dict.fromkeys(names)}


@st.composite
def changed(draw: st.DrawFn, base: Object, *, wrong_types: bool = False) -> Object:
    """An object with one to three changes: a value that is another, none, or one more."""
    obj = copy.deepcopy(base)
    group, _, version = obj["apiVersion"].rpartition("/")
    kind = schema.name_of(group, version, obj["kind"])
    assert kind is not None, obj
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(kind, obj, obj, ""))
        if not places:
            break
        holder, key, below = draw(st.sampled_from(places))
        how = draw(st.sampled_from(("set", "set", "drop", "add", "wrong", "unknown")))
        if how == "drop":
            _drop(holder, key)
        elif how == "wrong":
            _set(holder, key, draw(WRONG) if wrong_types else draw(values(below)))
        elif how == "unknown" and wrong_types and isinstance(holder, dict):
            holder[draw(TEXTS)] = draw(WRONG)
        elif how == "add" and isinstance(holder, dict) and (more := _unset(below, holder, key)):
            name, type_name = draw(st.sampled_from(more))
            holder[key][name] = draw(values(type_name))
        else:
            _set(holder, key, draw(values(below)))
    return obj


def _places(kind: str, value: Any, holder: Any, key: Any) -> Any:
    """Holder, key and type of every value below an object that a client may change."""
    if kind[0] == "[" and isinstance(value, list):
        below = [(index, kind[1:], item) for index, item in enumerate(value)]
    elif kind[0] == "{" and isinstance(value, dict):
        below = [(name, kind[1:], item) for name, item in value.items()]
    elif isinstance(value, dict) and schema.definition(kind).fields:
        types = schema.types_of(kind)
        below = [(name, types[name], item) for name, item in value.items() if name in types]
    else:
        below = []
    for name, type_name, item in below:
        if name not in ("apiVersion", "kind") or holder is not value:
            yield value, name, type_name
            yield from _places(type_name, item, value, name)


def _unset(kind: str, holder: Object, key: Any) -> list[tuple[str, str]]:
    """The fields that a struct could have besides, with their types."""
    given = holder.get(key)
    if not isinstance(given, dict) or kind[0] in "[{" or kind in SCALARS:
        return []
    types = schema.types_of(kind)
    return sorted((name, types[name]) for name in {*types} - {*given} - {*_SERVERS})


def _set(holder: Any, key: Any, value: Any) -> None:
    holder[key] = value


def _drop(holder: Any, key: Any) -> None:
    if isinstance(holder, dict) and key != "name":
        del holder[key]


def _object(api_version: str, kind: str, /, **fields: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "web"}, **fields}


_PROBE = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5}
_CONTAINER = {
    "name": "web",
    "image": "nginx:1.27",
    "command": ["nginx"],
    "args": ["-g", "daemon off;"],
    "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}],
    "env": [
        {"name": "A", "value": "b"},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
    ],
    "envFrom": [{"prefix": "X_", "secretRef": {"name": "s", "optional": True}}],
    "resources": {"limits": {"cpu": "1", "memory": "64Mi"}, "requests": {"cpu": "500m"}},
    "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
    "livenessProbe": _PROBE,
    "readinessProbe": {"tcpSocket": {"port": 80}},
    "startupProbe": {"exec": {"command": ["true"]}},
    "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
    "securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}},
    "terminationMessagePolicy": "File",
}
POD = _object(
    "v1",
    "Pod",
    spec={
        "initContainers": [{"name": "init", "image": "busybox", "restartPolicy": "Always"}],
        "containers": [_CONTAINER],
        "volumes": [
            {"name": "data", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "config", "configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}},
            {"name": "all", "projected": {"sources": [{"secret": {"name": "s"}}]}},
        ],
        "restartPolicy": "Always",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "securityContext": {"fsGroup": 1, "sysctls": [{"name": "net.core.a", "value": "1"}]},
        "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": "zone", "labelSelector": SELECTOR}
                ]
            }
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": SELECTOR,
            }
        ],
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.b"]}],
        "dnsConfig": {"nameservers": ["10.0.0.1"], "options": [{"name": "ndots", "value": "2"}]},
        "terminationGracePeriodSeconds": 5,
        "readinessGates": [{"conditionType": "ex.com/ready"}],
    },
)
_JOB_TEMPLATE = {"spec": {"restartPolicy": "Never", "containers": [_CONTAINER | {"name": "job"}]}}
_NO_MOUNT = edited(_JOB_TEMPLATE, spec__containers__0__volumeMounts=...)
_JOB = {"template": _NO_MOUNT, "completions": 2, "parallelism": 2, "backoffLimit": 1}
_METRIC = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
}
_BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
_HOOK = {
    "name": "a.b.c",
    "clientConfig": {"url": "https://a.b/c"},
    "rules": [
        {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    ],
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    # It is never called.
    "namespaceSelector": {"matchLabels": {"none": "has"}},
}
_TEMPLATES = {"selector": SELECTOR, "template": TEMPLATE}
_CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
RUN_BY_PODS = (
    POD,
    DEPLOYMENT,
    _object("apps/v1", "StatefulSet", spec={**_TEMPLATES, "serviceName": "web"}),
    _object("apps/v1", "DaemonSet", spec=_TEMPLATES),
    _object("apps/v1", "ReplicaSet", spec=_TEMPLATES),
    _object("batch/v1", "Job", spec=_JOB),
    _object("batch/v1", "CronJob", spec={"schedule": "@daily", "jobTemplate": {"spec": _JOB}}),
)
"""Objects that ``pod check`` judges too."""
OTHERS = (
    _object("v1", "ConfigMap", data={"k": "v"}, binaryData={"b": "YQ=="}),
    _object("v1", "Secret", type="Opaque", data={"k": "YQ=="}, stringData={"s": "v"}),
    _object("v1", "ServiceAccount", imagePullSecrets=[{"name": "s"}]),
    _object("v1", "PersistentVolumeClaim", spec=_CLAIM),
    _object(
        "v1",
        "PersistentVolume",
        spec={
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/a"},
        },
    ),
    _object(
        "v1",
        "Service",
        spec={"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
    ),
    _object("v1", "LimitRange", spec={"limits": [{"type": "Container", "max": {"cpu": "2"}}]}),
    _object("v1", "Node", spec={"taints": [{"key": "a", "effect": "NoSchedule"}]}),
    _object(
        "networking.k8s.io/v1",
        "Ingress",
        spec={
            "tls": [{"hosts": ["a.b"], "secretName": "s"}],
            "rules": [
                {
                    "host": "a.b",
                    "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": _BACKEND}]},
                }
            ],
        },
    ),
    _object(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        spec={
            "podSelector": SELECTOR,
            "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 80}]}],
        },
    ),
    _object(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "maxReplicas": 3,
            "metrics": [_METRIC],
            "behavior": {"scaleDown": {"policies": [{"type": "Pods", "value": 1,
                                                     "periodSeconds": 60}]}},
        },
    ),
    _object("policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1, "selector": SELECTOR}),
    _object("storage.k8s.io/v1", "StorageClass", provisioner="a.b", parameters={"a": "b"}),
    _object("scheduling.k8s.io/v1", "PriorityClass", value=1),
    _object("coordination.k8s.io/v1", "Lease", spec={"holderIdentity": "a"}),
    _object(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        addressType="IPv4",
        endpoints=[{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}],
        ports=[{"name": "http", "port": 80}],
    ),
    _object(
        "rbac.authorization.k8s.io/v1",
        "Role",
        rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    ),
    _object(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        subjects=[{"kind": "User", "name": "a", "apiGroup": "rbac.authorization.k8s.io"}],
        roleRef={"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"},
    ),
    _object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", webhooks=[_HOOK]),
    _object(
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
        spec={
            "matchConstraints": {"resourceRules": _HOOK["rules"]},
            "validations": [{"expression": "object.metadata.name != 'x'", "message": "no"}],
        },
    ),
    _object("resource.k8s.io/v1", "DeviceClass", spec={}),
    _object("node.k8s.io/v1", "RuntimeClass", handler="h"),
    _object("storage.k8s.io/v1", "CSIDriver", spec={"tokenRequests": [{"audience": "a"}]}),
    edited(
        _object(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            spec={
                "group": "ex.com",
                "names": {"plural": "things", "kind": "Thing"},
                "scope": "Namespaced",
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {
                            "openAPIV3Schema": {
                                "type": "object",
                                "properties": {"a": {"type": "integer", "default": 1}},
                                "x-kubernetes-validations": [{"rule": "self.a > 0"}],
                            }
                        },
                    }
                ],
            },
        ),
        metadata__name="things.ex.com",
    ),
)  # fmt: skip
