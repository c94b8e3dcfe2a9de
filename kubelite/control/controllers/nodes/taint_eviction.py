"""Eviction of pods from nodes with ``NoExecute`` taints. Pure but for its memory.

After kubernetes, ``pkg/controller/tainteviction``: a pod that tolerates every such taint stays; one
whose tolerations end leaves when the first of them has ended, counted from when the last taint
came. Which pods are to leave is remembered while the controller runs, to tell when one stays after
all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubelite.client.resources import NODES, PODS
from kubelite.control.controllers.actions import NOTHING, Delete, Emit, Patch, Plan
from kubelite.control.controllers.controller import Controller, Settings, own_key
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    format_time,
    generation_of,
    is_deleting,
    key_of,
    name_of,
    parse_time,
    spec_of,
    uid_of,
    with_type,
)
from kubelite.control.controllers.shared.node_fit import tolerates
from kubelite.control.controllers.view import View, on_node


def plan(view: View, key: Key, now: float) -> Plan:
    """Deletes the pod when its time on a tainted node is over."""
    pod = view.get(PODS, *key)
    if pod is None or is_deleting(pod):
        return NOTHING
    node = view.get(NODES, "", spec_of(pod).get("nodeName") or "")
    taints = [] if node is None else _no_execute(node)
    if not taints:
        return NOTHING
    end = leaves_at(pod, taints)
    if end is None:
        return NOTHING
    if end > now:
        return Plan((), end)
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByTaintManager",
        "message": "Taint manager: deleting due to NoExecute taint",
        "lastTransitionTime": format_time(now),
        "observedGeneration": generation_of(pod),
    }
    namespace, name = key
    text = f"Marking for deletion Pod {namespace}/{name}"
    return Plan(
        (
            Emit(with_type(pod, "v1", "Pod"), "Normal", "TaintManagerEviction", text),
            Patch(
                PODS,
                namespace,
                name,
                {"status": {"conditions": [condition]}},
                "strategic",
                "status",
            ),
            Delete(PODS, namespace, name, uid_of(pod)),
        )
    )


def leaves_at(pod: Obj, taints: Sequence[Obj]) -> float | None:
    """When a pod has to leave, in seconds since 1970 (0: at once); None where it may stay.

    A taint that does not say since when it is there is given a time by the node life cycle first.
    """
    tolerations = spec_of(pod).get("tolerations") or ()
    used = []
    for taint in taints:
        fitting = [toleration for toleration in tolerations if tolerates(toleration, taint)]
        if not fitting:
            return 0.0
        used += fitting
    limits = [
        toleration["tolerationSeconds"] for toleration in used if "tolerationSeconds" in toleration
    ]
    if not limits:
        return None
    if min(limits) <= 0:
        return 0.0
    added = [parse_time(taint.get("timeAdded")) for taint in taints]
    return max(added) + float(min(limits)) if all(added) else None


class Evictions:
    """Plans, and remembers: a pod that was to leave and does not is told of."""

    def __init__(self) -> None:
        self._waiting: set[Key] = set()

    def plan(self, view: View, key: Key, now: float) -> Plan:
        """The plan for a pod, or what there is to tell about one that need not leave."""
        pod = view.get(PODS, *key)
        if pod is not None and is_deleting(pod):
            return NOTHING
        decided = plan(view, key, now)
        if decided.wake_at is not None:
            self._waiting.add(key)
        elif key in self._waiting:
            self._waiting.discard(key)
            return decided if decided.steps else Plan((_cancellation(*key),))
        return decided


def _cancellation(namespace: str, name: str) -> Emit:
    """By its name: the pod may be gone."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name}}
    text = f"Cancelling deletion of Pod {namespace}/{name}"
    return Emit(pod, "Normal", "TaintManagerEviction", text)


def _no_execute(node: Obj) -> list[Obj]:
    return [taint for taint in spec_of(node).get("taints") or () if taint["effect"] == "NoExecute"]


def _pods_of_node(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The pods of a node whose taints have changed."""
    before = _no_execute(old) if old is not None else []
    after = _no_execute(new) if new is not None else []
    node = new if new is not None else old
    if node is None or before == after:
        return []
    return [key_of(pod) for pod in on_node(view, PODS, name_of(node))]


def taint_eviction_controller(settings: Settings) -> Controller:
    """The controller, which begins with an empty memory."""
    del settings
    return Controller(
        "taint-eviction-controller",
        "node-controller",
        "taint-eviction-controller",
        {PODS: own_key, NODES: _pods_of_node},
        Evictions().plan,
    )
