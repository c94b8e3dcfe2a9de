"""The process that a command line comes from: what a child of another process cannot become, and
what it can take over.
"""

from __future__ import annotations

import os
import resource
from typing import NamedTuple

_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
_STATUS = ("Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp")
_LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))


class Confines(NamedTuple):
    """What bounds a process and is not handed over with its descriptors: namespaces, root
    directory, cgroups, identity and capabilities, how the memory killer ranks it.
    """

    namespaces: tuple[str, ...]
    root: tuple[int, int]
    cgroups: str
    status: tuple[str, ...]
    oom_score_adj: str


def confines_of(process: int | str) -> Confines:
    """Those of a process, "self" for this one. Raises OSError."""
    place = f"/proc/{process}"
    root = os.stat(f"{place}/root")
    lines = _read(f"{place}/status").splitlines()
    return Confines(
        tuple(_namespace(f"{place}/ns/{name}") for name in _NAMESPACES),
        (root.st_dev, root.st_ino),
        _read(f"{place}/cgroup"),
        tuple(line for line in lines if line.startswith((*_STATUS, "Cap"))),
        _read(f"{place}/oom_score_adj"),
    )


def take_over(process: int) -> None:
    """Gives this process the other's resource limits, priority and processors. Raises OSError."""
    for limit in _LIMITS:
        wanted = resource.prlimit(process, limit)
        if resource.getrlimit(limit) != wanted:
            resource.setrlimit(limit, wanted)
    priority = os.getpriority(os.PRIO_PROCESS, process)
    if os.getpriority(os.PRIO_PROCESS, 0) != priority:
        os.setpriority(os.PRIO_PROCESS, 0, priority)
    os.sched_setaffinity(0, os.sched_getaffinity(process))


def _namespace(path: str) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return ""  # of a kind that this kernel does not have


def _read(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()
