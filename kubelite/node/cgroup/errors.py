"""What can go wrong with cgroups. Pure.

CgroupError         one sentence; ``hint`` where there is something to try
├── NoCgroups       this machine has no cgroup hierarchy that can be written
├── LimitRefused    a memory limit is asked for that the kernel will not keep
└── GroupBusy       processes stayed in a group that was to be removed or killed
"""

from __future__ import annotations


class CgroupError(Exception):
    """Root of this room's errors; raised itself where the kernel refuses a group."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NoCgroups(CgroupError):
    """There is nothing to make a group in."""


class LimitRefused(CgroupError):
    """Starting without this limit would be worse than not starting."""


class GroupBusy(CgroupError):
    """A group would not become empty in time."""
