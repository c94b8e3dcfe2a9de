"""Measures this machine, from /proc and its file systems, and the pods of a state root, from their
cgroups.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.cgroup.usage import parse_table, read_usage
from kubelite.node.image.store import ImageStore
from kubelite.node.kubelet.act import facts
from kubelite.node.kubelet.decide.mirror import shown_name
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.kubelet.stats.figures import (
    ContainerFigures,
    Figures,
    Filesystem,
    NodeFigures,
    PodFigures,
    Process,
)
from kubelite.node.network.counters import interfaces
from kubelite.node.runtime.clock import SECOND
from kubelite.node.runtime.container import cgroup_name
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.processes import start_ticks
from kubelite.node.runtime.records import ObservedContainer, ObservedPod
from kubelite.node.runtime.storage import measure as measure_storage
from kubelite.objects.pod import qos
from kubelite.objects.pod.pod import Pod

_TICK_NS = SECOND // os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_IDLE, _IO_WAIT, _GUEST = 3, 4, 8
"""Columns of the first line of /proc/stat that are no work, or counted in another one already."""


def measure(home: Home, node: str, *, disks: bool) -> Figures:
    """The node ``node`` and its pods now; with ``disks`` also what pods occupy, which takes time in
    proportion to their files.
    """
    machine = measure_node(home)
    if disks:
        size = sum(image.size for image in ImageStore(Path(home.images)).list())
        machine = machine._replace(images=machine.images._replace(used=size))
    return Figures(machine, measure_pods(home, node, disks=disks))


def measure_node(home: Home) -> NodeFigures:
    """This machine now."""
    memory, counters = _meminfo(), _table("/proc/vmstat")
    total = memory["MemTotal"]
    used = total - memory["MemFree"]
    now = time.time()
    booted_at = now - time.clock_gettime(time.CLOCK_BOOTTIME)
    return NodeFigures(
        at=now,
        booted_at=booted_at,
        cpus=facts.cpus(),
        cpu_ns=_cpu_ns(),
        memory_capacity=total,
        memory_used=used,
        working_set=max(used - memory["Inactive(file)"], 0),
        anonymous=memory["AnonPages"],
        page_faults=counters.get("pgfault", 0),
        major_page_faults=counters.get("pgmajfault", 0),
        swap_capacity=memory["SwapTotal"],
        swap_used=memory["SwapTotal"] - memory["SwapFree"],
        max_tasks=facts.max_tasks(),
        tasks=_tasks(),
        network=interfaces(),
        root=filesystem(home.root),
        images=filesystem(home.images),
        agent=_agent(booted_at),
    )


def measure_pods(home: Home, node: str, *, disks: bool) -> list[PodFigures]:
    """The pods that run, under the names that the API has for them."""
    queries = Pods(home).queries
    with CgroupTree(read_world(), home.cgroup) as tree:
        return [
            _pod(home, node, tree, queries.pod(record), observed, disks=disks)
            for record in queries.records()
            if (observed := queries.observe(record)).up
        ]


def filesystem(path: str) -> Filesystem:
    """The file system of a path."""
    status = os.statvfs(path)
    size = status.f_frsize
    return Filesystem(
        status.f_blocks * size,
        status.f_bavail * size,
        status.f_files,
        status.f_favail,
        (status.f_blocks - status.f_bfree) * size,
    )


def _pod(
    home: Home, node: str, tree: CgroupTree, pod: Pod, observed: ObservedPod, *, disks: bool
) -> PodFigures:
    record, sandbox = observed.pod, observed.sandbox
    assert sandbox is not None  # it is up
    storage = (
        measure_storage(home, record, [container.record for container in observed.containers])
        if disks
        else None
    )
    group = f"/{home.cgroup}/{tree.group(record.uid)}"
    sizes = storage.containers if storage is not None else {}
    return PodFigures(
        record.namespace,
        shown_name(record, node),
        record.uid,
        group,
        sandbox.started_at / SECOND,
        read_usage(tree, record.uid),
        interfaces(sandbox.pause_pid) if sandbox.address else (),
        [
            _container(tree, pod, record.uid, group, container, sizes.get(container.record.name))
            for container in observed.containers
            if container.running
        ],
        storage.volumes if storage is not None else None,
        storage.total if storage is not None else None,
    )


def _container(
    tree: CgroupTree,
    pod: Pod,
    uid: str,
    group: str,
    observed: ObservedContainer,
    disk: int | None,
) -> ContainerFigures:
    record = observed.record
    name = cgroup_name(record.name, record.attempt)
    declared = (*pod.spec.init_containers, *pod.spec.containers)
    own = next(
        (qos.resources(container) for container in declared if container.name == record.name), None
    )
    return ContainerFigures(
        record.name,
        record.id,
        record.image,
        f"{group}/{name}",
        record.started_at / SECOND,
        read_usage(tree, uid, name),
        own or qos.Resources(),
        disk,
    )


def _cpu_ns() -> int:
    """What all processors of this machine have worked."""
    with open("/proc/stat", encoding="ascii") as file:
        columns = [int(word) for word in file.readline().split()[1:]]
    worked = (
        ticks
        for number, ticks in enumerate(columns)
        if number not in (_IDLE, _IO_WAIT) and number < _GUEST
    )
    return sum(worked) * _TICK_NS


def _meminfo() -> dict[str, int]:
    """/proc/meminfo in bytes."""
    with open("/proc/meminfo", encoding="ascii") as file:
        pairs = (line.split(":") for line in file)
        return {name: int(value.split()[0]) << 10 for name, value in pairs}


def _table(path: str) -> dict[str, int]:
    with open(path, encoding="ascii") as file:
        return parse_table(file.read())


def _tasks() -> int:
    with open("/proc/loadavg", encoding="ascii") as file:
        return int(file.read().split()[3].partition("/")[2])


def _agent(booted_at: float) -> Process:
    with open("/proc/self/statm", encoding="ascii") as file:
        resident = int(file.read().split()[1]) * _PAGE
    started = (start_ticks(os.getpid()) or 0) * _TICK_NS / SECOND
    return Process(time.process_time_ns(), resident, booted_at + started)
