"""What a client is told beside the answer, in ``Warning`` headers: deprecated kinds and fields, and
what has no effect. Pure.

Facts are those of the ``WarningsOnCreate`` and ``WarningsOnUpdate`` of Kubernetes' registries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds import podadvice
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kubelite.control.api.wire.resource import Resource

Object = dict[str, Any]
# Said with every answer about such objects.
DEPRECATED = {
    ("", "Endpoints"): "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
}
_RECOMMENDED = "which can result in surprising behavior; a DNS label is recommended"
_RECYCLE = (
    "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use"
    " dynamic provisioning."
)


def on_create(res: Resource, obj: Object) -> list[str]:
    """What is odd about a new object."""
    rule = _RULES.get((res.group, res.kind))
    if rule is None:
        return []
    said = [_name(obj, _HOSTNAMES[res.kind])] if res.kind in _HOSTNAMES else []
    return [each for each in (*said, *rule(obj)) if each]


def on_update(res: Resource, new: Object, old: Object) -> list[str]:
    """What is odd about an object whose specification has changed. Pods are changed by machines:
    nobody would read it.
    """
    rule = _RULES.get((res.group, res.kind))
    if (
        rule is None
        or res.kind == "Pod"
        or all(new.get(key) == old.get(key) for key in {*new, *old} - {"status"})
    ):
        return []
    if "generation" in new["metadata"] and new["metadata"]["generation"] == old["metadata"].get(
        "generation"
    ):
        return []
    return list(rule(new))


def _name(obj: Object, where: str) -> str:
    wrong = names.label(obj["metadata"].get("name", ""))
    return (
        f"metadata.name: this is used in {where}, {_RECOMMENDED}: [{' '.join(wrong)}]"
        if wrong
        else ""
    )


def _pod(obj: Object) -> Iterator[str]:
    return podadvice.pod(obj["metadata"], obj["spec"])


def _template(*steps: str) -> Callable[[Object], Iterator[str]]:
    def rule(obj: Object) -> Iterator[str]:
        here: Any = obj
        for step in steps:
            here = here.get(step) or {}
        return podadvice.pod(
            here.get("metadata") or {}, here.get("spec") or {}, ".".join(steps) + "."
        )

    return rule


def _service(obj: Object) -> Iterator[str]:
    spec, kind = obj["spec"], obj["spec"].get("type", "ClusterIP")
    if "service.kubernetes.io/topology-aware-hints" in (obj["metadata"].get("annotations") or {}):
        replacement = "service.kubernetes.io/topology-mode"
        yield f"annotation service.kubernetes.io/topology-aware-hints is deprecated, please use {replacement} instead"
    headless = kind == "ClusterIP" and spec.get("clusterIP") == "None"
    if headless and spec.get("loadBalancerIP"):
        yield "spec.loadBalancerIP is ignored for headless services"
    if headless and spec.get("externalIPs"):
        yield "spec.externalIPs is ignored for headless services"
    if headless and spec.get("sessionAffinity", "None") != "None":
        yield "spec.SessionAffinity is ignored for headless services"
    if spec.get("externalIPs") and not headless and kind != "ExternalName":
        yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    if spec.get("externalIPs") and kind == "ExternalName":
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if spec.get("externalName") and kind != "ExternalName":
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'


def _ingress(obj: Object) -> Iterator[str]:
    if "kubernetes.io/ingress.class" in (obj["metadata"].get("annotations") or {}):
        yield "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"


def _volume(obj: Object) -> Iterator[str]:
    if obj["spec"].get("persistentVolumeReclaimPolicy") == "Recycle":
        yield _RECYCLE


def _account(obj: Object) -> Iterator[str]:
    key = "kubernetes.io/enforce-mountable-secrets"
    if key in (obj["metadata"].get("annotations") or {}):
        why = (
            "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
        )
        yield f"metadata.annotations[{key}]: {why}"


def _node(obj: Object) -> Iterator[str]:
    if (obj.get("spec") or {}).get("externalID"):
        yield "spec.externalID: this field is deprecated, and is unused by Kubernetes"


_HOSTNAMES = {
    "Pod": "the Pod's hostname",
    **dict.fromkeys(
        ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController", "Job"),
        "Pod names and hostnames",
    ),
}
_WORKLOAD = _template("spec", "template")
_RULES: dict[tuple[str, str], Callable[[Object], Iterator[str]]] = {
    ("", "Pod"): _pod,
    ("", "PodTemplate"): _template("template"),
    ("", "ReplicationController"): _WORKLOAD,
    ("apps", "Deployment"): _WORKLOAD,
    ("apps", "ReplicaSet"): _WORKLOAD,
    ("apps", "StatefulSet"): _WORKLOAD,
    ("apps", "DaemonSet"): _WORKLOAD,
    ("batch", "Job"): _WORKLOAD,
    ("batch", "CronJob"): _template("spec", "jobTemplate", "spec", "template"),
    ("", "Service"): _service,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("", "PersistentVolume"): _volume,
    ("", "ServiceAccount"): _account,
    ("", "Node"): _node,
}
