"""The rules of core/v1: each broken alone, and told with its path."""

# a table reads better with one case in a line

from __future__ import annotations

from typing import Any

import pytest

from kubelite.cli.hints import advice
from kubelite.cli.review import judge
from kubelite.lib.json import Object
from kubelite.objects.rules.cause import Cause, path_text


def pod(
    container: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None, **spec: Any
) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", **(metadata or {})},
        "spec": {"containers": [{"name": "c", "image": "i", **(container or {})}], **spec},
    }


def causes(document: Object) -> list[Cause]:
    return judge(document).causes


def told(document: Object) -> list[tuple[str, str]]:
    return [(path_text(cause.path), cause.message) for cause in causes(document)]


def probe(**fields: Any) -> dict[str, Any]:
    return {"exec": {"command": ["true"]}, **fields}


GOOD: dict[str, Object] = {
    "smallest": pod(),
    "generated name": pod(metadata={"name": None, "generateName": "p-"}),
    "labels": pod(metadata={"labels": {"a.b/c": "d", "e": ""},
                            "annotations": {"A.b/X": "anything at all"}}),
    "resources": pod({"resources": {"limits": {"cpu": "1", "example.com/gpu": "1"},
                                    "requests": {"cpu": "1m"}}}),
    "hugepages": pod({"resources": {"limits": {"hugepages-2Mi": "4Mi", "memory": "1Gi"}}}),
    "ports": pod({"ports": [{"containerPort": 80, "name": "web"},
                            {"containerPort": 80, "protocol": "UDP"}]}),
    "host ports of two protocols": pod(
        {"ports": [{"containerPort": 53, "hostPort": 53},
                   {"containerPort": 53, "hostPort": 53, "protocol": "UDP"}]}
    ),
    "probes": pod({"livenessProbe": probe(),
                   "readinessProbe": {"httpGet": {"port": "web"}, "successThreshold": 3}}),
    "sidecar with probes": pod(
        initContainers=[{"name": "s", "image": "i", "restartPolicy": "Always",
                         "startupProbe": probe(), "lifecycle": {}}]
    ),
    "mounts": pod({"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": "x/..y"}]},
                  volumes=[{"name": "v"}]),
    "toleration of everything": pod(tolerations=[{"operator": "Exists"}]),
    "dns": pod(dnsPolicy="None",
               dnsConfig={"nameservers": ["192.0.2.1", "2001:db8::1"],
                          "searches": ["a.b.", "_x.y", "."]}),
    "host network": pod({"ports": [{"containerPort": 80, "hostPort": 80}]}, hostNetwork=True),
    "affinity": pod(
        affinity={
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {
                            "matchExpressions": [{"key": "a", "operator": "Gt", "values": ["3"]}],
                            "matchFields": [{"key": "metadata.name", "operator": "In",
                                             "values": ["n"]}],
                        }
                    ]
                }
            },
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": "kubernetes.io/hostname"}
                ]
            },
        }
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_wrong_with_a_good_pod(name: str) -> None:
    assert told(GOOD[name]) == []


TERM = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
C = "spec.containers[0]"


def node_terms(*terms: dict[str, Any]) -> Object:
    required = {"nodeSelectorTerms": list(terms)}
    return pod(
        affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    )


def spread(**fields: Any) -> Object:
    return pod(
        topologySpreadConstraints=[
            {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", **fields}
        ]
    )


def mounted(*mounts: dict[str, Any], **container: Any) -> Object:
    return pod(
        {
            "volumeMounts": [{"name": "v", "mountPath": "/v", **each} for each in mounts],
            **container,
        },
        volumes=[{"name": "v"}],
    )


def env(**fields: Any) -> Object:
    return pod({"env": [{"name": "A", **fields}]})


BAD: list[tuple[str, Object, str, str]] = [
    ("no name", pod(metadata={"name": ""}), "metadata.name", "Required value"),
    ("bad name", pod(metadata={"name": "A_b"}), "metadata.name", 'Invalid value: "A_b"'),
    ("bad namespace", pod(metadata={"namespace": "a.b"}), "metadata.namespace", "Invalid value"),
    ("bad label key", pod(metadata={"labels": {"-a": "b"}}), "metadata.labels",
     'Invalid value: "-a"'),
    ("bad label value", pod(metadata={"labels": {"a": "b c"}}), "metadata.labels",
     'Invalid value: "b c"'),
    ("bad annotation", pod(metadata={"annotations": {"a b": ""}}), "metadata.annotations",
     'Invalid value: "a b"'),
    ("annotations too large", pod(metadata={"annotations": {"a": "x" * 300_000}}),
     "metadata.annotations", "262144"),
    ("no containers", pod(containers=[]), "spec.containers", "Required value"),
    ("container without name", pod({"name": ""}), f"{C}.name", "Required value"),
    ("bad container name", pod({"name": "a.b"}), f"{C}.name", "Invalid value"),
    ("no image", pod({"image": None}), f"{C}.image", "Required value"),
    ("image with spaces", pod({"image": " i"}), f"{C}.image", "whitespace"),
    ("two of a name", pod(containers=[{"name": "c", "image": "i"}] * 2), "spec.containers[1].name",
     'Duplicate value: "c"'),
    ("name of an init container", pod(initContainers=[{"name": "c", "image": "i"}]),
     "spec.initContainers[0].name", "Duplicate value"),
    ("pull policy", pod({"imagePullPolicy": "always"}), f"{C}.imagePullPolicy",
     '"Always", "IfNotPresent", "Never"'),
    ("message policy", pod({"terminationMessagePolicy": "X"}), f"{C}.terminationMessagePolicy",
     "Unsupported value"),
    ("port missing", pod({"ports": [{}]}), f"{C}.ports[0].containerPort", "Required value"),
    ("port too high", pod({"ports": [{"containerPort": 65536}]}), f"{C}.ports[0].containerPort",
     "between 1 and 65535"),
    ("port negative", pod({"ports": [{"containerPort": -1}]}), f"{C}.ports[0].containerPort",
     "between 1 and 65535"),
    ("host port", pod({"ports": [{"containerPort": 1, "hostPort": 70000}]}),
     f"{C}.ports[0].hostPort", "between"),
    ("port name", pod({"ports": [{"containerPort": 1, "name": "Web"}]}), f"{C}.ports[0].name",
     "Invalid value"),
    ("port names", pod({"ports": [{"containerPort": n, "name": "w"} for n in (1, 2)]}),
     f"{C}.ports[1].name", "Duplicate"),
    ("protocol", pod({"ports": [{"containerPort": 1, "protocol": "tcp"}]}),
     f"{C}.ports[0].protocol", "Unsupported"),
    ("host ports", pod({"ports": [{"containerPort": n, "hostPort": 9} for n in (1, 2)]}),
     f"{C}.ports[1].hostPort", "Duplicate"),
    ("host network ports", pod({"ports": [{"containerPort": 1, "hostPort": 2}]}, hostNetwork=True),
     f"{C}.ports[0].hostPort", "must match `containerPort`"),
    ("env without name", env(name=""), f"{C}.env[0].name", "Required value"),
    ("env name", env(name="A=B"), f"{C}.env[0].name", "Invalid value"),
    ("env twice", env(value="x", valueFrom={"fieldRef": {"fieldPath": "metadata.name"}}),
     f"{C}.env[0].valueFrom", "not empty"),
    ("env from nothing", env(valueFrom={}), f"{C}.env[0].valueFrom", "must specify one of"),
    ("env field", env(valueFrom={"fieldRef": {"fieldPath": "spec.x"}}),
     f"{C}.env[0].valueFrom.fieldRef.fieldPath", "field label not supported"),
    ("env no field", env(valueFrom={"fieldRef": {}}), f"{C}.env[0].valueFrom.fieldRef.fieldPath",
     "Required"),
    ("env resource", env(valueFrom={"resourceFieldRef": {"resource": "cpu"}}),
     f"{C}.env[0].valueFrom.resourceFieldRef.resource", "Unsup"),
    ("env key", env(valueFrom={"secretKeyRef": {"name": "s"}}),
     f"{C}.env[0].valueFrom.secretKeyRef.key", "Required"),
    ("env from", pod({"envFrom": [{}]}), f"{C}.envFrom", "must specify one of"),
    ("limit below request",
     pod({"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1001m"}}}),
     f"{C}.resources.requests",
     "must be less than or equal to cpu limit of 1"),
    ("negative", pod({"resources": {"requests": {"cpu": "-1"}}}), f"{C}.resources.requests[cpu]",
     "greater than or equal to 0"),
    ("resource name", pod({"resources": {"requests": {"pods": "1"}}}),
     f"{C}.resources.requests[pods]", "standard resource"),
    ("pod overhead", pod(overhead={"cpu": "-1"}), "spec.overhead.limits[cpu]",
     "greater than or equal to 0"),
    ("devices", pod({"resources": {"limits": {"a.b/c": "2"}, "requests": {"a.b/c": "1"}}}),
     f"{C}.resources.requests", "equal"),
    ("no such volume", pod({"volumeMounts": [{"name": "x", "mountPath": "/"}]}),
     f"{C}.volumeMounts[0].name", 'Not found: "x"'),
    ("mount without path", mounted({"mountPath": ""}), f"{C}.volumeMounts[0].mountPath",
     "Required value"),
    ("mounts at one path", mounted({}, {}), f"{C}.volumeMounts[1].mountPath", "must be unique"),
    ("sub path up", mounted({"subPath": "a/../b"}), f"{C}.volumeMounts.subPath",
     "must not contain '..'"),
    ("sub path absolute", mounted({"subPath": "/a"}), f"{C}.volumeMounts.subPath", "relative"),
    ("sub paths", mounted({"subPath": "a", "subPathExpr": "b"}), f"{C}.volumeMounts[0].subPathExpr",
     "mutually exclusive"),
    ("propagation", mounted({"mountPropagation": "Bidirectional"}),
     f"{C}.volumeMounts.mountPropagation", "privileged"),
    ("recursive", mounted({"recursiveReadOnly": "Enabled"}), f"{C}.volumeMounts.recursiveReadOnly",
     "readOnly is true"),
    ("volume names", pod(volumes=[{"name": "v"}] * 2), "spec.volumes[1].name", "Duplicate value"),
    ("volume name", pod(volumes=[{"name": "V"}]), "spec.volumes[0].name", "Invalid value"),
    ("two sources", pod(volumes=[{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]),
     "spec.volumes[0].hostPath", "more than 1"),
    ("host path", pod(volumes=[{"name": "v", "hostPath": {}}]), "spec.volumes[0].hostPath.path",
     "Required value"),
    ("host path up", pod(volumes=[{"name": "v", "hostPath": {"path": "/a/.."}}]),
     "spec.volumes[0].hostPath.path", "'..'"),
    ("host path type", pod(volumes=[{"name": "v", "hostPath": {"path": "/", "type": "Dir"}}]),
     "spec.volumes[0].hostPath.type", "Unsup"),
    ("size", pod(volumes=[{"name": "v", "emptyDir": {"sizeLimit": "-1"}}]),
     "spec.volumes[0].emptyDir.sizeLimit", "SizeLimit"),
    ("secret", pod(volumes=[{"name": "v", "secret": {}}]), "spec.volumes[0].secret.secretName",
     "Required value"),
    ("items", pod(volumes=[{"name": "v",
                            "configMap": {"name": "m", "items": [{"key": "k", "path": "../x"}]}}]),
     "spec.volumes[0].configMap.items[0].path", "'..'"),
    ("mode", pod(volumes=[{"name": "v", "configMap": {"name": "m", "defaultMode": 512}}]),
     "spec.volumes[0].configMap.defaultMode", "between"),
    ("probe of nothing", pod({"livenessProbe": {}}), f"{C}.livenessProbe", "Required value"),
    ("probe of two", pod({"livenessProbe": probe(grpc={"port": 1})}), f"{C}.livenessProbe.grpc",
     "more than 1"),
    ("probe command", pod({"livenessProbe": {"exec": {}}}), f"{C}.livenessProbe.exec.command",
     "Required value"),
    ("probe port", pod({"livenessProbe": {"httpGet": {"port": 0}}}),
     f"{C}.livenessProbe.httpGet.port", "between"),
    ("probe port name", pod({"livenessProbe": {"tcpSocket": {"port": "a--b"}}}),
     f"{C}.livenessProbe.tcpSocket.port", "Invalid"),
    ("probe scheme", pod({"livenessProbe": {"httpGet": {"port": 1, "scheme": "http"}}}),
     f"{C}.livenessProbe.httpGet.scheme", "Unsup"),
    ("probe period", pod({"livenessProbe": probe(periodSeconds=-1)}),
     f"{C}.livenessProbe.periodSeconds", "greater"),
    ("liveness success", pod({"livenessProbe": probe(successThreshold=2)}),
     f"{C}.livenessProbe.successThreshold", "must be 1"),
    ("startup success", pod({"startupProbe": probe(successThreshold=2)}),
     f"{C}.startupProbe.successThreshold", "must be 1"),
    ("readiness grace", pod({"readinessProbe": probe(terminationGracePeriodSeconds=1)}),
     f"{C}.readinessProbe.terminationGracePeriodSeconds", "readiness"),
    ("init probe", pod(initContainers=[{"name": "i", "image": "i", "livenessProbe": probe()}]),
     "spec.initContainers[0].livenessProbe", "init"),
    ("init hook", pod(initContainers=[{"name": "i", "image": "i", "lifecycle": {}}]),
     "spec.initContainers[0].lifecycle", "init"),
    ("hook of nothing", pod({"lifecycle": {"preStop": {}}}), f"{C}.lifecycle.preStop",
     "Required value"),
    ("restart policy", pod(restartPolicy="Sometimes"), "spec.restartPolicy",
     '"Always", "OnFailure", "Never"'),
    ("dns policy", pod(dnsPolicy="Some"), "spec.dnsPolicy", "Unsupported value"),
    ("dns policy none", pod(dnsPolicy="None"), "spec.dnsConfig", "Required value"),
    ("name servers", pod(dnsConfig={"nameservers": ["1.1.1.1"] * 4}), "spec.dnsConfig.nameservers",
     "more than 3"),
    ("name server", pod(dnsConfig={"nameservers": ["one"]}), "spec.dnsConfig.nameservers[0]",
     "IP address"),
    ("searches", pod(dnsConfig={"searches": ["a"] * 33}), "spec.dnsConfig.searches",
     "more than 32"),
    ("search", pod(dnsConfig={"searches": ["a b"]}), "spec.dnsConfig.searches[0]", "Invalid value"),
    ("dns option", pod(dnsConfig={"options": [{}]}), "spec.dnsConfig.options[0]", "Required value"),
    ("deadline", pod(activeDeadlineSeconds=0), "spec.activeDeadlineSeconds", "between 1 and"),
    ("hostname", pod(hostname="a.b"), "spec.hostname", "Invalid value"),
    ("host alias", pod(hostAliases=[{"ip": "x", "hostnames": ["a"]}]), "spec.hostAliases[0].ip",
     "IP address"),
    ("host alias name", pod(hostAliases=[{"ip": "::1", "hostnames": ["A"]}]),
     "spec.hostAliases[0].hostnames[0]", "Invalid"),
    ("namespaces", pod(hostPID=True, shareProcessNamespace=True),
     "spec.securityContext.shareProcessNamespace", "cannot both"),
    ("user namespace", pod(hostUsers=False, hostIPC=True), "spec.HostIPC", "hostUsers"),
    ("user", pod({"securityContext": {"runAsUser": -1}}), f"{C}.securityContext.runAsUser",
     "between 0 and 2147483647"),
    ("group", pod(securityContext={"fsGroup": 2**31}), "spec.securityContext.fsGroup", "between"),
    ("groups", pod(securityContext={"supplementalGroups": [1, -1]}),
     "spec.securityContext.supplementalGroups[1]", "between"),
    ("escalation",
     pod({"securityContext": {"allowPrivilegeEscalation": False, "privileged": True}}),
     f"{C}.securityContext", "privileged"),
    ("seccomp", pod(securityContext={"seccompProfile": {"type": "Localhost"}}),
     "spec.securityContext.seccompProfile.localhostProfile", "Required"),
    ("match regex", pod(securityContext={"sysctls": [{"name": "a b", "value": "1"}]}),
     "spec.securityContext.sysctls[0].name", "match regex"),
    ("sysctls", pod(securityContext={"sysctls": [{"name": "a", "value": "1"}] * 2}),
     "spec.securityContext.sysctls[1].name", "Dupl"),
    ("sysctl of the host",
     pod(hostNetwork=True, securityContext={"sysctls": [{"name": "net.a", "value": "1"}]}),
     "spec.securityContext.sysctls[0].name", "host"),
    ("toleration", pod(tolerations=[{"operator": "Equal"}]), "spec.tolerations[0].operator",
     "must be Exists"),
    ("toleration value", pod(tolerations=[{"key": "a", "operator": "Exists", "value": "b"}]),
     "spec.tolerations[0].operator", "empty"),
    ("toleration effect", pod(tolerations=[{"key": "a", "effect": "Never"}]),
     "spec.tolerations[0].effect", "Unsupported"),
    ("toleration seconds", pod(tolerations=[{"key": "a", "tolerationSeconds": 3}]),
     "spec.tolerations[0].effect", "NoExecute"),
    ("node selector", pod(nodeSelector={"a": "b c"}), "spec.nodeSelector", "Invalid value"),
    ("no terms", node_terms(), TERM, "Required value"),
    ("operator", node_terms({"matchExpressions": [{"key": "a", "operator": "Is"}]}),
     f"{TERM}[0].matchExpressions[0].operator", "not a valid"),
    ("values", node_terms({"matchExpressions": [{"key": "a", "operator": "In"}]}),
     f"{TERM}[0].matchExpressions[0].values", "value"),
    ("node field", node_terms({"matchFields": [{"key": "x", "operator": "In", "values": ["a"]}]}),
     f"{TERM}[0].matchFields[0].key", "not a valid"),
    ("skew", spread(maxSkew=0), "spec.topologySpreadConstraints[0].maxSkew", "greater than zero"),
    ("spread", spread(whenUnsatisfiable="Wait"),
     "spec.topologySpreadConstraints[0].whenUnsatisfiable", "Unsupported"),
    ("domains", spread(whenUnsatisfiable="ScheduleAnyway", minDomains=1),
     "spec.topologySpreadConstraints[0].minDomains", "only"),
    ("claim", pod(resourceClaims=[{"name": "c"}]), "spec.resourceClaims[0]", "must specify one of"),
    ("os", pod(os={"name": "plan9"}), "spec.os", "Unsupported value"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("made", "path", "said"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_a_broken_rule_is_told_once_at_its_place(made: Object, path: str, said: str) -> None:
    ((where, message),) = told(made)
    assert where == path
    assert said in message


def test_all_findings_come_at_once() -> None:
    made = pod({"name": "C", "image": ""}, metadata={"name": "P"}, restartPolicy="x", hostname="-")
    assert [path for path, _ in told(made)] == [
        "metadata.name",
        "spec.containers[0].name",
        "spec.containers[0].image",
        "spec.restartPolicy",
        "spec.hostname",
    ]


@pytest.mark.parametrize(
    ("made", "hint"),
    [
        (pod(metadata={"name": "Web_1"}), "web-1"),
        (
            pod({"volumeMounts": [{"name": "dta", "mountPath": "/"}]}, volumes=[{"name": "data"}]),
            'did you mean "data"?',
        ),
        (pod({"volumeMounts": [{"name": "x", "mountPath": "/"}]}), "none"),
        (pod({"resources": {"requests": {"memmory": "1"}}}), 'did you mean "memory"?'),
        (pod(restartPolicy="never"), 'did you mean "Never"?'),
    ],
)
def test_hints_name_what_was_meant(made: Object, hint: str) -> None:
    assert hint in advice(causes(made)[0], made)
