"""The resource usage and the processes of a pod's containers, from cgroups and /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from kubelite.node.cgroup.control import processes
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.cgroup.usage import read_usage
from kubelite.node.kubelet.decide import container_config
from kubelite.node.network.counters import interfaces
from kubelite.node.runtime.clock import boottime
from kubelite.node.runtime.container import cgroup_name
from kubelite.node.runtime.records import ObservedPod
from kubelite.objects.pod.pod import Pod


class Sample(NamedTuple):
    """The usage of one container at CLOCK_BOOTTIME ``at``: ``cpu`` in nanoseconds, ``memory`` and
    ``limit`` in bytes (0: no limit); None where this machine does not count. ``received`` and
    ``sent`` are bytes of the whole pod.
    """

    namespace: str
    pod: str
    container: str
    at: int
    cpu: int | None
    memory: int | None
    limit: int
    tasks: int | None
    received: int | None
    sent: int | None


class Process(NamedTuple):
    """One process: ``pid`` and ``user`` are the host's numbers, ``seconds`` of CPU time,
    ``memory`` is resident, in bytes.
    """

    container: str
    pid: int
    user: int
    state: str
    seconds: float
    memory: int
    command: str


def samples(tree: CgroupTree, pod: Pod, observed: ObservedPod) -> Iterator[Sample]:
    """One sample for each running container of a pod."""
    network = (
        interfaces(observed.sandbox.pause_pid)
        if observed.sandbox is not None and observed.up and observed.sandbox.address
        else ()
    )
    received = sum(interface.received for interface in network) if network else None
    sent = sum(interface.sent for interface in network) if network else None
    containers = {c.name: c for c in (*pod.spec.init_containers, *pod.spec.containers)}
    for container in observed.containers:
        name = container.record.name
        if not container.running:
            continue
        used = read_usage(tree, observed.pod.uid, cgroup_name(name, container.record.attempt))
        limit = (
            container_config.container_limits(containers[name]).memory_limit
            if name in containers
            else 0
        )
        yield Sample(
            observed.pod.namespace,
            observed.pod.name,
            name,
            boottime(),
            used.cpu_ns,
            used.working_set,
            limit,
            used.tasks,
            received,
            sent,
        )


def running(tree: CgroupTree, observed: ObservedPod) -> Iterator[Process]:
    """The processes in the containers of a pod, by container and pid."""
    for container in observed.containers:
        if not container.running:
            continue
        name = container.record.name
        group = cgroup_name(name, container.record.attempt)
        for pid in sorted(processes(tree, observed.pod.uid, group)):
            process = _process(name, pid)
            if process is not None:
                yield process


def _process(container: str, pid: int) -> Process | None:
    """None for a process that has exited meanwhile."""
    try:
        user = os.stat(f"/proc/{pid}").st_uid
        with open(f"/proc/{pid}/stat", "rb") as file:
            name, _, rest = file.read().rpartition(b")")
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().replace(b"\0", b" ").strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = rest.split()
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    command = words or b"[" + name.partition(b"(")[2] + b"]"
    seconds = (int(fields[11]) + int(fields[12])) / ticks
    return Process(
        container,
        pid,
        user,
        fields[0].decode(),
        seconds,
        int(fields[21]) * page,
        command.decode(errors="replace"),
    )
