"""Whether a running pod may have the resources that are asked for, and who comes first where there
is not enough. Pure.

Reasons, messages and order are the kubelet's (pkg/kubelet/allocation): what exceeds the node is
Infeasible, what other pods leave no room for is Deferred until they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from kubelite.node.kubelet.decide import admitting
from kubelite.node.kubelet.decide.admitting import Refusal
from kubelite.objects.pod import qos
from kubelite.objects.pod.container import Container, ResourceRequirements
from kubelite.objects.pod.pod import Pod
from kubelite.objects.pod.qos import Amounts
from kubelite.objects.rules.pods.qos_class import GUARANTEED

DEFERRED, INFEASIBLE = "Deferred", "Infeasible"


class QueuePosition(NamedTuple):
    """Where a deferred resize stands in the queue; the least is tried first. ``since`` is when it
    was deferred, in nanoseconds since 1970.
    """

    increases: bool
    negative_priority: int
    not_guaranteed: bool
    since: int


def queue_position(desired: Pod, allocated: Pod, since: int) -> QueuePosition:
    """The position of a pod that waits for room."""
    now, then = qos.pod_requests(desired), qos.pod_requests(allocated)
    return QueuePosition(
        increases=any(now.get(name, 0) > then.get(name, 0) for name in ("cpu", "memory")),
        negative_priority=-(desired.spec.priority or 0),
        not_guaranteed=qos.qos_class(desired) != GUARANTEED,
        since=since,
    )


def is_resized(desired: Pod, allocated: Pod) -> bool:
    """Whether other resources are asked for than the pod's containers have."""
    return _resources(desired) != _resources(allocated)


def refusal(desired: Pod, others: Iterable[Pod], allocatable: Amounts) -> Refusal | None:
    """Why the node has no room for ``desired`` beside the other pods: DEFERRED or INFEASIBLE; None
    where it has.
    """
    requests = qos.pod_requests(desired)
    for name in ("memory", "cpu"):
        if requests.get(name, 0) > allocatable[name]:
            sizes = f"{name}, requested: {requests[name]}, capacity: {allocatable[name]}"
            return Refusal(INFEASIBLE, f"Node didn't have enough capacity: {sizes}")
    short = admitting.shortage(("cpu", "memory"), requests, admitting.used_by(others), allocatable)
    return Refusal(DEFERRED, short.message) if short is not None else None


def with_resources_of(desired: Pod, allocated: Pod) -> Pod:
    """What is asked for, but with the resources that the containers have."""
    had = dict(_resources(allocated))

    def kept(containers: tuple[Container, ...]) -> tuple[Container, ...]:
        return tuple(
            replace(container, resources=had.get(container.name, container.resources))
            for container in containers
        )

    spec = desired.spec
    spec = replace(
        spec, containers=kept(spec.containers), init_containers=kept(spec.init_containers)
    )
    return replace(desired, spec=spec)


def amounts_by_name(pod: Pod) -> dict[str, dict[str, dict[str, str]]]:
    """Limits and requests of each container that runs for as long as the pod."""
    return {
        name: {"limits": dict(has.limits), "requests": dict(has.requests)}
        for name, has in _resources(pod)
    }


def event_message(prefix: str, pod: Pod, error: str = "") -> str:
    """The text of an event about a resize: ``prefix`` and the resources in question as JSON."""
    summary: dict[str, Any] = {
        field: [
            {"name": container.name, "resources": msgspec.to_builtins(container.resources)}
            for container in containers
        ]
        for field, containers in (
            ("initContainers", pod.spec.init_containers),
            ("containers", pod.spec.containers),
        )
        if containers
    }
    if pod.metadata.generation is not None:
        summary["generation"] = pod.metadata.generation
    if error:
        summary["error"] = error
    return f"{prefix}: {msgspec.json.encode(summary).decode()}"


def _resources(pod: Pod) -> list[tuple[str, ResourceRequirements]]:
    return [(container.name, container.resources) for container in _lasting(pod)]


def _lasting(pod: Pod) -> Iterator[Container]:
    yield from (c for c in pod.spec.init_containers if qos.is_sidecar(c))
    yield from pod.spec.containers
