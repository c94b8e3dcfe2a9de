"""What the resources of a pod or container are written as in control files. Pure.

Formulas are the kubelet's (cpu shares, quota, which limits a pod as a whole gets) and, for the v2
weight of shares, the one that crun and runc have used since 2025. A value that a new group has
anyway is not listed. Which files they are follows from where the controller works, so that a
machine with some controllers on v1 and some on v2 needs no special case.

v2 has no device files: there the allow-list is a program, see :mod:`kubelite.node.cgroup.devices`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from kubelite.node.cgroup.hierarchies import World

MIN_SHARES, DEFAULT_SHARES, MAX_SHARES = 2, 1024, 262144
DEFAULT_WEIGHT, MAX_WEIGHT = 100, 10000
PERIOD = 100_000
MIN_QUOTA = 1_000

DEVICE_RULES = (
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
)
"""Any node may be made.

Null, zero, full, random, urandom, tty, ptmx and pts may be used (OCI, "Default Devices").
"""


class Resources(NamedTuple):
    """Resources of a container or of a pod. Milli-CPUs, bytes, tasks; 0 means none given."""

    cpu_request: int = 0
    cpu_limit: int = 0
    memory_limit: int = 0
    pids_limit: int = 0
    huge_pages: tuple[tuple[int, int], ...] = ()
    """Size of a page and how many bytes of such pages, for each size that has a limit."""


class ControlWrite(NamedTuple):
    """One write: ``value`` into ``file`` of the group in the hierarchy of ``controller``."""

    controller: str
    file: str
    value: str


def cpu_shares(milli: int) -> int:
    """v1 cpu.shares of a request in milli-CPUs; no request is the least."""
    return max(MIN_SHARES, min(MAX_SHARES, milli * 1024 // 1000))


def cpu_weight(shares: int) -> int:
    """v2 cpu.weight of shares.

    A parabola in log2 through (2, 1), (1024, 100) and (262144, 10000).
    """
    if shares <= MIN_SHARES:
        return 1
    if shares >= MAX_SHARES:
        return MAX_WEIGHT
    octave = math.log2(shares)
    exponent = (octave * octave + 125 * octave) / 612 - 7 / 34
    # Rounded first: 1024 must not become 101 for the last bit of a power.
    return math.ceil(round(math.pow(10, exponent), 9))


def cpu_quota(milli: int) -> int:
    """Microseconds of CPU in each period for a limit in milli-CPUs; 0 is no limit."""
    return max(MIN_QUOTA, milli * PERIOD // 1000) if milli > 0 else 0


def container_writes(resources: Resources, world: World) -> list[ControlWrite]:
    """What is written for a container.

    On v2 an out-of-memory kill takes the whole container, as in the kubelet.
    """
    control_writes = _common_writes(resources, world)
    if _is_v2(world, "memory"):
        control_writes.append(ControlWrite("memory", "memory.oom.group", "1"))
    return control_writes


def pod_writes(resources: Resources, world: World) -> list[ControlWrite]:
    """What is written for a pod as a whole."""
    return _common_writes(resources, world)


PROGRAM = "device program"
"""Stands for a controller in the write that has the allow-list, a rule a line, attached to a v2
group.
"""


def resize_writes(resources: Resources, world: World) -> list[ControlWrite]:
    """What is written for a group that is there already: CPU and memory in full, none too.

    On v1 swap and memory are limited together only after that limit is out of the way, so that
    neither order of the two is refused.
    """
    shares = cpu_shares(resources.cpu_request or resources.cpu_limit)
    quota, memory = cpu_quota(resources.cpu_limit), resources.memory_limit
    if _is_v2(world, "cpu"):
        cpu = [
            ControlWrite("cpu", "cpu.weight", str(cpu_weight(shares))),
            ControlWrite("cpu", "cpu.max", f"{quota or 'max'} {PERIOD}"),
        ]
    else:
        cpu = [
            ControlWrite("cpu", "cpu.shares", str(shares)),
            ControlWrite("cpu", "cpu.cfs_quota_us", str(quota or -1)),
        ]
    if _is_v2(world, "memory"):
        swap = ControlWrite("memory", "memory.swap.max", "0" if memory else "max")
        return [*cpu, ControlWrite("memory", "memory.max", str(memory or "max")), swap]
    both = "memory.memsw.limit_in_bytes"
    last = [ControlWrite("memory", both, str(memory))] if memory else []
    return [
        *cpu,
        ControlWrite("memory", both, "-1"),
        ControlWrite("memory", "memory.limit_in_bytes", str(memory or -1)),
        *last,
    ]


def device_writes(world: World, more: Iterable[str] = ()) -> list[ControlWrite]:
    """The allow-list of devices, with ``more`` rules as ``b 7:0 rwm``; empty where there is neither
    v1's controller nor a v2 group to attach it to.

    Groups made below take it over from their parent.
    """
    rules = (*DEVICE_RULES, *more)
    if world.hierarchy_of("devices") is None:
        return [] if world.unified is None else [ControlWrite(PROGRAM, PROGRAM, "\n".join(rules))]
    return [
        ControlWrite("devices", "devices.deny", "a"),
        *(ControlWrite("devices", "devices.allow", rule) for rule in rules),
    ]


def _is_v2(world: World, controller: str) -> bool:
    hierarchy = world.hierarchy_of(controller)
    return hierarchy is not None and hierarchy.v2


def _common_writes(resources: Resources, world: World) -> list[ControlWrite]:
    control_writes = [*_cpu(resources, world), *_memory(resources, world)]
    if resources.pids_limit:
        control_writes.append(ControlWrite("pids", "pids.max", str(resources.pids_limit)))
    return control_writes + [_huge(size, limit, world) for size, limit in resources.huge_pages]


def _cpu(resources: Resources, world: World) -> list[ControlWrite]:
    shares = cpu_shares(resources.cpu_request or resources.cpu_limit)
    quota = cpu_quota(resources.cpu_limit)
    control_writes = []
    if _is_v2(world, "cpu"):
        weight = cpu_weight(shares)
        if weight != DEFAULT_WEIGHT:
            control_writes.append(ControlWrite("cpu", "cpu.weight", str(weight)))
        if quota:
            control_writes.append(ControlWrite("cpu", "cpu.max", f"{quota} {PERIOD}"))
        return control_writes
    if shares != DEFAULT_SHARES:
        control_writes.append(ControlWrite("cpu", "cpu.shares", str(shares)))
    if quota:
        # The period of a new group is PERIOD.
        control_writes.append(ControlWrite("cpu", "cpu.cfs_quota_us", str(quota)))
    return control_writes


def _memory(resources: Resources, world: World) -> list[ControlWrite]:
    """A limit counts without swap, as the kubelet has it.

    Or a machine's swap would stretch it silently.
    """
    limit = str(resources.memory_limit)
    if not resources.memory_limit:
        return []
    if _is_v2(world, "memory"):
        return [
            ControlWrite("memory", "memory.max", limit),
            ControlWrite("memory", "memory.swap.max", "0"),
        ]
    return [
        ControlWrite("memory", "memory.limit_in_bytes", limit),
        ControlWrite("memory", "memory.memsw.limit_in_bytes", limit),
    ]


def _huge(size: int, limit: int, world: World) -> ControlWrite:
    """The kernel names its files after the size in the largest unit that is not a fraction."""
    unit = (
        f"{size >> 30}GB"
        if size >= 1 << 30
        else f"{size >> 20}MB"
        if size >= 1 << 20
        else f"{size >> 10}KB"
    )
    word = "max" if _is_v2(world, "hugetlb") else "limit_in_bytes"
    return ControlWrite("hugetlb", f"hugetlb.{unit}.{word}", str(limit))
