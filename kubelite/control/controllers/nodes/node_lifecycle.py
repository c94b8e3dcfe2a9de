"""Taints of nodes by their conditions, and nodes that nobody hears of any more. Pure but for its
memory.

After kubernetes, ``pkg/controller/nodelifecycle``: a node that is not heard of for the grace period
gets unknown conditions (``heartbeats``); conditions become taints, of which ``NoExecute`` ones
evict, and come one after the other (``zones``). What is remembered while the controller runs is
what Kubernetes remembers: which nodes there are, when they were heard of, and who waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from kubelite.client.resources import LEASES, NODES, PODS
from kubelite.control.controllers.actions import Action, Emit, Patch, Plan, Update, earliest
from kubelite.control.controllers.controller import Controller, Settings, nobody
from kubelite.control.controllers.nodes.heartbeats import Heartbeat, is_lost_at, look, next_look
from kubelite.control.controllers.nodes.zones import Zones
from kubelite.control.controllers.shared.conditions import find
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    format_time,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
    with_type,
)
from kubelite.control.controllers.view import View, on_node

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


Eviction = Literal["now", "later", "never"]
"""What becomes of a node's ``NoExecute`` taint: it comes, it is only followed where there is one,
or there is none.
"""


def wanted_taints(
    node: Obj, conditions: Sequence[Obj], now: float, eviction: Eviction = "now"
) -> list[dict[str, Any]]:
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
    if eviction == "now" or (eviction == "later" and evicts(node)):
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


def evicts(node: Obj) -> bool:
    """Whether a node has one of our taints that evict."""
    return any(
        _is_ours(taint) and taint["effect"] == "NoExecute"
        for taint in spec_of(node).get("taints") or ()
    )


def _with_time(taint: Obj, now: float) -> dict[str, Any]:
    """Evictions count from when a taint came; a client need not say when that was."""
    if taint["effect"] == "NoExecute" and not taint.get("timeAdded"):
        return {**taint, "timeAdded": format_time(now)}
    return dict(taint)


def _is_ours(taint: Obj) -> bool:
    if taint["effect"] == "NoExecute":
        return taint["key"] in (NOT_READY, UNREACHABLE)
    return taint["effect"] == "NoSchedule" and taint["key"] in _OWN_KEYS


def _taint_actions(
    node: Obj, conditions: Sequence[Obj], now: float, eviction: Eviction
) -> list[Action]:
    taints = wanted_taints(node, conditions, now, eviction)
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


def _unknown_conditions(node: Obj, conditions: Sequence[Obj], now: float) -> list[Obj]:
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
                    "lastHeartbeatTime": node["metadata"].get("creationTimestamp"),
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


class NodeLifecycle:
    """Plans, and remembers."""

    def __init__(self) -> None:
        self.zones = Zones()
        self._known: dict[str, Obj] = {}
        self._heartbeats: dict[str, Heartbeat] = {}
        self._resumed: dict[str, int] = {}

    def plan(self, view: View, key: Key, now: float) -> Plan:
        """Brings conditions, taints and the readiness of a node's pods in line."""
        name = key[1]
        node = view.get(NODES, *key)
        events = tuple(self._events(name, node))
        if node is None:
            self._heartbeats.pop(name, None)
            self._resumed.pop(name, None)
        if node is None or is_deleting(node):
            return Plan(events)
        conditions = list(status_of(node).get("conditions") or ())
        heartbeat = self._look(view, node, now)
        wake: float | None = next_look(heartbeat, node)
        if is_lost_at(heartbeat, node) <= now:
            lost = _unknown_conditions(node, conditions, now)
            if lost != conditions:
                body = {"status": {"conditions": lost}}
                write = Patch(NODES, "", name, body, "merge", "status")
                return Plan((*events, write, *_lost_node_actions(view, node, conditions, now)))
            wake = None
        eviction, turn = self._eviction(node, now)
        taints = _taint_actions(node, conditions, now, eviction)
        return Plan((*events, *_label_actions(node), *taints), earliest(wake, turn))

    def _look(self, view: View, node: Obj, now: float) -> Heartbeat:
        """When the node was last heard of. After no node was ready all get their time anew: it may
        have been the way from them to us that was cut.
        """
        name = name_of(node)
        lease = view.get(LEASES, LEASE_NAMESPACE, name)
        heartbeat = look(self._heartbeats.get(name), node, lease, now)
        if self._resumed.setdefault(name, self.zones.resumed) != self.zones.resumed:
            self._resumed[name] = self.zones.resumed
            heartbeat = heartbeat._replace(at=now)
        self._heartbeats[name] = heartbeat
        return heartbeat

    def _eviction(self, node: Obj, now: float) -> tuple[Eviction, float | None]:
        """What becomes of the taint that evicts, and when to look again for its sake."""
        ready, turn = find(status_of(node).get("conditions") or (), "Ready"), None
        if ready is None or ready.get("status") == "True" or evicts(node):
            self.zones.leave(name_of(node))
        else:
            turn = self.zones.turn(node, now)
        if self.zones.is_stopped:
            return "never", None
        return ("now", None) if turn is not None and turn <= now else ("later", turn)

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
    memory = NodeLifecycle()
    return Controller(
        "node-lifecycle-controller",
        "node-controller",
        "node-controller",
        {NODES: memory.zones.changed, LEASES: nobody, PODS: nobody},
        memory.plan,
    )
