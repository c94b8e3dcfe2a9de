"""Changes CPU and memory limits of running containers in their cgroups, without a restart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kubelite.node.cgroup.errors import CgroupError
from kubelite.node.cgroup.limits import resize_writes
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.cgroup.usage import read_usage
from kubelite.node.kubelet.decide import container_config
from kubelite.node.runtime.container import cgroup_name
from kubelite.node.runtime.errors import Conflict
from kubelite.node.runtime.records import ObservedContainer
from kubelite.objects.pod.pod import Pod


class Excess(NamedTuple):
    """A container, or ("") the pod as a whole, uses more memory than its new limit. Bytes."""

    container: str
    used: int
    limit: int

    def __str__(self) -> str:
        """In the kubelet's words."""
        whose = f'container "{self.container}"' if self.container else "pod"
        return (
            f"attempting to set {whose} memory limit ({self.limit}) "
            f"below current usage ({self.used})"
        )


def excesses(
    tree: CgroupTree, uid: str, pod: Pod, running: Iterable[ObservedContainer]
) -> list[Excess]:
    """Memory limits below the present usage, for which the kernel would kill."""
    limits = {
        container.name: container_config.container_limits(container).memory_limit
        for container in (*pod.spec.init_containers, *pod.spec.containers)
    }
    whole = container_config.pod_limits(pod).memory_limit
    groups: list[tuple[str, str | None, int]] = [("", None, whole)]
    for observed in running:
        name = observed.record.name
        groups.append((name, cgroup_name(name, observed.record.attempt), limits.get(name, 0)))
    limited = (
        Excess(name, read_usage(tree, uid, group).working_set or 0, limit)
        for name, group, limit in groups
        if limit
    )
    return [excess for excess in limited if excess.used > excess.limit]


def check(tree: CgroupTree, uid: str, pod: Pod, running: Iterable[ObservedContainer]) -> None:
    """Refuses what :func:`excesses` finds of containers. Raises Conflict."""
    for excess in excesses(tree, uid, pod, running):
        if excess.container:
            raise Conflict(
                f'container "{excess.container}" uses {excess.used} bytes of memory, '
                f"more than its new limit of {excess.limit}",
                hint="choose a higher limit, or --replace the pod",
            )


def fault(tree: CgroupTree, uid: str, pod: Pod, running: list[ObservedContainer]) -> str:
    """Sets the limits as :func:`apply` does; why not all of them could be, "" where they are."""
    problems = [str(excess) for excess in excesses(tree, uid, pod, running)]
    if problems:
        listed = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        return f"cannot decrease memory limits: {listed}"
    try:
        apply(tree, uid, pod, running)
    except CgroupError as error:
        return str(error)
    return ""


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
