"""In-place resize: the limits of a running pod and of its containers rewritten to those of a changed manifest.

Whoever may change resources of a pod (the agent, ``pods/resize``) calls it; nothing is restarted and no process notices.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubelite.node.cgroup.limits import Resources, container_knobs, pod_knobs
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.kubelet import prepare
from kubelite.node.kubelet.prepare import NodeFacts
from kubelite.objects.pod import Pod


def resize(tree: CgroupTree, uid: str, before: Pod, after: Pod, groups: Mapping[str, str], node: NodeFacts) -> list[str]:
    """Rewrites cpu and memory; ``groups`` are the cgroups of the running containers by name. Returns what was refused.

    As in the kubelet the pod as a whole is widened first and narrowed last. Raises LimitRefused where the kernel cannot bring
    memory below a new limit: limits that were written before it stay.
    """
    refused = []
    whole = prepare.pod_limits(after, node)
    wider = widens(prepare.pod_limits(before, node), whole)
    if wider:
        refused += tree.resize(uid, None, pod_knobs(whole, tree.world, anew=True))
    for container in (*after.spec.init_containers, *after.spec.containers):
        if container.name in groups:
            knobs = container_knobs(prepare.container_limits(container, node), tree.world, anew=True)
            refused += tree.resize(uid, groups[container.name], knobs)
    if not wider:
        refused += tree.resize(uid, None, pod_knobs(whole, tree.world, anew=True))
    return [str(each) for each in refused]


def widens(before: Resources, after: Resources) -> bool:
    """Whether the new memory limit allows at least what the old one did; 0 is no limit."""
    return not after.memory_limit or 0 < before.memory_limit <= after.memory_limit
