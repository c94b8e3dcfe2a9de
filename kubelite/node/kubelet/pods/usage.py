"""What the containers of a pod use, and the processes in them, read from cgroups and /proc: nothing
is asked of an image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from kubelite.node.cgroup.control import processes
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.cgroup.usage import read_usage
from kubelite.node.kubelet.decide import prepare
from kubelite.node.runtime.clock import boottime
from kubelite.node.runtime.container import group
from kubelite.node.runtime.records import Observed
from kubelite.objects.pod.pod import Pod


class Sample(NamedTuple):
    """One container at one moment: ``at`` and ``cpu`` in nanoseconds, bytes, counts; None where
    this machine does not count.

    ``limit`` of memory is 0 for none. ``received`` and ``sent`` are those of the whole pod.
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
    """One process: ``pid`` and ``user`` as this machine numbers them, ``seconds`` of CPU,
    ``memory`` resident in bytes.
    """

    container: str
    pid: int
    user: int
    state: str
    seconds: float
    memory: int
    command: str


def samples(tree: CgroupTree, pod: Pod, seen: Observed) -> Iterator[Sample]:
    """The running containers of a pod."""
    network = (
        _network(seen.sandbox.pause_pid)
        if seen.sandbox is not None and seen.up and seen.sandbox.address
        else None
    )
    containers = {each.name: each for each in (*pod.spec.init_containers, *pod.spec.containers)}
    for each in seen.containers:
        name = each.record.name
        if not each.running:
            continue
        used = read_usage(tree, seen.pod.uid, group(name, each.record.attempt))
        limit = prepare.container_limits(containers[name]).memory_limit if name in containers else 0
        received, sent = network or (None, None)
        yield Sample(
            seen.pod.namespace,
            seen.pod.name,
            name,
            boottime(),
            used.cpu_ns,
            used.working_set,
            limit,
            used.tasks,
            received,
            sent,
        )


def _network(pid: int) -> tuple[int, int] | None:
    """Bytes received and sent by the interfaces that the process sees, but loopback."""
    received = sent = 0
    try:
        with open(f"/proc/{pid}/net/dev", encoding="ascii") as file:
            for line in file.readlines()[2:]:
                name, _, counts = line.partition(":")
                if name.strip() != "lo":
                    fields = counts.split()
                    received, sent = received + int(fields[0]), sent + int(fields[8])
    except OSError:
        return None
    return received, sent


def running(tree: CgroupTree, seen: Observed) -> Iterator[Process]:
    """The processes in the containers of a pod, by container and pid."""
    for each in seen.containers:
        if each.running:
            for pid in sorted(
                processes(tree, seen.pod.uid, group(each.record.name, each.record.attempt))
            ):
                found = _process(each.record.name, pid)
                if found is not None:
                    yield found


def _process(container: str, pid: int) -> Process | None:
    """None for one that has ended meanwhile."""
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
