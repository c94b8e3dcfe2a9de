"""How long kubelets may keep ConfigMaps and Secrets before they ask again. Pure.

After kubernetes, ``pkg/controller/ttl``: an annotation on nodes that grows with the cluster.
"""

from __future__ import annotations

from kubelite.client.resources import NODES
from kubelite.control.controllers.actions import NOTHING, Patch, Plan
from kubelite.control.controllers.controller import Controller, own_key
from kubelite.control.controllers.shared.meta import Key, annotations_of
from kubelite.control.controllers.view import View

ANNOTATION = "node.alpha.kubernetes.io/ttl"
_BOUNDARIES = ((100, 0), (500, 15), (1000, 30), (2000, 60))
_LARGEST = 300


def plan(view: View, key: Key, now: float) -> Plan:
    """Sets the annotation where it is not right."""
    del now
    node = view.get(NODES, *key)
    if node is None:
        return NOTHING
    wanted = str(seconds_for(len(view.list(NODES))))
    if annotations_of(node).get(ANNOTATION) == wanted:
        return NOTHING
    body = {"metadata": {"annotations": {ANNOTATION: wanted}}}
    return Plan((Patch(NODES, *key, body, "merge"),))


def seconds_for(nodes: int) -> int:
    """The time for a cluster of so many nodes."""
    return next((seconds for limit, seconds in _BOUNDARIES if nodes <= limit), _LARGEST)


TTL_CONTROLLER = Controller(
    "ttl-controller", "ttl-controller", "ttl-controller", {NODES: own_key}, plan
)
