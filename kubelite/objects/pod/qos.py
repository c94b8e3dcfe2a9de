"""What a pod asks for and may use, and what follows from it: QoS class and OOM score. Pure.

Amounts are whole numbers by resource name: ``cpu`` in milli-CPUs, everything else in its own unit
(bytes, pods, devices). Rules are those of Kubernetes' resource helpers and of the kubelet: a
request that is not given is the limit; init containers run one at a time, so that the most
demanding one counts; sidecars (init containers with restartPolicy Always) run on beside all that
follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from kubelite.objects.facts import quantity
from kubelite.objects.rules.pods.qos_class import BEST_EFFORT, GUARANTEED, class_of

if TYPE_CHECKING:
    from kubelite.objects.pod.container import Container
    from kubelite.objects.pod.pod import Pod

Amounts = dict[str, int]
DISK = "ephemeral-storage"


class Resources(NamedTuple):
    """CPU (milli) and memory (bytes) of a container or of a whole pod; 0 means none given."""

    cpu_request: int = 0
    cpu_limit: int = 0
    memory_request: int = 0
    memory_limit: int = 0


def amounts(texts: Mapping[str, str]) -> Amounts:
    """Quantities as numbers. Raises QuantityError."""
    return {
        name: quantity.milli(text) if name == "cpu" else quantity.value(text)
        for name, text in texts.items()
    }


def limits(container: Container) -> Amounts:
    """What the container must not exceed."""
    return amounts(container.resources.limits)


def requests(container: Container) -> Amounts:
    """What the container is promised."""
    return amounts({**container.resources.limits, **container.resources.requests})


def resources(container: Container) -> Resources:
    """CPU and memory of one container."""
    return _resources(requests(container), limits(container))


def has_storage_limit(pod: Pod) -> bool:
    """Whether the disk space of anything in the pod is limited."""
    containers = (*pod.spec.containers, *pod.spec.init_containers)
    return any(DISK in container.resources.limits for container in containers) or any(
        volume.empty_dir is not None and volume.empty_dir.size_limit is not None
        for volume in pod.spec.volumes
    )


def pod_resources(pod: Pod) -> Resources:
    """CPU and memory of the pod as a whole. A limit is 0 unless every container has one."""
    return _resources(pod_requests(pod), pod_limits(pod))


def pod_requests(pod: Pod) -> Amounts:
    """What the scheduler counts for a pod: containers, init containers, overhead, or the pod's own
    requests.
    """
    total = _together(pod, requests)
    if pod.spec.resources is not None:
        total |= amounts({**pod.spec.resources.limits, **pod.spec.resources.requests})
    return plus(total, amounts(pod.spec.overhead))


def pod_limits(pod: Pod) -> Amounts:
    """What the pod must not exceed in all; a resource that some container may use without limit is
    left out.
    """
    containers = (*pod.spec.containers, *pod.spec.init_containers)
    total = _together(pod, limits)
    total = {
        name: amount
        for name, amount in total.items()
        if all(name in c.resources.limits for c in containers)
    }
    if pod.spec.resources is not None:
        total |= amounts(pod.spec.resources.limits)
    overhead = amounts(pod.spec.overhead)
    return {name: amount + overhead.get(name, 0) for name, amount in total.items()}


def is_sidecar(container: Container) -> bool:
    """Whether an init container runs on beside the containers after it."""
    return container.restart_policy == "Always"


def plus(left: Amounts, right: Amounts) -> Amounts:
    """The sum, resource by resource."""
    total = dict(left)
    for name, amount in right.items():
        total[name] = total.get(name, 0) + amount
    return total


def most(left: Amounts, right: Amounts) -> Amounts:
    """The larger amount of each resource."""
    total = dict(left)
    for name, amount in right.items():
        total[name] = max(total.get(name, 0), amount)
    return total


def qos_class(pod: Pod) -> str:
    """Guaranteed, Burstable or BestEffort."""
    own = pod.spec.resources
    containers = (*pod.spec.containers, *pod.spec.init_containers)
    return class_of(
        (own.requests, own.limits) if own is not None else ({}, {}),
        ((c.resources.requests, c.resources.limits) for c in containers),
    )


def oom_score_adj(pod: Pod, container: Container, memory: int) -> int:
    """How readily the kernel kills the container; ``memory`` is the machine's in bytes.

    The kubelet's: never a Guaranteed one if it can be helped, BestEffort ones first, those between
    by the share of memory that they were promised. Sidecars are as precious as the most precious of
    the containers that they serve.
    """
    kind = qos_class(pod)
    if kind == GUARANTEED:
        return -997
    if kind == BEST_EFFORT or memory <= 0:
        return 1000
    score = _burstable_score(container, memory)
    if container in pod.spec.init_containers and is_sidecar(container):
        return min(score, *(_burstable_score(member, memory) for member in pod.spec.containers))
    return score


def _burstable_score(container: Container, memory: int) -> int:
    score = 1000 - 1000 * requests(container).get("memory", 0) // memory
    return max(3, min(score, 999))


def _resources(requested: Amounts, allowed: Amounts) -> Resources:
    return Resources(
        requested.get("cpu", 0),
        allowed.get("cpu", 0),
        requested.get("memory", 0),
        allowed.get("memory", 0),
    )


def _together(pod: Pod, of: Callable[[Container], Amounts]) -> Amounts:
    total = _sum(of(container) for container in pod.spec.containers)
    sidecars: Amounts = {}
    highest: Amounts = {}
    for container in pod.spec.init_containers:
        own = plus(sidecars, of(container))
        highest = most(highest, own)
        if is_sidecar(container):
            sidecars = own
    return most(plus(total, sidecars), highest)


def _sum(parts: Iterable[Amounts]) -> Amounts:
    total: Amounts = {}
    for part in parts:
        total = plus(total, part)
    return total
