"""Taints of nodes by their conditions, and nodes that nobody hears of any more. Pure but for its
memory.

After kubernetes, ``pkg/controller/nodelifecycle``: a node whose Lease and status are older than the
grace period gets unknown conditions; conditions become taints, of which ``NoExecute`` ones evict.
Which nodes there are is remembered while the controller runs, as Kubernetes does, to tell when one
is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubelite.client.resources import LEASES, NODES, PODS
from kubelite.control.controllers.actions import NOTHING, Action, Emit, Patch, Plan, Update
from kubelite.control.controllers.controller import Controller, Settings, nobody, own_key
from kubelite.control.controllers.shared.conditions import find
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    format_time,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    parse_time,
    spec_of,
    status_of,
    uid_of,
    with_type,
)
from kubelite.control.controllers.view import View, on_node

GRACE_SECONDS = 50.0
"""How long after its last Lease or status a node counts as lost (node-monitor-grace-period)."""
STARTUP_GRACE_SECONDS = 60.0
"""The same for a node that has never said whether it is ready (node-startup-grace-period)."""
LEASE_NAMESPACE = "kube-node-lease"
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_BY_CONDITION = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
}
_OWN_KEYS = {*_BY_CONDITION.values(), UNSCHEDULABLE}
_OLD_LABELS = {
    "kubernetes.io/os": "beta.kubernetes.io/os",
    "kubernetes.io/arch": "beta.kubernetes.io/arch",
}
_WATCHED_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_STOPPED = "Kubelet stopped posting node status."
_NEVER_POSTED = "Kubelet never posted node status."


def plan(view: View, key: Key, now: float) -> Plan:
    """Brings conditions, taints and the readiness of a node's pods in line."""
    node = view.get(NODES, *key)
    if node is None or is_deleting(node):
        return NOTHING
    conditions = list(status_of(node).get("conditions") or ())
    ends = _last_heard(view, node) + _grace(conditions)
    if ends <= now:
        lost = _unknown_conditions(conditions, now)
        if lost != conditions:
            body = {"status": {"conditions": lost}}
            write = Patch(NODES, "", name_of(node), body, "merge", "status")
            return Plan((write, *_lost_node_actions(view, node, conditions, now)))
        wake = None
    else:
        wake = ends
    return Plan((*_label_actions(node), *_taint_actions(node, conditions, now)), wake)


def wanted_taints(node: Obj, conditions: Sequence[Obj], now: float) -> list[dict[str, Any]]:
    """All taints that a node is to have: those of others as they are, ours by its conditions."""
    present = list(spec_of(node).get("taints") or ())
    keys = [
        _BY_CONDITION[kind]
        for condition in conditions
        if (kind := (condition.get("type", ""), condition.get("status", ""))) in _BY_CONDITION
    ]
    ours = [(name, "NoSchedule") for name in keys]
    if spec_of(node).get("unschedulable"):
        ours.append((UNSCHEDULABLE, "NoSchedule"))
    ours += [(name, "NoExecute") for name in keys if name in (NOT_READY, UNREACHABLE)]
    kept = [
        _with_time(taint, now)
        for taint in present
        if not _is_ours(taint) or (taint["key"], taint["effect"]) in ours
    ]
    have = {(taint["key"], taint["effect"]) for taint in kept}
    added = format_time(now)
    new = [
        {"key": name, "effect": effect, "timeAdded": added}
        for name, effect in ours
        if (name, effect) not in have
    ]
    return [*kept, *new]


def _with_time(taint: Obj, now: float) -> dict[str, Any]:
    """Evictions count from when a taint came; a client need not say when that was."""
    if taint["effect"] == "NoExecute" and not taint.get("timeAdded"):
        return {**taint, "timeAdded": format_time(now)}
    return dict(taint)


def _is_ours(taint: Obj) -> bool:
    if taint["effect"] == "NoExecute":
        return taint["key"] in (NOT_READY, UNREACHABLE)
    return taint["effect"] == "NoSchedule" and taint["key"] in _OWN_KEYS


def _taint_actions(node: Obj, conditions: Sequence[Obj], now: float) -> list[Action]:
    taints = wanted_taints(node, conditions, now)
    if taints == list(spec_of(node).get("taints") or ()):
        return []
    body = with_type(node, "v1", "Node")
    body["spec"] = {**spec_of(node), "taints": taints}
    if not taints:
        del body["spec"]["taints"]
    return [Update(NODES, body)]


def _label_actions(node: Obj) -> list[Action]:
    """The older names of the labels for system and architecture follow the present ones."""
    labels = labels_of(node)
    missing = {
        old: labels[new]
        for new, old in _OLD_LABELS.items()
        if new in labels and labels.get(old) != labels[new]
    }
    if not missing:
        return []
    return [Patch(NODES, "", name_of(node), {"metadata": {"labels": missing}}, "merge")]


def _lost_node_actions(
    view: View, node: Obj, conditions: Sequence[Obj], now: float
) -> Iterable[Action]:
    """A node that was ready and is lost: its pods are not ready, which its kubelet cannot say."""
    ready = find(conditions, "Ready")
    if ready is None or ready.get("status") != "True":
        return
    name = name_of(node)
    text = f"Node {name} status is now: NodeNotReady"
    yield Emit(with_type(node, "v1", "Node"), "Normal", "NodeNotReady", text)
    for pod in on_node(view, PODS, name):
        condition = find(status_of(pod).get("conditions") or (), "Ready")
        if condition is None or condition.get("status") != "True":
            continue
        changed = {
            "type": "Ready",
            "status": "False",
            "reason": "NodeNotReady",
            "lastTransitionTime": format_time(now),
        }
        body = {"status": {"conditions": [changed]}}
        yield Patch(PODS, namespace_of(pod), name_of(pod), body, "strategic", "status")
        described = with_type(pod, "v1", "Pod")
        yield Emit(described, "Warning", "NodeNotReady", "Node is not ready")


def _grace(conditions: Sequence[Obj]) -> float:
    has_reported = find(conditions, "Ready") is not None
    return GRACE_SECONDS if has_reported else STARTUP_GRACE_SECONDS


def _last_heard(view: View, node: Obj) -> float:
    """The latest of the Lease's renewal and the status' heartbeat, in seconds since 1970."""
    lease = view.get(LEASES, LEASE_NAMESPACE, name_of(node))
    renewed = parse_time(spec_of(lease).get("renewTime")) if lease is not None else 0.0
    ready = find(status_of(node).get("conditions") or (), "Ready")
    heartbeat = parse_time(ready.get("lastHeartbeatTime")) if ready is not None else 0.0
    created = parse_time(node["metadata"].get("creationTimestamp"))
    return max(renewed, heartbeat, created)


def _unknown_conditions(conditions: Sequence[Obj], now: float) -> list[Obj]:
    result = list(conditions)
    for kind in _WATCHED_CONDITIONS:
        old = find(result, kind)
        if old is None:
            result.append(
                {
                    "type": kind,
                    "status": "Unknown",
                    "reason": "NodeStatusNeverUpdated",
                    "message": _NEVER_POSTED,
                    "lastHeartbeatTime": format_time(now),
                    "lastTransitionTime": format_time(now),
                }
            )
        elif old.get("status") != "Unknown":
            result[result.index(old)] = {
                **old,
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": _STOPPED,
                "lastTransitionTime": format_time(now),
            }
    return result


class KnownNodes:
    """Plans, and remembers: nodes that come and go are told of."""

    def __init__(self) -> None:
        self._known: dict[str, Obj] = {}

    def plan(self, view: View, key: Key, now: float) -> Plan:
        """The plan for a node, after what there is to tell about it."""
        rest = plan(view, key, now)
        return rest._replace(steps=(*self._events(key[1], view.get(NODES, *key)), *rest.steps))

    def _events(self, name: str, node: Obj | None) -> Iterable[Emit]:
        old = self._known.pop(name, None)
        if node is not None:
            self._known[name] = node
        if old is not None and (node is None or uid_of(node) != uid_of(old)):
            text = f"Node {name} event: Removing Node {name} from Controller"
            yield Emit(with_type(old, "v1", "Node"), "Normal", "RemovingNode", text)
        if node is not None and (old is None or uid_of(node) != uid_of(old)):
            text = f"Node {name} event: Registered Node {name} in Controller"
            yield Emit(with_type(node, "v1", "Node"), "Normal", "RegisteredNode", text)


def node_lifecycle_controller(settings: Settings) -> Controller:
    """The controller, which begins with an empty memory."""
    del settings
    return Controller(
        "node-lifecycle-controller",
        "node-controller",
        "node-controller",
        {NODES: own_key, LEASES: nobody, PODS: nobody},
        KnownNodes().plan,
    )
