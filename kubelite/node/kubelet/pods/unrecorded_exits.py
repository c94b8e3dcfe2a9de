"""Exits that are not in a container's history yet, described as they will be there."""

from __future__ import annotations

import time

from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.kubelet.act import config_file
from kubelite.node.kubelet.act.exit_recorder import ExitRecorder
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
    limit = restart_policy.max_backoff(pod, config_file.read(home).max_backoff)
    containers = {c.name: (c, True) for c in pod.spec.init_containers}
    others = (*pod.spec.containers, *pod.spec.ephemeral_containers)
    containers |= {c.name: (c, False) for c in others}
    with CgroupTree(read_world(), home.cgroup) as tree:
        recorder = ExitRecorder(home, ledger, tree, observed.pod)

        def described(observed: ObservedContainer) -> ObservedContainer:
            if observed.running or observed.exit is None or observed.last_exit is not None:
                return observed
            container, init = containers.get(observed.record.name, (None, observed.record.init))
            return observed._replace(
                last_exit=recorder.describe(observed, container, init, now, limit)
            )

        return observed._replace(containers=tuple(map(described, observed.containers)))
