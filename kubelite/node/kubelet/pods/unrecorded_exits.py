"""Exits that are not in a container's history yet, described as they will be there."""

from __future__ import annotations

import time

from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.kubelet.act.exit_recorder import ExitRecorder
from kubelite.node.kubelet.act.node_config import max_backoff
from kubelite.node.kubelet.decide import restart_policy
from kubelite.node.kubelet.decide.actions import TimePoint
from kubelite.node.runtime.clock import boottime
from kubelite.node.runtime.home import Home, boot_id
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.records import ObservedContainer, ObservedPod
from kubelite.objects.pod.pod import Pod


def describe_exits(home: Home, ledger: Ledger, pod: Pod, observed: ObservedPod) -> ObservedPod:
    """``observed`` with ``last_exit`` for every container that has exited. Writes nothing."""
    now = TimePoint(boottime(), boot_id(), time.time_ns())
    limit = restart_policy.max_backoff(pod, max_backoff(home))
    containers = {c.name: (c, True) for c in pod.spec.init_containers}
    containers |= {c.name: (c, False) for c in pod.spec.containers}
    with CgroupTree(read_world(), home.cgroup) as tree:
        recorder = ExitRecorder(home, ledger, tree, observed.pod)

        def described(each: ObservedContainer) -> ObservedContainer:
            if each.running or each.exit is None or each.last_exit is not None:
                return each
            container, init = containers.get(each.record.name, (None, each.record.init))
            return each._replace(last_exit=recorder.describe(each, container, init, now, limit))

        return observed._replace(containers=tuple(map(described, observed.containers)))
