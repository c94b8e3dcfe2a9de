"""What has changed in the object of a pod that this node runs already goes on record."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.node.kubelet.act import config_file, updating
from kubelite.node.kubelet.act.pod_state import PodState
from kubelite.node.kubelet.act.worker import Worker
from kubelite.node.kubelet.decide import resize_allocation
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.pod_lock import hold_pod
from kubelite.node.runtime.records import REMOVING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kubelite.node.kubelet.act.cluster_view import ClusterView
    from kubelite.node.kubelet.decide.resize_allocation import QueuePosition
    from kubelite.node.runtime.home import Home
    from kubelite.objects.pod.pod import Pod
    from kubelite.objects.pod.qos import Amounts


def is_changed(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> bool:
    """Whether the node has to look at a pod's object again: not for its status."""
    return old is None or _wanted(old) != _wanted(new)


def _wanted(pod: Mapping[str, Any]) -> tuple[Any, ...]:
    meta = pod["metadata"]
    return pod["spec"], meta.get("labels"), meta.get("annotations")


class Neighbours(NamedTuple):
    """What a pod shares the node with: the other pods that have not ended, and what the node can
    allocate.
    """

    pods: Iterable[Pod]
    allocatable: Amounts


def record(
    home: Home, uid: str, pod: Pod, view: ClusterView, neighbours: Neighbours
) -> QueuePosition | None:
    """Records the pod as it is wanted now; its worker does the rest. Returns the pod's position
    in the queue where it is resized and has to wait for room.
    """
    ledger = Ledger(home)
    with hold_pod(home, uid) as lock:
        recorded = ledger.pod(uid) if lock is not None else None
        if recorded is None:
            return None
        state = PodState(home, ledger, recorded, cluster=view)
        if recorded.stage == REMOVING or not state.refresh():
            return None
        refused = None
        if resize_allocation.is_resized(pod, state.pod):
            refused = resize_allocation.refusal(pod, *neighbours)
        with closing(Worker(state, config_file.read(home).max_backoff)) as worker:
            pending = updating.put_accepted(worker, pod, refused)
        if pending is None or pending.reason != resize_allocation.DEFERRED:
            return None
        return resize_allocation.queue_position(pod, state.pod, pending.since)
