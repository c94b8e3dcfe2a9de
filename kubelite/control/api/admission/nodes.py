"""A node writes about itself and its pods only, and a new node takes no pods before it is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.admission import node_volumes
from kubelite.control.api.auth.node_authorizer import GROUP, USER
from kubelite.control.api.auth.node_authorizer import references as references_of
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import refused
from kubelite.lib.json import Object
from kubelite.objects.facts.static_pods import MIRROR

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt

NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
_TOPOLOGY = ("zone", "region")
_LABELS = {
    *(f"{prefix}kubernetes.io/{name}" for prefix in ("", "beta.") for name in ("os", "arch")),
    *(
        f"{prefix}.kubernetes.io/{name}"
        for prefix in ("topology", "failure-domain.beta")
        for name in _TOPOLOGY
    ),
    *("kubernetes.io/hostname", "beta.kubernetes.io/instance-type"),
}
_LABEL_SPACES = ("kubelet.kubernetes.io", "node.kubernetes.io")


async def not_ready(attempt: Attempt) -> None:
    """A new node is tainted until somebody has seen it ready."""
    if attempt.creates("", "nodes"):
        spec = attempt.obj.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(
            taint.get("key") == NOT_READY["key"] and taint.get("effect") == NOT_READY["effect"]
            for taint in taints
        ):
            spec["taints"] = [*taints, dict(NOT_READY)]


async def restriction(attempt: Attempt) -> None:
    """What a node's own credentials may write, beyond what authorization has checked. Raises
    StatusError 403.
    """
    user = attempt.request.user
    if GROUP not in user.groups or not user.name.startswith(USER):
        return
    node, res = user.name[len(USER) :], attempt.request.resource
    if res.group == "" and res.plural == "pods":
        await _pod(attempt, node)
    elif res.group == "" and res.plural == "nodes":
        _node(attempt, node)
    elif (res.group, res.plural) == ("", "persistentvolumes"):
        await node_volumes.volume(attempt, node)
    elif (res.group, res.plural) == ("", "persistentvolumeclaims"):
        node_volumes.claim(attempt, node)
    elif (res.group, res.plural) == ("storage.k8s.io", "volumeattachments"):
        node_volumes.attachment(attempt, node)
    elif res.plural in ("leases", "csinodes") and attempt.name != node:
        raise refused(
            res, attempt.name, f"node {node} may only write the {res.plural} named like itself"
        )


async def _pod(attempt: Attempt, node: str) -> None:
    res = attempt.request.resource
    if attempt.operation == "CREATE":
        pod = attempt.obj
        if MIRROR not in (pod["metadata"].get("annotations") or {}):
            why = (
                f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror '
                "pods"
            )
            raise refused(res, attempt.name, why)
        if pod.get("spec", {}).get("nodeName") != node:
            raise refused(
                res,
                attempt.name,
                f'node "{node}" can only create pods with spec.nodeName set to itself',
            )
        if any(references_of(pod)):
            raise refused(
                res, attempt.name, f'node "{node}" can not create pods that reference other objects'
            )
        entry = await attempt.context.store.get("minions", "", node)
        if why := _not_owned(
            pod["metadata"].get("ownerReferences") or [],
            node,
            load(entry)["metadata"]["uid"] if entry else "",
        ):
            raise refused(res, attempt.name, f'node "{node}" {why}')
        return
    old = attempt.old or {}
    if old.get("spec", {}).get("nodeName") != node:
        raise refused(
            res,
            attempt.name,
            f'node "{node}" can only change pods with spec.nodeName set to itself',
        )
    if attempt.operation == "UPDATE" and attempt.obj["metadata"].get("labels") != old[
        "metadata"
    ].get("labels"):
        raise refused(res, attempt.name, f'node "{node}" cannot update labels through pod status')


def _not_owned(owners: list[Object], node: str, uid: str) -> str:
    """Why a mirror pod does not belong to its node; "" where it does."""
    if len(owners) != 1 or (
        owners[0].get("apiVersion"),
        owners[0].get("kind"),
        owners[0].get("name"),
    ) != ("v1", "Node", node):
        return "can only create pods with an owner reference set to itself"
    if not owners[0].get("controller"):
        return "can only create pods with a controller owner reference set to itself"
    if owners[0].get("blockOwnerDeletion"):
        return "must not set blockOwnerDeletion on an owner reference"
    return (
        ""
        if uid and owners[0].get("uid") == uid
        else "can only create pods that are owned by it under its present UID"
    )


def _node(attempt: Attempt, node: str) -> None:
    res = attempt.request.resource
    if attempt.name != node:
        raise refused(
            res, attempt.name, f'node "{node}" is not allowed to modify node "{attempt.name}"'
        )
    if attempt.operation == "DELETE":
        raise refused(res, attempt.name, f'node "{node}" is not allowed to delete itself')
    old = attempt.old or {}
    if attempt.operation == "UPDATE" and attempt.obj.get("spec", {}).get("taints") != old.get(
        "spec", {}
    ).get("taints"):
        raise refused(res, attempt.name, f'node "{node}" is not allowed to modify taints')
    if _ranges(attempt.obj) != _ranges(old):
        raise refused(res, attempt.name, f'node "{node}" is not allowed to choose its pod CIDRs')
    before = old.get("metadata") or {}
    if attempt.obj["metadata"].get("ownerReferences", []) != before.get("ownerReferences", []):
        raise refused(res, attempt.name, f'node "{node}" is not allowed to modify ownerReferences')
    changed = _changed(attempt.obj["metadata"].get("labels") or {}, before.get("labels") or {})
    wrong = sorted(key for key in changed if not _may_label(key))
    if wrong:
        raise refused(res, attempt.name, f"is not allowed to modify labels: {', '.join(wrong)}")


def _ranges(node: Object) -> list[str]:
    """The addresses of a node's pods, which other nodes route to it: the controller chooses them,
    and looks at a wish (``pod_ranges.WISH``) of the node's.
    """
    return node.get("spec", {}).get("podCIDRs") or []


def _may_label(key: str) -> bool:
    """Whether a label says nothing that others steer pods by: it is a kubelet's own, or none of
    Kubernetes'.
    """
    space = key.rpartition("/")[0]
    if any(space == suffix or space.endswith(f".{suffix}") for suffix in _LABEL_SPACES):
        return True
    return key in _LABELS or not any(
        space == suffix or space.endswith(f".{suffix}") for suffix in ("kubernetes.io", "k8s.io")
    )


def _changed(new: dict[str, str], old: dict[str, str]) -> set[str]:
    return {key for key in {*new, *old} if new.get(key) != old.get(key)}
