"""One row for each rule: a manifest, and the one thing that is wrong with it."""

import pytest

from kubelite.control.api.strategy import strategy
from tests.control.api.pure import (
    DEPLOYMENT,
    POD,
    SELECTOR,
    SPEC,
    TEMPLATE,
    causes,
    created,
    edited,
    refusal,
    res_of,
)

C0 = "spec.containers[0]"
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "x"},
    "spec": {"ports": [{"port": 80}]},
}
CLAIM_SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "x"},
    "spec": CLAIM_SPEC,
}
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "x"},
    "spec": {"template": {"spec": {**SPEC, "restartPolicy": "Never"}}},
}
BACKEND = {"service": {"name": "s", "port": {"number": 80}}}


def c0(**fields):
    return {f"spec__containers__0__{key}": value for key, value in fields.items()}


def obj(api_version, kind, **rest):
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, **rest}


def test_a_refusal_has_kubernetes_form():
    found = refusal(edited(POD, **c0(name=..., image=...)))
    assert found["message"] == (
        'Pod "web" is invalid: [spec.containers[0].name: Required value, '
        "spec.containers[0].image: Required value]"
    )
    assert (found["code"], found["reason"]) == (422, "Invalid")
    assert found["details"]["kind"] == "Pod"
    assert found["details"]["causes"][0] == {
        "reason": "FieldValueRequired",
        "message": "Required value",
        "field": "spec.containers[0].name",
    }


METADATA = [
    ({"metadata__name": ...}, "metadata.name", "Required value: name or generateName is required"),
    ({"metadata__name": "Web"}, "metadata.name",
     'Invalid value: "Web": a lowercase RFC 1123 subdomain must consist'),
    ({"metadata__labels": {"a b": "c"}}, "metadata.labels",
     'Invalid value: "a b": name part must consist'),
    ({"metadata__labels": {"a": "c d"}}, "metadata.labels",
     'Invalid value: "c d": a valid label must be an empty string or consist'),
    ({"metadata__annotations": {"a/b/c": ""}}, "metadata.annotations", 'Invalid value: "a/b/c"'),
    ({"metadata__annotations": {"a": "x" * 300_000}}, "metadata.annotations",
     "Too long: may not be more than 262144 bytes"),
    ({"metadata__finalizers": ["a.b/x y"]}, "metadata.finalizers", 'Invalid value: "a.b/x y"'),
    ({"metadata__ownerReferences": [{"kind": "A", "name": "b", "uid": "c"}]},
     "metadata.ownerReferences.apiVersion", "version must not be empty"),
]  # fmt: skip

PODS = [
    ({"spec__containers": []}, "spec.containers", "Required value"),
    (c0(name="A"), f"{C0}.name", 'Invalid value: "A": a lowercase RFC 1123 label must consist'),
    ({"spec__ephemeralContainers": [{"name": "e", "image": "e"}]}, "spec.ephemeralContainers",
     "Forbidden: cannot be set on create"),
    (c0(image=" x"), f"{C0}.image",
     'Invalid value: " x": must not have leading or trailing whitespace'),
    (c0(imagePullPolicy="Now"), f"{C0}.imagePullPolicy",
     'Unsupported value: "Now": supported values: "Always", "IfNotPresent", "Never"'),
    ({"spec__containers": [SPEC["containers"][0], SPEC["containers"][0]]},
     "spec.containers[1].name", 'Duplicate value: "web"'),
    ({"spec__initContainers": SPEC["containers"]}, "spec.initContainers[0].name",
     'Duplicate value: "web"'),
    ({"spec__restartPolicy": "Maybe"}, "spec.restartPolicy",
     'Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"'),
    ({"spec__dnsPolicy": "None"}, "spec.dnsConfig", "Required value: must provide `dnsConfig`"),
    ({"spec__dnsPolicy": "None", "spec__dnsConfig": {"searches": ["a"]}},
     "spec.dnsConfig.nameservers", "Required value: must provide at least one DNS nameserver"),
    ({"spec__activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds",
     "Invalid value: 0: must be between 1 and 2147483647, inclusive"),
    ({"spec__hostname": "a.b"}, "spec.hostname", 'Invalid value: "a.b"'),
    ({"spec__nodeSelector": {"a": "b c"}}, "spec.nodeSelector", 'Invalid value: "b c"'),
    ({"spec__securityContext__runAsUser": -1}, "spec.securityContext.runAsUser",
     "Invalid value: -1"),
    (c0(ports=[{"containerPort": 70000}]), f"{C0}.ports[0].containerPort",
     "Invalid value: 70000: must be between 1 and 65535, inclusive"),
    (c0(ports=[{"name": "x"}]), f"{C0}.ports[0].containerPort", "Required value"),
    (c0(ports=[{"containerPort": 1, "name": "web_"}]), f"{C0}.ports[0].name",
     'Invalid value: "web_"'),
    (c0(ports=[{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]),
     f"{C0}.ports[1].name", 'Duplicate value: "a"'),
    (c0(ports=[{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}]),
     f"{C0}.ports[1].hostPort", 'Duplicate value: "TCP//9"'),
    (c0(env=[{"name": "A", "value": "x",
              "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
     f"{C0}.env[0].valueFrom", "may not be specified when `value` is not empty"),
    (c0(env=[{"name": "A", "valueFrom": {}}]), f"{C0}.env[0].valueFrom", "must specify one of"),
    (c0(env=[{"value": "x"}]), f"{C0}.env[0].name", "Required value"),
    (c0(envFrom=[{}]), f"{C0}.envFrom", "must specify one of: `configMapRef` or `secretRef`"),
    (c0(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}), f"{C0}.resources.requests",
     'Invalid value: "2": must be less than or equal to cpu limit of 1'),
    (c0(resources={"requests": {"cpu": "-1"}}), f"{C0}.resources.requests[cpu]",
     'Invalid value: "-1": must be greater than or equal to 0'),
    (c0(resources={"requests": {"gpu": "1"}}), f"{C0}.resources.requests[gpu]",
     'Invalid value: "gpu"'),
    (c0(volumeMounts=[{"name": "v", "mountPath": "/v"}]), f"{C0}.volumeMounts[0].name",
     'Not found: "v"'),
    (c0(livenessProbe={}), f"{C0}.livenessProbe", "Required value: must specify a handler type"),
    (c0(livenessProbe={"tcpSocket": {"port": 1}, "successThreshold": 2}),
     f"{C0}.livenessProbe.successThreshold", "Invalid value: 2: must be 1"),
    (c0(readinessProbe={"tcpSocket": {"port": 1}, "exec": {"command": ["x"]}}),
     f"{C0}.readinessProbe.tcpSocket", "Forbidden: may not specify more than 1 handler type"),
    (c0(readinessProbe={"tcpSocket": {"port": 0}}), f"{C0}.readinessProbe.tcpSocket.port",
     "must be between 1 and 65535"),
    (c0(securityContext={"privileged": True, "allowPrivilegeEscalation": False}),
     f"{C0}.securityContext", "cannot set `allowPrivilegeEscalation` to false"),
    ({"spec__volumes": [{"name": "v"}, {"name": "v"}]}, "spec.volumes[1].name",
     'Duplicate value: "v"'),
    ({"spec__volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]},
     "spec.volumes[0].hostPath", "Forbidden: may not specify more than 1 volume type"),
    ({"spec__volumes": [{"name": "v", "hostPath": {"path": "/a/../b"}}]},
     "spec.volumes[0].hostPath.path", "must not contain '..'"),
    ({"spec__volumes": [{"name": "v",
                         "configMap": {"name": "c", "items": [{"key": "k", "path": "/p"}]}}]},
     "spec.volumes[0].configMap.items[0].path", "must be a relative path"),
    ({"spec__volumes": [{"name": "v", "secret": {}}]}, "spec.volumes[0].secret.secretName",
     "Required value"),
    ({"spec__tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
     "spec.tolerations[0].operator", "value must be empty when `operator` is 'Exists'"),
    ({"spec__tolerations": [{"operator": "Exists", "tolerationSeconds": 1}]},
     "spec.tolerations[0].effect", "effect must be 'NoExecute'"),
    ({"spec__topologySpreadConstraints": [{"topologyKey": "z",
                                           "whenUnsatisfiable": "DoNotSchedule"}]},
     "spec.topologySpreadConstraints[0].maxSkew", "must be greater than zero"),
    (
        {
            "spec__affinity__nodeAffinity__requiredDuringSchedulingIgnoredDuringExecution"
            "__nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]
        },
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values",
        "Required value: must be specified when `operator` is 'In' or 'NotIn'",
    ),
]  # fmt: skip

DEPLOYMENTS = [
    ({"spec__selector": {}}, "spec.selector", "empty selector is invalid for deployment"),
    ({"spec__template__metadata__labels": {"a": "b"}}, "spec.template.metadata.labels",
     "`selector` does not match template `labels`"),
    ({"spec__template__spec__restartPolicy": "Never"}, "spec.template.spec.restartPolicy",
     'Unsupported value: "Never": supported values: "Always"'),
    ({"spec__replicas": -1}, "spec.replicas",
     "Invalid value: -1: must be greater than or equal to 0"),
    ({"spec__progressDeadlineSeconds": 5, "spec__minReadySeconds": 5},
     "spec.progressDeadlineSeconds", "must be greater than minReadySeconds"),
    ({"spec__strategy": {"type": "Recreate", "rollingUpdate": {}}}, "spec.strategy.rollingUpdate",
     "Forbidden: may not be specified when strategy `type` is 'Recreate'"),
    ({"spec__strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
     "spec.strategy.rollingUpdate.maxUnavailable", "may not be 0 when `maxSurge` is 0"),
    ({"spec__strategy": {"rollingUpdate": {"maxSurge": "x"}}},
     "spec.strategy.rollingUpdate.maxSurge", "a valid percent string"),
    ({"spec__strategy": {"type": "Slow"}}, "spec.strategy",
     'supported values: "Recreate", "RollingUpdate"'),
    ({"spec__template__spec__containers__0__image": ...}, "spec.template.spec.containers[0].image",
     "Required value"),
]  # fmt: skip

OTHERS = [
    (edited(SERVICE, spec__ports=...), "spec.ports", "Required value"),
    (edited(SERVICE, metadata__name="-x"), "metadata.name", 'Invalid value: "-x"'),
    (edited(SERVICE, spec__ports=[{"port": 1, "name": "a"}, {"port": 2}]), "spec.ports[1].name",
     "Required value"),
    (edited(SERVICE, spec__ports=[{"port": 0, "targetPort": 1}]), "spec.ports[0].port",
     "Invalid value: 0: must be between 1 and 65535"),
    (edited(SERVICE, spec__ports=[{"port": 1, "nodePort": 30000}]), "spec.ports[0].nodePort",
     "Forbidden: may not be used when `type` is 'ClusterIP'"),
    (edited(SERVICE, spec__clusterIP="x"), "spec.clusterIPs[0]",
     'Invalid value: "x": must be a valid IP address'),
    (edited(SERVICE, spec={"type": "ExternalName"}), "spec.externalName", "Required value"),
    (edited(JOB, spec__template__spec__restartPolicy=...), "spec.template.spec.restartPolicy",
     'Required value: valid values: "OnFailure", "Never"'),
    (edited(JOB, spec__backoffLimit=-1), "spec.backoffLimit", "must be greater than or equal to 0"),
    (obj("batch/v1", "CronJob", spec={"schedule": "* * *", "jobTemplate": {"spec": JOB["spec"]}}),
     "spec.schedule", "expected exactly 5 fields, found 3: [* * *]"),
    (obj("batch/v1", "CronJob", spec={"jobTemplate": {"spec": JOB["spec"]}}), "spec.schedule",
     "Required value"),
    (obj("v1", "ConfigMap", data={"a b": "c"}), "data[a b]",
     'Invalid value: "a b": a valid config key'),
    (obj("v1", "ConfigMap", data={"a": "x" * 1_100_000}), "",
     "Too long: may not be more than 1048576 bytes"),
    (obj("v1", "Secret", type="kubernetes.io/tls", data={"tls.key": "eA=="}), "data[tls.crt]",
     "Required value"),
    (obj("v1", "Secret", type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": "eA=="}),
     "data[.dockerconfigjson]", "<secret contents redacted>"),
    (edited(CLAIM, spec__accessModes=[]), "spec.accessModes",
     "Required value: at least 1 access mode is required"),
    (edited(CLAIM, spec__resources={}), "spec.resources[storage]", "Required value"),
    (obj("v1", "PersistentVolume",
         spec={"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}), "spec",
     "Required value: must specify a volume type"),
    (obj("networking.k8s.io/v1", "Ingress", spec={}), "spec",
     "either `defaultBackend` or `rules` must be specified"),
    (obj("networking.k8s.io/v1", "Ingress",
         spec={"rules": [{"http": {"paths": [{"path": "x", "pathType": "Prefix",
                                              "backend": BACKEND}]}}]}),
     "spec.rules[0].http.paths[0].path", "must be an absolute path"),
    (obj("networking.k8s.io/v1", "NetworkPolicy",
         spec={"ingress": [{"from": [{"ipBlock": {"cidr": "x"}}]}]}),
     "spec.ingress[0].from[0].ipBlock.cidr", "must be a valid CIDR value"),
    (obj("rbac.authorization.k8s.io/v1", "Role",
         rules=[{"apiGroups": [""], "resources": ["pods"]}]), "rules[0].verbs",
     "Required value: verbs must contain at least one value"),
    (obj("rbac.authorization.k8s.io/v1", "ClusterRoleBinding",
         roleRef={"kind": "Role", "name": "r"}), "roleRef.kind",
     'Unsupported value: "Role": supported values: "ClusterRole"'),
    (obj("scheduling.k8s.io/v1", "PriorityClass", value=2_000_000_000), "value",
     "Forbidden: maximum allowed value of a user defined priority is 1000000000"),
    (obj("policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1, "maxUnavailable": 1}), "spec",
     "minAvailable and maxUnavailable cannot be both set"),
    (obj("autoscaling/v2", "HorizontalPodAutoscaler",
         spec={"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "D", "name": "d"},
               "minReplicas": 3, "maxReplicas": 2}), "spec.maxReplicas",
     "must be greater than or equal to `minReplicas`"),
    (obj("v1", "LimitRange",
         spec={"limits": [{"type": "Pod", "min": {"cpu": "2"}, "max": {"cpu": "1"}}]}),
     "spec.limits[0].min[cpu]", "min value 2 is greater than max value 1"),
    (obj("discovery.k8s.io/v1", "EndpointSlice", addressType="IPv4",
         endpoints=[{"addresses": ["fd00::1"]}]), "endpoints[0].addresses[0]",
     "must be an IPv4 address"),
    (obj("coordination.k8s.io/v1", "Lease", spec={"leaseDurationSeconds": 0}),
     "spec.leaseDurationSeconds", "must be greater than 0"),
    (obj("v1", "Event", involvedObject={"namespace": "other"}), "involvedObject.namespace",
     "does not match event.namespace"),
    (obj("apps/v1", "StatefulSet",
         spec={"selector": SELECTOR,
               "template": edited(TEMPLATE,
                                  spec__containers__0__volumeMounts=[{"name": "d",
                                                                      "mountPath": "/d"}])}),
     "spec.template.spec.containers[0].volumeMounts[0].name", 'Not found: "d"'),
]  # fmt: skip

ROWS = [
    *((edited(POD, **fields), field, said) for fields, field, said in [*METADATA, *PODS]),
    *((edited(DEPLOYMENT, **fields), field, said) for fields, field, said in DEPLOYMENTS),
    *OTHERS,
]  # fmt: skip


@pytest.mark.parametrize(
    ("manifest", "field", "said"), ROWS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_one_thing_is_wrong(manifest, field, said):
    assert {where: said in message for where, message in causes(manifest).items()} == {field: True}


RIGHT = [
    POD,
    DEPLOYMENT,
    SERVICE,
    CLAIM,
    JOB,
    edited(SERVICE, spec={"clusterIP": "None"}),
    edited(CLAIM, spec__storageClassName=""),
]


@pytest.mark.parametrize("manifest", RIGHT, ids=lambda value: value["kind"])
def test_nothing_is_wrong(manifest):
    created(manifest)


POD_TEXT = "Forbidden: pod updates may not change fields other than"
BOUND = edited(CLAIM, spec__volumeName="v")
CONFIG = obj("v1", "ConfigMap", data={"a": "b"}, immutable=True)
STATEFUL = obj(
    "apps/v1", "StatefulSet", spec={"selector": SELECTOR, "template": TEMPLATE, "serviceName": "s"}
)
CLASS = obj("storage.k8s.io/v1", "StorageClass", provisioner="p")
BINDING = obj("rbac.authorization.k8s.io/v1", "RoleBinding", roleRef={"kind": "Role", "name": "r"})

FULL = created(POD)["spec"]["containers"][0]

CHANGES = [
    (POD, {"metadata__name": "other"}, "metadata.name", "field is immutable"),
    (edited(POD, metadata__deletionTimestamp="2026-01-01T00:00:00Z"),
     {"metadata__finalizers": ["a/b"]}, "metadata.finalizers", "no new finalizers can be added"),
    (POD, c0(command=["x"]), "spec", POD_TEXT),
    (POD, {"spec__nodeName": "n"}, "spec", POD_TEXT),
    (POD, {"spec__containers": [FULL, {**FULL, "name": "b"}]}, "spec.containers",
     "may not add or remove containers"),
    (edited(POD, spec__activeDeadlineSeconds=5), {"spec__activeDeadlineSeconds": 9},
     "spec.activeDeadlineSeconds", "must be less than or equal to previous value"),
    (edited(POD, spec__tolerations=[{"key": "a", "operator": "Exists"}]), {"spec__tolerations": []},
     "spec.tolerations", "existing toleration can not be modified"),
    (DEPLOYMENT,
     {"spec__selector__matchLabels": {"x": "y"}, "spec__template__metadata__labels": {"x": "y"}},
     "spec.selector", "field is immutable"),
    (STATEFUL, {"spec__serviceName": "t"}, "spec",
     "updates to statefulset spec for fields other than"),
    (JOB, {"spec__template__spec__containers__0__image": "other"}, "spec.template",
     "field is immutable"),
    (JOB, {"spec__completions": 4}, "spec.completions", "field is immutable"),
    (edited(SERVICE, spec__clusterIP="10.0.0.1"), {"spec__clusterIP": "10.0.0.2"},
     "spec.clusterIPs[0]", "may not change once set"),
    (CONFIG, {"data": {"a": "c"}}, "data", "Forbidden: field is immutable when `immutable` is set"),
    (obj("v1", "Secret", type="a"), {"type": "b"}, "type", "field is immutable"),
    (BOUND, {"spec__volumeName": "w"}, "spec", "spec is immutable after creation"),
    (CLAIM, {"spec__resources__requests": {"storage": "1Mi"}}, "spec",
     "spec is immutable after creation"),
    (CLASS, {"provisioner": "q"}, "provisioner", "field is immutable"),
    (BINDING, {"roleRef__name": "s"}, "roleRef", "cannot change roleRef"),
    (obj("scheduling.k8s.io/v1", "PriorityClass", value=1), {"value": 2}, "value",
     "may not be changed in an update."),
]  # fmt: skip


def changed(old, fields, sub=""):
    before = created(old)
    after = strategy.prepare_update(res_of(old), sub, edited(before, **fields), before)
    return {
        each.field: each.message
        for each in strategy.validate_update(res_of(old), sub, after, before)
    }


@pytest.mark.parametrize(
    ("old", "fields", "field", "said"),
    CHANGES,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_may_not_change(old, fields, field, said):
    assert {where: said in message for where, message in changed(old, fields).items()} == {
        field: True
    }


def test_a_bound_claim_may_grow():
    before = edited(created(CLAIM), status={"phase": "Bound"})
    after = edited(before, spec__resources__requests={"storage": "2Gi"})
    assert strategy.validate_update(res_of(CLAIM), "", after, before) == []


ALLOWED = [
    (POD, c0(image="other")),
    (POD, {"spec__tolerations": [{"key": "a", "operator": "Exists"}]}),
    (POD, {"spec__activeDeadlineSeconds": 5}),
    (edited(POD, spec__schedulingGates=[{"name": "g"}]),
     {"spec__schedulingGates": ..., "spec__nodeSelector": {"a": "b"}}),
    (DEPLOYMENT, {"spec__template__spec__containers__0__image": "other"}),
    (STATEFUL, {"spec__replicas": 4}),
    (JOB, {"spec__parallelism": 4}),
    (edited(JOB, spec__suspend=True), {"spec__template__spec__nodeSelector": {"a": "b"}}),
    (CLAIM, {"spec__volumeName": "v"}),
    (SERVICE, {"spec__clusterIP": "10.0.0.1"}),
]  # fmt: skip


@pytest.mark.parametrize(("old", "fields"), ALLOWED)
def test_what_may_change(old, fields):
    assert changed(old, fields) == {}


def test_what_was_stored_before_a_rule_stays_writable():
    old = edited(created(POD), spec__dnsPolicy="Odd")
    new = edited(old, metadata__labels={"a": "b"})
    assert strategy.validate_update(res_of(POD), "", new, old) == []


def test_ephemeral_containers_are_looked_at():
    old = created(POD)
    new = edited(
        old,
        spec__ephemeralContainers=[{"name": "web", "livenessProbe": {"tcpSocket": {"port": 1}}}],
    )
    found = strategy.validate_update(res_of(POD), "ephemeralcontainers", new, old)
    fields = [
        f"spec.ephemeralContainers[0].{field}"
        for field in (
            "image",
            "terminationMessagePolicy",
            "imagePullPolicy",
            "name",
            "livenessProbe",
        )
    ]
    assert [cause.field for cause in found] == fields


def test_ephemeral_containers_may_only_be_added():
    old = edited(created(POD), spec__ephemeralContainers=[{"name": "d", "image": "x"}])
    found = strategy.validate_update(
        res_of(POD), "ephemeralcontainers", edited(old, spec__ephemeralContainers=[]), old
    )
    assert [each.field for each in found] == ["spec.ephemeralContainers"]


def test_templates_of_claims_are_judged_when_they_are_new():
    source = {"dataSource": {"kind": "x", "name": "x"}}
    template = {"metadata": {"name": "c"}, "spec": CLAIM_SPEC}
    base = obj("apps/v1", "StatefulSet", spec={
        "selector": SELECTOR, "template": TEMPLATE, "serviceName": "s",
        "volumeClaimTemplates": [template]})  # fmt: skip
    wrong = edited(base, spec__volumeClaimTemplates__0__spec={**CLAIM_SPEC, **source})
    assert [cause["field"] for cause in refusal(wrong)["details"]["causes"]] == [
        "spec.volumeClaimTemplates[0].spec.dataSource"
    ]
    old = created(base)
    new = edited(old, spec__volumeClaimTemplates__0__spec__dataSource=source["dataSource"])
    found = strategy.validate_update(res_of(base), "", new, old)
    assert [cause.field for cause in found] == ["spec"]


def test_states_of_a_resize_are_those_of_the_documentation():
    old = created(CLAIM)
    for states, reasons in (
        ({"storage": "NodeResizePending"}, []),
        ({"storage": "x"}, ["FieldValueNotSupported"]),
        ({"cpu": "NodeResizePending"}, ["FieldValueNotSupported"]),
        ({"Bad Key!": "x"}, ["FieldValueInvalid", "FieldValueNotSupported"]),
    ):
        new = edited(old, status={"phase": "Bound", "allocatedResourceStatuses": states})
        found = strategy.validate_update(res_of(CLAIM), "status", new, old)
        assert [cause.reason for cause in found] == reasons
