"""What has changed in the object of a pod that this node runs already goes on record."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.kubelet.act import config_file, updating
from kubelite.node.kubelet.act.pod_state import PodState
from kubelite.node.kubelet.act.worker import Worker
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.pod_lock import hold_pod
from kubelite.node.runtime.records import REMOVING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubelite.node.runtime.home import Home
    from kubelite.objects.pod.pod import Pod


def is_changed(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> bool:
    """Whether the node has to look at a pod's object again: not for its status."""
    return old is None or _wanted(old) != _wanted(new)


def _wanted(pod: Mapping[str, Any]) -> tuple[Any, ...]:
    meta = pod["metadata"]
    return pod["spec"], meta.get("labels"), meta.get("annotations")


def record(home: Home, uid: str, pod: Pod) -> None:
    """Records the pod as it is wanted now; its worker does the rest. Raises Conflict for limits
    that what runs now exceeds.
    """
    ledger = Ledger(home)
    with hold_pod(home, uid) as lock:
        recorded = ledger.pod(uid) if lock is not None else None
        if recorded is None:
            return
        state = PodState(home, ledger, recorded)
        if recorded.stage == REMOVING or not state.refresh():
            return
        with (
            closing(Worker(state, config_file.read(home).max_backoff)) as worker,
            CgroupTree(read_world(), home.cgroup) as tree,
        ):
            updating.put_accepted(worker, tree, pod)
