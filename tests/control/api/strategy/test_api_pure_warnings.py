"""Warnings: what is odd about an object without being wrong."""

import pytest

from kubelite.control.api.strategy import client_warnings
from tests.control.api.pure import DEPLOYMENT, POD, edited, res

PODS, DEPLOYMENTS = res("v1", "Pod"), res("apps/v1", "Deployment")
NODE_TERM = {"matchExpressions": [{"key": "beta.kubernetes.io/os", "operator": "Exists"}]}
WRITTEN = {"name": "c", "image": "i"}


def obj(kind, api="v1", name="x", annotations=None, **spec):
    return {
        "kind": kind,
        "apiVersion": api,
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": spec,
    }


def env(*values):
    return [{**WRITTEN, "env": [{"name": "A", **each} for each in values]}]


def ports(*given):
    return [{**WRITTEN, "ports": list(given)}]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"spec__nodeSelector": {"beta.kubernetes.io/arch": "x", "kubernetes.io/os": "y"}},
         [('spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since '
           'v1.14; use "kubernetes.io/arch" instead')]),
        ({"spec__affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [NODE_TERM]}}}},
         ["spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
          ".nodeSelectorTerms[0].matchExpressions[0].key: "
          'beta.kubernetes.io/os is deprecated since v1.14; use "kubernetes.io/os" instead']),
        ({"spec__affinity": {"podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": {"topologyKey": "a"}}]}}},
         ["spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]"
          ".podAffinityTerm.labelSelector: "
          "a null labelSelector results in matching no pod"]),
        ({"spec__topologySpreadConstraints": [
            {"topologyKey": "failure-domain.beta.kubernetes.io/zone", "labelSelector": {}}]},
         ["spec.topologySpreadConstraints[0].topologyKey: "
          "failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; "
          'use "topology.kubernetes.io/zone" instead']),
        ({"spec__volumes": [{"name": "a", "emptyDir": {}},
                            {"name": "b", "gitRepo": {"repository": "r"}}]},
         ["spec.volumes[1].gitRepo: deprecated in v1.11, and disabled by default in v1.33+"]),
        ({"spec__hostAliases": [{"ip": "1.2.3.4"}, {"ip": "1.2.3.4"}]},
         ['spec.hostAliases[1].ip: duplicate ip "1.2.3.4"']),
        ({"spec__imagePullSecrets": [{"name": ""}, {"name": "a"}, {"name": "a"}]},
         ['spec.imagePullSecrets[0].name: invalid empty name ""',
          'spec.imagePullSecrets[2].name: duplicate name "a"']),
        ({"spec__terminationGracePeriodSeconds": -1},
         [("spec.terminationGracePeriodSeconds: must be >= 0; "
           "negative values are invalid and will be treated as 1")]),
        ({"spec__containers": [{**WRITTEN,
                                "resources": {"requests": {"memory": "100m"},
                                              "limits": {"memory": "1000m", "cpu": "1m"}}}]},
         [('spec.containers[0].resources.requests[memory]: fractional byte '
           'value "100m" is invalid, must be an integer')]),
        ({"spec__containers": env({"value": "1"}, {"value": "2"})},
         [('spec.containers[0].env[1]: hides previous definition of '
           '"A", which may be dropped when using apply')]),
        ({"spec__containers": env({"value": "1"}, {"value": "$(A)2"})}, []),
        ({"spec__containers": env({"value": "1"}, {"value": "$(A)"})},
         [('spec.containers[0].env[1]: hides previous definition of '
           '"A", which may be dropped when using apply')]),
        ({"spec__containers": ports({"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"},
                                    {"containerPort": 80})},
         [("spec.containers[0].ports[2]: duplicate port "
           "definition with spec.containers[0].ports[0]")]),
        ({"spec__containers": ports({"containerPort": 80}, {"containerPort": 80, "hostPort": 8})},
         [("spec.containers[0].ports[1]: overlapping port "
           "definition with spec.containers[0].ports[0]")]),
        ({"spec__containers": ports({"containerPort": 80, "hostPort": 8},
                                    {"containerPort": 80, "hostPort": 8, "hostIP": "1.1.1.1"})},
         [("spec.containers[0].ports[1]: dangerously ambiguous port "
           "definition with spec.containers[0].ports[0]")]),
        ({"spec__containers": ports({"name": "a", "containerPort": 80, "hostIP": "1.1.1.1",
                                     "protocol": "TCP"})},
         [("spec.containers[0].ports[0]: hostIP set without hostPort: {Name:a "
           "HostPort:0 ContainerPort:80 Protocol:TCP HostIP:1.1.1.1}")]),
        ({"metadata__annotations": {"scheduler.alpha.kubernetes.io/critical-pod": ""}},
         ['metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: '
          'non-functional in v1.16+; use the "priorityClassName" '
          "field instead"]),
        ({"metadata__annotations": {"container.seccomp.security.alpha.kubernetes.io/c": "x"},
          "spec__containers": [WRITTEN]},
         ["metadata.annotations[container.seccomp.security.alpha.kubernetes.io/c]: "
          'non-functional in v1.27+; use the "seccompProfile" field instead']),
        ({"metadata__name": "a.b"},
         ["metadata.name: this is used in the Pod's hostname, "
          "which can result in surprising behavior; a DNS label is "
          "recommended: [must not contain dots]"]),
    ],
)  # fmt: skip
def test_pods(changes, said):
    assert client_warnings.on_create(PODS, edited(POD, **changes)) == said


def test_templates_are_pods_with_a_longer_path():
    new = edited(
        DEPLOYMENT, spec__template__spec__volumes=[{"name": "g", "rbd": {}}], metadata__name="a.b"
    )
    name, volume = client_warnings.on_create(DEPLOYMENTS, new)
    assert name.startswith("metadata.name: this is used in Pod names and hostnames")
    assert (
        volume == "spec.template.spec.volumes[0].rbd: deprecated in v1.28, non-functional in v1.31+"
    )
    newer = edited(new, metadata__generation=2)
    assert client_warnings.on_update(DEPLOYMENTS, newer, DEPLOYMENT) == [volume]
    assert client_warnings.on_update(DEPLOYMENTS, {**new, "status": {"replicas": 1}}, new) == []
    generations = [
        edited(each, metadata__generation=1)
        for each in (edited(new, metadata__labels={"a": "b"}), new)
    ]
    assert client_warnings.on_update(DEPLOYMENTS, *generations) == []
    assert (
        client_warnings.on_update(
            PODS, edited(POD, spec__nodeSelector={"beta.kubernetes.io/os": "x"}), POD
        )
        == []
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (obj("Service", type="ClusterIP", clusterIP="10.0.0.1"), ""),
        (obj("Service", type="ClusterIP", clusterIP="None", sessionAffinity="ClientIP"),
         "spec.SessionAffinity is ignored"),
        (obj("Service", type="ClusterIP", externalIPs=["1.1.1.1"]),
         "spec.externalIPs is deprecated"),
        (obj("Service", type="ExternalName", externalName="a", externalIPs=["1.1.1.1"]),
         "ignored when spec.type is"),
        (obj("Service", type="ClusterIP", externalName="a"),
         'ignored when spec.type is not "ExternalName"'),
        (obj("Ingress", "networking.k8s.io/v1", annotations={"kubernetes.io/ingress.class": "x"}),
         "please use 'spec.ingressClassName'"),
        (obj("PersistentVolume", persistentVolumeReclaimPolicy="Recycle"),
         "The Recycle reclaim policy is deprecated"),
        (obj("ServiceAccount", annotations={"kubernetes.io/enforce-mountable-secrets": "true"}),
         "deprecated in v1.32+"),
        (obj("ConfigMap"), ""),
    ],
)  # fmt: skip
def test_other_kinds(given, said):
    found = client_warnings.on_create(res(given["apiVersion"], given["kind"]), given)
    assert len(found) == bool(said)
    assert said in "".join(found)


def test_a_profile_in_an_annotation_is_told_as_the_pod_is_sent():
    key = "container.apparmor.security.beta.kubernetes.io/web"
    sent = edited(POD, metadata__annotations={key: "runtime/default", "x": "y"})
    told = f'metadata.annotations[{key}]: deprecated since v1.30; use the "appArmorProfile" field'
    assert client_warnings.on_sent(PODS, sent) == [f"{told} instead"]
    assert client_warnings.on_create(PODS, sent) == []
    own = {"appArmorProfile": {"type": "RuntimeDefault"}}
    named = edited(sent, spec__containers__0__securityContext=own)
    assert client_warnings.on_sent(PODS, named) == []
    assert client_warnings.on_sent(DEPLOYMENTS, DEPLOYMENT) == []


def definition(generation, **forms):
    properties = {name: {"type": "string", "format": form} for name, form in forms.items()}
    schema = {"type": "object", "properties": {"l": {"type": "array", "items": {
        "type": "object", "properties": properties}}}}  # fmt: skip
    made = obj("CustomResourceDefinition", "apiextensions.k8s.io/v1",
               versions=[{"name": "v1", "schema": {"openAPIV3Schema": schema}}])  # fmt: skip
    return {**made, "metadata": {"name": "x", "generation": generation}}


def test_a_format_that_says_nothing_is_told_once():
    definitions = res("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    old = definition(1, a="date-time", b="int32", c="k8s-short-name", d="x")
    assert client_warnings.on_create(definitions, old) == [
        'unrecognized format "int32"',
        'unrecognized format "x"',
    ]
    new = definition(2, b="int32", e="y")
    assert client_warnings.on_update(definitions, new, old) == ['unrecognized format "y"']
