"""The FlowSchemas and PriorityLevelConfigurations that every cluster begins with. Pure.

Facts are those of apiserver's ``apis/flowcontrol/bootstrap``.
"""

from __future__ import annotations

from kubelite.lib.json import Object

_API = "flowcontrol.apiserver.k8s.io/v1"
_UPDATE = {"apf.kubernetes.io/autoupdate-spec": "true"}
_ANYONE = ("system:unauthenticated", "system:authenticated")


def _level(name: str, shares: int, lendable: int, queues: tuple[int, int] | None) -> Object:
    """A limited level; ``queues`` are their number and the hand size, None rejects at once."""
    response: Object = {"type": "Reject"}
    if queues is not None:
        queuing = {"queues": queues[0], "handSize": queues[1], "queueLengthLimit": 50}
        response = {"type": "Queue", "queuing": queuing}
    limited = {
        "nominalConcurrencyShares": shares,
        "lendablePercent": lendable,
        "limitResponse": response,
    }
    return _object("PriorityLevelConfiguration", name, {"type": "Limited", "limited": limited})


def _object(kind: str, name: str, spec: Object) -> Object:
    metadata = {"name": name, "annotations": dict(_UPDATE)}
    return {"kind": kind, "apiVersion": _API, "metadata": metadata, "spec": spec}


def _schema(name: str, precedence: int, level: str, distinguisher: str, *rules: Object) -> Object:
    spec: Object = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "rules": list(rules),
    }
    if distinguisher:
        spec["distinguisherMethod"] = {"type": distinguisher}
    return _object("FlowSchema", name, spec)


def _rule(subjects: list[Object], *parts: Object) -> Object:
    return {
        "subjects": subjects,
        "resourceRules": [part for part in parts if "resources" in part],
        "nonResourceRules": [part for part in parts if "nonResourceURLs" in part],
    }


def _groups(*names: str) -> list[Object]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


def _users(*names: str) -> list[Object]:
    return [{"kind": "User", "user": {"name": name}} for name in names]


def _accounts(namespace: str, *names: str) -> list[Object]:
    return [
        {"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": name}}
        for name in names
    ]


def _resources(
    verbs: str, groups: str, resources: str, *, cluster: bool, namespaces: str
) -> Object:
    part: Object = {
        "verbs": verbs.split(),
        "apiGroups": ["" if group == "core" else group for group in groups.split()],
        "resources": resources.split(),
    }
    if cluster:
        part["clusterScope"] = True
    return {**part, "namespaces": namespaces.split()} if namespaces else part


_EVERYTHING = _resources("*", "*", "*", cluster=True, namespaces="*")
_EVERY_PATH: Object = {"verbs": ["*"], "nonResourceURLs": ["*"]}
_LEASES = _resources(
    "get create update", "coordination.k8s.io", "leases", cluster=False, namespaces="*"
)
_CONTROLLERS, _SCHEDULER = "system:kube-controller-manager", "system:kube-scheduler"

LEVELS: tuple[Object, ...] = (
    _object(
        "PriorityLevelConfiguration",
        "exempt",
        {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
    ),
    _level("catch-all", 5, 0, None),
    _level("system", 30, 33, (64, 6)),
    _level("node-high", 40, 25, (64, 6)),
    _level("leader-election", 10, 0, (16, 4)),
    _level("workload-high", 40, 50, (128, 6)),
    _level("workload-low", 100, 90, (128, 6)),
    _level("global-default", 20, 50, (128, 6)),
)

SCHEMAS: tuple[Object, ...] = (
    _schema("exempt", 1, "exempt", "", _rule(_groups("system:masters"), _EVERYTHING, _EVERY_PATH)),
    _schema(
        "catch-all",
        10000,
        "catch-all",
        "ByUser",
        _rule(_groups(*_ANYONE), _EVERYTHING, _EVERY_PATH),
    ),
    _schema(
        "probes",
        2,
        "exempt",
        "",
        _rule(
            _groups(*_ANYONE),
            {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]},
        ),
    ),
    _schema(
        "system-leader-election",
        100,
        "leader-election",
        "ByUser",
        _rule(_users(_CONTROLLERS, _SCHEDULER), _LEASES),
    ),
    _schema(
        "endpoint-controller",
        150,
        "workload-high",
        "ByUser",
        _rule(
            [
                *_users(_CONTROLLERS),
                *_accounts(
                    "kube-system", "endpoint-controller", "endpointslicemirroring-controller"
                ),
            ],
            _resources("get create update", "core", "endpoints", cluster=False, namespaces="*"),
        ),
    ),
    _schema(
        "workload-leader-election",
        200,
        "leader-election",
        "ByUser",
        _rule(_accounts("kube-system", "*"), _LEASES),
    ),
    _schema(
        "system-node-high",
        400,
        "node-high",
        "ByUser",
        _rule(
            _groups("system:nodes"),
            _resources("*", "core", "nodes nodes/status", cluster=True, namespaces="*"),
            _resources("*", "coordination.k8s.io", "leases", cluster=False, namespaces="*"),
        ),
    ),
    _schema(
        "system-nodes",
        500,
        "system",
        "ByUser",
        _rule(_groups("system:nodes"), _EVERYTHING, _EVERY_PATH),
    ),
    _schema(
        "kube-controller-manager",
        800,
        "workload-high",
        "ByNamespace",
        _rule(_users(_CONTROLLERS), _EVERYTHING, _EVERY_PATH),
    ),
    _schema(
        "kube-scheduler",
        800,
        "workload-high",
        "ByNamespace",
        _rule(_users(_SCHEDULER), _EVERYTHING, _EVERY_PATH),
    ),
    _schema(
        "kube-system-service-accounts",
        900,
        "workload-high",
        "ByNamespace",
        _rule(_accounts("kube-system", "*"), _EVERYTHING, _EVERY_PATH),
    ),
    _schema(
        "service-accounts",
        9000,
        "workload-low",
        "ByUser",
        _rule(_groups("system:serviceaccounts"), _EVERYTHING, _EVERY_PATH),
    ),
    _schema(
        "global-default",
        9900,
        "global-default",
        "ByUser",
        _rule(_groups(*_ANYONE), _EVERYTHING, _EVERY_PATH),
    ),
)
