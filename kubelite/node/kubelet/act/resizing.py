"""Changes CPU and memory limits of running containers in their cgroups, without a restart."""

from __future__ import annotations

from collections.abc import Iterable

from kubelite.node.cgroup.errors import CgroupError
from kubelite.node.cgroup.limits import resize_writes
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.cgroup.usage import read_usage
from kubelite.node.kubelet.decide import container_config
from kubelite.node.runtime.container import cgroup_name
from kubelite.node.runtime.errors import Conflict
from kubelite.node.runtime.records import ObservedContainer
from kubelite.objects.pod.pod import Pod


def check(tree: CgroupTree, uid: str, pod: Pod, running: Iterable[ObservedContainer]) -> None:
    """Refuses memory limits below the present usage, for which the kernel would kill. Raises
    Conflict.
    """
    containers = {
        container.name: container for container in (*pod.spec.init_containers, *pod.spec.containers)
    }
    for observed in running:
        name = observed.record.name
        limit = (
            container_config.container_limits(containers[name]).memory_limit
            if name in containers
            else 0
        )
        used = read_usage(tree, uid, cgroup_name(name, observed.record.attempt)).working_set or 0
        if limit and used > limit:
            raise Conflict(
                f'container "{name}" uses {used} bytes of memory, '
                f"more than its new limit of {limit}",
                hint="choose a higher limit, or --replace the pod",
            )


def apply(tree: CgroupTree, uid: str, pod: Pod, running: Iterable[ObservedContainer]) -> None:
    """Writes the limits of the pod and its running containers. The pod's are removed first, since a
    container's limit cannot exceed them. Raises CgroupError for one that cannot be set."""
    whole = container_config.pod_limits(pod)
    containers = {
        container.name: container for container in (*pod.spec.init_containers, *pod.spec.containers)
    }
    refused = tree.limit(
        uid, None, resize_writes(whole._replace(cpu_limit=0, memory_limit=0), tree.world)
    )
    for observed in running:
        container = containers.get(observed.record.name)
        if container is not None:
            control_writes = resize_writes(container_config.container_limits(container), tree.world)
            refused += tree.limit(
                uid, cgroup_name(observed.record.name, observed.record.attempt), control_writes
            )
    refused += tree.limit(uid, None, resize_writes(whole, tree.world))
    if refused:
        raise CgroupError("; ".join(str(error) for error in refused))
