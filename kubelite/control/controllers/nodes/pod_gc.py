"""Pods that nobody else will remove. Pure.

After kubernetes, ``pkg/controller/podgc``: pods of nodes that are gone, pods that were deleted
before they were scheduled, pods that terminate on a node that is out of service, and of too many
finished pods the oldest.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubelite.client.resources import NODES, PODS
from kubelite.control.controllers.actions import NOTHING, Action, Delete, Patch, Plan
from kubelite.control.controllers.controller import Controller
from kubelite.control.controllers.shared.conditions import is_true
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    created_at,
    format_time,
    generation_of,
    is_deleting,
    name_of,
    namespace_of,
    parse_time,
    spec_of,
    status_of,
    uid_of,
)
from kubelite.control.controllers.shared.pod_state import is_terminated
from kubelite.control.controllers.view import View

QUARANTINE_SECONDS = 40.0
"""How long a node has to be gone before its pods are removed: it may only be registering anew."""
MAX_FINISHED = 12500
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
_ALL: Key = ("", "pods")


def plan(view: View, key: Key, now: float) -> Plan:
    """Removes what has to go now; wakes when a missing node's quarantine ends."""
    del key
    actions: list[Action] = []
    wake: float | None = None
    pods = view.list(PODS)
    for pod in pods:
        node_name = spec_of(pod).get("nodeName")
        node = view.get(NODES, "", node_name) if node_name else None
        if node_name and node is None:
            due = max(created_at(pod), parse_time(pod["metadata"].get("deletionTimestamp")))
            due += QUARANTINE_SECONDS
            if due <= now:
                actions += _remove(pod, now, "PodGC: node no longer exists")
            else:
                wake = due if wake is None else min(wake, due)
        elif (not node_name and is_deleting(pod)) or (
            node is not None and is_deleting(pod) and is_out_of_service(node)
        ):
            actions += _remove(pod, now, "")
    actions += [a for pod in _too_old(pods) for a in _remove(pod, now, "")]
    return Plan(tuple(actions), wake) if actions or wake else NOTHING


def is_out_of_service(node: Obj) -> bool:
    """Whether somebody has said that a node that is not ready will not come back by itself."""
    taints = spec_of(node).get("taints") or ()
    return not is_true(node, "Ready") and any(taint["key"] == OUT_OF_SERVICE for taint in taints)


def _too_old(pods: Iterable[Obj]) -> list[Obj]:
    """Pods that their nodes have evicted are the first to go."""
    finished = sorted(
        (pod for pod in pods if is_terminated(pod)),
        key=lambda pod: (status_of(pod).get("reason") != "Evicted", created_at(pod)),
    )
    return finished[: max(len(finished) - MAX_FINISHED, 0)]


def _remove(pod: Obj, now: float, reason: str) -> list[Action]:
    """The pod counts as failed first, so that a Job does not take it for one that never ran."""
    namespace, name = namespace_of(pod), name_of(pod)
    actions: list[Action] = []
    if not is_terminated(pod):
        status: dict[str, object] = {"phase": "Failed"}
        if reason:
            status["conditions"] = [
                {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "reason": "DeletionByPodGC",
                    "message": reason,
                    "lastTransitionTime": format_time(now),
                    "observedGeneration": generation_of(pod),
                }
            ]
        actions.append(Patch(PODS, namespace, name, {"status": status}, "strategic", "status"))
    return [*actions, Delete(PODS, namespace, name, uid_of(pod), grace=0)]


def _bound_or_ending(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """Pods that may have to go: of a node that is missing, and such as are being deleted."""
    del old
    if new is None:
        return []
    node = spec_of(new).get("nodeName")
    is_lost = bool(node) and view.get(NODES, "", str(node)) is None
    return [_ALL] if is_lost or is_deleting(new) or is_terminated(new) else []


def _node_gone_or_marked(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    del view, old
    return [_ALL] if new is None or is_out_of_service(new) else []


POD_GC_CONTROLLER = Controller(
    "pod-garbage-collector-controller",
    "pod-garbage-collector",
    "pod-garbage-collector",
    {PODS: _bound_or_ending, NODES: _node_gone_or_marked},
    plan,
)
