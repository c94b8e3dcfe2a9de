"""What an object counts for in a ResourceQuota. Pure.

Names and scopes are those of ``pkg/quota/v1/evaluator/core``: ``pods``, ``requests.cpu``,
``services.nodeports``, ``count/deployments.apps`` and so on. Amounts are in nanos.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.lib.json import Object
from kubelite.objects.facts import quantity

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubelite.control.api.wire.resource import Resource

Usage = dict[str, int]
ONE = quantity.NANO
PLAIN = (
    "configmaps",
    "secrets",
    "services",
    "persistentvolumeclaims",
    "replicationcontrollers",
    "resourcequotas",
)
_COMPUTE = ("cpu", "memory", "ephemeral-storage")


def total(spec: Object, side: str) -> dict[str, str]:
    """What a pod asks for in all: the sum of its containers, or the largest init container where
    that is more.
    """
    summed: dict[str, str] = {}
    for container in spec.get("containers") or ():
        for name, amount in ((container.get("resources") or {}).get(side) or {}).items():
            summed[name] = quantity.add(summed[name], amount) if name in summed else amount
    for container in spec.get("initContainers") or ():
        for name, amount in ((container.get("resources") or {}).get(side) or {}).items():
            if container.get("restartPolicy") == "Always":
                summed[name] = quantity.add(summed[name], amount) if name in summed else amount
            elif quantity.compare(amount, summed.get(name, "0")) > 0:
                summed[name] = amount
    for name, amount in (spec.get("overhead") or {}).items():
        if side == "requests" or name in summed:
            summed[name] = quantity.add(summed[name], amount) if name in summed else amount
    return summed


def usage_of(res: Resource, obj: Object) -> Usage:
    """Everything that a quota could count about an object."""
    used: Usage = {f"count/{res.group_resource}": ONE}
    if res.group == "" and res.plural in PLAIN:
        used[res.plural] = ONE
    special = _SPECIAL.get(res.plural) if res.group == "" else None
    return {**used, **(special(obj) if special else {})}


def _pod(pod: Object) -> Usage:
    if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return {}
    used: Usage = {"pods": ONE}
    for side in ("requests", "limits"):
        for name, amount in total(pod.get("spec", {}), side).items():
            nano = quantity.parse(amount).nano
            if name in _COMPUTE or "/" in name or name.startswith("hugepages-"):
                used[f"{side}.{name}"] = nano
            if side == "requests" and (name in _COMPUTE or name.startswith("hugepages-")):
                used[name] = nano
    return used


def _service(service: Object) -> Usage:
    spec = service.get("spec", {})
    ports = sum(bool(port.get("nodePort")) for port in spec.get("ports") or ())
    kind = spec.get("type", "ClusterIP")
    if kind in ("NodePort", "LoadBalancer") and spec.get("allocateLoadBalancerNodePorts", True):
        ports = len(spec.get("ports") or ())
    used: Usage = {"services.nodeports": ports * ONE}
    return {**used, "services.loadbalancers": ONE} if kind == "LoadBalancer" else used


def _claim(claim: Object) -> Usage:
    spec = claim.get("spec", {})
    requested = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    used: Usage = {"requests.storage": quantity.parse(requested).nano} if requested else {}
    storage_class = spec.get("storageClassName")
    if storage_class:
        prefix = f"{storage_class}.storageclass.storage.k8s.io"
        used |= {f"{prefix}/{name}": amount for name, amount in used.items()}
        used[f"{prefix}/persistentvolumeclaims"] = ONE
    return used


_SPECIAL: dict[str, Callable[[Object], Usage]] = {
    "pods": _pod,
    "services": _service,
    "persistentvolumeclaims": _claim,
}


def covers(quota: Object, res: Resource, obj: Object) -> bool:
    """Whether an object falls under the scopes of a quota."""
    spec = quota.get("spec", {})
    terms = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    terms += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return not terms or (
        res.group == "" and res.plural == "pods" and all(_in_scope(term, obj) for term in terms)
    )


def _in_scope(term: Object, pod: Object) -> bool:
    spec = pod.get("spec", {})
    match term["scopeName"]:
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return not total(spec, "requests") and not total(spec, "limits")
        case "NotBestEffort":
            return bool(total(spec, "requests") or total(spec, "limits"))
        case "PriorityClass":
            return _term_matches(term, spec.get("priorityClassName"))
        case "CrossNamespacePodAffinity":
            return _crosses(spec.get("affinity") or {})
    return False


def _term_matches(term: Object, value: str | None) -> bool:
    match term.get("operator", "Exists"):
        case "In":
            return value in (term.get("values") or ())
        case "NotIn":
            return value not in (term.get("values") or ())
        case "DoesNotExist":
            return not value
    return bool(value)


def _crosses(affinity: Object) -> bool:
    terms: list[Object] = []
    for kind in ("podAffinity", "podAntiAffinity"):
        part = affinity.get(kind) or {}
        terms += part.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        preferred = part.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [term.get("podAffinityTerm") or {} for term in preferred]
    return any(
        term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms
    )


def unstated(quota: Object, pod: Object) -> dict[str, list[str]]:
    """Which containers leave out what a quota on compute resources demands: resource to container
    names.
    """
    hard = quota.get("spec", {}).get("hard") or {}
    missing: dict[str, list[str]] = {}
    for name in sorted(hard):
        side, _, resource = name.partition(".") if "." in name else ("requests", "", name)
        if side not in ("requests", "limits") or resource not in _COMPUTE[:2]:
            continue
        spec = pod.get("spec", {})
        lacking = [
            container["name"]
            for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
            if resource not in ((container.get("resources") or {}).get(side) or {})
        ]
        if lacking:
            missing[name] = sorted(lacking)
    return missing
