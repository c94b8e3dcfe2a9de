"""What a pod or container uses: CPU time, memory, tasks, and kills for want of memory.

A figure that this machine does not keep is None. The files' formats are those of the kernel's
documentation of cgroup v1 and v2; which of them are read follows from where each controller works.
"""

from __future__ import annotations

from typing import NamedTuple

from kubelite.node.cgroup.branch import read_text, subgroups
from kubelite.node.cgroup.tree import CgroupTree

_MEMORY_STAT = {
    "idle": "inactive_file",
    "anonymous": "anon",
    "cache": "file",
    "page_faults": "pgfault",
    "major_page_faults": "pgmajfault",
}
_MEMORY_STAT_V1 = {
    "idle": "total_inactive_file",
    "anonymous": "total_rss",
    "cache": "total_cache",
    "swap": "total_swap",
    "page_faults": "total_pgfault",
    "major_page_faults": "total_pgmajfault",
}


class Usage(NamedTuple):
    """Nanoseconds since the start, bytes, counts.

    ``working_set`` is memory without the file pages not used lately; ``anonymous`` and ``cache``
    are parts of ``memory``.
    """

    cpu_ns: int | None = None
    periods: int | None = None
    throttled: int | None = None
    throttled_ns: int | None = None
    memory: int | None = None
    memory_peak: int | None = None
    working_set: int | None = None
    anonymous: int | None = None
    cache: int | None = None
    swap: int | None = None
    page_faults: int | None = None
    major_page_faults: int | None = None
    oom_kills: int | None = None
    tasks: int | None = None


def read_usage(tree: CgroupTree, uid: str, name: str | None = None) -> Usage:
    """The usage of a pod, or of one container of it.

    Where the groups are gone every figure is None.
    """
    files = _Files(tree, uid, name)
    return Usage(
        cpu_ns=_cpu_ns(files),
        memory_peak=files.number("memory", "memory.peak", "memory.max_usage_in_bytes"),
        oom_kills=read_oom_kills(tree, uid, name),
        tasks=_tasks(files),
        **_memory(files),
        **_throttling(files),
    )


def read_oom_kills(tree: CgroupTree, uid: str, name: str | None = None) -> int | None:
    """How many processes of the group the kernel has killed for want of memory.

    Above 0 means OOMKilled.
    """
    files = _Files(tree, uid, name)
    return files.table("memory", "memory.events", "memory.oom_control").get("oom_kill")


def parse_table(text: str) -> dict[str, int]:
    """``key number`` lines as a dictionary; other lines are left out. Pure."""
    values = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if value.strip().isdigit():
            values[key] = int(value)
    return values


class _Files:
    """The control files of one group."""

    def __init__(self, tree: CgroupTree, uid: str, name: str | None) -> None:
        self.tree, self.uid, self.name = tree, uid, name

    def is_v2(self, controller: str) -> bool:
        hierarchy = self.tree.world.hierarchy_of(controller)
        return hierarchy is not None and hierarchy.v2

    def text(self, controller: str, v2: str, v1: str) -> str:
        """The file of that name where the controller works, "" where there is none."""
        file = v2 if not controller or self.is_v2(controller) else v1
        place = self.tree.place(controller, self.uid, self.name)
        if place is None or not file:
            return ""
        try:
            return read_text(f"{place[1]}/{file}", place[0])
        except FileNotFoundError:
            return ""

    def number(self, controller: str, v2: str, v1: str) -> int | None:
        text = self.text(controller, v2, v1).strip()
        return int(text) if text.isdigit() else None

    def table(self, controller: str, v2: str, v1: str) -> dict[str, int]:
        return parse_table(self.text(controller, v2, v1))


def _cpu_ns(files: _Files) -> int | None:
    """A v2 group counts its time even without the cpu controller."""
    used = files.table("", "cpu.stat", "").get("usage_usec")
    return used * 1000 if used is not None else files.number("cpuacct", "", "cpuacct.usage")


def _throttling(files: _Files) -> dict[str, int | None]:
    table = files.table("cpu", "cpu.stat", "cpu.stat")
    micro = table.get("throttled_usec")
    return {
        "periods": table.get("nr_periods"),
        "throttled": table.get("nr_throttled"),
        "throttled_ns": table.get("throttled_time") if micro is None else micro * 1000,
    }


def _memory(files: _Files) -> dict[str, int | None]:
    """v1 has the figures of a group with those below it under names of their own."""
    memory = files.number("memory", "memory.current", "memory.usage_in_bytes")
    if memory is None:
        return {}
    table = files.table("memory", "memory.stat", "memory.stat")
    names = _MEMORY_STAT if files.is_v2("memory") else _MEMORY_STAT_V1
    figures: dict[str, int | None] = {key: table.get(name) for key, name in names.items()}
    idle = figures.pop("idle") or 0
    if files.is_v2("memory"):
        figures["swap"] = files.number("memory", "memory.swap.current", "")
    return {**figures, "memory": memory, "working_set": max(0, memory - idle)}


def _tasks(files: _Files) -> int | None:
    """v2's own count, or the lines of a file that lists the threads of a group."""
    if files.is_v2("pids"):
        return files.number("pids", "pids.current", "")
    for controller, file in (("", "cgroup.threads"), ("memory", "tasks"), ("cpu", "tasks")):
        place = files.tree.place(controller, files.uid, files.name)
        if place is not None:
            return _count_lines(*place, file)
    return None


def _count_lines(dir_fd: int, group: str, file: str) -> int | None:
    count, groups = 0, [group]
    for path in groups:
        try:
            count += read_text(f"{path}/{file}", dir_fd).count("\n")
        except FileNotFoundError:
            if path == group:
                return None
            continue
        groups += [f"{path}/{child}" for child in subgroups(dir_fd, path)]
    return count
