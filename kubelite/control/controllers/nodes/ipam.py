"""A range of pod addresses for each node. Pure.

After kubernetes, ``pkg/controller/nodeipam`` (range allocator). A node says which range would suit
its machine; two nodes never get the same.
"""

from __future__ import annotations

from kubelite.client.resources import NODES
from kubelite.control.controllers.actions import NOTHING, Emit, Patch, Plan
from kubelite.control.controllers.controller import Controller, own_key
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    annotations_of,
    is_deleting,
    spec_of,
    with_type,
)
from kubelite.control.controllers.view import View
from kubelite.objects.facts import pod_ranges


def plan(view: View, key: Key, now: float) -> Plan:
    """Gives a node that has no range one."""
    del now
    node = view.get(NODES, *key)
    if node is None or is_deleting(node) or ranges_of(node):
        return NOTHING
    taken = {pod_range for other in view.list(NODES) for pod_range in ranges_of(other)}
    wish = annotations_of(node).get(pod_ranges.WISH, "")
    chosen = pod_ranges.choose(key[1], wish, taken)
    if not chosen:
        described = with_type(node, "v1", "Node")
        text = f"Node {key[1]} status is now: CIDRNotAvailable"
        return Plan((Emit(described, "Normal", "CIDRNotAvailable", text),))
    body = {"spec": {"podCIDR": chosen, "podCIDRs": [chosen]}}
    return Plan((Patch(NODES, *key, body, "merge"),))


def ranges_of(node: Obj) -> list[str]:
    """The ranges that a node has."""
    return [str(pod_range) for pod_range in spec_of(node).get("podCIDRs") or ()]


NODE_IPAM_CONTROLLER = Controller(
    "node-ipam-controller",
    "node-controller",
    "cidrAllocator",
    {NODES: own_key},
    plan,
    workers=1,  # two nodes planned at once would see the same range free
)
