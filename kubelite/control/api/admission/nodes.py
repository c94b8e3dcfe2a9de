"""A node writes about itself and its pods only, and a new node takes no pods before it is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.admission.accounts import MIRROR
from kubelite.control.api.nodes import GROUP, USER
from kubelite.control.api.nodes import references as references_of
from kubelite.control.api.status import refused

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt

Object = dict[str, Any]
NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
_RESERVED = "node-restriction.kubernetes.io/"


async def not_ready(attempt: Attempt) -> None:
    """A new node is tainted until somebody has seen it ready."""
    if attempt.creates("", "nodes"):
        spec = attempt.obj.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(each.get("key") == NOT_READY["key"] and each.get("effect") == NOT_READY["effect"] for each in taints):
            spec["taints"] = [*taints, dict(NOT_READY)]


async def restriction(attempt: Attempt) -> None:
    """What a node's own credentials may write, beyond what authorization has checked. Raises StatusError 403."""
    user = attempt.request.user
    if GROUP not in user.groups or not user.name.startswith(USER):
        return
    node, res = user.name[len(USER) :], attempt.request.resource
    if res.group == "" and res.plural == "pods":
        _pod(attempt, node)
    elif res.group == "" and res.plural == "nodes":
        _node(attempt, node)
    elif res.plural in ("leases", "csinodes") and attempt.name != node:
        raise refused(res, attempt.name, f"node {node} may only write the {res.plural} named like itself")


def _pod(attempt: Attempt, node: str) -> None:
    res = attempt.request.resource
    if attempt.operation == "CREATE":
        pod = attempt.obj
        if MIRROR not in (pod["metadata"].get("annotations") or {}):
            why = f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
            raise refused(res, attempt.name, why)
        if pod.get("spec", {}).get("nodeName") != node:
            raise refused(res, attempt.name, f'node "{node}" can only create pods with spec.nodeName set to itself')
        if any(kind != "serviceaccounts" for kind, _, _ in references_of(pod)):
            raise refused(res, attempt.name, f'node "{node}" can not create pods that reference other objects')
        return
    old = attempt.old or {}
    if old.get("spec", {}).get("nodeName") != node:
        raise refused(res, attempt.name, f'node "{node}" can only change pods with spec.nodeName set to itself')
    if attempt.operation == "UPDATE" and attempt.obj["metadata"].get("labels") != old["metadata"].get("labels"):
        raise refused(res, attempt.name, f'node "{node}" cannot update labels through pod status')


def _node(attempt: Attempt, node: str) -> None:
    res = attempt.request.resource
    if attempt.name != node:
        raise refused(res, attempt.name, f'node "{node}" is not allowed to modify node "{attempt.name}"')
    if attempt.operation == "DELETE":
        raise refused(res, attempt.name, f'node "{node}" is not allowed to delete itself')
    old = attempt.old or {}
    if attempt.operation == "UPDATE" and attempt.obj.get("spec", {}).get("taints") != old.get("spec", {}).get("taints"):
        raise refused(res, attempt.name, f'node "{node}" is not allowed to modify taints')
    changed = _changed(attempt.obj["metadata"].get("labels") or {}, (old.get("metadata") or {}).get("labels") or {})
    wrong = sorted(each for each in changed if _RESERVED in each)
    if wrong:
        raise refused(res, attempt.name, f"is not allowed to modify labels: {', '.join(wrong)}")


def _changed(new: dict[str, str], old: dict[str, str]) -> set[str]:
    return {key for key in {*new, *old} if new.get(key) != old.get(key)}
